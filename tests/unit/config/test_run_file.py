"""Run files: what is read, what is refused, and by which name."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from byzshield.config import RunConfig, configuration_hash, dump, from_table, load, resume_hash
from byzshield.errors import ConfigError

REPOSITORY = Path(__file__).parents[3]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs" / "runs").glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_run_file_is_read_and_survives_a_round_trip(path: Path, tmp_path: Path) -> None:
    config = load(path)
    assert load(write(tmp_path, dump(config))) == config


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""))
    assert replace(config, run=replace(config.run, module_dir=None)) == RunConfig()


def test_own_modules_are_in_the_folder_of_the_run_file_also_for_the_run_file_that_a_run_leaves(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""))
    assert config.run.module_dir == str(tmp_path)
    (tmp_path / "runs").mkdir()
    assert load(write(tmp_path / "runs", dump(config))) == config
    assert load(write(tmp_path, "[run]\nmodule_dir = 'mine'\n")).run.module_dir == str(tmp_path / "mine")
    assert load(write(tmp_path, ""), ["run.module_dir=/other"]).run.module_dir == "/other"


def test_epochs_take_the_place_of_the_default_steps(tmp_path: Path) -> None:
    config = load(write(tmp_path, "[run]\nepochs = 3\n"))
    assert (config.run.steps, config.run.epochs) == (None, 3)
    assert load(write(tmp_path, dump(config))) == config
    assert load(write(tmp_path, "[run]\nepochs = 3\n"), ["run.steps=5"]).run.steps == 5


def test_overrides_win_and_are_read_as_toml(tmp_path: Path) -> None:
    path = write(tmp_path, "[run]\nsteps = 5\n[model]\nname = 'mlp'\n")
    config = load(path, ["run.steps=7", "placement.scheme=frc", "model.hidden=[3, 4]", "data.augment=true", "run.name=a b"])
    assert (config.run.steps, config.run.name, config.placement.scheme) == (7, "a b", "frc")
    assert config.model.options == {"hidden": [3, 4]}
    assert config.data.augment is True


def test_naming_another_component_drops_the_own_keywords_of_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path, "[attack]\nname = 'alie'\nz = 1.5\nnum_byzantine = 3\n[run]\nname = 'a'\nseed = 5\n")
    other = load(path, ["attack.value=7", "attack.name=constant", "run.name=b"])
    assert (other.attack.name, other.attack.num_byzantine, other.attack.options) == ("constant", 3, {"value": 7})
    assert (other.run.name, other.run.seed) == ("b", 5)
    assert load(path, ["attack.name=alie"]).attack.options == {"z": 1.5}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"run": {"sed": 1}}, "run.sed: no such key; did you mean 'seed'?"),
        ({"runs": {}}, "runs: no such section; did you mean 'run'?"),
        ({"run": {"zzz": 1}}, "run.zzz: no such key; known: checkpoint_every"),
        ({"run": 3}, "run: must be a section"),
        ({"ballots": {"name": "exact"}}, "ballots: no such section; known: aggregation"),
        ({"attack": {"options": {"z": 1}}}, "attack.options: no such key; known: files, forge_statistics"),
    ],
)
def test_mistakes_are_named_by_their_dotted_key(table: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_table(table)
    assert str(caught.value).startswith(message)


def test_a_byte_order_mark_before_the_run_file_is_no_mistake(tmp_path: Path) -> None:
    assert load(write(tmp_path, "\ufeff[run]\nseed = 7\n")).run.seed == 7


def test_a_missing_file_and_broken_toml_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(write(tmp_path, "[run\n"))
    with pytest.raises(ConfigError, match="is not TOML"):
        load(write(tmp_path, f"[run]\nseed = {'1' * 5000}\n"))


@pytest.mark.parametrize("override", ["steps=3", "run.steps", "=3", "run.=3"])
def test_overrides_of_another_form_are_refused(override: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load(write(tmp_path, ""), [override])


def test_the_hash_follows_results_not_names() -> None:
    base = from_table({"run": {"seed": 1}})
    assert configuration_hash(base) == configuration_hash(
        from_table({"run": {"name": "other", "steps": 7}, "data": {"root": "/x"}})
    )
    assert configuration_hash(base) != configuration_hash(from_table({"run": {"seed": 2}}))
    assert configuration_hash(base) != configuration_hash(from_table({"model": {"hidden": [3]}}))


def test_the_keys_that_do_not_count_for_the_hash() -> None:
    changes: dict[str, dict[str, object]] = {
        "run": {"name": "b", "seed": 2, "steps": 7, "eval_every": 1, "checkpoint_every": 1, "output_dir": "b", "module_dir": "b"},
        "data": {"name": "b", "root": "/b", "batch_size": 7, "augment": True},
        "metrics": {"log_every": 1, "csv": True, "tensorboard": True, "prometheus": "/b"},
    }
    base = configuration_hash(RunConfig())
    free = {
        f"{section}.{key}"
        for section, values in changes.items()
        for key, value in values.items()
        if configuration_hash(from_table({section: {key: value}})) == base
    }
    assert free == {
        "run.name", "run.steps", "run.eval_every", "run.checkpoint_every", "run.output_dir", "run.module_dir",
        "data.root", "metrics.log_every", "metrics.csv", "metrics.tensorboard", "metrics.prometheus",
    }  # fmt: skip


def test_what_has_its_default_is_not_in_the_hash_of_a_checkpoint() -> None:
    """Or no run could be resumed by a version that has one more key."""
    assert resume_hash(RunConfig()) == hashlib.sha256(b"{}").hexdigest()
    config = from_table(
        {"run": {"seed": 2}, "model": {"hidden": [3]}, "optimizer": {"lr": 1, "groups": [{"max_ndim": 1, "lr": 1}]}}
    )
    kept = b'{"model.hidden": [3], "optimizer.groups": [{"max_ndim": 1}], "run.seed": 2}'
    assert resume_hash(config) == hashlib.sha256(kept).hexdigest()
