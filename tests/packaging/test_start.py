"""What starting costs: `import byzshield` loads nothing else, and `byzshield --help` nothing heavy."""

import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

from byzshield.cli.commands import COMMANDS

LOADED = """
import sys
before = set(sys.modules)
try:
    {statement}
except SystemExit:
    pass
print(*(name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names))
"""
HELP = "import byzshield.cli.main; byzshield.cli.main.main(['--help'])"
TRAIN = "import byzshield.cli.main; byzshield.cli.main.main(['train', '--help'])"


def test_importing_the_package_imports_nothing_else() -> None:
    assert loaded_by("import byzshield") == {"byzshield"}


def test_help_imports_no_other_package_and_no_command() -> None:
    loaded = loaded_by(HELP)
    assert {name.partition(".")[0] for name in loaded} == {"byzshield"}
    assert commands(loaded) == set()


def test_a_command_imports_no_other() -> None:
    assert commands(loaded_by(TRAIN)) == {"train"}


def test_help_takes_little_of_a_processor() -> None:
    """0.07 s on the machines that this was written on; the bound leaves room for slower and busy ones."""
    assert min(processor_seconds(HELP) for _ in range(3)) < 0.4


def commands(modules: set[str]) -> set[str]:
    """Those of the commands that are among the modules."""
    return {name.rpartition(".")[2] for name in modules if name.startswith("byzshield.cli.")} & {*COMMANDS, "listing"}


def loaded_by(statement: str) -> set[str]:
    """The modules outside the standard library that a statement loads."""
    command = [sys.executable, "-c", LOADED.format(statement=statement)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split())


def processor_seconds(statement: str) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
