import math

import numpy as np
import pytest
from ase import Atoms
from pyscf import gto

from densitylab.density import BasisError, GaussianBasis, from_basis_set_exchange
from densitylab.density.basis import even_tempered, from_shells

SHELLS = {"H": ((1, 0.5), (0, 3.0), (0, 0.2)), "O": ((2, 1.0), (0, 9.0))}


def water_functions(basis: GaussianBasis) -> int:
    return basis.size("O") + 2 * basis.size("H")


# ------------------------------------------------------------------------------------------------------- the type


def test_shells_are_ordered_by_l_then_by_falling_exponent():
    basis = GaussianBasis("b", SHELLS)
    assert basis.of("H") == ((0, 3.0), (0, 0.2), (1, 0.5))
    assert basis.of("O") == ((0, 9.0), (2, 1.0))


def test_size_lmax_symbols():
    basis = GaussianBasis("b", {**SHELLS, "C": ((0, 1.0),)})
    assert (basis.size("H"), basis.size("O"), basis.lmax) == (5, 6, 2)
    assert basis.symbols == ["H", "C", "O"]  # by atomic number, not by letter


def test_irreps():
    basis = GaussianBasis("b", {"O": [(l, a) for l in range(6, -1, -1) for a in (1.0, 2.0)]})
    assert str(basis.irreps("O")) == "2x0e+2x1o+2x2e+2x3o+2x4e+2x5o+2x6e"
    assert basis.irreps("O").dim == basis.size("O")


def test_hash_is_of_content_only():
    basis = GaussianBasis("one", SHELLS)
    shuffled = {symbol: list(reversed(shells)) for symbol, shells in reversed(SHELLS.items())}
    assert GaussianBasis("another", shuffled).hash == basis.hash
    assert GaussianBasis("integers", {**SHELLS, "O": ((2, 1), (0, 9))}).hash == basis.hash


@pytest.mark.parametrize(
    "other",
    [
        {"H": SHELLS["H"]},
        {**SHELLS, "O": ((2, 1.0), (0, 9.000001))},
        {**SHELLS, "O": ((1, 1.0), (0, 9.0))},
        {**SHELLS, "O": ((2, 1.0), (0, 9.0), (0, 1.0))},
        {"H": SHELLS["O"], "O": SHELLS["H"]},
    ],
)
def test_hash_sees_every_change(other):
    assert GaussianBasis("b", other).hash != GaussianBasis("b", SHELLS).hash


def test_missing_element_is_named():
    with pytest.raises(BasisError, match=r"mine.* C .*H, O"):
        GaussianBasis("mine", SHELLS).of("C")
    with pytest.raises(BasisError, match="C"):
        GaussianBasis("mine", SHELLS).shells(Atoms("HC", positions=[[0, 0, 0], [1, 0, 0]]))


def test_description_round_trip_is_exact():
    """Through JSON, as in a record: exponents keep every bit, also those that decimals cannot write in short."""
    import json

    basis = GaussianBasis("b", {"H": ((0, 0.1 + 0.2), (3, math.pi)), "O": ((1, 1 / 3),)})
    again = GaussianBasis.from_description(json.loads(json.dumps(basis.describe())))
    assert again == basis
    assert again.hash == basis.hash


def test_shells_of_a_structure(water):
    shells = GaussianBasis("b", SHELLS).shells(water)
    assert shells.l.tolist() == [0, 2, 0, 0, 1, 0, 0, 1]
    assert shells.exponents.tolist() == [9, 1, 3, 0.2, 0.5, 3, 0.2, 0.5]
    # 1e-9: PySCF has a bohr of its own, CODATA 2010; ours is checked in test_units
    bohr = gto.M(atom=list(zip(water.symbols, water.positions, strict=True)), verbose=0).atom_coords()
    assert np.allclose(shells.centers, np.repeat(bohr, [2, 3, 3], axis=0), rtol=1e-9, atol=0)


# -------------------------------------------------------------------------------------------- Basis Set Exchange


@pytest.mark.parametrize(
    ("name", "functions"),
    [("def2-universal-JFIT", 102), ("aug-cc-pVTZ-RIFIT", 198), ("cc-pVQZ-JKFIT", 208)],
)
def test_functions_per_water_are_those_of_the_design(name, functions):
    assert water_functions(from_basis_set_exchange(name, ["O", "H"])) == functions


