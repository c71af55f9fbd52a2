#!/usr/bin/env bash
# The main job, from a clone to the result table.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/quickstart.sh [FLAG ...]

Makes .venv, installs byzshield, and trains on 5,000 real MNIST images while the worst-case 4 of 15 workers collude (ALIE):
first a real MPI job of 16 processes with MOLS placement, then, in one process each and with three seeds, the same attack and
the same rule with MOLS, with groups (DETOX) and without redundancy; and one worker's reversed gradients against a plain mean.
Ends with a table and an HTML report. Safe to run again: nothing is installed twice, and what configs/sweeps/quickstart.toml lists is
not run twice.

FLAGs go to `byzshield train` and `byzshield sweep`, for example: --set run.steps=20
PYTHON names the Python (>= 3.11) that makes .venv; RUNS the folder of the results (default: runs).
EOF
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
# shellcheck source=scripts/lib/mpi_env.sh
. scripts/lib/mpi_env.sh
ensure_venv ""

runs=${RUNS:-runs}

echo
echo "A real job: a parameter server and 15 workers in 16 processes ..."
.venv/bin/mpirun -n 16 .venv/bin/python -m mpi4py -m byzshield train configs/runs/quickstart.toml --overwrite \
    --set "run.output_dir=$runs" "$@"

echo
echo "The comparison, each run in one process ..."
.venv/bin/byzshield sweep configs/sweeps/quickstart.toml --set "run.output_dir=$runs" "$@" >/dev/null # the report has its table, too

echo
.venv/bin/byzshield report "$runs"/quickstart "$runs"/quickstart-sweep
