#!/usr/bin/env bash
# Trains on this machine: a real MPI job on its cores.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/train_local.sh [OPTION ...] RUN.toml [FLAG ...]
       bash scripts/train_local.sh [OPTION ...] --detox FLAG ...

Starts mpirun with N processes on this machine: the parameter server and N - 1 that share the run's workers among them
(default: one a core and one for the server; workers + 1 gives every worker its own). FLAGs go to `byzshield train`, or behind
--detox to `byzshield detox`. Shows the log, which also stays in runs/; Ctrl-C ends the job after its step, with a checkpoint.

  --ranks N              processes
  --time-limit MINUTES   end the job after the step that is under way then, with a checkpoint
  --detach               return at once; the job outlives the terminal: logs.sh follows it, stop.sh ends it

Examples:
  bash scripts/train_local.sh configs/runs/quickstart.toml
  bash scripts/train_local.sh --ranks 16 --detach configs/runs/quickstart.toml --resume --set run.steps=600
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/job.sh
. "$project/scripts/lib/job.sh"
ranks=$(($(nproc) + 1)) detach=0 minutes='' detox=0
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --ranks) need "a number" "$@" && ranks=$2 && shift ;;
        --time-limit) need "a number of minutes" "$@" && minutes=$2 && shift ;;
        --detach) detach=1 ;;
        --detox) detox=1 && shift && break ;;
        -*) refuse "unknown argument $1; flags of byzshield train stand behind RUN.toml" ;;
        *) break ;;
    esac
    shift
done
(($#)) || { usage >&2 && exit 2; }
[[ $ranks =~ ^[0-9]+$ && $ranks -ge 2 ]] || refuse "--ranks must be at least 2; got $ranks"
limit_time "$minutes"
if ((!detox)); then
    run_file=$(realpath -m -- "$1") && shift
    [[ -e $run_file ]] || refuse "$run_file does not exist"
    set -- train "$run_file" "$@"
else
    set -- detox "$@"
fi
cd "$project"
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
# shellcheck source=scripts/lib/mpi_env.sh
. scripts/lib/mpi_env.sh
[[ -x .venv/bin/mpirun ]] || ensure_venv ""
run_job "$detach" ${time_limit[@]+"${time_limit[@]}"} .venv/bin/mpirun -n "$ranks" .venv/bin/python -m mpi4py -m byzshield "$@"
