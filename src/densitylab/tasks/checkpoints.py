"""Training checkpoints that are whole or not there, and from which a run goes on as if nothing had happened."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from densitylab.errors import ConfigError
from densitylab.files import write_atomically


class WholeFiles(TorchCheckpointIO):
    """Lightning's own writer goes through ``TMPDIR``, from where another file system gets a copy, byte after byte."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint in place of the one before it. Raises ``OSError``; that one is then still there."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


class LastCheckpoint(Checkpoint):
    """``last.ckpt``, after every so many steps *and the validation that follows them*, and at the end.

    Lightning's ``ModelCheckpoint`` saves before that validation, and a resumed run skips it: early stopping and the
    best network would then not be those of an uninterrupted run.
    """

    def __init__(self, folder: Path, every: int = 250) -> None:
        self.file, self.every = folder / "last.ckpt", every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save here only where no validation follows."""
        follows = sum(trainer.num_val_batches) > 0 and trainer.global_step % int(trainer.val_check_batch or 1) == 0
        if trainer.global_step % self.every == 0 and not follows:
            trainer.save_checkpoint(self.file)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Early stopping and the best checkpoint, whose callbacks stand before this one, know the result."""
        if trainer.global_step % self.every == 0 and not trainer.sanity_checking:
            trainer.save_checkpoint(self.file)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Averaged weights have been moved into the network."""
        trainer.save_checkpoint(self.file)


def checkpoints(folder: Path, monitor: str | None) -> list[Checkpoint]:
    """``last.ckpt``, and with ``monitor`` (a logged metric, the lower the better) ``best.ckpt``."""
    # No version counter: a file is replaced whole, and a second one would soon be the wrong one.
    best = [ModelCheckpoint(folder, "best", monitor=monitor, enable_version_counter=False)] if monitor else []
    return [*best, LastCheckpoint(folder)]


def resumable(folder: Path, module: LightningModule) -> dict[str, Any] | None:
    """The content of ``last.ckpt`` in ``folder``, None if there is none.

    Raises
    ------
    ConfigError
        If it is damaged, or the checkpoint of something else. Nothing in it is ever executed.
    """
    file = folder / "last.ckpt"
    if not file.exists():
        return None
    advice = "remove it, and training starts anew"
    try:
        saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        same = saved["state_dict"].keys() == module.state_dict().keys()
    except Exception as error:  # torch has untyped errors for every damage
        raise ConfigError(f"{file} is no readable checkpoint ({type(error).__name__}); {advice}") from None
    if not same:
        raise ConfigError(f"{file} belongs to another network or another version of densitylab; {advice}")
    return saved


def has_ended(saved: dict[str, Any] | None) -> bool:
    """Whether early stopping had ended the training that left this checkpoint."""
    states = saved["callbacks"].values() if saved else ()
    return any(state.get("wait_count", -1) >= state.get("patience", math.inf) for state in states)


def load_kept(folder: Path, module: LightningModule) -> None:
    """Load the weights that are kept: the best, or else (averaged, if there is an average) those of the end."""
    best = folder / "best.ckpt"
    saved = torch.load(best if best.exists() else folder / "last.ckpt", map_location=module.device, weights_only=True)
    module.load_state_dict(saved["state_dict"])


def why_stopped(trainer: Trainer) -> str | None:
    """A sentence, if training ended before its last step."""
    if trainer.global_step >= trainer.max_steps:
        return None
    early: EarlyStopping | None = trainer.early_stopping_callback
    over = early is not None and early.wait_count >= early.patience
    why = "the validation loss no longer falls" if over else "trainer.max_time is over"
    return f"stopped after {trainer.global_step} of {trainer.max_steps} steps: {why}"
