#!/usr/bin/env bash
# The key by which the server's host reaches the workers' hosts.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/cluster_key.sh make [--user USER] [--port PORT]
       bash scripts/node/cluster_key.sh authorize --from ADDRESS[,ADDRESS ...] < PUBLIC_KEY

make        on the server's host. Makes .cluster/id_ed25519 once, which never leaves this host, and .cluster/ssh_config, with which
            ssh (and so mpirun) logs in as USER (default: the current user) at PORT (default: 22), asks nothing, and believes the
            host keys of .cluster/known_hosts alone. Prints the public key, and nothing else, on standard output.
            If .cluster/hosts is there (lines ADDRESS ALIAS), its aliases work, too: ssh -F .cluster/ssh_config worker1
authorize   on a worker's host. Takes that public key from standard input and writes it to ~/.ssh/authorized_keys, good only for
            commands (no terminal, no forwarding) and only from ADDRESS (a name is looked up here, now). One line for this folder:
            a later call replaces it. All other lines stay as they are.

Exit status: 0 done, 1 something failed, 2 the request was wrong.

Example, from a laptop:
  ssh ps    'cd byzshield && bash scripts/node/cluster_key.sh make' > ps.pub
  ssh node1 'cd byzshield && bash scripts/node/cluster_key.sh authorize --from 10.0.0.1' < ps.pub
EOT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/request.sh
. scripts/lib/request.sh

# replace FILE COMMAND ...: what COMMAND prints becomes FILE, mode 600, all at once; a FILE that is so already is not touched.
replace() {
    local file=$1 new
    new=$(mktemp "$file.XXXXXX")
    shift
    "$@" >"$new" || { rm "$new" && fail "$file stays as it was"; }
    if cmp --silent "$new" "$file" && [[ $(stat --format %a "$file") == 600 ]]; then
        rm "$new"
    else
        mv "$new" "$file"
    fi
}

make_key() {
    # ssh reads % and $ in its own way, and no quote can stand in a quoted path.
    case $PWD in *[\"\\%\$]*) fail "the project's path must be free of \", \\, % and \$; it is $PWD" ;; esac
    if [[ ! -e .cluster/id_ed25519 ]]; then
        ssh-keygen -q -t ed25519 -N "" -C "byzshield cluster of $(uname -n)" -f .cluster/id_ed25519
    fi
    chmod 600 .cluster/id_ed25519
    replace .cluster/ssh_config print_ssh_config
    ssh-keygen -y -f .cluster/id_ed25519
}

print_ssh_config() {
    local address alias
    echo "# Written by scripts/node/cluster_key.sh: how this host reaches the others."
    if [[ -e .cluster/hosts ]]; then
        while read -r address alias _; do
            if is_address "$address" && is_alias "$alias"; then
                printf 'Host %s\n    HostName %s\n' "$alias" "$address"
            fi
        done <.cluster/hosts
    fi
    cat <<EOT
Host *
    User $user
    Port $port
    IdentityFile "$PWD/.cluster/id_ed25519"
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile "$PWD/.cluster/known_hosts"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    BatchMode yes
    ConnectTimeout 15
    ServerAliveInterval 15
EOT
}

# addresses_of LIST: each name of a comma-separated list replaced by the addresses that this host knows for it.
addresses_of() {
    local word found all=()
    IFS=, read -ra words <<<"$1"
    for word in ${words[@]+"${words[@]}"}; do
        { [[ $word =~ ^([^/]+)(/[0-9]+)?$ ]] && is_address "${BASH_REMATCH[1]}"; } || refuse "--from must be addresses, got '$word'"
        if [[ $word == */* || $word == *:* || $word =~ ^[0-9.]+$ ]]; then
            all+=("$word")
        else
            found=$(getent ahosts "$word" | awk '{ print $1 }' | sort -u) || fail "this host knows no address of $word"
            mapfile -t -O "${#all[@]}" all <<<"$found"
        fi
    done
    ((${#all[@]})) || refuse "--from must be addresses, got none"
    (IFS=, && echo "${all[*]}")
}

# authorized_keys FILE LINE MARK: FILE, with LINE in place of the line that ends in MARK.
authorized_keys() {
    if [[ -e $1 ]]; then
        MARK=" $3" awk '{ at = length($0) - length(ENVIRON["MARK"]) } at < 0 || substr($0, at + 1) != ENVIRON["MARK"]' "$1" || return
    fi
    printf '%s\n' "$2"
}

authorize_key() {
    local key type addresses mark="byzshield cluster in $PWD" file
    addresses=$(addresses_of "$from")
    key=$(head -c 16384 | tr -d '\0')
    if [[ ! $key =~ ^[a-z][a-z0-9@.-]+\ [A-Za-z0-9+/]+=*(\ [^[:cntrl:]]*)?$ ]] || ! ssh-keygen -l -f - <<<"$key" >/dev/null 2>&1; then
        refuse "standard input must be one line, a public key as 'cluster_key.sh make' prints it"
    fi
    # The key's comment is replaced by our mark.
    read -r type key _ <<<"$key"
    mkdir -p "$HOME/.ssh"
    chmod 700 "$HOME/.ssh"
    file=$(readlink -f "$HOME/.ssh/authorized_keys")
    replace "$file" authorized_keys "$file" "restrict,from=\"$addresses\" $type $key $mark" "$mark"
    echo "The cluster's key is good here for commands from $addresses."
}

command=${1:-} user=$(id -un) port=22 from=""
case $command in
    -h | --help) usage && exit 0 ;;
    make | authorize) shift ;;
    *) refuse "say make or authorize" ;;
esac
while (($#)); do
    case $1 in -h | --help) usage && exit 0 ;; esac
    (($# > 1)) || refuse "$1 is no option, or has no value"
    case "$command $1" in
        "make --user") user=$2 ;;
        "make --port") port=$2 ;;
        "authorize --from") from=$2 ;;
        *) refuse "$command has no option $1" ;;
    esac
    shift 2
done
is_user "$user" || refuse "'$user' is no user's name"
is_port "$port" || refuse "'$port' is no port"
[[ $command == make || -n $from ]] || refuse "authorize needs --from ADDRESS"

umask 077
mkdir -p .cluster
chmod 700 .cluster
# Nodes may share their home.
exec 9>>.cluster/key.lock
flock --wait 60 9 || fail "another cluster_key.sh holds .cluster/key.lock; end it, then run this again"
"${command}_key"
