"""`byzshield watch`: follows a run from another terminal or another host."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from byzshield.cli.progress import accusations, print_summary
from byzshield.runtime.wording import duration
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.runtime.following import Following
    from byzshield.runtime.progress import ProgressLine

__all__ = ["add_parser"]

POLL_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 60.0  # without a new step, after which the line says so
SILENT_STEPS: Final = 10.0  # the same in steps, where these are slower

DESCRIPTION = """\
Shows how far a run has come, and goes on until it ends, from any terminal and any host that sees its directory. Reads files only
(config.toml, metrics.jsonl, summary.json) and touches nothing, so that Ctrl-C ends the watching and not the run. Progress is on
stderr, and how the run ended on stdout."""

EPILOG = """\
examples:
  byzshield watch runs/quickstart
  byzshield watch runs/quickstart --once --json

exit status: 0 however the run ended; 2 there is no such run; 130 Ctrl-C."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "watch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--once", action="store_true", help="say how the run stands now, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end, and no progress")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.runtime.following import Following

    following = Following(arguments.run_dir)
    following.look()
    if not arguments.once:
        _follow(following, quiet=arguments.json)
    if arguments.json:
        print(dumps(_document(arguments.run_dir, following)))
    else:
        _print(arguments.run_dir, following)
    return 0


def _follow(following: "Following", *, quiet: bool) -> None:
    """Looks until the run has ended, and shows what it sees."""
    from byzshield.runtime.progress import ProgressLine

    progress = None if quiet else ProgressLine()
    try:
        while following.ending is None:
            if progress is not None:
                _show(following, progress)
            time.sleep(POLL_SECONDS)
            following.look()
        if progress is not None and not following.afresh:
            _show(following, progress)
    finally:
        if progress is not None:
            progress.finish()


def _show(following: "Following", progress: "ProgressLine") -> None:
    standing = following.standing
    if following.afresh:
        progress.start(at=0, steps=standing.steps, lines=following.lines)
        progress.show("" if following.lines else "waiting for the first step")
    elif following.lines:
        for line in following.lines:
            progress.advance(line)
    elif following.falls_silent(max(SILENT_SECONDS, SILENT_STEPS * (standing.step_seconds or 0))):
        progress.show(f"nothing new for {duration(following.silent_seconds)}")


def _print(path: Path, following: "Following") -> None:
    from byzshield.runtime.progress import as_line

    standing, ending = following.standing, following.ending
    if ending is None:
        print(as_line(standing, standing.seconds_left))
    elif ending.status == "complete":
        print_summary(path, ending.summary)
    else:
        print(f"{ending.status} after step {standing.step} of {standing.steps}: {ending.reason}")
        for line in accusations(ending.summary or {"blamed": standing.blamed}):
            print(line)


def _document(path: Path, following: "Following") -> dict[str, Any]:
    standing, ending = following.standing, following.ending
    proven, suspected = standing.accused()
    return {
        "run": str(path),
        "status": "running" if ending is None else ending.status,
        "reason": "" if ending is None else ending.reason,
        "step": standing.step,
        "steps": standing.steps,
        "seconds_left": standing.seconds_left if ending is None else None,
        "step_seconds": standing.step_seconds,
        "loss": standing.loss,
        "evaluated": standing.evaluated,
        "proven": proven,
        "suspected": suspected,
        "line": standing.line,
        "summary": None if ending is None else ending.summary,
    }
