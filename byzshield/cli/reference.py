"""docs/run_file.md: every key of a run file, from the dataclasses of the configuration and the registries of the components.

Run as `python -m byzshield.cli.reference > docs/run_file.md`.
"""

import inspect
import json
import re
import textwrap
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from byzshield.cli.listing import registry_of
from byzshield.config import RunConfig
from byzshield.config.section import Constraint, Section, constraint_of
from byzshield.config.values import alternatives, describe

__all__ = ["COMMAND", "page"]

COMMAND: Final = "python -m byzshield.cli.reference > docs/run_file.md"
KINDS: Final = {
    "placements": (
        "Placements",
        "Named by `placement.scheme`; the sizes are keys of `[placement]`, and `num_workers` is one of `[cluster]`.",
    ),
    "aggregators": ("Rules", "Named by `aggregation.rule`. A `seed` that is left out is `run.seed`."),
    "pre-aggregators": ("Pre-aggregators", "Named in `aggregation.pre`. A `seed` that is left out is `run.seed`."),
    "attacks": ("Attacks", "Named by `attack.name`."),
    "models": ("Models", "Named by `model.name`."),
    "datasets": (
        "Data sets",
        "Named by `data.name`. A function of your own may also return a pair (train, test): of map-style data sets of torch, or "
        "of pairs of arrays, (inputs, targets).",
    ),
    "losses": ("Losses", "Named by `loss.name`."),
    "metrics": ("Metrics", "Named in `evaluation.metrics`; the run's files have them as `test_NAME`."),
}
INTRODUCTION: Final = f"""\
<!-- Written by: {COMMAND} -->

# The run file

A run file is TOML with the sections below; whatever is left out has its default. `--set section.key=value` overrides a key, and
naming another component (`--set attack.name=constant`) drops the own keywords of the old one. A mistake is named by its dotted
key, before anything is started. Numbers are finite and fit into 64 bits. In Python, `byzshield.config.RunConfig` and its sections
check themselves in the same way.
"""
RESUMING: Final = """\
## Going on from a checkpoint

`--resume` with another value of a key than the run was begun with is refused, and the message names what differs, except for the
keys below. How the server moves the parameters may change: `--resume --set optimizer.lr=0.01` trains on with that rate, and the
`lr` of metrics.jsonl shows from which step. The schedule then is where it would be had it had the new values from the start; what
the optimizer remembers (momentum, for instance) stays.
"""
FREE: Final = "Results do not depend on"
CHANGING: Final = "Results depend on these, which hold from the step on at which they have changed"
COMPONENTS: Final = """\
These are the keywords of each component that a section takes besides its keys; `byzshield list` prints them, too. Outside this
package, a component of your own is named "module:attribute".
"""


def page() -> str:
    """The whole document."""
    sections = RunConfig.sections()
    entries = {f"{name}.{entry.name}": entry for name, section in sections.items() for entry in fields(section)}
    constraints = {dotted: constraint_of(entry) for dotted, entry in entries.items()}
    free = [f"`{dotted}`" for dotted, constraint in constraints.items() if not constraint.hashed]
    changing = [_changing(dotted, constraint) for dotted, constraint in constraints.items() if constraint.may_change]
    parts = [INTRODUCTION, RESUMING, *map(_paragraph, ((FREE, free), (CHANGING, changing)))]
    parts += ["## Sections\n", *map(_section, sections.values()), "## Components\n", COMPONENTS, *map(_kind, KINDS)]
    return "\n".join(parts)


def _changing(dotted: str, constraint: Constraint) -> str:
    section, _, key = dotted.partition(".")
    words = f"the own keywords of `[{section}]`" if key == "options" else f"`{dotted}`"
    return words + (f" (all but {' and '.join(f'`{fixed}`' for fixed in constraint.fixed)})" if constraint.fixed else "")


def _paragraph(said: tuple[str, list[str]]) -> str:
    return textwrap.fill(f"{said[0]}: {', '.join(said[1])}.", width=128) + "\n"


@dataclass(frozen=True, kw_only=True)
class Docstring:
    """The parts of a Google-style docstring.

    Args:
        summary: the first paragraph, on one line.
        arguments: what "Args:" says of each, on one line.
        example: what follows "Example:", as it stands there.
    """

    summary: str
    arguments: dict[str, str]
    example: str

    @classmethod
    def of(cls, documented: Any) -> "Docstring":
        """Reads the docstring of a class or function."""
        head, *rest = re.split(r"^(\w+):\n", inspect.getdoc(documented) or "", flags=re.MULTILINE)
        blocks = dict(zip(rest[::2], map(inspect.cleandoc, rest[1::2]), strict=True))
        entries = re.split(r"^(\w+): ", blocks.get("Args", ""), flags=re.MULTILINE)[1:]
        arguments = {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
        return cls(summary=" ".join(head.split("\n\n")[0].split()), arguments=arguments, example=blocks.get("Example", ""))


def _section(section: type[Section]) -> str:
    docstring, types = Docstring.of(section), get_type_hints(section)
    rows = ["| key | type | default | range | meaning |", "|---|---|---|---|---|"]
    for entry in fields(section):
        if entry.name != "options":
            limits = _range(constraint_of(entry))
            cells = [
                f"`{entry.name}`",
                _type(types[entry.name]),
                _default(entry.default),
                limits,
                docstring.arguments[entry.name],
            ]
            rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([f"### [{section.title()}]\n", docstring.summary, "", *rows, "", f"```toml\n{docstring.example}\n```\n"])


def _kind(kind: str) -> str:
    registry, (heading, introduction) = registry_of(kind), KINDS[kind]
    lines = [f"### {heading}\n", introduction, ""]
    for name in registry.names():
        docstring = Docstring.of(registry.get(name))
        lines.append(f"- `{name}`: {docstring.summary}")
        for keyword, parameter in registry.keywords(name).items():
            default = "required" if parameter.default is parameter.empty else f"default {_default(parameter.default)}"
            lines.append(f"  - `{keyword}` ({default}): {docstring.arguments[keyword]}")
    return "\n".join([*lines, ""])


def _type(hint: Any) -> str:
    words = [describe(choice) for choice in alternatives(hint) if get_origin(choice) is not Literal and choice is not type(None)]
    choices = [
        f"`{json.dumps(word)}`" for choice in alternatives(hint) if get_origin(choice) is Literal for word in get_args(choice)
    ]
    return " or ".join([*words, *choices])


def _default(value: Any) -> str:
    return "none" if value is None else f"`{json.dumps(value)}`"


def _range(constraint: Constraint) -> str:
    if constraint.form is not None:
        return constraint.form.words
    if constraint.least is None or constraint.most is None:
        return ""
    return f"{_number(constraint.least)} to {_number(constraint.most)}"


def _number(number: float) -> str:
    """A limit in digits, or as a power of two where it is a large one."""
    if isinstance(number, int) and number >= 2**16 - 1:
        for value, ending in ((number, ""), (number + 1, " - 1")):
            if value.bit_count() == 1:
                return f"2^{value.bit_length() - 1}{ending}"
    return str(number)


if __name__ == "__main__":
    print(page(), end="")
