#!/usr/bin/env bash
# The job of train_cluster.sh: mpirun over all hosts, and again over those that can be reached when one is lost.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/cluster_job.sh HOSTFILE RANKS RESTARTS WATCH MPIRUN [OPTION ...] -- PROGRAM [ARGUMENT ...]

Run by train_cluster.sh, on the first host of HOSTFILE. RANKS processes, or one a host if RANKS is 0. If WATCH is 1, the job
ends in order when a host gets notice of its interruption. SSH names the command that reaches a host.
EOT
}

case "${1:-}" in -h | --help | "") usage && exit 0 ;; esac
# shellcheck source=scripts/lib/job.sh
. "${BASH_SOURCE[0]%/*}/../lib/job.sh"
# shellcheck source=scripts/lib/attend.sh
. "${BASH_SOURCE[0]%/*}/../lib/attend.sh"
trap 'stop_asked=1' USR1 TERM INT
hostfile=$1 ranks=$2 restarts=$3 watch=$4
shift 4
mpirun=()
while [[ $1 != -- ]]; do
    mpirun+=("$1") && shift
done
shift
command=("$@")

# reachable HOST ...: prints those that ssh reaches, tried all at once, in their order; says what ssh says of the others.
reachable() {
    local host folder
    folder=$(mktemp -d)
    for host in "$@"; do
        { ${SSH:-ssh} -o BatchMode=yes -o ConnectTimeout=10 "$host" true </dev/null 2>"$folder/$host.error" && : >"$folder/$host"; } &
    done
    wait
    for host in "$@"; do
        if [[ -e $folder/$host ]]; then
            echo "$host"
        else
            echo "host $host cannot be reached: $(tail -n 1 "$folder/$host.error")" >&2
        fi
    done
    rm -r "$folder"
}

# stop_on_notice HOST ...: has this job end after its step when one of the hosts, or this one, is about to be interrupted.
stop_on_notice() {
    if bash scripts/node/watch_interruption.sh "$@"; then
        echo "a host will be interrupted: the job ends after its step" >&2
        kill -USR1 $$
    fi
}

mapfile -t hosts < <(awk '!/^[ \t]*(#|$)/ { print $1 }' "$hostfile")
for ((attempt = 0; ; attempt++)); do
    mapfile -t others < <(reachable "${hosts[@]:1}")
    if ((attempt == 0 && ${#others[@]} < ${#hosts[@]} - 1)); then
        echo "the job does not start: mend these hosts, or take them out of $hostfile" >&2
        exit 2
    elif ((${#others[@]} == 0)); then
        echo "no worker's host is left; start them again and go on with --resume" >&2
        exit 1
    fi
    # An address a line is a slot a line: mpirun starts a process on each.
    awk -v reached=" ${hosts[0]} ${others[*]} " '!/^[ \t]*(#|$)/ && index(reached, " " $1 " ")' "$hostfile" >"$JOB/hosts"
    rm -f "$JOB/exit"
    ((!stop_asked)) || exit 143
    ((!watch || attempt)) || stop_on_notice "${others[@]}" &
    attend "${mpirun[@]}" --hostfile "$JOB/hosts" -n "$((ranks ? ranks : 1 + ${#others[@]}))" "${command[@]}" --exit-file "$JOB/exit" || true
    status=$(cat "$JOB/exit" 2>/dev/null || echo 1)
    ((!stop_asked)) || exit "$status"
    ((status == 1 && attempt < restarts)) || exit "$status"
    echo "the job has broken off; it goes on from its newest checkpoint (restart $((attempt + 1)) of $restarts)" >&2
    command=("${@/#--overwrite/--resume}")
done
