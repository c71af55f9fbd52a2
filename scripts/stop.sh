#!/usr/bin/env bash
# Ends the training job of this folder.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/stop.sh [--grace SECONDS]

Asks the job of this folder to end: the server finishes its step, stores a checkpoint and dismisses the workers. If the job is still
there after SECONDS (default 60), the processes of its session are ended. Starting it again with --resume goes on from the newest
checkpoint. Nothing else is touched, and it is no error if no job is running.
EOT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/job.sh
. scripts/lib/job.sh
grace=$GRACE
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --grace) need "a number of seconds" "$@" && grace=$2 && shift ;;
        *) refuse "unknown argument $1" ;;
    esac
    shift
done
[[ $grace =~ ^[0-9]+$ ]] || refuse "--grace needs a whole number of seconds; got $grace"
stop_job "$grace"
