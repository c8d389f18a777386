import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from densitylab.files import write_atomically
from densitylab.keys import STORE, fingerprint
from densitylab.labels import Store, StoreError
from densitylab.labels.record_file import SCHEMA
from tests.labels import killed_writer

ROOT = Path(__file__).resolve().parents[2]


def calculation_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {"numbers": np.array([8, 1, 1]), "energy": np.asarray(rng.normal()), "occupations": np.full(5, 2.0)}
    for name, shape in {"positions": (3, 3), "forces": (3, 3), "dipole": (3,), "orbitals": (7, 5)}.items():
        arrays[name] = rng.normal(size=shape)
    return arrays


def put(store: Store, key: str, seed: int = 0) -> None:
    store.put("calculation", key, calculation_arrays(seed), {"elements": ["H", "O"], "note": key})


def put_fit(store: Store, key: str, values=(1.0, 2.0)) -> None:
    store.put("fit", key, {"coefficients": np.array(values)}, {"of": key})


def identical(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Bit by bit, with type and shape."""

    def content(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}

    return content(first) == content(second)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# -------------------------------------------------------------------------------------------------- put and get


def test_round_trip(tmp_path):
    store, arrays = Store(tmp_path), calculation_arrays()
    meta = {"info": {"group": "α-1", "size": 4}, "nested": [1, 2.5, None, {"x": True}], "tenth": 0.1}
    store.put("calculation", "abc", arrays, meta)
    for reader in (store, Store(tmp_path)):
        record = reader.get("calculation", "abc")
        assert identical(record.arrays, arrays)
        assert record.arrays["energy"].shape == ()
        assert record.meta == reader.meta("calculation", "abc") == meta
        assert reader.has("calculation", "abc")
        assert reader.keys("calculation") == ["abc"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0), (2, 3)])
def test_round_trip_of_any_array(tmp_path, dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    Store(tmp_path).put("fit", "k", {"coefficients": array}, {})
    assert identical(Store(tmp_path).get("fit", "k").arrays, {"coefficients": array})


def test_round_trip_of_arrays_that_are_not_contiguous(tmp_path):
    """Views and transposes; safetensors writes memory as it lies."""
    array = np.arange(24.0).reshape(4, 6).T[::2]
    Store(tmp_path).put("fit", "k", {"coefficients": array}, {})
    assert np.array_equal(Store(tmp_path).get("fit", "k").arrays["coefficients"], array)


def test_values_that_decimals_cannot_write(tmp_path):
    array = np.array([np.nan, np.inf, -0.0, 5e-324, np.pi])
    Store(tmp_path).put("fit", "k", {"coefficients": array}, {})
    assert identical(Store(tmp_path).get("fit", "k").arrays, {"coefficients": array})


def test_keys_are_sorted_and_kinds_apart(tmp_path):
    store = Store(tmp_path)
    for key in ("b", "c", "a"):
        put(store, key)
    put_fit(store, "z")
    assert store.keys("calculation") == ["a", "b", "c"]
    assert store.keys("fit") == ["z"]
    assert store.keys("prior") == []
    assert not store.has("fit", "a")


def test_a_store_that_is_not_there_is_empty(tmp_path):
    store = Store(tmp_path / "none")
    assert store.keys("calculation") == []
    assert store.failures() == {}
    assert not (tmp_path / "none").exists()  # looking makes nothing


def test_missing_key(tmp_path):
    store = Store(tmp_path)
    put(store, "here")
    for ask in (store.get, store.meta):
        with pytest.raises(KeyError, match="nowhere"):
            ask("calculation", "nowhere")
        with pytest.raises(KeyError, match="here"):
            ask("fit", "here")


@pytest.mark.parametrize("kind", STORE)
def test_arrays_must_be_those_of_keys(tmp_path, kind):
    store = Store(tmp_path)
    full = {name: np.zeros(2) for name in STORE[kind]}
    first = next(iter(full))
    lacking = {name: array for name, array in full.items() if name != first}
    for wrong in (lacking, full | {"extra": np.zeros(2)}):
        with pytest.raises(ValueError, match=first):
            store.put(kind, "k", wrong, {})
    assert store.keys(kind) == []


def test_store_opened_earlier_sees_what_is_written_later(tmp_path):
    early = Store(tmp_path)
    put(Store(tmp_path), "new")
    assert early.has("calculation", "new")
    assert early.keys("calculation") == ["new"]


# --------------------------------------------------------------------------------------------------------- packing


def test_packing_moves_everything_bit_by_bit(tmp_path):
    store = Store(tmp_path)
    for seed in range(5):
        put(store, f"k{seed}", seed)
    put_fit(store, "f")
    before = {key: store.get("calculation", key) for key in store.keys("calculation")}
    shard = store.pack("one")
    assert [file.name for file in tmp_path.rglob("*.safetensors")] == [shard.name] == ["one.safetensors"]
    for reader in (store, Store(tmp_path)):
        assert reader.keys("calculation") == sorted(before)
        for key, record in before.items():
            again = reader.get("calculation", key)
            assert identical(again.arrays, record.arrays)
            assert again.meta == record.meta == reader.meta("calculation", key)
        assert reader.has("fit", "f")
        assert reader.get("fit", "f").arrays["coefficients"].tolist() == [1, 2]


def test_shards_are_appended_never_rewritten(tmp_path):
    store = Store(tmp_path)
    put(store, "a", 1)
    shard = store.pack("one")
    first = shard.read_bytes()
    put(store, "b", 2)
    assert store.keys("calculation") == ["a", "b"]
    with pytest.raises(StoreError, match=r"one.safetensors exists.*never rewritten"):
        store.pack("one")
    assert store.keys("calculation") == ["a", "b"]  # and nothing was lost by trying
    store.pack("two")
    assert shard.read_bytes() == first
    reader = Store(tmp_path)
    assert reader.keys("calculation") == ["a", "b"]
    assert identical(reader.get("calculation", "b").arrays, calculation_arrays(2))


def test_nothing_to_pack(tmp_path):
    with pytest.raises(StoreError, match="no loose records"):
        Store(tmp_path).pack("one")
    assert list(tmp_path.iterdir()) == []


def test_packing_was_interrupted_between_shard_and_removal(tmp_path):
    """Loose records that are in a shard already: no record is lost or seen twice, and packing goes on."""
    store = Store(tmp_path)
    put(store, "a", 1)
    loose = snapshot(tmp_path)
    store.pack("one")
    for name, content in loose.items():
        (tmp_path / name).write_bytes(content)
    again = Store(tmp_path)
    assert again.keys("calculation") == ["a"]
    again.pack("two")
    assert Store(tmp_path).keys("calculation") == ["a"]
    assert identical(Store(tmp_path).get("calculation", "a").arrays, calculation_arrays(1))


def test_a_damaged_record_stops_packing_and_nothing_is_lost(tmp_path):
    store = Store(tmp_path)
    put(store, "a")
    put(store, "b")
    damaged = tmp_path / "calculation" / "b.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"b\.safetensors"):
        store.pack("one")
    assert snapshot(tmp_path) == before


def test_put_over_a_packed_record(tmp_path):
    """It is refused: a shard is never rewritten, and a loose record beside it would never be read."""
    store = Store(tmp_path)
    put_fit(store, "k", [1.0])
    store.pack("one")
    with pytest.raises(StoreError, match="never rewritten"):
        put_fit(store, "k", [2.0])
    assert store.get("fit", "k").arrays["coefficients"].tolist() == [1.0]


# ---------------------------------------------------------------------------------------------------------- damage


def damage_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_last_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def damage_text(path: Path) -> None:
    path.write_text("this is not a record\n" * 50)


def damage_foreign(path: Path) -> None:
    save_file({"weights": np.zeros(3)}, path)


def damage_foreign_with_metadata(path: Path) -> None:
    save_file({"weights": np.zeros(3)}, path, metadata={"format": "pt"})


def damage_header(path: Path) -> None:
    save_file({"weights": np.zeros(3)}, path, metadata={"densitylab": "{not json"})


def damage_newer(path: Path) -> None:
    """A later schema, with other arrays."""
    name = f"fit/{path.stem}"
    header = {"densitylab_schema": SCHEMA + 1, "records": {name: {}}}
    save_file({f"{name}/c": np.zeros(3)}, path, metadata={"densitylab": json.dumps(header)})


def damage_arrays(path: Path) -> None:
    """A record of this schema that lacks its array."""
    header = {"densitylab_schema": SCHEMA, "records": {f"fit/{path.stem}": {}}}
    save_file({f"fit/{path.stem}/other": np.zeros(3)}, path, metadata={"densitylab": json.dumps(header)})


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]
UNREADABLE = [damage for damage in DAMAGES if damage is not damage_arrays]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_record_names_its_file(tmp_path, damage):
    store = Store(tmp_path)
    put_fit(store, "good")
    put_fit(store, "bad")
    damage(tmp_path / "fit" / "bad.safetensors")
    with pytest.raises(StoreError, match=r"bad\.safetensors"):
        Store(tmp_path).get("fit", "bad")
    assert Store(tmp_path).get("fit", "good").arrays["coefficients"].tolist() == [1, 2]


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda damage: damage.__name__)
def test_damaged_record_has_no_meta(tmp_path, damage):
    put_fit(Store(tmp_path), "bad")
    damage(tmp_path / "fit" / "bad.safetensors")
    with pytest.raises(StoreError, match=r"bad\.safetensors"):
        Store(tmp_path).meta("fit", "bad")


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda damage: damage.__name__)
def test_damaged_shard_names_its_file(tmp_path, damage):
    store = Store(tmp_path)
    put_fit(store, "a")
    damage(store.pack("shard"))
    with pytest.raises(StoreError, match=r"shard\.safetensors"):
        Store(tmp_path)


@pytest.mark.parametrize("where", ["record", "shard"])
def test_newer_schema_says_so(tmp_path, where):
    store = Store(tmp_path)
    put_fit(store, "a")
    file = tmp_path / "fit" / "a.safetensors" if where == "record" else store.pack("a")
    damage_newer(file)
    with pytest.raises(StoreError, match=rf"a\.safetensors: schema {SCHEMA + 1}, written by a newer densitylab"):
        Store(tmp_path).get("fit", "a")


def test_record_under_the_name_of_another(tmp_path):
    store = Store(tmp_path)
    put_fit(store, "a")
    os.rename(tmp_path / "fit" / "a.safetensors", tmp_path / "fit" / "b.safetensors")
    with pytest.raises(StoreError, match=r"b\.safetensors"):
        store.meta("fit", "b")


# ----------------------------------------------------------------------------------------------- where none can be


def test_path_that_is_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StoreError, match="file is not a folder"):
        Store(file)


def test_folder_that_cannot_be_written(tmp_path):
    """Below a regular file nobody can write, not even root."""
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match=r"cannot write .*file/store"):
        put_fit(store, "k")
    with pytest.raises(StoreError, match="cannot write"):
        store.put_failure("k", {"error": "x"})


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses to make files")
def test_file_system_that_refuses(tmp_path):
    with pytest.raises(StoreError, match="cannot write"):
        put_fit(Store("/proc/densitylab"), "k")


def test_disk_that_is_full(tmp_path):
    """A write that fails leaves what was there. The limit is on the size of files of a process of its own."""
    store = Store(tmp_path)
    put_fit(store, "old")
    before = snapshot(tmp_path)
    program = (
        "import resource, signal, sys; import numpy as np\n"
        "from densitylab.labels import Store, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Store(sys.argv[1]).put('fit', 'new', {'coefficients': np.zeros(1000)}, {})\n"
        "except StoreError as error: print(error)\n"
    )
    done = run([sys.executable, "-c", program, str(tmp_path)])
    assert done.stdout.startswith("cannot write"), done.stderr
    assert snapshot(tmp_path) == before


# --------------------------------------------------------------------------------------------------------- failures


def test_failures_are_kept_and_cleared_by_success(tmp_path):
    store = Store(tmp_path)
    store.put_failure("k", {"error": "LabelError: did not converge", "group": "β"})
    store.put_failure("other", {"error": "x"})
    assert Store(tmp_path).failures() == {
        "k": {"error": "LabelError: did not converge", "group": "β"},
        "other": {"error": "x"},
    }
    assert not store.has("calculation", "k")
    store.clear_failure("k")  # as labels.label does after a success
    assert list(store.failures()) == ["other"]
    store.put_failure("other", {"error": "y"})
    assert store.failures() == {"other": {"error": "y"}}


def test_damaged_failure_names_its_file(tmp_path):
    store = Store(tmp_path)
    store.put_failure("k", {"error": "x"})
    (tmp_path / "failure" / "k.json").write_text("{")
    with pytest.raises(StoreError, match=r"k\.json"):
        store.failures()


# --------------------------------------------------------------------------------------------------------- killing


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_writers_killed_at_any_moment_leave_whole_records(tmp_path):
    """SIGKILL, 20 times, after 2 to 150 ms. Every record that is listed is there in full."""
    run([sys.executable, killed_writer.__file__, "put", str(tmp_path), "20"])
    store = Store(tmp_path)
    keys = store.keys("fit")
    assert len({key.split("-")[0] for key in keys}) > 10  # most of the children got somewhere
    for key in keys:
        record = store.get("fit", key)
        assert np.array_equal(record.arrays["coefficients"], killed_writer.content(key))
        assert record.meta == {"number": int(key.split("-")[1])}
    for child in {key.split("-")[0] for key in keys}:  # in order: a record is on the disk before the next is begun
        numbers = sorted(int(key.split("-")[1]) for key in keys if key.split("-")[0] == child)
        assert numbers == list(range(len(numbers)))
    put_fit(store, "after")
    assert Store(tmp_path).has("fit", "after")


def test_packers_killed_at_any_moment_lose_nothing(tmp_path):
    store = Store(tmp_path)
    keys = [str(number) for number in range(60)]
    for key in keys:
        store.put("fit", key, {"coefficients": killed_writer.content(key)}, {"number": key})
    run([sys.executable, killed_writer.__file__, "pack", str(tmp_path), "6"])
    store = Store(tmp_path)
    assert store.keys("fit") == sorted(keys)
    for key in keys:
        assert np.array_equal(store.get("fit", key).arrays["coefficients"], killed_writer.content(key))
        assert store.meta("fit", key) == {"number": key}


def test_half_written_files_are_not_records(tmp_path):
    """What a killed writer leaves behind: hidden, and not by the name of a record."""
    store = Store(tmp_path)
    put_fit(store, "a")
    (tmp_path / "fit" / ".tmpabc.part").write_bytes(b"half")
    assert Store(tmp_path).keys("fit") == ["a"]
    store.pack("one")
    assert Store(tmp_path).keys("fit") == ["a"]


# --------------------------------------------------------------------------------------------------------- other


def test_write_atomically_replaces_and_leaves_nothing_behind(tmp_path):
    for content in (b"one", b"two", b""):
        write_atomically(tmp_path / "a" / "b" / "file", content)
        assert (tmp_path / "a" / "b" / "file").read_bytes() == content
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_records_hold_no_code(tmp_path):
    """safetensors: eight bytes of length, JSON, numbers. Nothing that a reader would execute."""
    put(Store(tmp_path), "k")
    content = (tmp_path / "calculation" / "k.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert set(header) == {"__metadata__"} | {f"calculation/k/{name}" for name in STORE["calculation"]}
    assert json.loads(header["__metadata__"]["densitylab"])["densitylab_schema"] == SCHEMA
    assert len(content) == 8 + length + sum(array.nbytes for array in calculation_arrays().values())


def test_fingerprint():
    assert fingerprint({"a": 1, "b": [1.5, "x"]}) == fingerprint({"b": [1.5, "x"], "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint((1, 2)) == fingerprint([1, 2])
    assert len(fingerprint("x")) == 20
    assert set(fingerprint("x")) <= set("0123456789abcdef")
