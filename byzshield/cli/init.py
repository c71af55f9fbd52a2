"""`byzshield init`: a small project of one's own, to change."""

import argparse
import shlex
import shutil
from pathlib import Path
from typing import Any, Final

import tomli_w

from byzshield.errors import ConfigError

__all__ = ["add_parser"]

TEMPLATE: Final = Path(__file__).with_name("template")
NAMED: Final = 'name = "mine" '


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "init",
        description="Writes a run file with comments, a model, a data set and their tests into a new folder. They run as they "
        "are, from whatever folder; docs/own_components.md says what else can be your own.",
        epilog="example: byzshield init mine && byzshield simulate mine/run.toml",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="is made, or empty")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    folder: Path = arguments.folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder} is there and is no empty folder: name another one")
    folder.mkdir(parents=True, exist_ok=True)
    for template in filter(Path.is_file, TEMPLATE.iterdir()):
        shutil.copyfile(template, folder / template.name)
    run_file = folder / "run.toml"
    name = tomli_w.dumps({"name": folder.resolve().name}).strip()
    run_file.write_text(run_file.read_text(encoding="utf-8").replace(NAMED, f"{name} "), encoding="utf-8")
    print(f"{folder}: {', '.join(path.name for path in sorted(folder.iterdir()))}")
    print(f"next: byzshield simulate {shlex.quote(str(run_file))}")
    print(f"      python -m pytest {shlex.quote(str(folder))}")
    return 0