def test_jfit_is_that_of_rackers():
    """FACTS.md §1.1: O 12s 5p 4d 2f 1g, H 5s 2p 1d; exponents of §1.1 and §0."""
    basis = from_basis_set_exchange("def2-universal-JFIT", ["H", "O"])
    assert str(basis.irreps("O")) == "12x0e+5x1o+4x2e+2x3o+1x4e"
    assert str(basis.irreps("H")) == "5x0e+2x1o+1x2e"
    p = [a for l, a in basis.of("O") if l == 1]
    assert (round(max(p), 1), round(min(p), 3)) == (64.3, 0.335)


@pytest.mark.parametrize("symbol", ["C", "N", "P"])
def test_jfit_of_dna(symbol):
    """FACTS.md §2."""
    expected = "14x0e+5x1o+5x2e+2x3o+1x4e" if symbol == "P" else "12x0e+5x1o+4x2e+2x3o+1x4e"
    assert str(from_basis_set_exchange("def2-universal-JFIT", [symbol]).irreps(symbol)) == expected


def test_combined_shells_are_split():
    """6-31G has shells that share exponents between s and p; 3 distinct values of 4 primitives for O's valence."""
    basis = from_basis_set_exchange("6-31G", ["O"])
    assert str(basis.irreps("O")) == "10x0e+4x1o"


def test_no_shell_stands_twice():
    """A general contraction lists the same exponents once per function."""
    shells = from_basis_set_exchange("cc-pVTZ", ["O"]).of("O")
    assert len(set(shells)) == len(shells) == 10 + 5 + 2 + 1


@pytest.mark.parametrize("name", ["def2-universal-JFTI", "", "no such set"])
def test_unknown_name(name):
    with pytest.raises(BasisError, match="H"):
        from_basis_set_exchange(name, ["H"])


def test_unknown_name_is_in_the_message():
    with pytest.raises(BasisError, match="def2-universal-JFTI"):
        from_basis_set_exchange("def2-universal-JFTI", ["H"])


@pytest.mark.parametrize("symbol", ["U", "Xx"])
def test_element_that_is_not_in_the_set(symbol):
    with pytest.raises(BasisError, match=symbol):
        from_basis_set_exchange("aug-cc-pVTZ-RIFIT", ["H", symbol])


# -------------------------------------------------------------------------------------------- other ways to make one


def test_from_shells():
    written = {"H": {"s": [0.2, 3.0], "p": [0.5]}, "O": {"d": [1.0], "s": [9.0]}, "C": {"i": [1.0]}}
    basis = from_shells("mine", written, ["O", "H", "H"])
    assert basis.hash == GaussianBasis("b", SHELLS).hash
    assert basis.name == "mine"
    assert from_shells("mine", written, ["C"]).lmax == 6


def test_from_shells_refuses():
    with pytest.raises(BasisError, match="mine has no functions for C"):
        from_shells("mine", {"H": {"s": [1.0]}}, ["H", "C"])
    with pytest.raises(BasisError, match="'x'"):
        from_shells("mine", {"H": {"s": [1.0], "x": [1.0]}}, ["H"])


@pytest.mark.parametrize("beta", [1.7, 2.0])
def test_even_tempered(beta):
    basis = even_tempered("def2-SVP", ["H", "O"], beta)
    for symbol in ("H", "O"):
        degrees = {l for l, _ in basis.of(symbol)}
        assert degrees == set(range(max(degrees) + 1))
        for degree in degrees:
            exponents = np.array([a for l, a in basis.of(symbol) if l == degree])
            assert np.allclose(exponents[:-1] / exponents[1:], beta, rtol=1e-10)  # rounding of powers of beta
    assert f"{beta:g}" in basis.name
    assert "def2-SVP" in basis.name


@pytest.mark.parametrize(("orbital_basis", "beta", "functions"), [("aug-cc-pVTZ", 2.0, 304), ("def2-SVP", 2.0, 169)])
def test_even_tempered_functions_per_water_are_those_of_the_design(orbital_basis, beta, functions):
    assert water_functions(even_tempered(orbital_basis, ["H", "O"], beta)) == functions


def test_even_tempered_covers_the_products_of_orbitals():
    """φ_i φ_j have exponents from 2 α_min to 2 α_max: the functions reach from below the one to near the other."""
    exponents = [a for _, a in even_tempered("def2-SVP", ["O"], 2.0).of("O")]
    orbital = [row[0] for shell in gto.basis.load("def2-SVP", "O") for row in shell[1:]]
    assert min(exponents) <= 2 * min(orbital) * 1.0001
    assert max(exponents) >= 2 * max(orbital) / 2.0


def test_even_tempered_names_the_element_that_the_orbital_basis_lacks():
    with pytest.raises((BasisError, RuntimeError), match="U"):
        even_tempered("def2-SVP", ["U"], 2.0)
