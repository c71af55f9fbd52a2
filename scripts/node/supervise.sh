#!/usr/bin/env bash
# The leader of a job's session: records itself, runs the job, records its exit status.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/supervise.sh COMMAND [ARGUMENT ...]

Runs COMMAND as the job of the current folder, for train_local.sh and train_cluster.sh. SIGUSR1, SIGTERM and SIGINT end it after its
step, with a checkpoint.
EOT
}

case "${1:-}" in -h | --help | "") usage && exit 0 ;; esac
# shellcheck source=scripts/lib/job.sh
. "${BASH_SOURCE[0]%/*}/../lib/job.sh"
# shellcheck source=scripts/lib/attend.sh
. "${BASH_SOURCE[0]%/*}/../lib/attend.sh"

# record NAME TEXT: .job/NAME is whole or absent.
record() {
    echo "$2" >"$JOB/$1.part"
    mv "$JOB/$1.part" "$JOB/$1"
}

trap 'stop_asked=1' USR1 TERM INT
record leader "$$ $(start_time $$)"
attend "$@" && status=0 || status=$?
record status "$status"
# Whatever the job has left in the background ends with it.
trap '' TERM
kill -TERM 0 2>/dev/null || true
exit "$status"
