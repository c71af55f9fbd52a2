"""What a shell can complete, as scripts: the tables are the same for bash and zsh, and each has its own way to use them."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["SCRIPTS", "Command", "Offer", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What one word of a command line can be; nothing at all for a number.

    Args:
        words: one of these.
        paths: the path of any file, of a folder or of a file *.toml.
        settings: a KEY=VALUE.
    """

    words: tuple[str, ...] = ()
    paths: Literal["", "files", "folders", "toml"] = ""
    settings: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command takes.

    Args:
        options: what follows each option; None for nothing.
        operands: what stands without an option.
    """

    options: Mapping[str, Offer | None]
    operands: Offer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can stand behind --set.

    Args:
        keys: "section.key=".
        values: "section.key=word".
    """

    keys: tuple[str, ...]
    values: tuple[str, ...]


Commands = Mapping[str, Command]

BASH: Final = """\
_byzshield() {{
    local word previous piece i taken=() command="" options="" list="" paths="" settings=""
    for ((i = 1; i <= COMP_CWORD; i++)); do
        piece=${{COMP_WORDS[i]}}
        if ((i > 1)) && [[ $piece == [=:] || ${{COMP_WORDS[i - 1]}} == [=:] ]]; then
            taken[${{#taken[@]}} - 1]+=$piece # bash makes three words of KEY=VALUE
        else
            taken+=("$piece")
        fi
    done
    word=${{taken[${{#taken[@]}} - 1]}}
    previous=""
    for piece in "${{taken[@]:0:${{#taken[@]}} - 1}}"; do
        previous=$piece
{known}
    done
{tables}
    if [[ $settings && $word == *=* ]]; then
        list={values}
    elif [[ $settings ]]; then
        list={keys}
        compopt -o nospace
    elif [[ $word == -* ]]; then
        list=$options paths=""
    fi
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
    if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then # only what is behind the "=" is replaced
        COMPREPLY=("${{COMPREPLY[@]#*=}}")
    fi
    if [[ $paths ]]; then
        compopt -o filenames
        case $paths in
            files) mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -f -- "$word") ;;
            toml) mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -f -X "!*.toml" -- "$word"; compgen -d -- "$word") ;;
            folders) mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -d -- "$word") ;;
        esac
    fi
}}
complete -F _byzshield byzshield
"""

ZSH: Final = """\
#compdef byzshield
_byzshield() {{
    local word=$words[CURRENT] previous=$words[CURRENT-1] piece command="" options="" list="" paths="" settings=""
    for piece in "${{(@)words[2,CURRENT-1]}}"; do
{known}
    done
{tables}
    if [[ -n $settings && $word == *=* ]]; then
        list={values}
    elif [[ -n $settings ]]; then
        list={keys}
        compadd -S "" -- ${{=list}}
        return
    elif [[ $word == -* ]]; then
        list=$options paths=""
    fi
    compadd -- ${{=list}}
    case $paths in
        files) _files ;;
        toml) _files -g "*.toml" ;;
        folders) _files -/ ;;
    esac
}}
if [[ $funcstack[1] == _byzshield ]]; then
    _byzshield "$@" # the first time that it is called, after zsh has found it in fpath
else
    compdef _byzshield byzshield
fi
"""


def bash(commands: Commands, settings: Settings) -> str:
    """A script that bash sources."""
    return BASH.format(**_tables(commands, settings))


def zsh(commands: Commands, settings: Settings) -> str:
    """A script that zsh sources, or finds in its fpath."""
    return ZSH.format(**_tables(commands, settings))


def fish(commands: Commands, settings: Settings) -> str:
    """A script that fish sources."""
    lines = ["complete -c byzshield -f"]
    for name, command in commands.items():
        below = " ".join(other.split()[-1] for other in commands if name and other.startswith(f"{name} "))
        here = f"__fish_seen_subcommand_from {name.split()[-1]}" if name else "__fish_use_subcommand"
        here += f"; and not __fish_seen_subcommand_from {below}" if below else ""
        start = f"complete -c byzshield -n {shlex.quote(here)}"
        lines += [f"{start} {_fish_offer(command.operands, settings)}"] * (command.operands != Offer())
        for option, offer in command.options.items():
            lines.append(f"{start} -l {option.lstrip('-')}" + ("" if offer is None else f" -r {_fish_offer(offer, settings)}"))
    return "\n".join(lines) + "\n"


SCRIPTS: Final[Mapping[str, Callable[[Commands, Settings], str]]] = {"bash": bash, "fish": fish, "zsh": zsh}


def _fish_offer(offer: Offer, settings: Settings) -> str:
    if offer.paths == "files":
        return "-F"
    if offer.paths:
        return "-k -a '(__fish_complete_suffix .toml)'" if offer.paths == "toml" else "-a '(__fish_complete_directories)'"
    return f"-f -a {_list((*settings.keys, *settings.values) if offer.settings else offer.words)}"


def _tables(commands: Commands, settings: Settings) -> dict[str, str]:
    """For bash and zsh: which words are a command, and what follows an option of it or stands without one."""
    # Quoted always: `command=export` looks like a mistake.
    known = "\n".join(f"            {shlex.quote(name)}) command='{name}' ;;" for name in commands if name)
    after: dict[str, list[str]] = {}
    for name, command in commands.items():
        for option, offer in command.options.items():
            if offer is not None:
                after.setdefault(_assignments(offer), []).append(shlex.quote(f"{name}:{option}"))
    branches = [f"        {' | '.join(places)}) {values or ':'} ;;" for values, places in after.items()]
    plain = [
        f"                {shlex.quote(name)}) options={_list(command.options)} {_assignments(command.operands)} ;;"
        for name, command in commands.items()
    ]
    tables = ['    case "$command:$previous" in', *branches, "        *)", '            case "$command" in', *plain]
    return {
        "known": f'        case "${{command:+$command }}$piece" in\n{known}\n        esac',
        "tables": "\n".join([*tables, "            esac", "            ;;", "    esac"]),
        "keys": _list(settings.keys),
        "values": _list(settings.values),
    }


def _assignments(offer: Offer) -> str:
    parts = {"list": offer.words and " ".join(offer.words), "paths": offer.paths, "settings": offer.settings and "yes"}
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in parts.items() if value)


def _list(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))
