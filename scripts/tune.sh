#!/usr/bin/env bash
# Tunes learning rates and schedules: runs a sweep for some steps and ranks its cells by training loss.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/tune.sh [--steps N] SWEEP.toml [FLAG ...]

Runs every cell of SWEEP.toml for N steps (default: as many as the file says), and ranks the values of its keys of optimizer and
schedule by the training loss, for each combination of the others: the mean over the last tenth of the steps, and over the seeds.
Prints the ranking, the best of each combination first, and writes it to ranking.csv in the sweep's folder. FLAGs go to
`byzshield sweep`: --preset NAME, --jobs N, --set KEY=VALUE. Interrupted, the same command goes on.

Example: bash scripts/tune.sh --steps 200 configs/sweeps/byzshield_tuning.toml --preset paper
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/request.sh
. "$project/scripts/lib/request.sh"
steps=()
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --steps)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || refuse "--steps needs a number of at least 1; got ${2:-nothing}"
            steps=(--set "run.steps=$2")
            shift 2
            ;;
        -*) refuse "unknown argument $1; flags of byzshield sweep stand behind SWEEP.toml" ;;
        *) break ;;
    esac
done
(($#)) || { usage >&2 && exit 2; }
[[ -e $1 ]] || refuse "$1 does not exist"
sweep_file=$(realpath -- "$1") && shift
cd "$project"
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
[[ -x .venv/bin/byzshield ]] || ensure_venv ""
exec .venv/bin/byzshield sweep "$sweep_file" --rank ${steps[@]+"${steps[@]}"} "$@"
