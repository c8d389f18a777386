"""Published pickles and psi4 texts: units, signs, orders, the shift of the DNA set, and files that want to do harm."""

import os
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from ase import Atoms

from densitylab.density import Density, Prior, from_basis_set_exchange
from densitylab.labels import Fit, FitSettings, LabelError, Level, Store, calculate, fit_density
from densitylab.labels.atoms import isolated_atoms, no_prior, superposed_atoms
from densitylab.labels.calculation import UNTRUSTED
from densitylab.labels.convert import subtract_prior
from densitylab.labels.importers import read
from densitylab.labels.importers.published import untrusted
from densitylab.labels.importers.rows import _racah_norm
from densitylab.labels.importers.unpickle import load_pickle
from densitylab.labels.records import save_calculation, save_fit
from densitylab.labels.source import LabelSource
from densitylab.structures import prepare
from tests.labels import published
from tests.labels.calculations import MINIMAL, calculation, structure, toy_prior

JFIT = partial(from_basis_set_exchange, "def2-universal-JFIT")
COARSE = FitSettings(grid_level=0)
PSI4 = replace(MINIMAL, program="psi4")

METHANOL = [  # O and C first, as O5' and C5' in a nucleotide; Å
    ("O", (0.75, 0.12, 0.0)), ("C", (-0.66, -0.02, 0.0)), ("H", (-1.03, -0.55, 0.89)), ("H", (-1.03, -0.55, -0.89)),
    ("H", (-1.08, 0.99, 0.0)), ("H", (1.13, -0.77, 0.0)),
]  # fmt: skip
FAR_WATER = [("O", (8.0, 0.3, 0.2)), ("H", (8.7, 0.9, 0.1)), ("H", (8.2, -0.4, 0.8))]


def read_one(path, **options):
    (record,) = read([path], None, PSI4, JFIT, **options)
    return record


@cache
def fitted(name: str) -> tuple:
    """Calculation, basis and fit of the whole density."""
    result = calculation(name)
    basis = JFIT(elements=set(result.atoms.symbols))
    return result, basis, fit_density(result, basis, Prior.none(), COARSE).coefficients


@cache
def nucleotide() -> tuple:
    """Methanol and a water eight Å away: what is left of it without its first two atoms has no bonded neighbours."""
    symbols, positions = zip(*METHANOL, *FAR_WATER, strict=True)
    result = calculate(prepare(Atoms(symbols, positions=positions)), MINIMAL)
    basis = JFIT(elements={"C", "H", "O"})
    return result, basis, fit_density(result, basis, Prior.none(), COARSE).coefficients


def published_sample(made: tuple) -> dict:
    result, basis, coefficients = made
    return published.sample(result.atoms, basis, coefficients, result.energy, result.forces)


# ------------------------------------------------------------------------------------------------ what is in them


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_published_pickle(tmp_path, protocol):
    result, basis, coefficients = fitted("water")
    file = published.write(tmp_path / "w1.pkl", [published_sample(fitted("water"))], protocol)
    record = read_one(file)
    assert record.calculation.atoms.info == {"charge": 0, "multiplicity": 1, "group": "w1"}
    assert record.calculation.level == PSI4
    assert record.calculation.orbitals.size == 0
    # float32 everywhere: 7 digits
    assert record.calculation.energy == pytest.approx(result.energy, rel=1e-6)
    assert np.allclose(record.calculation.forces, result.forces, rtol=1e-6, atol=1e-9)  # the gradient, turned round
    assert np.allclose(record.coefficients, coefficients, rtol=1e-6, atol=1e-9)  # with signs of the norms resolved
    density = Density.from_basis(basis, result.atoms, torch.as_tensor(coefficients))
    assert np.allclose(record.calculation.dipole, density.dipole(), atol=1e-5)


def test_charge_is_that_of_the_density(tmp_path):
    file = published.write(tmp_path / "ion.pkl", [published_sample(fitted("OH-"))])
    assert read_one(file, group="ions").calculation.atoms.info == {"charge": -1, "multiplicity": 1, "group": "ions"}


def test_without_energy_and_forces(tmp_path):
    file = published.write(tmp_path / "w1.pkl", [published.sample(fitted("water")[0].atoms, *fitted("water")[1:])])
    found = read_one(file).calculation
    assert np.isnan(found.energy)
    assert np.isnan(found.forces).all()


@pytest.mark.parametrize(
    ("l", "exponent", "size"),  # as psi4 printed them in the repository of Rackers 2023
    [(0, 2876.8216605, 279.9592344302619), (1, 64.2613382, 259.3446505988451), (2, 2.2165124, 6.627233085631182),
     (3, 2.6420115, 13.101093101420968), (4, 1.3931, 2.7694066388498277)],
)  # fmt: skip
def test_norms_of_psi4(l, exponent, size):
    assert _racah_norm(l, exponent) == pytest.approx(size, rel=1e-12)


