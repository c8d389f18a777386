"""A trained network as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes

import densitylab
from densitylab.density.multipoles import atomic_multipoles
from densitylab.evaluation.predictor import Predictor
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.density import Density


class Calculator(AseCalculator):
    """Charges (e) and dipole (e·Å, about the origin for ions) of the predicted density, and the density itself.

    ``atoms.calc = densitylab.Calculator("outputs/NAME")``, then ``atoms.get_charges()``, ``atoms.get_dipole_moment()``,
    and ``atoms.calc.density``, that of the last calculation. The total charge is ``atoms.info["charge"]``, else 0.

    Parameters
    ----------
    model: name or folder, as for :func:`densitylab.load`, or what that gave.
    strange: also predict what has chemistry that the network never saw.
    device: on which a model that is named runs.

    Raises
    ------
    StructureError, BasisError
        Like :meth:`densitylab.evaluation.predictor.Predictor.predict`, when something is asked for.
    """

    implemented_properties = ["charges", "dipole"]  # noqa: RUF012 (ASE reads it from the class)
    density: Density

    def __init__(self, model: str | Path | Predictor, strange: bool = False, device: str = "cpu") -> None:
        super().__init__()
        self.predictor = model if isinstance(model, Predictor) else densitylab.load(model, device)
        self.strange = strange

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ASE itself does not look at ``info``."""
        changes: list[str] = super().check_state(atoms, tol)
        before = self.atoms.info if self.atoms is not None else atoms.info
        return changes + ["charge"] * (before.get("charge", 0) != atoms.info.get("charge", 0))

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("charges",), changes: Sequence[str] = all_changes
    ) -> None:
        """Predict; ASE calls this when atoms have changed."""
        super().calculate(atoms, properties, changes)
        structure: Any = self.atoms  # a copy that ASE has just made
        self.density = self.predictor.predict(structure, self.strange)
        self.results["charges"] = atomic_multipoles(self.density).charges.cpu().numpy()
        self.results["dipole"] = self.density.dipole().cpu().numpy() / ANGSTROM_TO_BOHR
