"""The run files of published defenses run, and withstand what they are documented to withstand."""

from pathlib import Path
from typing import Any

import pytest

from byzshield.config import load
from byzshield.runtime import simulate

RUNS = Path(__file__).parents[2] / "configs" / "runs"
# The most files that are corrupted, and who is blamed in two steps (None: does not matter).
EXPECTED: dict[str, tuple[int, set[str] | None]] = {
    "baseline": (3, set()),
    "detox": (1, None),
    "draco_repetition": (0, {"0", "1"}),
    "draco_cyclic": (0, {"0", "1"}),
    "aspis": (0, {"0", "1", "2"}),
    "aspis_plus": (3, None),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_published_defense_does_what_is_documented(name: str, tmp_path: Path) -> None:
    summary = two_steps(name, tmp_path)
    corrupted, blamed = EXPECTED[name]
    assert (summary["steps"], summary["skipped_steps"], summary["corrupted_files_max"]) == (2, 0, corrupted)
    assert blamed is None or set(summary["blamed"]) == blamed


def test_the_published_attack_on_aspis_corrupts_as_many_files_as_published(tmp_path: Path) -> None:
    assert two_steps("aspis", tmp_path, "attack.files=disagreement")["corrupted_files_max"] == 10
    assert two_steps("aspis", tmp_path, "vote.name=exact")["corrupted_files_max"] == 13


def two_steps(name: str, tmp_path: Path, *overrides: str) -> dict[str, Any]:
    settings = ("run.steps=2", "run.eval_every=0", f"run.output_dir={tmp_path}", *overrides)
    return simulate(load(RUNS / f"{name}.toml", overrides=settings), overwrite=True)[1]
