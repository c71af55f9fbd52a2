#!/usr/bin/env bash
# Do the lower bounds of requirements-remote.txt hold? Run it when one of them, or the code that leans on it, changes.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/test_lowest.sh [PYTEST_ARGUMENT ...]

Installs the lowest version that requirements-remote.txt admits of each package into .venv-lowest (several gigabytes, once for each
state of that file), and there runs the unit and contract tests, a simulation and an MPI job.
Arguments go to pytest, for example: -k placement

PYTHON names the Python (default: python3.11, the lowest that is supported).
EOF
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/mpi_env.sh
. scripts/lib/mpi_env.sh
export PYTHONPATH=$PWD

installed=.venv-lowest/installed
mapfile -t pins < <(sed -n 's/ *#.*//; s/>=/==/p' requirements-remote.txt)
if [[ ! -e $installed || $(<"$installed") != "${pins[*]}" ]]; then
    rm -rf .venv-lowest
    "${PYTHON:-python3.11}" -m venv .venv-lowest
    echo "Installing ${pins[*]} into .venv-lowest ..."
    .venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check "${pins[@]}" pytest pytest-timeout hypothesis galois
    echo "${pins[*]}" >"$installed"
fi

# Packages of different ages warn of each other, as matplotlib 3.8 does beside today's pyparsing.
.venv-lowest/bin/python -m pytest -q -W default::DeprecationWarning "$@" tests/unit tests/contract byzshield
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
job=(-m byzshield) settings=(--set run.steps=2 --set "run.output_dir=$runs")
.venv-lowest/bin/python "${job[@]}" simulate configs/runs/quickstart.toml "${settings[@]}" --set run.name=simulated
.venv-lowest/bin/mpirun -n 3 .venv-lowest/bin/python -m mpi4py "${job[@]}" train configs/runs/quickstart.toml "${settings[@]}" \
    --set run.name=trained
.venv-lowest/bin/python "${job[@]}" report "$runs"/{simulated,trained}
