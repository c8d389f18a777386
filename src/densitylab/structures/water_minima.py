"""Rings and cages of water, built from their hydrogen bonds and relaxed to minima of GFN2-xTB."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from densitylab.errors import did_you_mean
from densitylab.structures.check import StructureError, prepare
from densitylab.structures.thermal import relax

_OO, _OH, _HALF_ANGLE = 2.8, 0.97, np.radians(104.5)  # Å, Å, radians between the two O-H
# A hydrogen bond is at most so long (H...O, Å) and so bent (O-H...O, degrees): those in the triangles of the prism
# reach 2.42 Å and 125 degrees, while in all of these clusters what is not bonded is beyond 2.7 Å and below 105 degrees.
_LONGEST, _MOST_BENT = 2.6, 115.0

Bonds = list[tuple[int, int]]  # donor, acceptor


def water_minima(names: list[str]) -> list[Atoms]:
    """The minima of these names: dimer, ring3 ... ring6, book6, cage6, prism6, cube8_d2d, cube8_s4.

    Each is neutral, a group of its own, in Å about the centre of mass, with ``info["size"]`` molecules.

    Raises
    ------
    StructureError
        An unknown name, or a cluster whose hydrogen bonds after relaxing are not those of its name.
    """
    found = []
    for name in names:
        if name not in CLUSTERS:
            known = did_you_mean(name, CLUSTERS) or f"; known are {', '.join(CLUSTERS)}"
            raise StructureError(f"no water cluster is called {name}{known}")
        oxygens, bonds = CLUSTERS[name]
        atoms = relax(place(oxygens, bonds), name)
        if hydrogen_bonds(atoms) != sorted(bonds):
            raise StructureError(f"{name} did not stay what it is called: hydrogen bonds {hydrogen_bonds(atoms)}")
        atoms.info["size"] = len(oxygens)
        found.append(prepare(atoms, charge=0, multiplicity=1, group=f"water-minimum-{name}"))
    return found


def place(oxygens: np.ndarray, bonds: Bonds) -> Atoms:
    """Hydrogens for oxygens (n, 3), in Å: one along every bond that a molecule donates, the others into free space."""
    positions = []
    for i, oxygen in enumerate(oxygens):
        towards = [_unit(oxygens[acceptor] - oxygen) for donor, acceptor in bonds if donor == i]
        others = [_unit(oxygens[donor] - oxygen) for donor, acceptor in bonds if acceptor == i]
        while len(towards) < 2:
            towards.append(_free(towards, others, up=(-1) ** i))
        positions += [oxygen, *(oxygen + _OH * direction for direction in towards)]
    return prepare(Atoms("OHH" * len(oxygens), np.array(positions)))


def _free(towards: list[np.ndarray], others: list[np.ndarray], up: int) -> np.ndarray:
    """At the angle of water to the bond that is donated, as far as can be from those accepted; neighbours alternate."""
    axis = towards[0] if towards else _unit(-np.sum(others, axis=0) + [0.1, 0.2, 0.3])
    side = _unit(np.cross(axis, [0.36, 0.48, 0.8]))
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)[:, None]
    around = np.cos(turns) * side + np.sin(turns) * np.cross(axis, side)
    directions = np.cos(_HALF_ANGLE) * axis + np.sin(_HALF_ANGLE) * around
    nearest = np.max([directions @ other for other in others] or [0 * directions[:, 0]], axis=0)
    return np.asarray(directions[np.argmin(nearest - 0.2 * up * directions[:, 2])])


def hydrogen_bonds(atoms: Atoms) -> Bonds:
    """Donor and acceptor molecules of all hydrogen bonds of water (O H H in turn), sorted."""
    found = set()
    for hydrogen in np.flatnonzero(atoms.numbers == 1):
        donor = hydrogen // 3
        for acceptor in range(len(atoms) // 3):
            near = acceptor != donor and atoms.get_distance(hydrogen, 3 * acceptor) < _LONGEST
            if near and atoms.get_angle(3 * donor, hydrogen, 3 * acceptor) > _MOST_BENT:
                found.add((int(donor), acceptor))
    return sorted(found)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def _polygon(n: int, height: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """(n, 3) corners with edges of ``_OO``."""
    angles = 2 * np.pi * np.arange(n) / n + turn
    radius = _OO / (2 * np.sin(np.pi / n))
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(n, height)], axis=1)


def _cycle(*corners: int) -> Bonds:
    return list(zip(corners, (*corners[1:], corners[0]), strict=True))


def _stack(n: int) -> np.ndarray:
    return np.concatenate([_polygon(n), _polygon(n, _OO)])


def _book() -> np.ndarray:
    """Two squares that share an edge, half closed."""
    lift, out = _OO * np.sin(0.7), _OO * np.cos(0.7)
    y = np.array([0, _OO])
    spine, left, right = [(0.0, 0.0), (-out, lift), (out, lift)]
    return np.array([[x, yy, z] for x, z in (left, spine, right) for yy in y])


def _cage() -> np.ndarray:
    """A puckered ring of four, one molecule above one of its diagonals and one below the other."""
    half, pucker, far = 1.9, 0.7, 2.4
    ring = [[half, 0, pucker], [0, half, -pucker], [-half, 0, pucker], [0, -half, -pucker]]
    return np.array([*ring, [0, 0, far + 0.3], [0, 0, -far - 0.3]])


# Bonds after Perez et al., Science 336, 897 (2012) and, for the cubes, Buck et al., Phys. Rev. Lett. 80, 2578 (1998).
CLUSTERS: dict[str, tuple[np.ndarray, Bonds]] = {
    "dimer": (np.array([[0.0, 0.0, 0.0], [_OO, 0.0, 0.0]]), [(0, 1)]),
    **{f"ring{n}": (_polygon(n), _cycle(*range(n))) for n in (3, 4, 5, 6)},
    "book6": (_book(), [(0, 1), (1, 3), (3, 2), (2, 0), (3, 5), (5, 4), (4, 2)]),
    "cage6": (_cage(), [*_cycle(0, 1, 2, 3), (0, 4), (4, 2), (1, 5), (5, 3)]),
    "prism6": (_stack(3), [*_cycle(0, 1, 2), *_cycle(3, 4, 5), (0, 3), (1, 4), (5, 2)]),
    "cube8_d2d": (_stack(4), [*_cycle(0, 1, 2, 3), *_cycle(7, 6, 5, 4), (0, 4), (2, 6), (5, 1), (7, 3)]),
    "cube8_s4": (_stack(4), [*_cycle(0, 1, 2, 3), *_cycle(4, 5, 6, 7), (0, 4), (2, 6), (5, 1), (7, 3)]),
}
