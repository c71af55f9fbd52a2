"""Sweep files: which cells they stand for, and what is refused before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from byzshield.config import load, load_sweep
from byzshield.errors import ConfigError

REPOSITORY = Path(__file__).parents[3]
SWEEPS = sorted((REPOSITORY / "configs" / "sweeps").glob("*.toml"))
PUBLISHED = [path for path in SWEEPS if path.stem.startswith(("byzshield_", "detox_"))]
BASE = """
[run]
steps = 9
[attack]
name = "alie"
z = 1.5
num_byzantine = 3
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my_sweep.toml"
    path.write_text(text if "base =" in text else f'base = "base.toml"\n{text}')
    return path


def test_cells_are_all_combinations_and_the_last_axis_is_the_fastest(tmp_path: Path) -> None:
    sweep = load_sweep(write(tmp_path, '[grid]\nattack.num_byzantine = [1, 2]\n"run.seed" = [7, 8]\n'))
    assert [(cell.config.attack.num_byzantine, cell.config.run.seed) for cell in sweep.cells] == [(1, 7), (1, 8), (2, 7), (2, 8)]
    assert sweep.axes == ("attack.num_byzantine", "run.seed")
    assert sweep.directory == Path("runs/my_sweep")
    assert sweep.cells[0].directory.parent == sweep.directory
    assert sweep.cells[0].name.startswith("num_byzantine=1-seed=7-")
    assert all(cell.config.attack.options == {"z": 1.5} and cell.config.run.steps == 9 for cell in sweep.cells)


def test_an_entry_with_a_label_sets_several_keys_at_once(tmp_path: Path) -> None:
    text = """
    [grid]
    system = [
        {label = "a/b c", placement.scheme = "frc", "optimizer.lr" = 0.5},
        {label = "plain", placement.scheme = "baseline", attack.name = "constant"},
    ]
    """
    first, second = load_sweep(write(tmp_path, text)).cells
    assert (first.config.placement.scheme, first.config.optimizer.lr, first.settings) == ("frc", 0.5, {"system": "a/b c"})
    assert first.name.startswith("a_b_c-")
    assert (second.config.attack.name, second.config.attack.options) == ("constant", {})


def test_a_preset_changes_keys_and_takes_the_place_of_axes_and_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text("[run]\nsteps = 2\n[attack]\nname = 'alie'\n")
    text = """
    base = "base.toml"
    [set]
    attack.z = 2.0
    [grid]
    run.seed = [1, 2, 3]
    model.name = ["lenet", "mlp"]
    [preset.tiny]
    base = "small.toml"
    run.seed = [5]
    model.name = "mlp"
    attack.z = 3.0
    """
    path = write(tmp_path, text)
    assert len(load_sweep(path).cells) == 6
    (cell,) = load_sweep(path, preset="tiny").cells
    assert (cell.config.run.seed, cell.config.model.name, cell.config.run.steps) == (5, "mlp", 2)
    assert cell.config.attack.options == {"z": 3.0}
    overridden = load_sweep(path, preset="tiny", overrides=["run.seed=[6, 7]", "attack.z=4", "run.output_dir=/results"])
    assert [(cell.config.run.seed, cell.config.attack.options["z"]) for cell in overridden.cells] == [(6, 4), (7, 4)]
    assert overridden.directory == Path("/results/my_sweep")


def test_a_folder_is_named_for_all_that_its_results_depend_on(tmp_path: Path) -> None:
    path = write(tmp_path, "[grid]\nrun.seed = [1]\n")
    (cell,) = load_sweep(path).cells
    for override, same in (
        ("metrics.log_every=1", True),
        ("run.checkpoint_every=3", True),
        ("run.steps=8", False),
        ("run.epochs=1", False),
        ("attack.z=2", False),
    ):
        (other,) = load_sweep(path, overrides=[override]).cells
        assert (other.name == cell.name) == same