@pytest.mark.parametrize("named", [True, False])
def test_psi4_text(tmp_path, named):
    result, basis, coefficients = fitted("dimer")
    file = tmp_path / "w2_00_def2-universal-jfit-decontract_density.out"
    file.write_text(published.text(result.atoms, basis, coefficients))
    xyz = tmp_path / ("mine.xyz" if named else "w2_00")  # the script's structures have no suffix
    result.atoms.write(xyz, format="xyz")
    record = read_one(file, geometry=xyz if named else None)
    assert np.abs(record.coefficients - coefficients).max() < 1e-8  # eight decimals
    assert np.abs(record.calculation.dipole - result.dipole).max() < 0.1  # e·bohr, of the fit
    xyz.unlink()
    with pytest.raises(LabelError, match=r"density\.out has no coordinates; name .*task\.geometry"):
        read_one(file)


# ------------------------------------------------------------------------------------------------ two atoms missing


def test_shift_of_the_dna_set_is_refused(tmp_path):
    sample = published.without_two_atoms(published_sample(nucleotide()))
    file = published.write(tmp_path / "dna.pkl", [sample])
    with pytest.raises(LabelError, match=r"dna\.pkl, structure 0: .*first 2 atoms are missing.*task\.repair=mask"):
        read_one(file)


def test_shift_with_its_end_trimmed_is_refused_too(tmp_path):
    """What a fork made of it: equal lengths, and every atom with the density of another."""
    sample = published.without_two_atoms(published_sample(nucleotide()))
    for name in ("coefficients", "exponents", "norms"):
        sample[name] = sample[name][:-2]
    with pytest.raises(LabelError, match="first 2 atoms are missing"):
        read_one(published.write(tmp_path / "dna.pkl", [sample]))


def test_mask_keeps_what_can_be_trusted(tmp_path):
    result, basis, coefficients = nucleotide()
    file = published.write(tmp_path / "dna.pkl", [published.without_two_atoms(published_sample(nucleotide()))])
    record = read_one(file, repair="mask")
    atoms = record.calculation.atoms
    assert np.allclose(atoms.positions, result.atoms.positions[2:])
    assert atoms.info[UNTRUSTED] == [0, 1, 2, 3]  # the hydrogens of the methanol; the water is far enough away
    skipped = basis.size("O") + basis.size("C")
    assert np.allclose(record.coefficients, coefficients[skipped:], rtol=1e-6, atol=1e-9)
    assert np.allclose(record.calculation.forces[:-2], result.forces[2:-2], rtol=1e-6, atol=1e-9)
    assert np.isnan(record.calculation.forces[-2:]).all()


def test_mask_refuses_where_nothing_can_be_kept():
    whole = nucleotide()[0].atoms
    with pytest.raises(LabelError, match="every atom is within 5 Å"):
        untrusted(whole[2:6], 4)
    with pytest.raises(LabelError, match="no hydrogen has lost its bond"):
        untrusted(whole[6:], 3)


# --------------------------------------------------------------------------------------------------- wrong or harmful


class Code:
    """Whoever unpickles this makes the file ``executed`` in the current folder."""

    def __init__(self, call=os.system, argument="touch executed"):
        self.call, self.argument = call, argument

    def __reduce__(self):
        return self.call, (self.argument,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("code", "named"),
    [(Code(), "system"), (Code(eval, "open('executed', 'w')"), "eval"), (Code(torch.load, "executed"), "load")],
)
def test_nothing_in_a_pickle_is_executed(tmp_path, monkeypatch, protocol, code, named):
    monkeypatch.chdir(tmp_path)
    sample = published_sample(fitted("water")) | {"energy": code}
    file = published.write(tmp_path / "evil.pkl", [sample], protocol)
    with pytest.raises(LabelError, match=rf"evil\.pkl: refused, because it wants to call .*{named}"):
        load_pickle(file)
    assert not (tmp_path / "executed").exists()


def test_code_inside_the_memory_of_a_tensor(tmp_path, monkeypatch):
    """The pickle inside the pickle, which PyTorch reads."""
    monkeypatch.chdir(tmp_path)

    class Storage:
        def __reduce__(self):
            torch.save(Code(), tmp_path / "inner")
            return torch.storage._load_from_bytes, ((tmp_path / "inner").read_bytes(),)

    with pytest.raises(LabelError, match=r"evil\.pkl: truncated, damaged"):
        load_pickle(published.write(tmp_path / "evil.pkl", [{"pos": Storage()}]))
    assert not (tmp_path / "executed").exists()


def test_tensor_that_reaches_outside_its_memory(tmp_path):
    class Window:
        def __reduce__(self):
            storage = torch.storage.TypedStorage(
                wrap_storage=torch.zeros(2).untyped_storage(), dtype=torch.float32, _internal=True
            )
            return torch._utils._rebuild_tensor_v2, (storage, 0, (1000,), (1,), False, {})

    with pytest.raises(LabelError, match="out of bounds"):
        load_pickle(published.write(tmp_path / "evil.pkl", [{"pos": Window()}]))


def change(**values):
    return lambda sample: sample | values


