"""``python -m densitylab [overrides] [-m]``: check everything, then run each point in its own process."""

from __future__ import annotations

import signal
import sys

from densitylab import __version__
from densitylab.errors import ConfigError, plain_warnings, report


def main() -> int:
    """Returns 0, 1 when a run or the report failed, 2 when nothing was started, 130 after Ctrl-C."""
    if "--version" in sys.argv[1:]:
        print(f"densitylab {__version__}")
        return 0
    from densitylab.command import inform, informs, open_hydra, parse, resume_hint

    try:
        args = parse(sys.argv[1:])
    except ConfigError as error:
        report(error)
        return 2
    if informs(args):
        return inform(args)
    from densitylab.launch import launch, show
    from densitylab.preflight import preflight

    plain_warnings()
    debug = any(line.startswith("+debug=") for line in args.overrides)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is a Ctrl-C
    plan = None
    try:
        with open_hydra(args) as hydra:
            plan = preflight(hydra, args.overrides, args.multirun)
            if plan.points[0].config.plan:
                return show(plan)
            return launch(hydra, plan)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {resume_hint(plan)}", file=sys.stderr)
        return 130
    except ConfigError as error:
        report(error, debug)
        return 2
    except Exception as error:
        report(error, debug)
        return 1


if __name__ == "__main__":
    sys.exit(main())
