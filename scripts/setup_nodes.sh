#!/usr/bin/env bash
# Makes a cluster of hosts that answer to ssh.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/setup_nodes.sh [OPTION ...]

Run on your machine. Brings every host of a hosts file the project's files (push_code.sh) and .cluster/: hosts, hosts_alias,
hosts_address (the MPI hostfile) and known_hosts, from the host keys that this machine knows. The first host installs what it needs
(install_node.sh) and makes the cluster's key (cluster_key.sh), which never leaves it; the others let it in, from the first host's
address alone. It sends them the packages that it has, and they install exactly those. Safe to run again; what is there is kept.

The versions stand in HOSTS.lock beside the hosts file (hosts.lock), which the first setup writes and every later one obeys. Delete
it for the newest versions on all hosts.

EOT
    host_options
    cat <<'EOT'
  --port PORT          where the hosts' sshd listens for each other (default: 22)
  --lock FILE          the exact versions, such as requirements-cpu.lock; becomes HOSTS.lock
  --wheels DIR         a folder of wheels here, brought to the first host; then no package index is asked
  --torch-index, --packages, --python, --requirements, --mount-source, --mount-point, --mount-type, --mount-options
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
wheels="" lock="" port=22 install=()
while (($#)); do
    case $1 in -h | --help) usage && exit 0 ;; esac
    (($# > 1)) || refuse "$1 is no option, or has no value"
    case $1 in
        --wheels) wheels=$(absolute "$2") ;;
        --lock) lock=$(absolute "$2") ;;
        --port) port=$2 ;;
        --torch-index | --packages | --python | --requirements | --mount-source | --mount-point | --mount-type | --mount-options) install+=("$1" "$2") ;;
        *) host_option "$1" "$2" || refuse "there is no option $1" ;;
    esac
    shift 2
done
is_port "$port" || refuse "'$port' is no port"
[[ -z $wheels || -d $wheels ]] || refuse "there is no folder $wheels"
[[ -z $lock || -r $lock ]] || refuse "there is no file $lock"

# bring INDEX: code, and the lists of hosts.
bring() {
    push_host "$1"
    rsync_to_hosts --recursive --checksum --perms --chmod D700,F600 "$scratch/cluster/" "$(place "$1" .cluster/)"
}

# install INDEX: the environment, as the lock has it; on the first host there may be none yet.
# shellcheck disable=SC2016 # expanded on the host
install() {
    remote "$1" "$TAKE_LOCK" "$directory" <"$lock"
    remote "$1" 'cd -- "$1" && exec bash scripts/install_node.sh "${@:2}"' "$directory" ${install[@]+"${install[@]}"} </dev/null
}
# shellcheck disable=SC2016 # expanded on the host
TAKE_LOCK='
cd -- "$1/.cluster"
cat >requirements.lock.new
if [[ ! -s requirements.lock.new ]]; then
    rm -f requirements.lock.new requirements.lock
elif ! cmp --silent requirements.lock.new requirements.lock; then
    mv requirements.lock.new requirements.lock
else
    rm requirements.lock.new
fi
'

# install_first: on the server's host, whose lock becomes that of all.
# shellcheck disable=SC2016 # expanded on the host
install_first() {
    if [[ -n $wheels ]]; then
        rsync_to_hosts --recursive --times --delete --chmod D755,F644 "$wheels/" "$(place 0 .cluster/wheels/)"
        install+=(--wheels .cluster/wheels)
    fi
    install 0
    remote 0 'cat -- "$1/.cluster/requirements.lock"' "$directory" </dev/null | head -c 4000000 >"$scratch/lock"
    if ! cmp --silent "$scratch/lock" "$hosts_file.lock"; then
        cp "$scratch/lock" "$hosts_file.lock"
        echo "The versions of all hosts are now in $hosts_file.lock"
    fi
}

# shellcheck disable=SC2016 # expanded on the host
authorize() {
    remote "$1" 'cd -- "$1" && exec bash scripts/node/cluster_key.sh authorize --from "$2"' "$directory" "${addresses[0]}" <"$scratch/key.pub"
}

# send_from_the_server: has the server's host log in to all live hosts and send them its packages; gives up those that it names.
# shellcheck disable=SC2016 # expanded on the host
send_from_the_server() {
    local index address message refused to=() still=()
    for index in "${live[@]}"; do to+=("${addresses[$index]}"); done
    refused=$(remote 0 'cd -- "$1" && exec bash scripts/node/send_locked.sh "$@"' "$directory" "${to[@]}" </dev/null | printable | head -c 1000000) ||
        fail "${aliases[0]} (${addresses[0]}) cannot send its packages to the others; its message is above"
    for index in "${live[@]}"; do
        message=$(address=${addresses[$index]} awk '$1 == ENVIRON["address"] { sub(/^[^ ]* /, ""); print; exit }' <<<"$refused")
        if [[ -n $message ]]; then give_up "$index" "${aliases[0]} $message"; else still+=("$index"); fi
    done
    live=(${still[@]+"${still[@]}"})
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
if [[ -n $lock ]]; then cp "$lock" "$hosts_file.lock"; fi
if [[ -e $hosts_file.lock ]]; then lock=$hosts_file.lock; else lock=/dev/null; fi

list_project
each_host "the setup" bring
[[ ${live[0]-} == 0 ]] || report_failures # without the server's host nothing goes on
workers=("${live[@]:1}")
live=(0)
each_host "the setup" install_first
((${#live[@]})) || report_failures
# shellcheck disable=SC2016 # expanded on the host
shown remote 0 'cd -- "$1" && exec bash scripts/node/cluster_key.sh make --port "$2"' "$directory" "$port" </dev/null |
    head -c 16384 >"$scratch/key.pub" || fail "${aliases[0]} (${addresses[0]}) made no key for the cluster; its message is above"
live=(${workers[@]+"${workers[@]}"})
lock=$hosts_file.lock
if ((${#live[@]})); then each_host "letting ${aliases[0]} in" authorize; fi
if ((${#live[@]})); then send_from_the_server; fi
if ((${#live[@]})); then each_host "the setup" install; fi
report_failures
echo "The cluster is ready: ${#aliases[@]} hosts, and ${aliases[0]} (${addresses[0]}) is the server's. A job starts there, in $directory:"
echo "  bash scripts/train_cluster.sh --detach configs/runs/quickstart.toml"
