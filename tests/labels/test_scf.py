import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from pyscf import dft, gto, scf
from scipy import constants

from densitylab.density.grid import atom_centered
from densitylab.labels import LabelError, Level, calculate
from densitylab.labels.calculation import calculation_key
from densitylab.labels.level import molecule
from densitylab.structures import StructureError, electrons, prepare
from tests.labels.calculations import MINIMAL, SMALL, calculation, structure

BOHR_IN_ANGSTROM = constants.physical_constants["Bohr radius"][0] * 1e10
UNRESTRICTED = Level("PBE0", "sto-3g", grid_level=1)


def pyscf_mole(atoms: Atoms, level: Level):
    return gto.M(
        atom=[(s, tuple(r / BOHR_IN_ANGSTROM)) for s, r in zip(atoms.symbols, atoms.positions, strict=True)],
        unit="Bohr",
        basis=level.basis,
        charge=atoms.info["charge"],
        spin=atoms.info["multiplicity"] - 1,
        verbose=0,
    )


def pyscf_solver(atoms: Atoms, level: Level):
    """The same calculation, set up by hand."""
    mole = pyscf_mole(atoms, level)
    restricted = mole.spin == 0
    if level.functional == "HF":
        solver = scf.RHF(mole) if restricted else scf.UHF(mole)
    else:
        solver = dft.RKS(mole) if restricted else dft.UKS(mole)
        solver.xc = level.functional
        solver.grids.level = level.grid_level
    solver.conv_tol = level.energy_tolerance_hartree
    return (solver.density_fit() if level.density_fit else solver).run()


CASES = [
    ("water", SMALL),
    ("water", MINIMAL),
    ("LiH", Level("PBE", "def2-SVP", density_fit=False, grid_level=1)),
    ("OH", UNRESTRICTED),
    ("OH-", MINIMAL),
    ("H3O+", MINIMAL),
]


@pytest.mark.parametrize(("name", "level"), CASES)
def test_calculation_equals_pyscf(name, level):
    ours, solver = calculation(name, level), pyscf_solver(structure(name), level)
    # Same program, same settings: what is left is the order of summation, and where the iteration stopped (its energy
    # changes by < 1e-9, its gradient and what is of first order in it by < 3e-5, of which tests show 1e-9).
    assert ours.energy == pytest.approx(solver.e_tot, abs=1e-8)
    assert np.abs(ours.forces + solver.nuc_grad_method().kernel()).max() < 1e-6
    matrix = solver.make_rdm1()
    matrix = matrix if matrix.ndim == 2 else matrix.sum(0)
    assert np.abs(ours.density_matrix() - matrix).max() < 1e-6
    assert solver.mol.nao == len(ours.orbitals)


@pytest.mark.parametrize(("name", "level"), CASES)
def test_dipole_is_about_the_origin(name, level):
    """Σ Z R - tr(D r), for ions as well, in the atoms' own coordinates."""
    ours = calculation(name, level)
    mole = pyscf_solver(structure(name), level).mol
    with mole.with_common_origin((0, 0, 0)):
        electronic = np.einsum("xij,ij->x", mole.intor("int1e_r"), ours.density_matrix())
    expected = mole.atom_charges() @ mole.atom_coords() - electronic
    assert np.abs(ours.dipole - expected).max() < 1e-9  # the same matrix: rounding


@pytest.mark.parametrize("level", [MINIMAL, Level("PBE0", "sto-3g", grid_level=3)], ids=["HF", "PBE0"])
def test_forces_are_the_slope_of_the_energy(level):
    """Along a random direction, hartree/bohr, by central differences of ±0.01 bohr."""
    atoms = structure("water")
    direction = np.random.default_rng(0).normal(size=(3, 3))
    direction /= np.linalg.norm(direction)
    energies = []
    for step in (0.01, -0.01):
        moved = atoms.copy()
        moved.positions += step * BOHR_IN_ANGSTROM * direction
        energies.append(calculate(moved, level).energy)
    slope = (energies[0] - energies[1]) / 0.02
    # HF: h²/6 times a third derivative of about 1 hartree/bohr³ is 2e-5. PBE0 adds that PySCF's gradient leaves out
    # the motion of the exchange-correlation grid: about 1e-4 at level 3.
    tolerance = 5e-5 if level is MINIMAL else 3e-4
    assert abs(slope + (calculation("water", level).forces * direction).sum()) < tolerance


