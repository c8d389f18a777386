import pytest

from tests.labels.calculations import single_thread, structure


@pytest.fixture(scope="package", autouse=True)
def _threads():
    with single_thread():
        yield


@pytest.fixture
def water():
    return structure("water")
