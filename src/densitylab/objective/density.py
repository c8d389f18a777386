"""Learning density coefficients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from densitylab.dataset.graph import Graph
from densitylab.dataset.statistics import Statistics
from densitylab.model.network import DensityNetwork


class DensityObjective(LightningModule):
    """Error of the predicted coefficients Δc, in the overlap metric and per coefficient.

    ``loss = overlap_weight · Σ ΔcᵀSΔc / (A · variance) + coefficient_weight · mean((Δc/scale)²)``, with A atoms in
    the batch. ΔcᵀSΔc = ∫(ρ_pred − ρ_fit)² dr is the L2 error of the density; the ``variance`` of the training split
    makes it the dimensionless fraction of unexplained variance. The learning rate falls to zero over the trainer's
    ``max_steps`` along a cosine.

    Logged: ``train_loss``, ``validation_loss`` (dimensionless), ``validation_l2`` (ΔcᵀSΔc per atom, e²/bohr³).
    """

    def __init__(
        self,
        model: DensityNetwork,
        statistics: Statistics,
        optimizer: Callable[..., torch.optim.Optimizer],
        overlap_weight: float = 1.0,
        coefficient_weight: float = 0.05,
    ) -> None:
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self.variance = statistics.variance
        self.overlap_weight, self.coefficient_weight = overlap_weight, coefficient_weight

    def forward(self, graph: Graph) -> Tensor:
        """(F,) coefficients of Δρ, float64."""
        coefficients: Tensor = self.model(graph)
        return coefficients

    def training_step(self, batch: Graph, index: int) -> Tensor:
        """One batch."""
        loss, _ = self._errors(batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.global_step}: try a lower learning rate")
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=1, sync_dist=True)
        return loss

    def validation_step(self, batch: Graph, index: int) -> None:
        """One batch of the validation split."""
        loss, l2 = self._errors(batch)
        self.log("validation_loss", loss, prog_bar=True, batch_size=batch.num_nodes)
        self.log("validation_l2", l2, batch_size=batch.num_nodes)

    def configure_optimizers(self) -> Any:
        """The configured optimiser, cosine schedule per step."""
        optimizer = self.optimizer(self.parameters())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _errors(self, batch: Graph) -> tuple[Tensor, Tensor]:
        """Loss, and ΔcᵀSΔc per atom."""
        difference = self(batch) - batch.coefficients
        l2 = overlap_norms(difference, batch).sum() / self._share(batch.num_nodes)
        scaled = (difference / self.model.scales(batch)).square().sum() / self._share(len(difference))
        return self.overlap_weight * l2 / self.variance + self.coefficient_weight * scaled, l2

    def _share(self, count: int) -> Tensor:
        """Mean of ``count`` over the processes that share a batch.

        Distributed training averages gradients over processes; with this denominator that average is the gradient of
        the whole batch, however unevenly its atoms are spread.
        """
        number = torch.tensor(float(count), dtype=torch.float64, device=self.device)
        if self._trainer is None or self.trainer.world_size == 1 or not self.training:
            return number
        mean: Tensor = self.trainer.strategy.reduce(number, reduce_op="mean")
        return mean


def overlap_norms(difference: Tensor, batch: Graph) -> Tensor:
    """(G,) ΔcᵀSΔc of every graph of a batch, e²/bohr³, from Δc (F,)."""
    sizes = batch.num_functions.tolist()
    parts = difference.split(sizes)
    matrices = batch.overlap.split([size * size for size in sizes])
    return torch.stack([d @ (s.view(len(d), len(d)) @ d) for d, s in zip(parts, matrices, strict=True)])
