import ase.io
import numpy as np
import pytest
from ase import Atoms

from densitylab.structures import StructureError
from densitylab.structures.files import from_files

BODY = "O 0.0 0.0 0.0\nH 0.96 0.0 0.0\nH -0.24 0.93 0.0\n"
FRAME = f"3\n\n{BODY}"


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "mine.xyz") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_one_frame(write):
    (atoms,) = from_files(write(FRAME))
    assert atoms.get_chemical_formula() == "H2O"
    assert atoms.positions.tolist() == [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]
    assert atoms.info == {"charge": 0, "multiplicity": 1, "group": "mine"}


def test_all_frames_of_all_files_in_order(write):
    names = [write(FRAME + "1\n\nHe 0 0 0\n", "a.xyz"), write("1\n\nNe 0 0 0\n", "b.xyz")]
    found = from_files(names)
    assert [atoms.get_chemical_formula() for atoms in found] == ["H2O", "He", "Ne"]
    assert [atoms.info["group"] for atoms in found] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("comment", "charge", "multiplicity"),
    [
        ("charge=-1", -1, 1),
        ("charge=+1 multiplicity=3", 1, 3),
        ("charge=1.0", 1, 1),
        ("multiplicity=4", 0, 4),
        ("an ordinary comment", 0, 2),
        ("", 0, 2),
    ],
)
def test_charge_on_the_comment_line(write, comment, charge, multiplicity):
    (atoms,) = from_files(write(f"2\n{comment}\nO 0 0 0\nH 0.96 0 0\n"))
    assert (atoms.info["charge"], atoms.info["multiplicity"]) == (charge, multiplicity)
    assert type(atoms.info["charge"]) is int


def test_arguments_win_over_the_comment_line(write):
    file = write(f"3\ncharge=1 multiplicity=2 group=here\n{BODY}")
    (atoms,) = from_files(file, charge=0, multiplicity=3, group="there")
    assert (atoms.info["charge"], atoms.info["multiplicity"], atoms.info["group"]) == (0, 3, "there")


@pytest.mark.parametrize("group", ["run7", "0", "1", "3.5", '"a b"'])
def test_group_on_the_comment_line(write, group):
    (atoms,) = from_files(write(f"3\ngroup={group}\n{BODY}"))
    assert atoms.info["group"] == group.strip('"')


def test_what_ase_writes_is_read_back(write, tmp_path):
    rng = np.random.default_rng(0)
    atoms = Atoms("CH4", positions=rng.uniform(-3, 3, size=(5, 3)))
    atoms.info |= {"charge": -2, "multiplicity": 3, "group": "trajectory 1", "size": 5}
    ase.io.write(tmp_path / "x.extxyz", [atoms, atoms])
    for found in from_files(str(tmp_path / "x.extxyz")):
        assert np.abs(found.positions - atoms.positions).max() < 1e-8  # Å: 8 decimals
        assert found.info == atoms.info


def test_forces_and_energies_of_others_do_no_harm(write):
    text = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.1\nH 0 0 0 0.1 0.2 0.3\nH 0 0 0.74 -0.1 -0.2 -0.3\n"
    (atoms,) = from_files(write(text, "x.extxyz"))
    assert atoms.info["charge"] == 0
    assert atoms.calc is None


@pytest.mark.parametrize("name", ["mol@2.xyz", "a@b.xyz", "my file.xyz", "wässer.xyz", "x.y.xyz"])
def test_names_of_files(write, name):
    assert len(from_files(write(FRAME, name))) == 1


# ----------------------------------------------------------------------------------------------------- refusals


def test_missing_file(tmp_path):
    with pytest.raises(StructureError, match=r"none\.xyz: no such file"):
        from_files(str(tmp_path / "none.xyz"))
    with pytest.raises(StructureError, match="no such file"):
        from_files(str(tmp_path))  # a folder


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n"])
def test_empty_file(write, text):
    with pytest.raises(StructureError, match=r"mine\.xyz: "):
        from_files(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "3\n",
        "3\n\n",
        "3\n\nO 0.0 0.0 0.0\n",
        FRAME[: FRAME.rindex("-0.24")],
        FRAME[: FRAME.rindex("0.0")],
        FRAME + "3\n",
        FRAME + "3\n\nO 0.0 0.0 0.0\n",
    ],
)
def test_truncated_file(write, text):
    """Wherever a line or a number is missing; also when earlier frames are whole."""
    with pytest.raises(StructureError, match=r"mine\.xyz: not readable as a structure"):
        from_files(write(text))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (np.random.default_rng(0).bytes(3000), "garbage.xyz"),
        (b"hello world\n", "text.xyz"),
        (b"hello world\n", "unknown.format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture.png"),
        (b"three\n\nO 0 0 0\n", "count.xyz"),
        (b"1\n\nXx 0 0 0\n", "element.xyz"),
        (b"1\n\nH 0 zero 0\n", "number.xyz"),
    ],
)
def test_garbage(write, content, name):
    with pytest.raises(StructureError, match=name):
        from_files(write(content, name))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("1\n\nX 0 0 0\n", "unknown element"),
        ("1\n\nHe nan 0 0\n", "not a finite number"),
        ("2\n\nH 0 0 0\nH 0 0 0.01\n", "apart"),
        (f"3\ncharge=0.5\n{BODY}", "whole number"),
        (f"3\nmultiplicity=2\n{BODY}", "impossible"),
        (f'3\nLattice="9 0 0 0 9 0 0 0 9"\n{BODY}', "periodic"),
    ],
)
def test_refusal_names_file_and_frame(write, frame, reason):
    with pytest.raises(StructureError, match=rf"mine\.xyz, frame 1: .*{reason}"):
        from_files(write(FRAME + frame))


def test_the_cell_of_a_pdb_is_dropped_with_a_notice(write):
    """PDB files of single molecules carry one for form's sake (DESIGN.md §2)."""
    text = (
        "CRYST1   18.600   18.600   18.600  90.00  90.00  90.00 P 1           1\n"
        "HETATM    1 HE   HE  A   1       0.000   0.000   0.000  1.00  0.00          HE\nEND\n"
    )
    with pytest.warns(UserWarning, match=r"x\.pdb: the unit cell \(CRYST1\) is dropped"):
        (atoms,) = from_files(write(text, "x.pdb"))
    assert not atoms.pbc.any()
