"""The Lightning trainer of a run: where it logs, what it keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from densitylab.build import build
from densitylab.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.runs import Run


def make_trainer(config: DictConfig, run: Run | None) -> Any:
    """The configured trainer, writing into the run's directory; without a run, only to see that it can be made.

    Raises
    ------
    ConfigError
        If this machine cannot do what is asked for.
    """
    import torch
    from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

    from densitylab.objective.density import VALIDATION
    from densitylab.tasks.checkpoints import WholeFiles, checkpoints

    options: dict[str, Any] = {"logger": False, "callbacks": [], "plugins": [WholeFiles()]}
    if run is not None:
        monitor = None if config.objective.get("patience") is None else VALIDATION
        options |= {"logger": _loggers(config, run), "callbacks": checkpoints(run.path / "checkpoints", monitor)}
        options["default_root_dir"] = run.path
    if config.trainer.accelerator == "auto" and not torch.cuda.is_available():
        options["accelerator"] = "cpu"  # Lightning would take Apple's GPU, which has no float64
    try:
        trainer = build(config.trainer, **options)
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(f"trainer: {error}") from None
    if trainer.accumulate_grad_batches != 1:
        raise ConfigError("trainer.accumulate_grad_batches must be 1: budgets and batches count steps; see batch_size")
    return trainer


def _loggers(config: DictConfig, run: Run) -> list[Any]:
    """Loggers that write into the run's directory; a sweep is one W&B group, each run carries its configuration."""
    attempts = len(list(run.path.glob("logs*")))  # a resumed run keeps what it logged before
    own = {"csv": {"save_dir": run.path, "name": "", "version": f"logs-{attempts + 1}" if attempts else "logs"}}
    own["wandb"] = {"save_dir": run.path, "name": run.path.name, "group": config.name}
    if "wandb" in (config.logger or {}):
        _require_writable(run.path / "wandb")  # W&B itself would quietly write elsewhere
    loggers = [build(node)(**own.get(name, {})) for name, node in (config.logger or {}).items()]
    for logger in loggers:
        logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
    return loggers


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"W&B cannot write to {folder}: {error.strerror}; logger=csv does without") from None


def log_results(loggers: list[Any], metrics: list[dict[str, Any]], folder: Path) -> None:
    """Send the metrics of the end to every logger; to W&B also the table and the figure of the structures."""
    from densitylab.report.structures import draw_structures, read_errors

    header, rows = read_errors(folder / "errors.csv")
    figure = draw_structures(header, rows, folder / "errors")
    for logger in loggers:
        logger.log_metrics({f"{m['split']}/{m['group']}/{m['name']}_{m['unit']}": m["value"] for m in metrics})
        if hasattr(logger, "log_table"):
            logger.log_table("errors", header, rows)
            logger.log_image("errors", [str(figure)])
        logger.save()
