"""Densities of structures by a trained network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch_geometric.data import Batch

from densitylab.dataset.familiarity import UnfamiliarError
from densitylab.dataset.graph import graph_from_atoms
from densitylab.density import Density
from densitylab.evaluation.predict import predict_coefficients
from densitylab.structures import prepare

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.model.checkpoint import TrainedModel

_TOGETHER = 2000  # atoms in a batch: more do not run faster


class Predictor:
    """Predicts whole densities: what the network says, and the prior.

    Parameters
    ----------
    trained: the network and its representation (:func:`densitylab.load` reads one from a file).
    device: on which the network runs, and the densities are.
    dtype: of the densities.
    """

    def __init__(
        self, trained: TrainedModel, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64
    ) -> None:
        self.trained, self.device, self.dtype = trained, torch.device(device), dtype
        trained.network.to(self.device).eval()

    @property
    def elements(self) -> list[str]:
        """Symbols that the network knows."""
        return self.trained.basis.symbols

    def predict(self, atoms: Atoms, strange: bool = False) -> Density:
        """The density of a structure (Å; ``info["charge"]`` in e, 0 if it does not say).

        Raises
        ------
        StructureError
            If it is no structure; :class:`UnfamiliarError` if it has chemistry that the network never saw (``strange``
            allows it).
        BasisError
            If it has an element that the network does not know.
        """
        return next(self.predict_all([atoms], strange))

    def predict_all(self, structures: Iterable[Atoms], strange: bool = False) -> Iterator[Density]:
        """The densities of many structures, one after the other; small ones run together."""
        for batch in _batches(structures):
            yield from self._together([self._checked(atoms, strange) for atoms in batch])

    def strange(self, atoms: Atoms) -> list[str]:
        """What the network has never seen of a structure, a few words each."""
        familiar = self.trained.familiar
        return familiar.strange(prepare(atoms)) if familiar else []

    def _checked(self, atoms: Atoms, strange: bool) -> Atoms:
        atoms = prepare(atoms)
        if not strange and (unknown := self.strange(atoms)):
            raise UnfamiliarError(f"the network was never trained on {', '.join(unknown)}")
        return atoms

    def _together(self, structures: list[Atoms]) -> Iterator[Density]:
        basis, prior = self.trained.basis, self.trained.prior
        graphs = [graph_from_atoms(atoms, basis.symbols, self.trained.cutoff) for atoms in structures]
        coefficients = predict_coefficients(self.trained.network, Batch.from_data_list(graphs)).to(self.dtype)
        sizes = [sum(basis.size(symbol) for symbol in atoms.symbols) for atoms in structures]
        for atoms, own in zip(structures, coefficients.split(sizes), strict=True):
            yield (Density.from_basis(basis, atoms, own) + prior.density(atoms, self.dtype)).to(self.device)


def _batches(structures: Iterable[Atoms]) -> Iterator[list[Atoms]]:
    batch: list[Atoms] = []
    for atoms in structures:
        if batch and sum(map(len, batch)) + len(atoms) > _TOGETHER:
            yield batch
            batch = []
        batch.append(atoms)
    if batch:
        yield batch
