# shellcheck shell=bash
# Sourced by the scripts: how a failure and a wrong request end, and what the words of a request may be.

program=$(basename "$0" .sh)

# fail MESSAGE: something went wrong. refuse MESSAGE: the request is wrong.
fail() { echo "$program: $1" >&2 && exit 1; }
refuse() { echo "$program: $1; see --help" >&2 && exit 2; }

is_address() { [[ $1 =~ ^[0-9A-Za-z:][0-9A-Za-z.:_-]*$ ]]; }
is_alias() { [[ $1 =~ ^[0-9A-Za-z][0-9A-Za-z._-]*$ ]]; }
is_user() { [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.@-]*$ ]]; }
is_port() { [[ $1 =~ ^[0-9]{1,5}$ ]]; }
is_package_index() { [[ -z $1 || $1 =~ ^(https://|file:///)[^[:space:]]+$ ]]; }