def test_forces_have_no_resultant():
    """Without a grid of exchange and correlation the molecule does not pull itself: to rounding."""
    assert np.abs(calculation("water", MINIMAL).forces.sum(0)).max() < 1e-9


@pytest.mark.parametrize(("name", "level"), CASES)
def test_orbital_density_integrates_to_the_electrons(name, level):
    result = calculation(name, level)
    grid = atom_centered(result.atoms, 3)
    # 1e-3: the usual accuracy of a level-3 grid
    assert float(grid.integrate(result.density_values(grid.points))) == pytest.approx(electrons(result.atoms), abs=1e-3)
    assert result.occupations.sum() == pytest.approx(electrons(result.atoms), abs=1e-12)


@pytest.mark.parametrize(("name", "level"), [("water", SMALL), ("OH", UNRESTRICTED)])
@pytest.mark.parametrize("tile", [1, 3, 20_000])
def test_density_values_are_those_of_the_density_matrix(name, level, tile):
    result = calculation(name, level)
    points = torch.as_tensor(np.random.default_rng(0).uniform(-2, 3, size=(7, 3)))
    functions = pyscf_solver(structure(name), level).mol.eval_gto("GTOval_sph", points.numpy())
    expected = np.einsum("pi,ij,pj->p", functions, result.density_matrix(), functions)
    assert np.allclose(result.density_values(points, tile), expected, rtol=1e-10)  # rounding of sums of 1e3 terms


def test_open_shell_has_singly_occupied_orbitals():
    radical = calculation("OH", UNRESTRICTED)
    assert set(radical.occupations) == {1.0}
    assert radical.orbitals.shape[1] == 9  # 5 alpha and 4 beta
    assert set(calculation("OH-", MINIMAL).occupations) == {2.0}


@pytest.mark.parametrize("level", [Level("HF", "sto-3g"), MINIMAL, UNRESTRICTED])
def test_one_electron(level):
    """PySCF has a solver of its own for one electron."""
    atom = calculate(prepare(Atoms("H")), level)
    # STO-3G's hydrogen atom: -0.466582 hartree (Szabo and Ostlund, appendix); PBE0 adds its self-interaction
    assert atom.energy == pytest.approx(-0.466582, abs=1e-5 if level.functional == "HF" else 0.05)
    assert np.abs(atom.forces).max() < 1e-6
    assert atom.occupations.tolist() == [1.0]


def test_triplet_lies_below_singlet_in_oxygen():
    oxygen = Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.21]])
    energies = {m: calculate(prepare(oxygen, multiplicity=m), MINIMAL).energy for m in (1, 3)}
    assert energies[3] < energies[1]


# --------------------------------------------------------------------------------------------------------- errors


def test_scf_that_does_not_converge():
    """An energy tolerance of 1e-30 asks for an orbital gradient of 1e-15, below rounding."""
    level = dataclasses.replace(MINIMAL, energy_tolerance_hartree=1e-30)
    with pytest.raises(LabelError, match="did not converge in 50 cycles"):
        calculate(structure("water"), level)


@pytest.mark.parametrize("functional", ["PBO", "b3lyp-typo", "no such functional"])
def test_unknown_functional(functional):
    with pytest.raises(LabelError, match=functional):
        calculate(structure("H2"), Level(functional, "sto-3g"))


@pytest.mark.parametrize("basis", ["sto-33g", "def2-SVQ"])
def test_unknown_basis(basis):
    with pytest.raises(LabelError, match="H2"):
        calculate(structure("H2"), Level("HF", basis))


