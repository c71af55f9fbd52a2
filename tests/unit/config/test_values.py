"""Every limit on a key: the same refusal from a file, from --set and in Python; the limits themselves are accepted."""

import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from byzshield.config import RunConfig, from_table, load
from byzshield.config.section import constraint_of
from byzshield.config.values import alternatives
from byzshield.errors import ConfigError

SECTIONS = RunConfig.sections()
LONG = "9223372036854775808"  # 2^63

# key, bad value as TOML, the message behind the key
NAME = "must be a folder's name of 1 to 200 characters, no slash or control character among them"
REFUSED = [
    ("run.name", '""', f"{NAME}; got ''"),
    ("run.name", '".."', f"{NAME}; got '..'"),
    ("run.name", '"a/b"', f"{NAME}; got 'a/b'"),
    ("run.name", '"a\\nb"', f"{NAME}; got 'a\\nb'"),
    ("run.name", f'"{201 * "a"}"', f"{NAME}; got {201 * 'a'!r}"),
    ("run.name", "3", "must be text; got 3"),
    ("run.name", "1979-05-27", "must be text; got datetime.date(1979, 5, 27)"),
    ("run.name", '"a\\u0000"', r"must be text without NUL characters and broken UTF-8; got 'a\x00'"),
    ("run.seed", "-1", "must be at least 0; got -1"),
    ("run.seed", LONG, "must fit into 64 bits, as every whole number of TOML"),
    ("run.seed", "1.0", "must be a whole number; got 1.0"),
    ("run.steps", "0", "must be at least 1; got 0"),
    ("run.steps", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("run.steps", '"ten"', "must be a whole number; got 'ten'"),
    ("run.steps", "true", "must be a whole number; got True"),
    ("run.steps", "nan", "must be finite; got nan"),
    ("run.epochs", "0", "must be at least 1; got 0"),
    ("run.epochs", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("run.epochs", "1.5", "must be a whole number; got 1.5"),
    ("run.eval_every", "-1", "must be at least 0; got -1"),
    ("run.eval_every", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("run.checkpoint_every", "-1", "must be at least 0; got -1"),
    ("run.checkpoint_every", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("run.keep_checkpoints", "-1", "must be at least 0; got -1"),
    ("run.keep_checkpoints", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("run.output_dir", "[]", "must be text; got []"),
    ("run.module_dir", "3", "must be text; got 3"),
    ("run.start_from", "3", "must be text; got 3"),
    ("run.start_step", "-1", "must be at least 0; got -1"),
    ("run.start_step", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("cluster.num_workers", "0", "must be at least 1; got 0"),
    ("cluster.num_workers", "65536", "must be at most 65535; got 65536"),
    ("cluster.num_workers", '"15"', "must be a whole number; got '15'"),
    ("cluster.num_threads", "0", "must be at least 1; got 0"),
    ("cluster.num_threads", "1000000", "must be at most 1024; got 1000000"),
    ("cluster.device", '"gpu"', "must be 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'gpu'"),
    ("cluster.device", '"cuda:100"', "must be 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'cuda:100'"),
    ("cluster.device", '"cuda:01"', "must be 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'cuda:01'"),
    ("cluster.device", '"cuda:-1"', "must be 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'cuda:-1'"),
    ("cluster.precision", '"float16"', "must be 'float32' or 'bfloat16'; got 'float16'"),
    ("aggregation.device", '"cuda:a"', "must be 'cpu', 'cuda', 'cuda:N' or 'auto'; got 'cuda:a'"),
    ("cluster.exchange", '"fast"', "must be 'digest' or 'full' or 'coded'; got 'fast'"),
    ("cluster.exchange", "true", "must be 'digest' or 'full' or 'coded'; got True"),
    ("cluster.max_skipped", "-1", "must be at least 0; got -1"),
    ("cluster.max_skipped", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("cluster.quorum", "-0.1", "must be at least 0; got -0.1"),
    ("cluster.quorum", "5", "must be at most 1; got 5"),
    ("cluster.quorum", "nan", "must be finite; got nan"),
    ("cluster.quorum", "inf", "must be finite; got inf"),
    ("cluster.quorum", "true", "must be a number; got True"),
    ("cluster.round_timeout", "0", "must be at least 0.001; got 0"),
    ("cluster.round_timeout", "1e9", "must be at most 1000000; got 1000000000.0"),
    ("cluster.round_timeout", "-inf", "must be finite; got -inf"),
    ("cluster.round_timeout", LONG, "must fit into 64 bits, as every whole number of TOML"),
    ("cluster.startup_timeout", "0", "must be at least 0.001; got 0"),
    ("cluster.startup_timeout", "1e9", "must be at most 1000000; got 1000000000.0"),
    ("cluster.compression", '"gzip"', "must be 'auto' or 'on' or 'off'; got 'gzip'"),
    ("cluster.chunk_elements", "0", "must be at least 1; got 0"),
    ("cluster.chunk_elements", "268435457", "must be at most 268435456; got 268435457"),
    ("data.name", "1", "must be text; got 1"),
    ("data.root", "false", "must be text; got False"),
    ("data.batch_size", "0", "must be at least 1; got 0"),
    ("data.batch_size", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("data.augment", "1", "must be true or false; got 1"),
    ("data.split", '"sorted"', "must be 'none' or 'iid' or 'label_sorted' or 'gamma' or 'dirichlet'; got 'sorted'"),
    ("data.gamma", "-0.1", "must be at least 0; got -0.1"),
    ("data.gamma", "1.1", "must be at most 1; got 1.1"),
    ("data.alpha", "0", "must be at least 0.001; got 0"),
    ("data.alpha", "1e7", "must be at most 1000000; got 10000000.0"),
    ("model.name", "{}", "must be text; got {}"),
    ("placement.scheme", "3", "must be text; got 3"),
    ("placement.load", "0", "must be at least 1; got 0"),
    ("placement.load", "1025", "must be at most 1024; got 1025"),
    ("placement.replication", "-3", "must be at least 1; got -3"),
    ("placement.replication", "257", "must be at most 255; got 257"),
    ("placement.m", "0", "must be at least 1; got 0"),
    ("placement.m", "1025", "must be at most 1024; got 1025"),
    ("placement.path", "1", "must be text; got 1"),
    ("aggregation.rule", "1", "must be text; got 1"),
    ("aggregation.pre", '"nnm"', "must be a list, each entry text or a table; got 'nnm'"),
    ("aggregation.pre", "[3]", "must be a list, each entry text or a table; got [3]"),
    ("loss.name", "1", "must be text; got 1"),
    ("loss.takes", '"input"', "must be 'output' or 'model'; got 'input'"),
    ("audit.arbitrate", "1", "must be true or false; got 1"),
    ("audit.rate", "-0.1", "must be at least 0; got -0.1"),
    ("audit.rate", "1.1", "must be at most 1; got 1.1"),
    ("audit.rate", '"often"', "must be a number or 'idle'; got 'often'"),
    ("audit.by", '"nobody"', "must be 'server' or 'workers'; got 'nobody'"),
    ("audit.expel", '"always"', "must be 'proof' or 'never'; got 'always'"),
    ("audit.probation", "-1", "must be at least 0; got -1"),
    ("audit.probation", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("audit.rollback", "1", "must be true or false; got 1"),
    ("audit.clean_steps", "0", "must be at least 1; got 0"),
    ("audit.clean_steps", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("audit.seed", "-1", "must be at least 0; got -1"),
    ("audit.seed", LONG, "must fit into 64 bits, as every whole number of TOML"),
    ("audit.record", "1", "must be true or false; got 1"),
    ("vote.name", '"most"', "must be 'exact' or 'aspis'; got 'most'"),
    ("vote.num_byzantine", "-1", "must be at least 0; got -1"),
    ("vote.num_byzantine", "65536", "must be at most 65535; got 65536"),
    ("vote.window", "0", "must be at least 1; got 0"),
    ("vote.window", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("placement.permute", "1", "must be true or false; got 1"),
    ("attack.files", '"some"', "must be 'all' or 'majority' or 'disagreement'; got 'some'"),
    ("aggregation.num_corrupted", "-1", "must be at least 0; got -1"),
    ("aggregation.num_corrupted", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("aggregation.num_corrupted", '"all"', "must be a whole number or 'auto'; got 'all'"),
    ("aggregation.num_corrupted", "1.5", "must be a whole number or 'auto'; got 1.5"),
    ("aggregation.winners_mib", "0", "must be at least 1; got 0"),
    ("aggregation.winners_mib", "1073741825", "must be at most 1073741824; got 1073741825"),
    ("aggregation.winners_mib", '"all"', "must be a whole number or 'auto'; got 'all'"),
    ("aggregation.momentum", "-0.1", "must be at least 0; got -0.1"),
    ("aggregation.momentum", "1", "must be at most 0.9999; got 1"),
    ("aggregation.momentum_form", '"mean"', "must be 'ema' or 'sum'; got 'mean'"),
    ("attack.name", "[]", "must be text; got []"),
    ("attack.num_byzantine", "-1", "must be at least 0; got -1"),
    ("attack.num_byzantine", "65536", "must be at most 65535; got 65536"),
    ("attack.num_byzantine", "false", "must be a whole number; got False"),
    (
        "attack.selection",
        '"best"',
        "must be 'worst' or 'random' or 'first' or 'fixed' or 'detox_worst' or 'detox_benign' or 'detox_whole_group'; got 'best'",
    ),
    ("attack.redraw_every", "-1", "must be at least 0; got -1"),
    ("attack.redraw_every", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("attack.redraw_every", "1.5", "must be a whole number; got 1.5"),
    ("attack.workers", "3", "must be a list, each entry a whole number; got 3"),
    ("attack.workers", '[1, "2"]', "must be a list, each entry a whole number; got [1, '2']"),
    ("attack.workers", "[true]", "must be a list, each entry a whole number; got [True]"),
    ("attack.knowledge", '"none"', "must be 'own' or 'omniscient'; got 'none'"),
    ("attack.forge_statistics", "1", "must be true or false; got 1"),
    ("optimizer.name", "1", "must be text; got 1"),
    ("optimizer.groups", "{match = ['a']}", "must be a list, each entry a table; got {'match': ['a']}"),
    ("optimizer.groups", "['a']", "must be a list, each entry a table; got ['a']"),
    ("optimizer.clip_norm", "0", "must be at least 1e-09; got 0"),
    ("optimizer.clip_norm", "1e10", "must be at most 1000000000.0; got 10000000000.0"),
    ("optimizer.accumulate", "0", "must be at least 1; got 0"),
    ("optimizer.accumulate", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("optimizer.lr", "-1", "must be at least 0; got -1"),
    ("optimizer.lr", "1e7", "must be at most 1000000; got 10000000.0"),
    ("optimizer.lr", "inf", "must be finite; got inf"),
    ("optimizer.lr", '"0.1"', "must be a number; got '0.1'"),
    ("schedule.name", "1", "must be text; got 1"),
    ("metrics.log_every", "-1", "must be at least 0; got -1"),
    ("metrics.log_every", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("evaluation.metrics", '"accuracy"', "must be 'auto' or a list, each entry text; got 'accuracy'"),
    ("evaluation.metrics", "[1]", "must be 'auto' or a list, each entry text; got [1]"),
    ("evaluation.batch_size", "0", "must be at least 1; got 0"),
    ("evaluation.batch_size", "2147483648", "must be at most 2147483647; got 2147483648"),
    ("metrics.csv", "1", "must be true or false; got 1"),
    ("metrics.tensorboard", '"runs"', "must be true or false; got 'runs'"),
    ("metrics.prometheus", "1", "must be true or false or text; got 1"),
    # a component's own keywords
    ("optimizer.momentum", "nan", "must be finite; got nan"),
    ("attack.z", "-inf", "must be finite; got -inf"),
    ("attack.z", "1979-05-27", "must be text, a number, true or false, a list or a table; got datetime.date(1979, 5, 27)"),
    ("model.hidden", LONG, "must fit into 64 bits, as every whole number of TOML"),
]
# the message names what is inside the list or table, too
REFUSED_INSIDE = [
    ("attack.workers", "[1, -1]", "attack.workers[1]: must be at least 0; got -1"),
    ("attack.workers", "[65536]", "attack.workers[0]: must be at most 65535; got 65536"),
    ("model.hidden", "[8, nan]", "model.hidden[1]: must be finite; got nan"),
    ("model.hidden", "{a = [{b = inf}]}", "model.hidden.a[0].b: must be finite; got inf"),
    (
        "aggregation.pre",
        '["nnm", {name = "static_clipping", max_norm = nan}]',
        "aggregation.pre[1].max_norm: must be finite; got nan",
    ),
]
CASES = [(dotted, text, f"{dotted}: {message}") for dotted, text, message in REFUSED] + REFUSED_INSIDE


def from_file(dotted: str, text: str, tmp_path: Path) -> RunConfig:
    section, _, key = dotted.partition(".")
    path = tmp_path / "run.toml"
    path.write_text(f"[{section}]\n{key} = {text}\n")
    return load(path)


def from_override(dotted: str, text: str, tmp_path: Path) -> RunConfig:
    path = tmp_path / "run.toml"
    path.write_text("")
    return load(path, [f"{dotted}={text}"])


def from_python(dotted: str, text: str, _: Path) -> Any:
    section, _, key = dotted.partition(".")
    value = tomllib.loads(f"value = {text}")["value"]
    return SECTIONS[section](**({key: value} if key in SECTIONS[section].known_keys() else {"options": {key: value}}))


@pytest.mark.parametrize("made", [from_file, from_override, from_python])
@pytest.mark.parametrize(("dotted", "text", "message"), CASES)
def test_a_bad_value_is_refused_with_its_key(
    made: Callable[[str, str, Path], object], dotted: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        made(dotted, text, tmp_path)
    assert str(caught.value) == message


def limits() -> list[tuple[str, float, float]]:
    constraints = [(f"{name}.{entry.name}", constraint_of(entry)) for name, cls in SECTIONS.items() for entry in fields(cls)]
    return [(dotted, c.least, c.most) for dotted, c in constraints if c.least is not None and c.most is not None]


@pytest.mark.parametrize(("dotted", "least", "most"), limits())
def test_the_ends_of_a_range_are_in_it_and_both_have_a_row_above(dotted: str, least: float, most: float) -> None:
    section, _, key = dotted.partition(".")
    for end in (least, most):
        value: Any = [end] if dotted == "attack.workers" else end
        kept = getattr(getattr(from_table({section: {key: value}}), section), key)
        assert kept == (tuple(value) if isinstance(value, list) else value)
    messages = [message for row, _, message in CASES if row == dotted]
    assert any("must be at least" in message for message in messages)
    assert any("must be at most" in message or "64 bits" in message for message in messages)


def test_every_key_has_a_row_above() -> None:
    keys = {f"{name}.{key}" for name, section in SECTIONS.items() for key in section.known_keys()}
    assert keys <= {dotted for dotted, _, _ in CASES}


@pytest.mark.parametrize(
    ("dotted", "choice"),
    [
        (f"{name}.{key}", choice)
        for name, section in SECTIONS.items()
        for key, hint in get_type_hints(section).items()
        for alternative in alternatives(hint)
        if get_origin(alternative) is Literal
        for choice in get_args(alternative)
    ],
)
def test_every_choice_is_accepted(dotted: str, choice: str, tmp_path: Path) -> None:
    section, _, key = dotted.partition(".")
    assert getattr(getattr(from_override(dotted, f'"{choice}"', tmp_path), section), key) == choice


@pytest.mark.parametrize("options", [{"name": "constant"}, {"options": 1}, {3: 1}, {"z": None}, {"z": object()}])
def test_options_in_python_are_those_that_a_file_could_hold(options: dict[Any, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^attack\."):
        SECTIONS["attack"](options=options)


def test_a_section_of_another_type_is_refused_in_python() -> None:
    with pytest.raises(ConfigError, match=r"^run: must be a RunSection; got 3"):
        RunConfig(run=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^attack: must be a table; got 3"):
        SECTIONS["attack"](options=3)


def test_numbers_and_lists_have_the_types_that_the_fields_say() -> None:
    config = from_table({"optimizer": {"lr": 1}, "attack": {"workers": [1, 2]}})
    assert isinstance(config.optimizer.lr, float)
    assert config.attack.workers == (1, 2)


def test_keywords_of_a_schedule_without_a_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^schedule\.name: is required, or nobody takes T_max"):
        from_table({"schedule": {"T_max": 3}})
