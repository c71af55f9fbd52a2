#!/usr/bin/env bash
# Sends the packages that this host has installed to others, so that no index is asked again.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/node/send_locked.sh DIRECTORY ADDRESS ...

On the server's host, which has the cluster's key (cluster_key.sh) and .cluster/locked (install_node.sh): makes the latter the same on
the hosts at these addresses, where the project is in DIRECTORY; 64 at a time, and nothing travels where it is the same already.
Prints a line for each host that failed, its address first.
EOF
}

case "${1:-}" in -h | --help | "") usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/request.sh
. scripts/lib/request.sh
AT_ONCE=64
LOGIN_SECONDS=60 SEND_SECONDS=1800
directory=$1
shift
[[ -e .cluster/locked/lock ]] || fail "$PWD has no .cluster/locked; bash scripts/install_node.sh makes it"
sum=$(cksum <.cluster/locked/lock)
there="cd -- '${directory//\'/\'\\\'\'}/.cluster'"

# on SECONDS ADDRESS COMMAND: by the cluster's key; a host that hangs holds up nobody for longer.
on() { timeout "$1" ssh -F .cluster/ssh_config -- "$2" "$3"; }

send_to() {
    local found
    found=$(on "$LOGIN_SECONDS" "$1" "$there && cksum <locked/lock || true" 2>&1 </dev/null) || {
        report "$1" "cannot log in there" "$found"
        return
    }
    if [[ $found == "$sum" ]]; then
        return
    fi
    found=$(tar -C .cluster/locked -cf - . | on "$SEND_SECONDS" "$1" \
        "$there && rm -rf locked.new && mkdir locked.new && tar -C locked.new -xf - && rm -rf locked && mv locked.new locked" 2>&1) ||
        report "$1" "cannot send the packages there" "$found"
}

# report ADDRESS WHAT OUTPUT: with the last line of the output, which is another host's: only what can be printed.
report() {
    local line=${3##*$'\n'}
    line=${line//[^[:print:]]/}
    echo "$1 $2: ${line:0:300}"
}

for address in "$@"; do
    is_address "$address" || refuse "'$address' is no address"
    while (($(jobs -pr | wc -l) >= AT_ONCE)); do wait -n || true; done
    send_to "$address" &
done
wait
