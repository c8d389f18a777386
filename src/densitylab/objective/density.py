"""Learning density coefficients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule
from torch import Tensor

from densitylab.dataset.graph import Graph
from densitylab.dataset.metric import Metric, errors
from densitylab.dataset.statistics import Statistics
from densitylab.model.network import DensityNetwork

VALIDATION = "validation_loss"  # what early stopping watches, and by which the best network is kept


class DensityObjective(LightningModule):
    """Error of the predicted coefficients Δc, in a metric of the density and per coefficient.

    ``loss = E(Δc) / (A · spread) + coefficient_weight · mean((Δc/scale)²)``, with A atoms in the batch and E the error
    of :mod:`densitylab.dataset.metric`. The ``spread`` of the training split makes the first term the dimensionless
    fraction of what a prediction of the mean leaves. ``metric="coefficient"`` is the second term alone.

    Parameters
    ----------
    metric: in which an error counts; the graphs must have been made for it.
    coefficient_weight: of the second term, which keeps functions honest that the metric barely sees.
    schedule: ``cosine`` lowers the learning rate to zero over the trainer's ``max_steps``; ``constant`` does not.
    ema_decay: of the running average of the weights, which validates and is kept; no average if ``None``.
    patience: stop after so many validations without a lower loss, and keep the best network; never if ``None``.
    grid_points: drawn from every structure at every step, for ``metric="grid"``.

    Logged: ``train_loss``, ``validation_loss`` (dimensionless), ``lr``.
    """

    def __init__(
        self, model: DensityNetwork, statistics: Statistics, optimizer: Callable[..., torch.optim.Optimizer],
        metric: Metric = "overlap", coefficient_weight: float = 0.05,
        schedule: Literal["cosine", "constant"] = "cosine", ema_decay: float | None = None,
        patience: int | None = None, grid_points: int = 2000,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model, self.optimizer, self.spread = model, optimizer, statistics.spread
        self.metric, self.coefficient_weight, self.grid_points = metric, coefficient_weight, grid_points
        self.schedule, self.ema_decay, self.patience = schedule, ema_decay, patience

    def forward(self, graph: Graph) -> Tensor:
        """(F,) coefficients of Δρ, float64."""
        coefficients: Tensor = self.model(graph)
        return coefficients

    def training_step(self, batch: Graph, index: int) -> Tensor:
        """One batch."""
        loss = self.loss(batch, self.grid_points)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.global_step}: try a lower learning rate")
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=1, sync_dist=True)
        self.log("lr", self.optimizers().param_groups[0]["lr"], batch_size=1)  # type: ignore[union-attr]
        return loss

    def validation_step(self, batch: Graph, index: int) -> None:
        """One batch of the validation split."""
        self.log(VALIDATION, self.loss(batch), prog_bar=True, batch_size=batch.num_nodes)

    def configure_optimizers(self) -> Any:
        """The configured optimiser and schedule, per step."""
        optimizer = self.optimizer(self.parameters())
        if self.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Average of the weights and early stop, where asked for."""
        from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging

        callbacks: list[Callback] = []
        if self.ema_decay is not None:
            callbacks.append(EMAWeightAveraging(use_buffers=False, decay=self.ema_decay))  # buffers hold integers too
        if self.patience is not None:
            callbacks.append(EarlyStopping(VALIDATION, patience=self.patience))
        return callbacks

    def loss(self, batch: Graph, grid_points: int | None = None) -> Tensor:
        """Of a batch; ``grid_points`` per structure if the metric is ``grid``, else all."""
        difference = (self(batch) - batch.coefficients) * batch.trusted
        scaled = (difference / self.model.scales(batch)).square().sum() / self._share(len(difference))
        if self.metric == "coefficient":
            return scaled
        step = self.global_step if grid_points else 0
        error = errors(difference, batch, self.metric, grid_points, seed=step).sum() / self._share(batch.num_nodes)
        return error / self.spread + self.coefficient_weight * scaled

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
