#!/usr/bin/env bash
# The separate evaluator: the test accuracy of a run's checkpoints, also while the job goes on.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/evaluate.sh [OPTION ...] RUN_DIR [--watch] [--json]

Prints the test accuracy of each checkpoint in RUN_DIR, on this machine, or, with --hosts, on the first host of a hosts file, where
RUN_DIR is relative to the project's folder there. --watch goes on with new checkpoints until the run has ended.

EOT
    host_options
    cat <<'EOT'

Exit status: that of `byzshield evaluate` (0 done, 1 failed, 2 the request was wrong); 255 if ssh could not log in.

Example: bash scripts/evaluate.sh --hosts hosts --user ubuntu runs/quickstart --watch
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/hosts.sh
. "$project/scripts/lib/hosts.sh"
flags=() run_dir=""
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --watch | --json) flags+=("$1") && shift && continue ;;
        -*) (($# > 1)) || refuse "$1 is no option, or has no value" ;;
        *)
            [[ -z $run_dir ]] || refuse "one RUN_DIR at a time"
            run_dir=$1 && shift && continue
            ;;
    esac
    host_option "$1" "$2" || refuse "there is no option $1"
    shift 2
done
[[ -n $run_dir ]] || refuse "name a run's folder"

if [[ -z $hosts_file ]]; then
    [[ -x $project/.venv/bin/byzshield ]] || refuse "$project has no .venv/bin/byzshield; install_node.sh or quickstart.sh makes it"
    exec "$project/.venv/bin/byzshield" evaluate "$run_dir" ${flags[@]+"${flags[@]}"}
fi
read_hosts
# With a terminal there, Ctrl-C here ends the evaluator, too.
if [[ -t 0 && -t 1 ]]; then terminal=-t; fi
# shellcheck disable=SC2016 # expanded on the host
shown remote 0 'cd -- "$1" && TERM=dumb exec .venv/bin/byzshield evaluate "${@:2}"' "$directory" "$run_dir" ${flags[@]+"${flags[@]}"} |
    printable
