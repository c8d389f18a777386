"""Molden and fchk files of other programs: the density must be that of the calculation that wrote them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from pyscf import gto, scf
from pyscf.tools import molden

from densitylab.density import from_basis_set_exchange
from densitylab.labels import Calculation, LabelError, Level, calculate
from densitylab.labels.importers import read
from densitylab.labels.level import molecule
from tests.labels.calculations import GEOMETRIES, structure

pytest.importorskip("iodata")

FLEXIBLE = Level("HF", "cc-pVTZ", density_fit=False)  # d on hydrogen, f on oxygen
OTHER = Level("HF", "cc-pVDZ", density_fit=False)
POINTS = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double()


@cache
def calculated(name: str, level: Level) -> Calculation:
    return calculate(structure(name), level)


def spins(calculation: Calculation) -> list[tuple[str, slice]]:
    """Which orbitals are α and which β, of an open shell."""
    if calculation.atoms.info["multiplicity"] == 1:
        return [("Alpha", slice(None))]
    alpha = (round(calculation.occupations.sum()) + calculation.atoms.info["multiplicity"] - 1) // 2
    return [("Alpha", slice(0, alpha)), ("Beta", slice(alpha, None))]


def write_molden(path: Path, calculation: Calculation, orbitals: np.ndarray | None = None, mole=None) -> Path:
    mole = mole or molecule(calculation.atoms, calculation.level)
    orbitals = calculation.orbitals if orbitals is None else orbitals
    with path.open("w") as file:
        molden.header(mole, file)
        for spin, part in spins(calculation):
            occupations = calculation.occupations[part]
            molden.orbital_coeff(mole, file, orbitals[:, part], spin, occ=occupations, ene=np.zeros(len(occupations)))
    return path


def write_fchk(path: Path, calculation: Calculation, relaxed: np.ndarray | None = None) -> Path:
    """As Gaussian does: shells with d as 0, +1, −1 …, coordinates in bohr, ten numbers of eight decimals."""
    mole, atoms = molecule(calculation.atoms, calculation.level), calculation.atoms
    order, types, counts, exponents, contraction, owners = [], [], [], [], [], []
    start = 0
    for shell in range(mole.nbas):
        l, width = mole.bas_angular(shell), 2 * mole.bas_angular(shell) + 1
        outward = [0] + [sign * m for m in range(1, l + 1) for sign in (1, -1)]
        for column in range(mole.bas_nctr(shell)):
            own = range(width) if l < 2 else [m + l for m in outward]
            order += [start + column * width + place for place in own]
            types.append(-l if l > 1 else l)
            counts.append(mole.bas_nprim(shell))
            exponents += list(mole.bas_exp(shell))
            contraction += list(mole.bas_ctr_coeff(shell)[:, column])  # of normalised Gaussians
            owners.append(mole.bas_atom(shell) + 1)
        start += width * mole.bas_nctr(shell)
    bohr = mole.atom_coords().ravel()
    orbitals = calculation.orbitals[order]
    number = round(calculation.occupations.sum())
    beta = (number - atoms.info["multiplicity"] + 1) // 2

    def lines(name: str, values, kind: str = "R") -> str:
        """One block of numbers."""
        values = list(values)
        form, per = ("{:12d}", 6) if kind == "I" else ("{:16.8E}", 5)
        rows = ["".join(form.format(x) for x in values[i : i + per]) for i in range(0, len(values), per)]
        return "\n".join([f"{name:40s}   {kind}   N={len(values):12d}", *rows])

    def scalar(name: str, value: float, kind: str = "I") -> str:
        return f"{name:40s}   {kind}     " + (f"{value:12d}" if kind == "I" else f"{value:22.15E}")

    packed = None if relaxed is None else relaxed[np.ix_(order, order)][np.tril_indices(len(order))]
    parts = [
        "made by a test", f"{'SP':10s}{'RHF':30s}{'own':30s}",
        scalar("Number of electrons", number), scalar("Number of basis functions", len(order)),
        scalar("Number of alpha electrons", number - beta), scalar("Number of beta electrons", beta),
        lines("Atomic numbers", map(int, atoms.numbers), "I"), lines("Nuclear charges", map(float, atoms.numbers)),
        lines("Current cartesian coordinates", bohr), lines("Real atomic weights", np.ones(len(atoms))),
        lines("Shell types", types, "I"), lines("Number of primitives per shell", counts, "I"),
        lines("Shell to atom map", owners, "I"), lines("Primitive exponents", exponents),
        lines("Contraction coefficients", contraction),
    ]  # fmt: skip
    for spin, part in spins(calculation):
        parts += [lines(f"{spin} Orbital Energies", np.zeros(len(calculation.occupations[part])))]
        parts += [lines(f"{spin} MO coefficients", orbitals[:, part].T.ravel())]
    parts += [scalar("Total Energy", calculation.energy, "R"), lines("Cartesian Gradient", -calculation.forces.ravel())]
    parts += [] if packed is None else [lines("Total CC Density", packed)]
    path.write_text("\n".join(parts) + "\n")
    return path


def read_one(path: Path, level: Level) -> Calculation:
    (record,) = read([path], None, level, from_basis_set_exchange)
    assert record.coefficients is None
    return record.calculation


def same_density(first: Calculation, second: Calculation, tolerance: float) -> bool:
    one, other = first.density_values(POINTS), second.density_values(POINTS)
    return float((one - other).abs().max()) < tolerance * float(one.max())


@pytest.mark.parametrize("level", [FLEXIBLE, OTHER], ids=["in its own basis", "as text"])
@pytest.mark.parametrize("name", ["water", "OH", "OH-"])
def test_molden(tmp_path, name, level):
    made = calculated(name, FLEXIBLE)
    found = read_one(write_molden(tmp_path / "a.molden", made), level)
    assert (found.level == FLEXIBLE) == (level == FLEXIBLE)
    assert (level == FLEXIBLE) or ("\n" in found.level.basis and str(found.level) == "HF/own basis")
    assert found.atoms.info == made.atoms.info | {"group": "a"}
    assert same_density(found, made, 1e-12)
    assert np.allclose(found.dipole, made.dipole, atol=1e-10)
    assert np.isnan(found.energy)
    assert np.isnan(found.forces).all()


@pytest.mark.parametrize("name", ["water", "OH"])
def test_fchk(tmp_path, name):
    made = calculated(name, FLEXIBLE)
    found = read_one(write_fchk(tmp_path / "a.fchk", made), FLEXIBLE)
    assert same_density(found, made, 1e-6)  # nine digits
    assert found.atoms.info["multiplicity"] == made.atoms.info["multiplicity"]
    assert found.energy == pytest.approx(made.energy, rel=1e-14)
    assert np.allclose(found.forces, made.forces, atol=1e-8)  # the gradient, turned round


def test_correlated_density_of_an_fchk(tmp_path):
    """Its matrix is no projector: natural orbitals, and its method must be named."""
    made = calculated("water", FLEXIBLE)
    matrix = made.density_matrix()
    virtual = made.orbitals[:, 2:3] + 0.3 * made.orbitals[:, 3:4]
    matrix = matrix - 0.01 * virtual @ virtual.T + 0.0109 * made.orbitals[:, :1] @ made.orbitals[:, :1].T
    file = write_fchk(tmp_path / "a.fchk", made, matrix)
    with pytest.raises(LabelError, match=r"a\.fchk: the file has a correlated density.*labels\.level\.correlation"):
        read_one(file, FLEXIBLE)
    found = read_one(file, replace(FLEXIBLE, correlation="CCSD", program="gaussian"))
    assert np.abs(found.density_matrix() - matrix).max() < 1e-6
    assert 1.98 < found.occupations[4] < 1.995  # partly empty


def test_files_of_several_molecules_are_one_level(tmp_path):
    """Water and hydrogen have different elements: their text names all of them."""
    names = ("water", "H2")
    files = [write_molden(tmp_path / f"{name}.molden", calculated(name, FLEXIBLE)) for name in names]
    one, other = (record.calculation for record in read(files, "molden", OTHER, from_basis_set_exchange))
    assert one.level == other.level != OTHER
    assert same_density(other, calculated("H2", FLEXIBLE), 1e-12)


# -------------------------------------------------------------------------------------------------------- refused


def disordered(made: Calculation) -> np.ndarray:
    """The orbitals with the d functions of the first atom as −2 … +2, which no program that writes molden has."""
    labels = molecule(made.atoms, made.level).ao_labels(fmt=False)
    places = [i for i, label in enumerate(labels) if label[0] == 0 and label[2].endswith("d")]
    orbitals = made.orbitals.copy()
    orbitals[places] = orbitals[places[::-1]]
    return orbitals


def test_unknown_order_is_refused(tmp_path):
    made = calculated("water", FLEXIBLE)
    with pytest.raises(LabelError, match=r"a\.molden: not readable as molden|not orthonormal"):
        read_one(write_molden(tmp_path / "a.molden", made, disordered(made)), FLEXIBLE)


def test_orbitals_normalised_one_by_one_are_not_enough(tmp_path):
    """Each of norm one, which is all that iodata looks at, but not orthogonal."""
    made = calculated("water", FLEXIBLE)
    orbitals = made.orbitals.copy()
    orbitals[:, 1] = orbitals[:, 0]
    with pytest.raises(LabelError, match=r"a\.molden: the orbitals are not orthonormal \(error 1\.0e\+00\)"):
        read_one(write_molden(tmp_path / "a.molden", made, orbitals), FLEXIBLE)


def test_cartesian_functions_are_refused(tmp_path):
    symbols, positions = zip(*GEOMETRIES["water"][0], strict=True)
    mole = gto.M(atom=list(zip(symbols, positions, strict=True)), basis="cc-pVDZ", cart=True, verbose=0)
    solver = scf.RHF(mole).run()
    with (tmp_path / "a.molden").open("w") as file:
        molden.header(mole, file)
        molden.orbital_coeff(mole, file, solver.mo_coeff, occ=solver.mo_occ, ene=solver.mo_energy)
    with pytest.raises(LabelError, match=r"a\.molden: Cartesian d functions are not supported: run with pure ones"):
        read_one(tmp_path / "a.molden", OTHER)


def test_core_potentials_are_refused(tmp_path):
    made = calculated("water", FLEXIBLE)
    file = write_fchk(tmp_path / "a.fchk", made)
    file.write_text(file.read_text().replace("8.00000000E+00  1.00000000E+00", "6.00000000E+00  1.00000000E+00", 1))
    with pytest.raises(LabelError, match="core potentials and ghost atoms are not supported"):
        read_one(file, FLEXIBLE)


@pytest.mark.parametrize("suffix", ["molden", "fchk"])
def test_damaged_files(tmp_path, suffix):
    write = write_molden if suffix == "molden" else write_fchk
    file = write(tmp_path / f"a.{suffix}", calculated("water", FLEXIBLE))
    whole = file.read_text()
    for content in (whole[: len(whole) // 2], "nothing\n", whole[:300]):
        file.write_text(content)
        with pytest.raises(LabelError, match=rf"a\.{suffix}: "):
            read_one(file, FLEXIBLE)
    file.write_text("")
    with pytest.raises(LabelError, match="the file is empty"):
        read_one(file, FLEXIBLE)


def test_basis_text_cannot_carry_code(tmp_path):
    """PySCF evaluates what it cannot read as a number."""
    for line in ("  1.0  __import__('os').getcwd()", "  [1.0]", "(1.0, 2.0)"):
        with pytest.raises(ValueError, match="a basis text has elements, shells and numbers"):
            Level("HF", f"#BASIS SET:\nH    S\n{line}\n")
    text = 'BASIS "ao basis" PRINT\n#BASIS SET: (4s) -> [2s]\nH    S\n  1.3D+01  1.9685e-02\n  2.0 1.0\nEND\n'
    level, info = Level("HF", text), {"charge": 0, "multiplicity": 2}
    assert molecule(Atoms("H", positions=[[0, 0, 0]], info=info), level).nao == 1
    with pytest.raises(LabelError, match=r"HF/own basis for Li: .*does not explicitly match the element Li"):
        molecule(Atoms("Li", positions=[[0, 0, 0]], info=info), level)
