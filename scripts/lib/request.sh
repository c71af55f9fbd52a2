# shellcheck shell=bash
# Sourced by the scripts: how a failure and a wrong request end, and what the words of a request may be.

program=$(basename "$0" .sh)

# fail MESSAGE: something went wrong. refuse MESSAGE: the request is wrong.
fail() { echo "$program: $1" >&2 && exit 1; }
refuse() { echo "$program: $1; see --help" >&2 && exit 2; }

# need WHAT OPTION [VALUE ...]: refuses an option whose value is missing or empty.
need() { [[ -n ${3-} ]] || refuse "$2 needs $1"; }

is_address() { [[ $1 =~ ^[0-9A-Za-z:][0-9A-Za-z.:_-]*$ ]]; }
is_alias() { [[ $1 =~ ^[0-9A-Za-z][0-9A-Za-z._-]*$ ]]; }
is_user() { [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.@-]*$ ]]; }
is_port() { [[ $1 =~ ^[0-9]{1,5}$ ]]; }
is_package_index() { [[ -z $1 || $1 =~ ^(https://|file:///)[^[:space:]]+$ ]]; }

# hosts_of HOSTFILE: prints the host of each of its lines. What may stand behind it, "slots=N" or MPICH's ":N", is not ours.
hosts_of() {
    awk '{ sub(/\r$/, "") } !/^[ \t]*(#|$)/ { if ($1 ~ /^[^:]+:[0-9]+$/) sub(/:.*/, "", $1); print $1 }' "$1"
}
