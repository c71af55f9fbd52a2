"""`byzshield completion`: what a shell can complete, as a script for bash, zsh or fish."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from byzshield.cli.commands import COMMANDS, add_parsers
from byzshield.cli.completion_scripts import SCRIPTS, Command, Offer, Settings
from byzshield.cli.detox_run_file import APPROACHES, DATASETS, DETOX_ATTACKS, ERR_MODES, NETWORKS, RULES, SELECTIONS
from byzshield.cli.listing import registry_of

__all__ = ["add_parser"]

EPILOG = """\
Where it belongs, so that every new shell has it (make the folder first; after an update of byzshield, write it again):
  bash  byzshield completion bash > ~/.local/share/bash-completion/completions/byzshield
  zsh   byzshield completion zsh > ~/.zfunc/_byzshield       (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish  byzshield completion fish > ~/.config/fish/completions/byzshield.fish

In the shell at hand:
  source <(byzshield completion bash)"""

# The words of the published code's flags, and the kinds of component that other options, operands and keys name.
PUBLISHED: Final[dict[str, Iterable[str]]] = {
    "approach": APPROACHES,
    "mode": RULES,
    "err_mode": ERR_MODES,
    "byzantine_gen": SELECTIONS,
    "detox_attack": DETOX_ATTACKS,
    "network": NETWORKS,
    "dataset": DATASETS,
}
KINDS: Final = {"scheme": "placements", "name": "datasets"}
SECTIONS: Final = {
    "placement.scheme": "placements",
    "aggregation.rule": "aggregators",
    "attack.name": "attacks",
    "model.name": "models",
    "loss.name": "losses",
    "data.name": "datasets",
}


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "completion",
        description="Prints a script that completes commands, options, names of components, run files, and keys after --set. All "
        "names are in the script, so that completing starts no program.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=sorted(SCRIPTS), metavar="SHELL", help=", ".join(sorted(SCRIPTS)))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    subparsers: Any = argparse.ArgumentParser().add_subparsers()
    add_parsers(subparsers, COMMANDS)
    names = Command(options={"--help": None, "--version": None}, operands=Offer(words=tuple(COMMANDS)))
    commands = {"": names, **dict(_commands(subparsers.choices))}
    print(SCRIPTS[arguments.shell](commands, _settings()), end="")
    return 0


def _commands(parsers: Mapping[str, argparse.ArgumentParser], above: str = "") -> Iterator[tuple[str, Command]]:
    """Pairs of the words that name a command ("data prepare") and what it takes."""
    for name, parser in parsers.items():
        options: dict[str, Offer | None] = {}
        operands = Offer()
        for action in parser._actions:  # argparse has no other way to ask what a parser takes
            if action.option_strings:
                if action.help is not argparse.SUPPRESS:
                    options[action.option_strings[-1]] = None if action.nargs in (0, argparse.OPTIONAL) else _offer(action)
            elif isinstance(action, argparse._SubParsersAction):
                operands = Offer(words=tuple(action.choices))
                yield from _commands(action.choices, f"{above}{name} ")
            else:
                operands = _offer(action)
        yield f"{above}{name}", Command(options=options, operands=operands)


def _offer(action: argparse.Action) -> Offer:
    metavar = str(action.metavar or "")
    if action.dest == "overrides":
        return Offer(settings=True)
    if action.choices is not None:
        return Offer(words=tuple(map(str, action.choices)))
    if action.dest in PUBLISHED:
        return Offer(words=tuple(PUBLISHED[action.dest]))
    if action.dest in KINDS:
        return Offer(words=tuple(registry_of(KINDS[action.dest]).names()))
    if metavar.endswith(".toml"):
        return Offer(paths="toml")
    if metavar.endswith(("DIR", "FOLDER")):
        return Offer(paths="folders")
    return Offer(paths="files" if action.type is Path or metavar.startswith("FILE") else "")


def _settings() -> Settings:
    """What can stand behind --set: every key with its "=", and "key=value" where the values are words."""
    from byzshield.config import RunConfig
    from byzshield.runtime.optimizers import optimizer_classes
    from byzshield.runtime.schedules import scheduler_classes

    words = {key: registry_of(kind).names() for key, kind in SECTIONS.items()}
    words |= {"optimizer.name": list(optimizer_classes()), "schedule.name": list(scheduler_classes())}
    keys: list[str] = []
    for section, cls in RunConfig.sections().items():
        hints = get_type_hints(cls)
        for entry in fields(cls):
            if entry.name != "options":
                keys.append(f"{section}.{entry.name}")
                words.setdefault(keys[-1], _words(hints[entry.name]))
    for key, kind in SECTIONS.items():
        registry = registry_of(kind)
        own = {keyword for name in registry.names() for keyword in registry.keywords(name)} if kind != "placements" else ()
        keys += sorted(f"{key.partition('.')[0]}.{keyword}" for keyword in own)
    return Settings(
        keys=tuple(f"{key}=" for key in dict.fromkeys(keys)),
        values=tuple(f"{key}={word}" for key, choices in words.items() for word in choices),
    )


def _words(hint: Any) -> list[str]:
    """The words among which a key of the run file chooses."""
    if hint is bool:
        return ["true", "false"]
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint)]
    return [word for part in get_args(hint) for word in _words(part)]
