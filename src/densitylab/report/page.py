"""One HTML page with everything in it: structures, their surfaces and numbers, to look at without a network connection.

The view is drawn by 3Dmol.js (vendor/, BSD-3-Clause; Rego and Koes, Bioinformatics 31, 1322 (2015)).
"""

from __future__ import annotations

import html
import io
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import ase.io
from ase import Atoms

from densitylab.density import Density
from densitylab.density.surface import Isosurface, isosurface
from densitylab.files import write_atomically
from densitylab.units import BOHR_TO_ANGSTROM

MOST_SHOWN = 20  # structures with a view of their own
MOST_ATOMS = 400  # of a structure with surfaces
_LOBE = 0.005  # e/bohr³ of the difference to superposed atoms


def entry(
    number: int, atoms: Atoms, density: Density, prior: Density, level: float, strange: str = ""
) -> dict[str, Any]:
    """What the page needs of one structure; surfaces only up to 400 atoms."""
    text = io.StringIO()
    ase.io.write(text, atoms, format="xyz")
    known = {"number": number, "name": atoms.info["group"], "xyz": text.getvalue(), "strange": strange}
    if len(atoms) > MOST_ATOMS:
        return known
    spacing = 0.35 if len(atoms) <= 60 else 0.6  # bohr: a page should stay below some 10 MB
    difference = density - prior
    surface = _surface(density, level, spacing)
    lobes = {name: _surface(sign * difference, _LOBE, spacing) for name, sign in (("more", 1.0), ("less", -1.0))}
    meshes = {name: found and _mesh(found) for name, found in {"surface": surface, **lobes}.items()}
    if surface:
        potential = density.potential(surface.vertices).tolist()
        meshes["surface"] = _mesh(surface) | {"p": [round(p, 5) for p in potential]}
    return known | meshes


def write_page(
    file: Path, title: str, entries: Sequence[dict[str, Any]], header: Sequence[str],
    rows: Sequence[Sequence[Any]], level: float,
) -> None:  # fmt: skip
    """Write the page; the first column of ``rows`` is the number of the structure."""
    folder = resources.files("densitylab.report")
    unseen = len(rows) - len(entries)
    cells = [f'<tr data-number="{row[0]}">{"".join(f"<td>{_text(value)}</td>" for value in row)}</tr>' for row in rows]
    page = Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        level=f"{level:g}",
        lobe=f"{_LOBE:g}",
        note=f"More structures ({unseen}) are in the table only." if unseen else "",
        header="".join(f"<th>{html.escape(name)}</th>" for name in header),
        rows="".join(cells),
        library=(folder / "vendor" / "3Dmol-min.js").read_text(encoding="utf-8"),
        data=json.dumps(list(entries)).replace("<", "\\u003c"),  # no name ends the script, or opens a comment
    )
    write_atomically(file, page)


def _surface(density: Density, level: float, spacing: float) -> Isosurface | None:
    try:
        return isosurface(density, level, spacing)
    except ValueError:  # there is none: a picture less, but no reason to lose the numbers
        return None


def _mesh(surface: Isosurface) -> dict[str, Any]:
    vertices = (surface.vertices * BOHR_TO_ANGSTROM).flatten().tolist()
    return {"v": [round(x, 3) for x in vertices], "f": surface.faces.flatten().tolist()}


def _text(value: Any) -> str:
    return html.escape(f"{value:.3f}" if isinstance(value, float) else str(value))
