"""The lock that comes with the project."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
LINE = re.compile(r"(?P<name>[A-Za-z0-9._]+)==(?P<version>\S+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)")


def locked() -> dict[str, re.Match[str]]:
    lines = (REPOSITORY / "requirements-cpu.lock").read_text().splitlines()
    found = [LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found), "a line is no NAME==VERSION --hash=sha256:..."
    return {canonicalize_name(match["name"]): match for match in found if match}


def test_it_has_all_that_a_node_needs_within_the_bounds() -> None:
    lines = (line.split("#")[0].strip() for line in (REPOSITORY / "requirements-remote.txt").read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    assert len(requirements) > 10
    have = locked()
    missing = [
        str(needed) for needed in requirements if Version(have[canonicalize_name(needed.name)]["version"]) not in needed.specifier
    ]
    assert not missing


def test_it_is_for_cpus_alone_and_for_the_two_pythons_that_its_first_line_names() -> None:
    have = locked()
    assert have["torch"]["version"].endswith("+cpu")
    assert have["torchvision"]["version"].endswith("+cpu")
    assert not [name for name in have if name.startswith(("nvidia", "cuda", "triton"))]
    for name in ("torch", "torchvision", "numpy", "numba", "mpi4py", "blosc", "blake3"):
        assert have[name]["hashes"].count("sha256") == 2, name