WRONG = [
    (lambda sample: 3.0, "no type, pos, coefficients"),
    (lambda sample: {k: v for k, v in sample.items() if k != "norms"}, "no norms: not in the format"),
    (change(pos=torch.zeros(2, 3)), "shapes that do not fit together"),
    (lambda sample: sample | {"coefficients": 1.05 * sample["coefficients"]}, "10.5000 electrons are not a whole"),
    (lambda sample: sample | {"norms": 2 * sample["norms"]}, "norm .* is not psi4's"),
    (lambda sample: sample | {"exponents": 2 * sample["exponents"]}, "functions of atom 0 are not those of O.*basis="),
    (lambda sample: sample | {"type": sample["type"][[1, 0, 2]]}, "functions of atom 0 are not those of H"),
    (lambda sample: sample | {"pos": 0 * sample["pos"]}, "0.000 Å apart"),
]


@pytest.mark.parametrize(("spoil", "said"), WRONG)
def test_wrong_content(tmp_path, spoil, said):
    sample = published_sample(fitted("water"))
    file = published.write(tmp_path / "w.pkl", [sample, spoil(sample)])
    with pytest.raises(LabelError, match=rf"w\.pkl, structure 1: .*{said}"):
        read([file], None, PSI4, JFIT)


def test_damaged_files(tmp_path):
    whole = published.write(tmp_path / "w.pkl", [published_sample(fitted("water"))]).read_bytes()
    damages = {b"": "is empty", whole[: len(whole) // 2]: "truncated", b"no pickle at all": "not a pickle"}
    for content, said in damages.items():
        (tmp_path / "w.pkl").write_bytes(content)
        with pytest.raises(LabelError, match=rf"w\.pkl: .*{said}"):
            read_one(tmp_path / "w.pkl")
    with pytest.raises(LabelError, match="a list of structures is expected, not dict"):
        read_one(published.write(tmp_path / "w.pkl", {"a": 1}))
    with pytest.raises(LabelError, match=r"none\.pkl: no such file"):
        read_one(tmp_path / "none.pkl")
    (tmp_path / "w.dat").write_text("x")
    with pytest.raises(LabelError, match=r"w\.dat: unknown format; name it \(pickle, psi4, molden, fchk\)"):
        read_one(tmp_path / "w.dat")
    (tmp_path / "w.out").write_text("x")
    structure("water").write(tmp_path / "w.xyz")
    with pytest.raises(LabelError, match="no line begins with 'Atom number'"):
        read_one(tmp_path / "w.out", geometry=tmp_path / "w.xyz")


# ------------------------------------------------------------------------------------------------- how they are found


@pytest.mark.parametrize("constraints", [("charge",), ("charge", "dipole", "field")])
@pytest.mark.parametrize("prior", [toy_prior(), "s of the basis"])
def test_fit_of_a_difference_is_the_difference_of_fits(constraints, prior):
    """Exact, because a fit is linear in the density and its constraints."""
    result, basis, _ = fitted("water")
    if isinstance(prior, str):
        prior = Prior("own", {"O": ((basis.of("O")[5][1], 3.0),), "H": ((basis.of("H")[2][1], 0.5),)})
    settings = FitSettings(constraints, grid_level=0)
    whole = Fit(fit_density(result, basis, Prior.none(), settings).coefficients)
    difference = subtract_prior(whole, result.atoms, basis, prior, settings)
    expected = fit_density(result, basis, prior, settings).coefficients
    assert np.abs(difference.coefficients - expected).max() < 1e-8  # float64 through a metric of condition 1e7


@pytest.mark.parametrize(
    "make_prior", [no_prior, superposed_atoms, partial(isolated_atoms, basis_set="def2-universal-JFIT")]
)
def test_imports_are_found_with_any_prior(tmp_path, make_prior):
    result, basis, coefficients = fitted("water")
    record = read_one(published.write(tmp_path / "w.pkl", [published_sample(fitted("water"))]))
    source = LabelSource(Store(tmp_path / "store"), PSI4, COARSE, JFIT, make_prior)
    key = COARSE.key(record.calculation.key, {"H", "O"}, basis, Prior.none())
    save_fit(source.store, key, record.calculation.key, Fit(record.coefficients), basis, Prior.none(), COARSE)
    save_calculation(source.store, record.calculation)
    source.complete([record.calculation.key])
    label = source.load(record.calculation.key)
    density = Density.from_basis(label.basis, result.atoms, torch.as_tensor(label.fit.coefficients))
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    whole = Density.from_basis(basis, result.atoms, torch.as_tensor(coefficients))
    expected = whole.values(points)
    # a fit of ρ and one of Δρ + ρ⁰ are the same where ρ⁰ is in the basis, and differ by the fit of ρ⁰ elsewhere
    allowed = 0.05 if make_prior is superposed_atoms else 1e-5
    assert (
        (density + label.prior.density(result.atoms)).values(points) - expected
    ).abs().max() < allowed * expected.max()
    other = replace(source, make_basis=partial(from_basis_set_exchange, "aug-cc-pVTZ-RIFIT"))
    with pytest.raises(LabelError, match="imported without orbitals, and not in the basis aug-cc-pVTZ-RIFIT"):
        other.complete([record.calculation.key])


def test_level_of_the_same_name_but_another_program_is_another_level():
    assert Level(program="psi4").hash != Level().hash
