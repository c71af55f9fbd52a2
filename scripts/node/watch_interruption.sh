#!/usr/bin/env bash
# Waits until a spot instance gets notice that it will be interrupted, about two minutes before it is.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/watch_interruption.sh [HOST ...]

Without HOSTs, watches this machine: asks the instance metadata service every 5 seconds, prints what it says and exits with 0 when
there is a notice; exits with 1 when standard input ends, so that it does not outlive the connection that started it.
With HOSTs, watches this machine and runs itself on each of them, and exits when the first has a notice. A host that cannot be
reached is tried again. SSH names the command that reaches a host (default: ssh); METADATA the address of the metadata service.
EOT
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
metadata=${METADATA:-http://169.254.169.254}/latest
every=5

# notice: prints this machine's notice; fails if it has none.
notice() {
    local token
    token=$(curl --silent --fail --max-time 3 --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token") &&
        curl --silent --fail --max-time 3 --header "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/spot/instance-action"
}

if (($# == 0)); then
    until notice; do
        read -r -t "$every" _ && continue
        (($? > 128)) || exit 1
    done
    exit 0
fi

# on HOST: the same at another host, for as long as it takes. That a host cannot be reached is for cluster_job.sh to find out.
on() {
    local answer command
    printf -v command 'METADATA=%q bash %q' "${METADATA:-http://169.254.169.254}" "$PWD/scripts/node/watch_interruption.sh"
    until answer=$(${SSH:-ssh} "$1" "$command" 2>/dev/null); do
        sleep 30
    done
    echo "$1: $answer"
}

# Every watcher reads from a pipe that stays open until this shell ends.
exec 3< <(exec sleep infinity)
bash scripts/node/watch_interruption.sh <&3 &
for host in "$@"; do
    on "$host" <&3 &
done
wait -n
