import pytest

from tests.labels.calculations import single_thread


@pytest.fixture(scope="package", autouse=True)
def _threads():
    with single_thread():
        yield
