import re
import warnings

import numpy as np
import pytest

from densitylab.structures import StructureError
from densitylab.structures.dna import from_sequence
from densitylab.structures.dna_dynamics import with_hydrogens
from densitylab.structures.dna_fibre import fibre

pytest.importorskip("pdbfixer")
from densitylab.structures.dna_file import from_file

WATER = "HETATM  901  O   HOH C   1      50.000   0.000   0.000  1.00  0.00           O\n"
ION = "HETATM  902 MG    MG D   1      60.000  10.000   0.000  1.00  0.00          MG\n"
GLYCINE = (
    "ATOM    903  N   GLY E   1      70.000   0.000   0.000  1.00  0.00           N\n"
    "ATOM    904  CA  GLY E   1      71.400   0.000   0.000  1.00  0.00           C\n"
)


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "mine.pdb") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def pdb(sequence: str = "CGA", hydrogens: bool = False, form: str = "PDBFile") -> str:
    """What OpenMM writes, without the last line."""
    import io

    from openmm import app, unit

    topology, positions = with_hydrogens(*fibre(sequence)) if hydrogens else fibre(sequence)
    text = io.StringIO()
    getattr(app, form).writeFile(topology, positions * unit.angstrom, text, keepIds=True)
    return text.getvalue().removesuffix("END\n")


def lines(text: str, unwanted: str) -> str:
    """Those that a regular expression does not find."""
    return "\n".join(line for line in text.splitlines() if not re.search(unwanted, line)) + "\n"


@pytest.mark.parametrize(("form", "name"), [("PDBFile", "my.pdb"), ("PDBxFile", "my.cif")])
def test_hydrogens_are_added(write, form, name):
    (atoms,) = from_file(write(pdb(form=form), name))
    (expected,) = from_sequence("CGA")
    assert atoms.info == {"charge": -4, "multiplicity": 1, "group": "my"}
    assert str(atoms.symbols) == str(expected.symbols)
    heavy = atoms.numbers > 1
    assert np.abs(atoms.positions - expected.positions)[heavy].max() < 1e-3  # Å: a file has three decimals
    assert np.abs(atoms.positions - expected.positions).max() < 0.5  # hydrogens: the same minimum, not another


def test_hydrogens_that_are_there_stay(write):
    text = pdb(hydrogens=True)
    (complete,) = from_file(write(text))
    assert np.abs(complete.positions - from_sequence("CGA")[0].positions).max() < 1e-3
    (repaired,) = from_file(write(lines(text, r"H2''")))
    assert str(repaired.symbols) == str(complete.symbols)


def test_a_file_gives_the_same_every_time(write):
    file = write(pdb())
    assert np.array_equal(from_file(file)[0].positions, from_file(file)[0].positions)


def test_the_cell_water_and_ions_are_dropped_with_a_notice(write):
    cell = "CRYST1   24.870   40.390   66.200  90.00  90.00  90.00 P 21 21 21    8\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (atoms,) = from_file(write(cell + pdb() + WATER + ION + "END\n"))
    said = " ".join(str(warning.message) for warning in caught)
    assert re.search(r"mine\.pdb: the unit cell \(CRYST1\) is dropped", said)
    assert re.search(r"mine\.pdb: what is not DNA is dropped \(1 HOH, 1 MG\)", said)
    assert not atoms.pbc.any()
    assert str(atoms.symbols) == str(from_sequence("CGA")[0].symbols)


def test_a_protein_is_refused_unless_told_otherwise(write):
    file = write(pdb() + GLYCINE)
    with pytest.raises(StructureError, match=r"mine\.pdb: GLY 1 of chain E is not DNA.*dna_only=true"):
        from_file(file)
    with pytest.warns(UserWarning, match="1 GLY"):
        (atoms,) = from_file(file, dna_only=True)
    assert len(atoms) == len(from_sequence("CGA")[0])


def test_a_phosphate_at_the_end_becomes_a_hydroxyl(write):
    """Half of a longer duplex: its second strand now begins with a phosphate."""
    text = lines(pdb("CGA"), r" D. B   1 |TER")
    with pytest.warns(UserWarning, match="phosphates at 5' ends are replaced by 5'-OH"):
        (atoms,) = from_file(write(text))
    assert atoms.info["charge"] == -3
    assert (atoms.numbers == 15).sum() == 3


@pytest.mark.parametrize(
    ("unwanted", "reason"),
    [
        (r" N7 ", r"DG 2 of chain A lacks N7 \(and 2 more nucleotides are incomplete\)"),
        (r" (O4' |C8  ) DG A", r"DG 2 of chain A lacks (O4', C8|C8, O4')$"),
        (r" P    DA A", r"DA 3 of chain A lacks P"),
        (r" DG A   2 ", r"the strand has a gap of \d+\.\d Å between DC 1 of chain A and DA 3 of chain A"),
        (r"^ATOM", "not readable as a structure|holds no DNA"),
    ],
)
def test_what_lacks_atoms_is_refused(write, unwanted, reason):
    with pytest.raises(StructureError, match=rf"mine\.pdb: {reason}"):
        from_file(write(lines(pdb(), unwanted)))


def test_only_water(write):
    with pytest.warns(UserWarning, match="1 HOH"), pytest.raises(StructureError, match="holds no DNA"):
        from_file(write(WATER))


@pytest.mark.parametrize(("text", "name"), [("hello\n", "g.pdb"), ("", "e.pdb"), ("", "e.cif"), ("data_x\n", "x.cif")])
def test_garbage(write, text, name):
    with pytest.raises(StructureError, match=rf"{name}: not readable as a structure"):
        from_file(write(text, name))


def test_missing_file(tmp_path):
    with pytest.raises(StructureError, match=r"none\.pdb: no such file"):
        from_file(str(tmp_path / "none.pdb"))


def test_an_extra_hydrogen_is_not_dna(write):
    """Protonated cytosine: 'the force field does not know this DNA', in one sentence."""
    text = pdb(hydrogens=True)
    place = next(line for line in text.splitlines() if " N3   DC A   1 " in line)
    proton = place.replace(" N3  ", " H3  ").replace(place[30:38], f"{float(place[30:38]) + 0.9:8.3f}")[:76] + " H  "
    with pytest.raises(StructureError, match=r"mine\.pdb: the force field does not know this DNA: "):
        from_file(write(text.replace(place, f"{place}\n{proton}") + f"CONECT{place[6:11]}{proton[6:11]}\nEND\n"))


def test_without_pdbfixer_the_extra_is_named(write, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pdbfixer", None)
    with pytest.raises(StructureError, match=r"pip install 'densitylab\[dna\]'"):
        from_file(write(pdb()))
