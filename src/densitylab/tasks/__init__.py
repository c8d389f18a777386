"""One file per verb. A task is a function ``task(cfg, run, **options) -> list of metrics``; see docs/execution.md."""
