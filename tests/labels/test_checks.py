"""Every check must be able to fail: sound records pass, and each kind of damage is found by its own check."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from densitylab.density import GaussianBasis, Prior
from densitylab.labels import Calculation, Fit, FitSettings, LabelError, Level, Store, fit_density
from densitylab.labels.audit import audit
from densitylab.labels.checks import check_calculation, check_fit, require_sound
from densitylab.labels.duplicates import difference, fingerprint_distances, leaks, near_duplicates
from densitylab.labels.records import save_calculation, save_fit
from densitylab.labels.signs import correlation, finite_difference
from densitylab.structures import prepare
from tests.conftest import CHEAP, bent_water
from tests.labels.calculations import MINIMAL, SMALL, calculation, random_rotation, structure, toy_prior

BASIS = GaussianBasis(
    "s, p and d",
    {
        "H": tuple((l, a) for l in (0, 1) for a in (0.2, 0.6, 2.0)),
        "O": tuple((l, 0.2 * 2.5**k) for l, n in ((0, 9), (1, 6), (2, 4)) for k in range(n)),
    },
)


def failed(findings) -> set[str]:
    return {finding.check for finding in findings if finding.failed}


def fitted(name: str = "water") -> Fit:
    return fit_density(calculation(name), BASIS, toy_prior(), FitSettings(grid_level=0))


# ---------------------------------------------------------------------------------------------------- one record


@pytest.mark.parametrize(("name", "level"), [("water", SMALL), ("OH", MINIMAL), ("OH-", MINIMAL), ("H3O+", MINIMAL)])
def test_sound_calculation(name, level):
    findings = list(check_calculation(calculation(name, level)))
    assert {finding.check for finding in findings} == {"electrons", "dipole", "net force", "net torque"}
    assert not failed(findings)
    require_sound(findings)


def changed(**changes) -> Calculation:
    return replace(calculation("water"), **changes)


water = calculation("water")
charged = water.atoms.copy()
charged.info["charge"] = 2
turned = water.atoms.copy()
turned.rotate(90, "z")
moved = water.atoms.copy()
moved.positions += 1.0
DAMAGES = [
    ({"atoms": charged}, {"electrons"}),
    ({"occupations": 0.99 * water.occupations}, {"electrons", "dipole"}),
    ({"orbitals": water.orbitals[::-1]}, {"electrons", "dipole"}),  # another order of functions
    ({"orbitals": water.orbitals[:-1]}, {"basis rows"}),
    ({"dipole": 0.5 * water.dipole}, {"dipole"}),
    ({"dipole": np.full(3, np.nan)}, {"dipole"}),
    ({"forces": water.forces + 0.01}, {"net force"}),
    ({"forces": np.roll(water.forces, 1, axis=0)}, {"net torque"}),  # rows of other atoms
    ({"atoms": turned}, {"electrons", "dipole", "net torque"}),
]


@pytest.mark.parametrize(("damage", "found"), DAMAGES)
def test_damaged_calculation(damage, found):
    findings = list(check_calculation(changed(**damage)))
    assert failed(findings) == found
    with pytest.raises(LabelError, match=r"not a sound record: .*allowed"):
        require_sound(findings)


def test_sound_fit():
    findings = list(check_fit(calculation("water"), fitted(), BASIS, toy_prior(), ["charge"]))
    assert {finding.check for finding in findings} == {"basis rows", "fitted electrons", "fitted dipole"}
    assert not failed(findings)


def test_damaged_fit():
    fit, made = fitted(), calculation("water")

    def found(coefficients, basis=BASIS, prior=None):
        return failed(check_fit(made, Fit(coefficients), basis, prior or toy_prior(), ["charge"]))

    size = BASIS.size("H")
    swapped = np.concatenate([fit.coefficients[-size:], fit.coefficients[:-size]])  # rows of other atoms
    assert found(fit.coefficients[:-1]) == {"basis rows"}
    assert found(fit.coefficients * np.nan) == {"basis rows"}
    assert found(fit.coefficients, GaussianBasis("no O", {"H": BASIS.of("H")})) == {"basis rows"}
    one_off = fit.coefficients.copy()
    one_off[0] += 0.01  # of an s-function; the prior holds all electrons, so no factor would show
    assert "fitted electrons" in found(one_off)
    assert "fitted electrons" in found(swapped)
    assert "fitted electrons" in found(fit.coefficients, prior=Prior.none())
    assert found(fit.coefficients) == set()


# -------------------------------------------------------------------------------------------------------- forces


def test_gradients_in_place_of_forces():
    made = [calculation(name, SMALL) for name in ("water", "H3O+", "OH")]
    assert correlation((c, None) for c in made) > 0.5
    assert correlation((replace(c, forces=-c.forces), None) for c in made) < -0.5
    assert np.isnan(correlation([]))


def test_force_by_difference():
    stored, numeric = finite_difference(calculation("water"))
    assert stored == pytest.approx(numeric, abs=5e-5)  # hartree/bohr: second order in a step of 0.005 bohr
    assert stored == pytest.approx(np.linalg.norm(calculation("water").forces))
    turned_round = replace(calculation("water"), forces=-calculation("water").forces)
    stored, numeric = finite_difference(turned_round)
    assert stored == pytest.approx(-numeric, abs=5e-5)


# ---------------------------------------------------------------------------------------------------- duplicates


def copies(seed: int) -> Atoms:
    """Water dimer turned, moved, mirrored and with its atoms in another order."""
    rng, atoms = np.random.default_rng(seed), structure("dimer")
    order = rng.permutation(len(atoms))
    positions = -atoms.positions @ random_rotation(seed).T + rng.normal(size=3)
    return prepare(Atoms(atoms.symbols[order], positions=positions[order]), group=f"copy {seed}")


def test_fingerprint_is_invariant_and_continuous():
    first = fingerprint_distances(structure("dimer"))
    assert len(first) == 15
    assert np.allclose(first, fingerprint_distances(copies(1)), atol=1e-12)
    moved = structure("dimer")
    moved.positions[0, 0] += 1e-4
    assert 0 < np.abs(first - fingerprint_distances(moved)).max() < 1.01e-4


def test_duplicates_are_found_among_thousands():
    rng, structures = np.random.default_rng(0), {}
    for number in range(3000):
        atoms = structure("dimer")
        atoms.positions += rng.normal(scale=0.1, size=(6, 3))  # Å, thermal motion
        atoms.info["group"] = f"run {number}"
        structures[f"{number:04d}"] = atoms
    structures["copy"] = structures["0007"].copy()
    structures["copy"].rotate(40, "x")
    structures["copy"].positions[0] += 0.001
    structures["copy"].info["group"] = "another"
    pairs = near_duplicates(structures, 0.01)
    assert [pair[1:] for pair in pairs] == [("0007", "copy")]
    assert 0 < pairs[0][0] < 0.001  # Å, as far as the atom was moved
    assert leaks(structures, 0.01) == pairs
    structures["copy"].info["group"] = "run 7"  # neighbours in one trajectory are what groups are for
    assert leaks(structures, 0.01) == []


def test_pairs_equal_those_of_brute_force():
    rng, structures = np.random.default_rng(1), {}
    for number in range(60):
        atoms = structure("water")
        atoms.positions += rng.normal(scale=0.02, size=(3, 3))
        structures[f"{number:02d}"] = atoms
    pairs = {(a, b): difference(structures[a], structures[b]) for a in structures for b in structures if a < b}
    expected = {pair for pair, distance in pairs.items() if distance < 0.01}
    assert {tuple(sorted(pair[1:])) for pair in near_duplicates(structures, 0.01)} == expected
    assert len(expected) > 10


def test_snapshots_of_a_rigid_molecule_are_no_duplicates():
    """Sorted all together, the many distances of a large molecule hide its motion; atom by atom they do not."""
    rng = np.random.default_rng(2)
    positions = rng.uniform(0, 12, size=(120, 3))  # Å
    first, second = (
        Atoms("OHH" * 40, positions=positions + rng.normal(scale=0.05, size=positions.shape)) for _ in range(2)
    )
    assert difference(first, second) > 0.02
    order = np.lexsort((rng.permutation(120), first.numbers))
    assert difference(first, first[order]) < 1e-7


# -------------------------------------------------------------------------------------------------------- a store


def verdicts(store: Store, splits=None, **options) -> dict:
    return {v.check: v for v in audit(store, (splits or {}).get, **options)}


def test_sound_store(source):
    found = verdicts(source.store, differences=True)
    assert {v.verdict for v in found.values()} == {"ok"}
    assert found["electrons"].checked == found["fitted electrons"].checked == 6
    assert found["force by difference"].worst < 1e-4
    assert found["levels"].where == f"6 at {CHEAP}"


@pytest.fixture
def broken(tmp_path) -> Store:
    """One sound water; one whose forces are gradients and which is a near-copy of it in another group."""
    store = Store(tmp_path)
    for forces, group, shift in ((1, "a", 0.0), (-1, "b", 5e-4)):
        made = calculation("water")
        atoms = made.atoms.copy()
        atoms.info["group"] = group
        atoms.positions += 10 * shift
        atoms.rotate(0.001 * shift, "z")
        save_calculation(store, replace(made, atoms=atoms, forces=forces * made.forces, dipole=made.dipole))
    return store


def test_leaks_depend_on_the_splits(broken):
    assert verdicts(broken)["near-duplicates"].verdict == "failed"  # nobody has said what belongs together
    assert verdicts(broken, {"a": "train", "b": "train"})["near-duplicates"].verdict == "ok"
    assert verdicts(broken, {"a": "train"})["near-duplicates"].verdict == "ok"  # b is not used
    found = verdicts(broken, {"a": "train", "b": "test"})["near-duplicates"]
    assert found.verdict == "failed"
    assert "1 pairs closer than 0.01 Å in different groups, 1 in different splits" in found.where


def test_gradients_in_a_store(tmp_path):
    store, made = Store(tmp_path), calculation("water")
    save_calculation(store, replace(made, forces=-made.forces))
    found = verdicts(store, differences=True)
    assert found["sign of forces"].verdict == found["force by difference"].verdict == "failed"
    assert "gradients" in found["sign of forces"].where


def test_damage_orphans_and_levels(tmp_path):
    store, made = Store(tmp_path), calculation("water")
    for level in (MINIMAL, SMALL):
        save_calculation(store, calculation("water", level))
    save_fit(store, "lonely", "nowhere", fitted(), BASIS, toy_prior(), FitSettings())
    found = verdicts(store)
    assert found["levels"].verdict == "ok"
    assert found["levels"].where.endswith("; 1 structures at several")  # another level is another record
    assert found["near-duplicates"].verdict == "ok"
    assert found["fits have calculations"].verdict == "failed"
    assert found["fitted electrons"].verdict == "skipped"
    file = tmp_path / "calculation" / f"{made.key}.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    found = verdicts(store)
    assert found["readable records"].verdict == "failed"
    assert made.key in found["readable records"].where
    assert found["electrons"].checked == 1


def test_a_level_that_pyscf_cannot_make_is_no_failure(tmp_path):
    made = calculation("water")
    save_calculation(Store(tmp_path), replace(made, level=replace(Level("HF", "sto-3g"), functional="no such")))
    assert verdicts(Store(tmp_path), differences=True)["force by difference"].verdict == "skipped"


def test_bent_water_of_the_shared_store_is_what_it_says():
    assert bent_water(0.1, "a").get_distance(0, 1) == pytest.approx(1.06)
