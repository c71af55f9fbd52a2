# shellcheck shell=bash disable=SC2154
# Sourced (after hosts.sh): what this machine knows of the hosts' keys, for the hosts. Nobody is asked over the network: a key
# learned that way would prove nothing.

# write_known_hosts FILE PORT: a line for each host and key, under its alias and its address; ends if a host's key is not known.
write_known_hosts() {
    local index keys names unknown=()
    for index in "${!addresses[@]}"; do
        names=${aliases[$index]},${addresses[$index]}
        if [[ $2 != 22 ]]; then names="[${aliases[$index]}]:$2,[${addresses[$index]}]:$2"; fi
        keys=$(host_keys "${addresses[$index]}")
        [[ -n $keys ]] || unknown+=("${aliases[$index]} (${addresses[$index]})")
        sed -n "s/./$names &/p" <<<"$keys"
    done >"$1"
    ((${#unknown[@]} == 0)) || fail "this machine does not know the host key of ${unknown[*]}; log in there once with ssh, and compare\
 the fingerprint that it shows with what 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' prints on that host's console"
}

# host_keys ADDRESS: "TYPE KEY" a line, as ssh would look them up: its own name for the host, in its own files.
host_keys() {
    local settings name plain
    settings=$("${ssh_words[@]}" -T -G -- "$1") || fail "ssh does not accept its configuration for $1; its message is above"
    plain=$(setting hostname)
    name=$(setting hostkeyalias)
    if [[ -z $name ]]; then
        name=$plain
        if [[ $(setting port) != 22 ]]; then name="[$plain]:$(setting port)"; fi
    fi
    keys_of "$name" | grep . || keys_of "$plain"
}

# setting NAME: its value in $settings, what ssh -G prints.
setting() { sed -n "s/^$1 //p" <<<"$settings"; }

# keys_of NAME: its keys in the files that $settings name, without the revoked ones.
keys_of() {
    local file files
    # Paths are separated by spaces, but may be one path that has some.
    mapfile -t files < <(for file in userknownhostsfile globalknownhostsfile; do setting "$file" && setting "$file" | tr ' ' '\n'; done)
    for file in "${files[@]}"; do
        # shellcheck disable=SC2088 # some versions of ssh print the tilde
        case $file in '~/'*) file=$HOME/${file#??} ;; esac
        if [[ -r $file ]]; then ssh-keygen -F "$1" -f "$file" || true; fi
    done | awk '/^@revoked/ { revoked[$4] = 1 } /^[^#@]/ { type[$3] = $2 } END { for (key in type) if (!(key in revoked)) print type[key], key }' |
        sort
}
