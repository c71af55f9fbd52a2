#!/usr/bin/env bash
# The main job, from a clone to the result table.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/quickstart.sh [FLAG ...]

Makes .venv, installs byzshield, and trains LeNet on 5,000 real MNIST images while 3 of 15 workers collude (ALIE):
a real MPI job of 16 processes with MOLS placement, then the same attack against groups (DETOX) and against no redundancy.
A second attack follows: one worker reverses its gradients, and the server merely averages.
Ends with a table and an HTML report. Safe to run again; the second time nothing is installed.

FLAGs go to every `byzshield train`, for example: --set run.steps=20
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

# train PROCESSES RUN_FILE NAME SCHEME [FLAG ...]: one MPI job; with fewer processes than 16, a process hosts several workers.
train() {
    local processes=$1 run_file=$2 name=$3 scheme=$4
    shift 4
    echo
    echo "$name: starting $processes processes ..."
    .venv/bin/mpirun -n "$processes" .venv/bin/python -m mpi4py -m byzshield train "configs/runs/$run_file.toml" --overwrite \
        --set "run.output_dir=$runs" --set "run.name=$name" --set "placement.scheme=$scheme" "$@"
}

train 16 quickstart quickstart mols "$@"
train 3 quickstart quickstart-frc frc "$@"
train 3 quickstart quickstart-baseline baseline "$@"
for scheme in mols frc baseline; do
    train 3 reversal "reversal-$scheme" "$scheme" "$@"
done

echo
.venv/bin/byzshield report "$runs"/quickstart{,-frc,-baseline} "$runs"/reversal-{mols,frc,baseline}
