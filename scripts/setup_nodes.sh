#!/usr/bin/env bash
# Makes a cluster of hosts that answer to ssh.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/setup_nodes.sh [OPTION ...]

Run on your machine. On every host of a hosts file: brings the project's files (push_code.sh), installs what they need
(install_node.sh), and writes .cluster/: hosts, hosts_alias, hosts_address (the MPI hostfile) and known_hosts, from the host keys that
this machine knows. Then the first host makes the cluster's key (cluster_key.sh), which never leaves it, and the others let it in,
from the first host's address alone. Last, the first host logs in to each of the others. Safe to run again; what is there is kept.

EOT
    host_options
    cat <<'EOT'
  --port PORT          where the hosts' sshd listens for each other (default: 22)
  --wheels DIR         a folder of wheels here, brought to the hosts; then no package index is asked
  --packages, --python, --requirements, --mount-source, --mount-point, --mount-type, --mount-options
                       go to install_node.sh, see its --help; the files of --requirements must be among those pushed

Host keys must be known to ssh beforehand, and logging in must need no question. Exit status: 0 done; 1 some hosts failed, which are
named at the end while the others were done; 2 the request was wrong.

Example: bash scripts/setup_nodes.sh --hosts hosts --user ubuntu --packages "python3-venv"
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/hosts.sh
. "$project/scripts/lib/hosts.sh"
# shellcheck source=scripts/lib/push_host.sh
. "$project/scripts/lib/push_host.sh"
# shellcheck source=scripts/lib/known_hosts.sh
. "$project/scripts/lib/known_hosts.sh"
hosts_file=$project/hosts
wheels="" port=22 install=()
while (($#)); do
    case $1 in -h | --help) usage && exit 0 ;; esac
    (($# > 1)) || refuse "$1 is no option, or has no value"
    case $1 in
        --wheels) wheels=$(absolute "$2") ;;
        --port) port=$2 ;;
        --packages | --python | --requirements | --mount-source | --mount-point | --mount-type | --mount-options) install+=("$1" "$2") ;;
        *) host_option "$1" "$2" || refuse "there is no option $1" ;;
    esac
    shift 2
done
is_port "$port" || refuse "'$port' is no port"
[[ -z $wheels || -d $wheels ]] || refuse "there is no folder $wheels"

# set_up INDEX: code, wheels, environment, and the lists of hosts.
set_up() {
    push_host "$1"
    if [[ -n $wheels ]]; then
        rsync_to_hosts --recursive --times --delete --chmod D755,F644 "$wheels/" "$(place "$1" .cluster/wheels/)"
    fi
    # shellcheck disable=SC2016 # expanded on the host
    remote "$1" 'cd -- "$1" && exec bash scripts/install_node.sh "${@:2}"' "$directory" ${install[@]+"${install[@]}"} </dev/null
    rsync_to_hosts --recursive --checksum --perms --chmod D700,F600 "$scratch/cluster/" "$(place "$1" .cluster/)"
}

# shellcheck disable=SC2016 # expanded on the host
authorize() {
    remote "$1" 'cd -- "$1" && exec bash scripts/node/cluster_key.sh authorize --from "$2"' "$directory" "${addresses[0]}" <"$scratch/key.pub"
}

# DIRECTORY ADDRESS ...: prints each address that the cluster's key does not open, and the last line that ssh says of it.
# shellcheck disable=SC2016 # expanded on the host
LOG_IN='
cd -- "$1"
for address in "${@:2}"; do
    { message=$(ssh -F .cluster/ssh_config -n -- "$address" true 2>&1) || printf "%s %s\n" "$address" "${message##*$'"'\n'"'}"; } &
done
wait
'

# log_in_from_the_server: gives up the workers that it does not reach.
log_in_from_the_server() {
    local index address message refused to=()
    for index in "${live[@]}"; do to+=("${addresses[$index]}"); done
    refused=$(remote 0 "$LOG_IN" "$directory" "${to[@]}" </dev/null | printable | head -c 1000000) ||
        give_up 0 "cannot try the cluster's key"
    while read -r address message; do
        for index in "${live[@]}"; do
            if [[ ${addresses[$index]} == "$address" ]]; then give_up "$index" "${aliases[0]} cannot log in there: $message"; fi
        done
    done <<<"$refused"
}

cd "$project"
read_hosts
mkdir -m 700 "$scratch/cluster"
write_known_hosts "$scratch/cluster/known_hosts" "$port"
for index in "${!aliases[@]}"; do
    printf '%s\t%s\n' "${addresses[$index]}" "${aliases[$index]}" >>"$scratch/cluster/hosts"
    echo "${aliases[$index]}" >>"$scratch/cluster/hosts_alias"
    echo "${addresses[$index]}" >>"$scratch/cluster/hosts_address"
done
if [[ -n $wheels ]]; then install+=(--wheels .cluster/wheels); fi

list_project
each_host "the setup" set_up
if [[ " ${live[*]-} " != *" 0 "* ]]; then
    report_failures
fi
# shellcheck disable=SC2016 # expanded on the host
shown remote 0 'cd -- "$1" && exec bash scripts/node/cluster_key.sh make --port "$2"' "$directory" "$port" </dev/null |
    head -c 16384 >"$scratch/key.pub" || fail "${aliases[0]} (${addresses[0]}) made no key for the cluster; its message is above"
live=("${live[@]:1}")
if ((${#live[@]})); then
    each_host "letting ${aliases[0]} in" authorize
fi
if ((${#live[@]})); then
    log_in_from_the_server
fi
report_failures
echo "The cluster is ready: ${#aliases[@]} hosts, and ${aliases[0]} (${addresses[0]}) is the server's. A job starts there, in $directory:"
echo "  bash scripts/train_cluster.sh --detach configs/runs/quickstart.toml"
