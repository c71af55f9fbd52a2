#!/usr/bin/env bash
# Since when this host has not been used, by the files of its project and what works in it.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/host_use.sh

Prints how many seconds ago this host was last used, and "running" if the job of this folder runs here, or else "none". A host is used
while its job writes (runs/*/metrics.jsonl, the job's log), while code is brought to it, while someone types or reads at a
terminal, and while a Python, tar, rsync or apt-get works in this folder. On the server, the job's own processes do not count, so that a job
that hangs is seen; a worker's host has nothing but those. TERMINALS names the folder of the terminals (default: /dev/pts).
EOT
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/job.sh
. scripts/lib/job.sh

# busy LEADER: whether a program works in this folder that is not of the session that LEADER leads.
busy() {
    local process session name
    while IFS= read -r process; do
        read -r session name < <(ps -o sid=,comm= -p "${process##*/}") || continue
        case $name in python* | tar | rsync | apt-get) [[ $session == "$1" ]] || return 0 ;; esac
    done < <(find /proc/[0-9]* -maxdepth 1 -name cwd \( -lname "$PWD" -o -lname "$PWD/*" \) -printf '%h\n' 2>/dev/null)
    return 1
}

now=$(date +%s)
leader=$(job_leader) && job=running || job=none
if busy "${leader:-none}"; then
    used=$now
else
    used=$(
        {
            awk '$1 == "btime" { print $2 }' /proc/stat
            # Those that there are: no host has all of them.
            stat --dereference --format %Y "$JOB"/{leader,log,status} .cluster/{hosts,pushed} runs/*/metrics.jsonl 2>/dev/null || true
            stat --format $'%X\n%Y' "${TERMINALS:-/dev/pts}"/[0-9]* 2>/dev/null || true
        } | sort -n | tail -n 1
    )
fi
echo "$((used < now ? now - used : 0)) $job"