def test_the_steps_of_a_cell_are_known_without_its_data_unless_it_has_epochs(tmp_path: Path) -> None:
    sweep = load_sweep(write(tmp_path, "[grid]\nrun.seed = [1]\n[preset.long]\nrun.epochs = 3\n"))
    assert [cell.steps for cell in sweep.cells] == [9]
    sweep = load_sweep(tmp_path / "my_sweep.toml", preset="long")
    assert [(cell.steps, cell.config.run.steps) for cell in sweep.cells] == [(None, 9)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "grid: is required"),
        ("[grid]\n", "grid: is required"),
        ("[gird]\n", "gird: no such key of a sweep file; did you mean 'grid'?"),
        ("base = 3\n[grid]\nrun.seed = [1]\n", "base: must be the path of a run file"),
        ('base = "none.toml"\n[grid]\nrun.seed = [1]\n', "none.toml cannot be read"),
        ("[grid]\nrun.seed = 1\n", "grid.run.seed: must be a list"),
        ("[grid]\nrun.seed = []\n", "grid.run.seed: must be a list with at least one entry"),
        ("[grid]\nrun.seed = [1, 2, 1]\n", "grid.run.seed: each entry may stand there once; 1 is repeated"),
        ('[grid]\nrun.seed = [1]\n"run.seed" = [2]\n', "grid.run.seed: is there twice"),
        ("[grid]\nrun.sed = [1]\n", "run.sed: no such key; did you mean 'seed'?"),
        ("[grid]\nrun.seed = [1, -1]\n", "cell seed=-1: run.seed: must be at least 0; got -1"),
        ("[grid]\nrun.name = ['a']\n", "run.name cannot vary"),
        ("[grid]\nrun.output_dir = ['a']\n", "run.output_dir cannot vary"),
        ("[set]\nrun.name = 'a'\n[grid]\nrun.seed = [1]\n", "run.name: a sweep names the folders of its cells itself"),
        ("[grid]\nsystem = [{placement.scheme = 'frc'}]\n", "grid.system[0].label: each table needs a label"),
        ("[grid]\nsystem = [{label = 'a', seed = 1}]\n", "grid.system[0]: keys are written section.key; got 'seed'"),
        ("[grid]\nsystem = [1]\n", "grid.system[0]: must be a table"),
        ("[grid]\nrun.seed = [1]\nsystem = [{label = 'a', run.seed = 2}]\n", "run.seed is also set by grid.run.seed"),
        (
            f"[grid]\nrun.seed = {list(range(101))}\nrun.steps = {list(range(1, 101))}\n",
            "at most 10000 cells; this one has 10100",
        ),
        ("name = 'a/b'\n[grid]\nrun.seed = [1]\n", "run.name: must be a folder's name"),
        ("[grid]\nrun.seed = [1]\n[preset.tine]\n", "has no preset 'tiny'; did you mean 'tine'?"),
        ("[grid]\nrun.seed = [1]\n", "has no preset 'tiny'; it has none"),
        ("preset = 1\n[grid]\nrun.seed = [1]\n", "preset: must be tables"),
        ("[grid]\nrun.seed = [1]\n[preset.tiny]\nrun.seed = []\n", "grid.run.seed: must be a list with at least one entry"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_sweep(write(tmp_path, text), preset="tiny" if "tiny" in message or "tiny" in text else None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted({*SWEEPS} - {*PUBLISHED}), ids=lambda path: path.stem)
def test_other_sweeps_run_on_a_laptop_as_they_are(path: Path) -> None:
    assert {cell.config.data.name for cell in load_sweep(path).cells} == {"mnist5k"}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_published_sweep_has_both_presets_and_its_laptop_cells_name_what_exists(path: Path) -> None:
    for preset in ("paper", "laptop"):
        sweep = load_sweep(path, preset=preset)
        assert sweep.cells
        small = {"mnist5k", "fashion_mnist"}
        assert {cell.config.data.name for cell in sweep.cells} <= (small if preset == "laptop" else {"cifar10", "cifar100"})


def test_the_quickstart_compares_placements_with_one_attack_rule_and_learning_rate_over_three_seeds() -> None:
    cells = load_sweep(REPOSITORY / "configs" / "sweeps" / "quickstart.toml").cells
    compared = [cell for cell in cells if cell.config.aggregation.rule == "median"]
    assert [(cell.config.placement.scheme, cell.config.run.seed) for cell in compared] == [
        (scheme, seed) for scheme in ("mols", "frc", "baseline") for seed in (1, 2, 3)
    ]
    job = load(REPOSITORY / "configs" / "runs" / "quickstart.toml")
    for cell in compared:
        run = replace(job.run, seed=cell.config.run.seed, name=cell.name, output_dir=str(cell.directory.parent))
        assert cell.config == replace(job, run=run, placement=replace(job.placement, scheme=cell.config.placement.scheme))


def test_the_run_files_of_the_sweeps_are_read() -> None:
    assert PUBLISHED
    assert load(REPOSITORY / "configs" / "runs" / "byzshield_cifar10.toml").attack.options == {"z": 1.0, "sign": 1}
