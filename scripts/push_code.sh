#!/usr/bin/env bash
# Brings the project's files to every host.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/push_code.sh [OPTION ...]

Run on your machine. Copies the files that git tracks, and new ones that it does not ignore, to the project's folder on every host
of a hosts file; sends what has changed, and removes what an earlier push brought and is gone here. Files that only the host has
(runs/, .venv/, .cluster/, your own) stay as they are.

EOT
    host_options
    cat <<'EOT'

Host keys must be known to ssh beforehand, and logging in must need no question. Exit status: 0 done; 1 some hosts failed, which are
named at the end while the others were done; 2 the request was wrong.

Example: bash scripts/push_code.sh --hosts hosts --user ubuntu
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/hosts.sh
. "$project/scripts/lib/hosts.sh"
# shellcheck source=scripts/lib/push_host.sh
. "$project/scripts/lib/push_host.sh"
hosts_file=$project/hosts
while (($#)); do
    case $1 in -h | --help) usage && exit 0 ;; esac
    (($# > 1)) || refuse "$1 is no option, or has no value"
    host_option "$1" "$2" || refuse "there is no option $1"
    shift 2
done

cd "$project"
read_hosts
list_project
each_host "the push" push_host
report_failures
