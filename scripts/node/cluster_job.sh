#!/usr/bin/env bash
# The job of train_cluster.sh: mpirun over all hosts, and again over those that can be reached when one is lost.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/cluster_job.sh HOSTFILE RANKS PER_HOST WORKERS RESTARTS WATCH MPIRUN [OPTION ...] -- PROGRAM [ARGUMENT ...]

Run by train_cluster.sh, on the first host of HOSTFILE, which gets the server alone. RANKS processes in all; if RANKS is 0, PER_HOST on
each other host; if that is 0, too, as many as a host has physical cores. Never more than WORKERS and the server, if WORKERS is not
0. If WATCH is 1, the job ends in order when a host gets notice of its interruption. SSH names the command that reaches a host.
EOT
}

case "${1:-}" in -h | --help | "") usage && exit 0 ;; esac
# shellcheck source=scripts/lib/job.sh
. "${BASH_SOURCE[0]%/*}/../lib/job.sh"
# shellcheck source=scripts/lib/attend.sh
. "${BASH_SOURCE[0]%/*}/../lib/attend.sh"
trap 'stop_asked=1' USR1 TERM INT
hostfile=$1 ranks=$2 per_host=$3 workers=$4 restarts=$5 watch=$6
shift 6
mpirun=()
while [[ $1 != -- ]]; do
    mpirun+=("$1") && shift
done
shift
command=("$@")

# reachable HOST ...: prints those that ssh reaches, tried all at once, in their order, each with the number of its physical cores as
# it says; says what ssh says of the others.
CORES='lscpu --parse=CORE,SOCKET | grep -v "^#" | sort -u | wc -l'
reachable() {
    local host folder
    folder=$(mktemp -d)
    for host in "$@"; do ask_cores "$host" "$folder/$host" & done
    wait
    for host in "$@"; do
        if [[ -e $folder/$host ]]; then
            echo "$host $(<"$folder/$host")"
        else
            echo "host $host cannot be reached: $(tail -n 1 "$folder/$host.error")" >&2
        fi
    done
    rm -r "$folder"
}

# ask_cores HOST FILE: what HOST says, of which no more than a number is read; no FILE if ssh does not reach it.
ask_cores() {
    local status=0
    ${SSH:-ssh} -o BatchMode=yes -o ConnectTimeout=10 "$1" "$CORES" </dev/null 2>"$2.error" | head -c 8 | tr -cd 0-9 >"$2" ||
        status=${PIPESTATUS[0]}
    ((status == 0 || status == 141)) || rm -f "$2" # 141: it said more
}

# layout RANKS HOST ...: a hostfile of one rank on the server's host and so many on the others, as evenly as can be: the workers are
# shared evenly among the ranks, so that no host gets many more of them than another, whatever it says of its cores. (Without "slots",
# mpirun would count a host that is there twice as one, and put workers on the server's host.)
layout() {
    awk -v ranks="$1" 'BEGIN {
        slots[ARGV[1]] = 1
        for (i = 2; i < ARGC; i++) slots[ARGV[i]] += int((i - 1) * ranks / (ARGC - 2)) - int((i - 2) * ranks / (ARGC - 2))
        for (i = 1; i < ARGC; i++) if (slots[ARGV[i]]) { print ARGV[i] " slots=" slots[ARGV[i]]; slots[ARGV[i]] = 0 }
    }' "${hosts[0]}" "${@:2}"
}

# median NUMBER ...: of those that are numbers, the lower one of two; at least 1. No single host decides it.
median() {
    printf '%s\n' "$@" | grep -xE '[1-9][0-9]{0,3}' | sort -n | awk '{ at[NR] = $1 } END { print NR ? at[int((NR + 1) / 2)] : 1 }'
}

# stop_on_notice HOST ...: has this job end after its step when one of the hosts, or this one, is about to be interrupted.
stop_on_notice() {
    if bash scripts/node/watch_interruption.sh "$@"; then
        echo "a host will be interrupted: the job ends after its step" >&2
        kill -USR1 $$
    fi
}

mapfile -t hosts < <(hosts_of "$hostfile")
for ((attempt = 0; ; attempt++)); do
    mapfile -t answers < <(reachable "${hosts[@]:1}")
    others=("${answers[@]%% *}")
    if ((attempt == 0 && ${#others[@]} < ${#hosts[@]} - 1)); then
        echo "the job does not start: mend these hosts, or take them out of $hostfile" >&2
        exit 2
    elif ((${#others[@]} == 0)); then
        echo "no worker's host is left; start them again and go on with --resume" >&2
        exit 1
    fi
    # The ranks of workers, which mpirun starts host after host.
    of_workers=$((ranks ? ranks - 1 : ${#others[@]} * (per_host ? per_host : $(median "${answers[@]##* }"))))
    ((!workers || of_workers <= workers)) || of_workers=$workers
    layout "$of_workers" "${others[@]}" >"$JOB/hosts"
    rm -f "$JOB/exit"
    ((!stop_asked)) || exit 143
    ((!watch || attempt)) || stop_on_notice "${others[@]}" &
    attend "${mpirun[@]}" --hostfile "$JOB/hosts" -n "$((1 + of_workers))" "${command[@]}" --exit-file "$JOB/exit" || true
    status=$(cat "$JOB/exit" 2>/dev/null || echo 1)
    ((!stop_asked)) || exit "$status"
    ((status == 1 && attempt < restarts)) || exit "$status"
    echo "the job has broken off; it goes on from its newest checkpoint (restart $((attempt + 1)) of $restarts)" >&2
    command=("${@/#--overwrite/--resume}")
done
