"""The documentation: `make docs` builds it, and every warning is an error."""

import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import densitylab

project = "densitylab"
author = "densitylab developers"
version = release = densitylab.__version__
project_copyright = f"{date.today().year}, {author}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_typehints = "none"  # shapes and units stand in the docstrings
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "densitylab"

ROOMS = [
    "structures",
    "density",
    "labels",
    "dataset",
    "model",
    "objective",
    "evaluation",
    "simulation",
    "report",
    "tasks",
]


def modules(room: str) -> list[str]:
    """Public modules of a room, with those of its own rooms."""
    folder = Path(densitylab.__file__).parent / room
    files = sorted(file for file in folder.rglob("*.py") if not file.name.startswith("_"))
    return [".".join(("densitylab", room, *file.relative_to(folder).with_suffix("").parts)) for file in files]


def write_api(folder: Path) -> None:
    """One page per room, with all its modules: nobody has to keep it up to date."""
    folder.mkdir(exist_ok=True)
    for room in ROOMS:
        title = f"densitylab.{room}"
        parts = [f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n   :no-members:\n"]
        for name in modules(room):
            heading = name.removeprefix(f"{title}.")
            parts.append(f"{heading}\n{'-' * len(heading)}\n\n.. automodule:: {name}\n")
        (folder / f"{room}.rst").write_text("\n".join(parts))


def house_style(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings, as Sphinx wants them: ``name: what it is`` has no type, and |x| is a number, no substitution."""
    section = ""
    text: list[str] = []
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)  # what stands between double backticks is code
        line = "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)
        following = lines[number + 1] if number + 1 < len(lines) else ""
        section = line.strip() if following.strip().startswith("---") else section
        entry = re.match(r"(\s*)([\w*][\w*, `]*): (.+)", line)
        listed = section in ("Parameters", "Attributes") and entry and len(entry[1]) == 0
        text += [entry[2].replace("*", r"\*"), f"    {entry[3]}"] if listed and entry else [line]
    lines[:] = text


def setup(app: Any) -> None:
    """Before napoleon (500) reads the docstrings."""
    app.connect("autodoc-process-docstring", house_style, priority=400)


HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import harmonics  # noqa: E402

write_api(HERE / "api")
harmonics.draw(HERE / "_static" / "harmonics.png")
