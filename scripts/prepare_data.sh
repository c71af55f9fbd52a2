#!/usr/bin/env bash
# Prepares data sets here or on every host, before a job needs them.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/prepare_data.sh [OPTION ...] NAME ...

Downloads, checks and converts data sets (`byzshield list datasets` names them) with the .venv of the project's folder: on this
machine, or, with --hosts, on every host of a hosts file. What is prepared already is not fetched again.

  --root DIR           the folder of their files (default: the user's cache)
EOT
    host_options
    cat <<'EOT'

Exit status: 0 done; 1 it failed, on the hosts that are named at the end; 2 the request was wrong.

Example: bash scripts/prepare_data.sh --hosts hosts --user ubuntu cifar10
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/hosts.sh
. "$project/scripts/lib/hosts.sh"
names=() flags=()
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        -*) (($# > 1)) || refuse "$1 is no option, or has no value" ;;
        *) names+=("$1") && shift && continue ;;
    esac
    case $1 in
        --root) flags=(--root "$2") ;;
        *) host_option "$1" "$2" || refuse "there is no option $1" ;;
    esac
    shift 2
done
((${#names[@]})) || refuse "name a data set"

# PREPARE FOLDER NUM_FLAGS FLAG ... NAME ...
# shellcheck disable=SC2016 # expanded where it runs, here or on a host
PREPARE='
cd -- "$1"
flags=("${@:3:$2}")
[[ -x .venv/bin/byzshield ]] || { echo "$PWD has no .venv/bin/byzshield; install_node.sh or quickstart.sh makes it" >&2 && exit 1; }
for name in "${@:3+$2}"; do .venv/bin/byzshield data prepare ${flags[@]+"${flags[@]}"} "$name"; done
'
words=("${#flags[@]}" ${flags[@]+"${flags[@]}"} "${names[@]}")
if [[ -z $hosts_file ]]; then
    exec bash -euo pipefail -c "$PREPARE" "$program" "$project" "${words[@]}"
fi
prepare_on() { remote "$1" "$PREPARE" "$directory" "${words[@]}"; }
read_hosts
each_host "preparing ${names[*]}" prepare_on
report_failures
