#!/usr/bin/env bash
# Brings results from the server's host.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/fetch_results.sh [OPTION ...] [NAME ...]

Run on your machine. Copies runs/NAME, or all of runs/, from the first host of a hosts file to runs/ here. What is here already is
not sent again; a transfer that broke off goes on where it ended. Links and special files are not copied, but named. Nothing is
ever removed on either side.

  --output DIR         the folder of the results here (default: runs, in the project's folder)
EOT
    host_options
    cat <<'EOT'

Exit status: 0 done, 1 the transfer failed, 2 the request was wrong.

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
sources=()
for name in ${names[@]+"${names[@]}"}; do
    [[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9_.+=-]*$ ]] || refuse "'$name' is not the name of a run"
    sources+=("$(place 0 "runs/$name")")
done
if ((${#sources[@]} == 0)); then
    sources=("$(place 0 runs/)")
fi
mkdir -p "$output"
# The partial folder keeps half a checkpoint from passing for a whole one.
status=0
rsync_to_hosts --recursive --times --no-links --safe-links --partial --partial-dir .rsync-partial --chmod go-w --out-format %n \
    "${sources[@]}" "$output/" || status=$?
case $status in
    0) ;;
    24) echo "$program: note: the job removed some files meanwhile; run this again at its end" >&2 ;;
    *) fail "not all of ${names[*]:-runs/} came from ${aliases[0]} (${addresses[0]}); rsync's message is above; run this again to go on" ;;
esac
echo "The results are in $output."
