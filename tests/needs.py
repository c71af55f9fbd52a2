"""What a test needs of its machine: without it the test is skipped, but never in CI."""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["find_tool", "need", "need_fashion_mnist", "need_root", "skip"]

SBIN = "/usr/sbin:/sbin"  # not on every user's path


def find_tool(name: str) -> str | None:
    """The path of a program, those of administrators included."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def need(*tools: str) -> None:
    """Skips the test where one of the programs is missing."""
    missing = [tool for tool in tools if find_tool(tool) is None]
    if missing:
        skip(f"missing: {', '.join(missing)} (scripts/test.sh installs them as root)")


def need_fashion_mnist() -> None:
    """Skips the test where the real images are missing."""
    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        skip("missing: Debian's package dataset-fashion-mnist (scripts/test.sh installs it as root)")


def need_root() -> None:
    """Skips the test for everybody else."""
    if os.geteuid() != 0:
        skip("only root may do this")


def skip(reason: str) -> None:
    """Skips the test for this reason; in CI, fails it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
