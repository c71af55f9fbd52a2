# shellcheck shell=bash
# Sourced by the scripts that work on the hosts of a hosts file: their options, the list, ssh, the same work on many hosts at once.

# shellcheck source=scripts/lib/request.sh
. "${BASH_SOURCE[0]%/*}/request.sh"
# shellcheck source=scripts/lib/printable.sh
. "${BASH_SOURCE[0]%/*}/printable.sh"
hosts_file="" remote_user="" directory=byzshield ssh_config="" terminal=""
aliases=() addresses=() live=() failed=() ssh_words=() started=()
AT_ONCE=64
host_seconds=3600 deadline=()

host_options() {
    cat <<'EOT'
  --hosts FILE         a host a line: ADDRESS, or ADDRESS ALIAS; # begins a comment. The first is the server's host. ADDRESS is
                       what the hosts use among themselves, and what ssh is given here: where this machine knows them by
                       another name, port or jump host, say so in a "Host ADDRESS" block of your ssh configuration
  --user USER          the user there (default: what ssh decides)
  --directory DIR      the project's folder there, relative to the user's home (default: byzshield)
  --ssh-config FILE    the ssh configuration (default: ssh's own)
  --deadline SECONDS   for so long the others wait for a host in each step, at most (default: 3600)
EOT
}

# host_option OPTION VALUE: takes it if it is one of those above.
host_option() {
    case $1 in
        --hosts) hosts_file=$(absolute "$2") ;;
        --user) remote_user=$2 ;;
        --directory) directory=$2 ;;
        --ssh-config) ssh_config=$(absolute "$2") ;;
        --deadline) host_seconds=$2 ;;
        *) return 1 ;;
    esac
}

absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac }

# read_hosts: fills aliases and addresses, all of them live, and makes ssh_words; refuses a file that is not as it should be.
read_hosts() {
    local line address alias more number=0 tool
    [[ -z $remote_user ]] || is_user "$remote_user" || refuse "'$remote_user' is no user's name"
    [[ -n $directory && $directory != [-~]* && $directory != *[[:cntrl:]]* ]] || refuse "'$directory' is no folder below the user's home"
    [[ $host_seconds =~ ^[0-9]{1,6}$ ]] || refuse "--deadline needs a number of seconds; got $host_seconds"
    [[ -z $ssh_config || -r $ssh_config ]] || refuse "there is no file $ssh_config"
    [[ -r $hosts_file ]] || refuse "there is no file $hosts_file; it lists the hosts, the server's first"
    for tool in ssh rsync; do [[ -n $(type -P "$tool") ]] || fail "$tool is missing on this machine; install it"; done
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1)) line=${line%$'\r'}
        read -r address alias more <<<"${line%%#*}" || true
        [[ -n $address ]] || continue
        if [[ -z $alias ]]; then
            alias=worker${#aliases[@]}
            [[ $alias != worker0 ]] || alias="ps"
        fi
        { [[ -z $more ]] && is_address "$address" && is_alias "$alias"; } ||
            refuse "$hosts_file, line $number: it must be ADDRESS or ADDRESS ALIAS, got '$line'"
        [[ " ${aliases[*]-} ${addresses[*]-} " != *" $address "* && " ${aliases[*]-} " != *" $alias "* ]] ||
            refuse "$hosts_file, line $number: $address or $alias is there twice"
        live+=("${#aliases[@]}") aliases+=("$alias") addresses+=("$address")
    done <"$hosts_file"
    ((${#aliases[@]})) || refuse "$hosts_file names no host"
    # Nothing is asked and no unknown host is believed, whatever the configuration says; the agent is not forwarded.
    ssh_words=(ssh -a -x -o BatchMode=yes -o StrictHostKeyChecking=yes -o ClearAllForwardings=yes
        -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=4)
    if [[ -n $ssh_config ]]; then ssh_words+=(-F "$ssh_config"); fi
    if [[ -n $remote_user ]]; then ssh_words+=(-l "$remote_user"); fi
    scratch=$(mktemp -d)
    trap end_started EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# shell_quote WORD ...: the words as any shell reads them.
shell_quote() {
    local word
    for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

# remote INDEX SCRIPT [ARGUMENT ...]: bash runs SCRIPT on that host, in the user's home; standard input goes there, too. Under sshd,
# bash would read the user's .bashrc first, whose commands may fail under set -eu.
remote() {
    local index=$1 script="set -euo pipefail; $2"
    ${deadline[@]+"${deadline[@]}"} "${ssh_words[@]}" ${terminal:+"$terminal"} -- "${addresses[$index]}" "bash --norc -c $(shell_quote "$script" "$program" "${@:3}")"
}

# shown COMMAND ...: the command, and what it writes on standard error as a terminal may show it.
shown() { { "$@" 2>&1 >&3 3>&- | printable >&2; } 3>&1; }

# rsync_to_hosts RSYNC_ARGUMENT ...: rsync over our ssh. place INDEX PATH: PATH in the project's folder there, for rsync.
rsync_to_hosts() {
    local word shell=""
    # rsync splits these words itself: a quote within quotes is doubled.
    for word in "${ssh_words[@]}"; do shell+="'${word//\'/\'\'}' "; done
    ${deadline[@]+"${deadline[@]}"} rsync --protect-args --rsh "$shell" --timeout 120 "$@"
}
place() {
    case ${addresses[$1]} in
        *:*) echo "[${addresses[$1]}]:$directory/$2" ;;
        *) echo "${addresses[$1]}:$directory/$2" ;;
    esac
}

# each_host WHAT COMMAND ...: COMMAND ... INDEX for every live host, AT_ONCE at a time at the most, each line of output with the
# host's name in front. A host on which WHAT fails is remembered in failed and is live no longer.
each_host() {
    local what=$1 index status still=()
    shift
    for index in "${live[@]}"; do
        while (($(jobs -pr | wc -l) >= AT_ONCE)); do wait -n || true; done
        # With its own process group, so that we can end all of it.
        set -m
        on_host "$index" "$@" &
        set +m
        started+=("$!")
    done
    wait
    started=()
    for index in "${live[@]}"; do
        status=$(cat "$scratch/status.$index" 2>/dev/null || echo "an unknown status")
        case $status in
            0) still+=("$index") ;;
            124) give_up "$index" "$what failed: the host took longer than --deadline ($host_seconds s)" ;;
            255) give_up "$index" "$what failed: ssh could not log in, or lost the connection" ;;
            *) give_up "$index" "$what failed with exit status $status" ;;
        esac
        rm -f "$scratch/status.$index"
    done
    live=(${still[@]+"${still[@]}"})
}

on_host() {
    local index=$1 deadline=()
    shift
    if [[ -n $(type -P timeout) ]]; then deadline=(timeout --foreground --kill-after=10 "$host_seconds"); fi
    set +e
    (set -e; "$@" "$index") </dev/null 2>&1 | printable "s/^/${aliases[$index]}: /"
    echo "${PIPESTATUS[0]}" >"$scratch/status.$index"
}

give_up() { failed+=("${aliases[$1]} (${addresses[$1]}): $2"); }

# report_failures: names the hosts that failed, and ends with status 1 if there are any.
report_failures() {
    local message
    if ((${#failed[@]})); then
        for message in "${failed[@]}"; do echo "$program: $message" >&2; done
        fail "${#failed[@]} of ${#aliases[@]} hosts failed; mend what their lines above say, then run this again"
    fi
}

end_started() {
    local group
    for group in ${started[@]+"${started[@]}"}; do kill -TERM -- "-$group" 2>/dev/null || true; done
    rm -rf "$scratch"
}
