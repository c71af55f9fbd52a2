#!/usr/bin/env bash
# The log of the training job of this folder.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/logs.sh [--from BYTE] [--no-follow]

Prints the log of the newest job of this folder and follows it until the job has ended; exits with the job's exit status.
Ctrl-C leaves the job alone.

  --from BYTE   leave out the first BYTE bytes, which you have already
  --no-follow   print what is there and exit
EOT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/job.sh
. scripts/lib/job.sh
from=0 follow=1
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --from) need "a number of bytes" "$@" && from=$2 && shift ;;
        --no-follow) follow=0 ;;
        *) refuse "unknown argument $1" ;;
    esac
    shift
done
[[ $from =~ ^[0-9]+$ ]] || refuse "--from needs a number of bytes; got $from"
if ((follow)); then
    follow_job "$from"
else
    [[ -e $JOB/log ]] || no_job
    tail --bytes="+$((from + 1))" "$JOB/log"
fi