def test_element_without_functions():
    with pytest.raises(LabelError, match="Og"):
        calculate(prepare(Atoms("Og")), Level("HF", "def2-SVP"))


def test_what_is_not_a_structure_is_refused_before_anything_runs():
    collided = structure("H2")
    collided.positions[1] = collided.positions[0] + 0.01
    with pytest.raises(StructureError, match="apart"):
        calculate(collided, MINIMAL)
    with pytest.raises(StructureError, match="charge"):
        calculate(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), MINIMAL)


# ----------------------------------------------------------------------------------------------------------- keys


def test_key_forgives_noise():
    """Positions count to 1e-6 Å; these lie well inside that interval."""
    atoms, level = structure("water"), Level()
    key = calculation_key(atoms, level)
    for seed in range(20):
        moved = atoms.copy()
        moved.positions += np.random.default_rng(seed).uniform(-1e-9, 1e-9, size=(3, 3))
        moved.info["group"] = f"other {seed}"
        assert calculation_key(moved, level) == key


def test_key_of_zero_has_no_sign():
    plus, minus = (prepare(Atoms("He", positions=[[zero, 0, 0]])) for zero in (0.0, -0.0))
    tiny = prepare(Atoms("He", positions=[[-1e-9, 0, 0]]))
    assert len({calculation_key(atoms, Level()) for atoms in (plus, minus, tiny)}) == 1


def changed(change):
    atoms = structure("water")
    change(atoms)
    return atoms


@pytest.mark.parametrize(
    "other",
    [
        changed(lambda a: a.info.update(charge=2)),
        changed(lambda a: a.info.update(multiplicity=3)),
        changed(lambda a: a.positions.__setitem__((1, 2), a.positions[1, 2] + 2e-6)),
        changed(lambda a: a.translate([1e-5, 0, 0])),
        changed(lambda a: a.numbers.__setitem__(0, 16)),
        structure("water")[[0, 2, 1]],
    ],
    ids=["charge", "multiplicity", "position", "translation", "element", "order"],
)
def test_key_sees_the_structure(other):
    assert calculation_key(other, Level()) != calculation_key(structure("water"), Level())


@pytest.mark.parametrize(
    "change",
    [
        {"functional": "PBE"},
        {"basis": "def2-SVP"},
        {"density_fit": False},
        {"grid_level": 4},
        {"energy_tolerance_hartree": 1e-10},
    ],
    ids=lambda change: next(iter(change)),
)
def test_key_sees_every_setting_of_the_level(change):
    level = dataclasses.replace(Level(), **change)
    assert level.hash != Level().hash
    assert calculation_key(structure("water"), level) != calculation_key(structure("water"), Level())


def test_key_of_a_calculation_is_that_of_its_structure():
    assert calculation("H2").key == calculation_key(structure("H2"), MINIMAL)


def test_level_names_itself():
    assert str(Level()) == "PBE0/aug-cc-pVTZ"


def test_core_potentials_are_refused_by_name():
    """def2-SVP describes iodine's valence only: without its potential the SCF converges to nonsense."""
    iodine = prepare(Atoms("HI", positions=[[0, 0, 0], [0, 0, 1.61]]))
    with pytest.raises(LabelError, match="def2-SVP describes I with a core potential, which is not supported yet"):
        calculate(iodine, Level("HF", "def2-SVP"))


def test_shells_with_the_same_primitives_are_computed_together():
    """The functions and their order stay as they are: orbitals of older records still belong to them."""
    atoms, level = structure("water"), Level("PBE0", "sigmaDZHF")
    ours, one_by_one = molecule(atoms, level), pyscf_mole(atoms, level)
    assert (one_by_one.nbas, ours.nbas) == (30, 10)
    points = np.random.default_rng(0).uniform(-2, 2, size=(50, 3))
    expected = one_by_one.eval_gto("GTOval_sph", points)
    # 1e-12 of the largest: the conversions from Å differ in the last bits
    np.testing.assert_allclose(ours.eval_gto("GTOval_sph", points), expected, rtol=0, atol=1e-12 * expected.max())
