#!/usr/bin/env bash
# Brings results from the server's host.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/fetch_results.sh [OPTION ...] [NAME ...]

Run on your machine, which needs Python (3.6 or newer, or 2.7). Copies runs/NAME, or all of runs/, from the first host of a hosts file
to runs/ here, and prints the name of each file. What is here already is not sent again; a file appears when it is whole, and after a
transfer that broke off the next call brings what is missing. The host is not trusted: links, special files and names that lead out of
the folder or have control characters are not copied, but named, and no more is written than the host has listed and this machine has
room for. Nothing is ever removed on either side.

  --output DIR         the folder of the results here (default: runs, in the project's folder)
EOT
    host_options
    cat <<'EOT'

Exit status: 0 done, 1 not all of it came, 2 the request was wrong.

Example: bash scripts/fetch_results.sh --hosts hosts --user ubuntu quickstart
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/hosts.sh
. "$project/scripts/lib/hosts.sh"
hosts_file=$project/hosts
output=$project/runs names=()
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        -*) (($# > 1)) || refuse "$1 is no option, or has no value" ;;
        *) names+=("$1") && shift && continue ;;
    esac
    case $1 in
        --output) output=$(absolute "$2") ;;
        *) host_option "$1" "$2" || refuse "there is no option $1" ;;
    esac
    shift 2
done

cd "$project"
read_hosts
for name in ${names[@]+"${names[@]}"}; do
    [[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9_.+=-]*$ ]] || refuse "'$name' is not the name of a run"
done
python=$(type -P python3 || type -P python2.7 || type -P python) || fail "python3 is missing on this machine; install it"
"$python" "$project/scripts/ec2/fetch_by_ssh.py" "${aliases[0]}" "$directory/runs" "$output" ${names[@]+"${names[@]}"} \
    -- "${ssh_words[@]}" -- "${addresses[0]}" ||
    fail "not all of ${names[*]:-runs/} came from ${aliases[0]} (${addresses[0]}); the reason is above; run this again to go on"
echo "The results are in $output."
