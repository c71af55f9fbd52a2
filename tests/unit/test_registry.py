"""Components by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from byzshield.attacks import ATTACKS, Attack
from byzshield.data import DATASETS
from byzshield.errors import ConfigError
from byzshield.registry import Registry, look_in

OWN = "from byzshield.attacks import Constant\n\n\nclass Mine(Constant):\n    pass\n"


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Two folders for modules of one's own: that of a run file, and the current one."""
    folders = (tmp_path / "of_run_file", tmp_path / "current")
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[1])
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in(str(folders[0]))
    yield folders
    look_in("")


def test_a_users_component_is_named_by_module_and_class() -> None:
    assert issubclass(ATTACKS.get("fault_attacks:NotFinite"), Attack)


def test_an_unknown_name_suggests_the_nearest_or_lists_all() -> None:
    with pytest.raises(ConfigError, match="did you mean 'constant'"):
        ATTACKS.get("constnt")
    with pytest.raises(ConfigError, match="known: agr_tailored, alie, anti_cge, "):
        ATTACKS.get("zzz")


def test_a_name_is_registered_once() -> None:
    registry: Registry[int] = Registry("number", "byzshield.attacks")
    registry.register("one")(1)
    with pytest.raises(ConfigError, match="twice"):
        registry.register("one")(2)


@pytest.mark.parametrize(
    "name", [":NotFinite", "fault_attacks:", ".fault_attacks:NotFinite", "fault_attacks:NotFinite.x", "a b:c"]
)
def test_a_name_that_python_cannot_import_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be a registered name or module:attribute"):
        ATTACKS.get(name)


def test_what_cannot_be_called_is_no_component() -> None:
    with pytest.raises(ConfigError, match="'math:pi' must be a function or a class"):
        DATASETS.get("math:pi")


def test_the_keywords_of_an_entry_are_those_that_a_run_file_may_set() -> None:
    assert DATASETS.given == {"root", "download"}
    assert list(DATASETS.keywords("synthetic")) == ["image_shape", "num_classes", "num_train", "num_test", "noise"]
    assert list(DATASETS.keywords("mnist")) == []
    assert ATTACKS.keywords("alie")["sign"].default == -1
    with pytest.raises(ConfigError, match="does not tell its keywords"):
        DATASETS.keywords("builtins:dict")
    with pytest.raises(ConfigError, match=r"^unknown data set 'MNIST'; did you mean 'mnist'"):
        DATASETS.keywords("MNIST")


def test_the_owners_of_a_keyword_are_the_entries_that_a_run_file_may_give_it_to() -> None:
    assert ATTACKS.owners("epsilon") == ["fall_of_empires"]
    assert ATTACKS.owners("zzz") == []
    assert DATASETS.owners("root") == []


def test_a_module_that_raises_is_the_users_mistake_and_the_message_says_where() -> None:
    with pytest.raises(ConfigError, match=r"cannot be imported: RuntimeError: no GPU here \(raises\.py, line 3\)$"):
        ATTACKS.get("broken_modules.raises:Attack")
    with pytest.raises(ConfigError, match=r"cannot be imported: SystemExit: 3 \(exits\.py, line 5\)$"):
        ATTACKS.get("broken_modules.exits:Attack")


def test_a_module_that_does_not_parse_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_a_module.py").write_text("def attack(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be imported: SyntaxError: .* \(half_a_module\.py, line 1\)$"):
        ATTACKS.get("half_a_module:Attack")


def test_a_module_that_is_not_there_is_said_to_be_missing_from_the_folders_that_were_looked_in(
    own_folders: tuple[Path, Path],
) -> None:
    first, second = own_folders
    with pytest.raises(ConfigError, match=rf"No module named 'nowhere' in {first} and {second}, nor is it installed$"):
        ATTACKS.get("nowhere:Attack")
    with pytest.raises(ConfigError, match=r"; leave out \.py: nowhere:\.\.\.$"):
        ATTACKS.get("nowhere.py:Attack")


def test_what_a_registered_entry_raises_is_no_users_mistake() -> None:
    with pytest.raises(KeyError), ATTACKS.calling("alie"):
        raise KeyError("ours")


def test_own_modules_are_found_in_the_folder_of_the_run_file_and_in_the_current_one(own_folders: tuple[Path, Path]) -> None:
    for number, folder in enumerate(own_folders):
        (folder / f"own_attack_{number}.py").write_text(OWN)
        assert issubclass(ATTACKS.get(f"own_attack_{number}:Mine"), Attack)


def test_the_folder_of_the_run_file_comes_before_the_current_one(own_folders: tuple[Path, Path]) -> None:
    (own_folders[0] / "own_attack_2.py").write_text(OWN)
    (own_folders[1] / "own_attack_2.py").write_text("raise ImportError('the wrong one')\n")
    assert issubclass(ATTACKS.get("own_attack_2:Mine"), Attack)


@pytest.mark.parametrize("name", ["json", "sys", "own_attack_3"])
def test_what_hides_an_own_module_in_the_folder_of_the_run_file_is_named(
    name: str, own_folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(own_folders[1])  # as Python does for `python -m`
    (own_folders[1] / "own_attack_3.py").write_text("raise RuntimeError('the wrong one')\n")
    (own_folders[0] / f"{name}.py").write_text(OWN)
    with pytest.raises(ConfigError, match=rf"'{name}:Mine': .* comes before {own_folders[0]}/{name}\.py, and has the same name"):
        ATTACKS.get(f"{name}:Mine")
