#!/usr/bin/env bash
# The launcher's pod of an MPIJob: the parameter server runs here, the workers in the other pods.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/kubernetes/launch.sh RUN.toml [FLAG ...]

What the launcher's pod of configs/clusters/kubernetes/mpijob.yaml runs. FLAGs go to `byzshield train`. A run that is there
already is resumed, so that a pod that starts again goes on. When the pod is told to end, the server finishes its step and
stores a checkpoint.
EOT
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/request.sh
. scripts/lib/request.sh
# shellcheck source=scripts/lib/mpirun.sh
. scripts/lib/mpirun.sh
# shellcheck source=scripts/lib/attend.sh
. scripts/lib/attend.sh
(($#)) || refuse "which run file? launch.sh RUN.toml"
[[ -f $1 ]] || refuse "$1 is not in the image: COPY it there, or mount a ConfigMap with it"
[[ -r /etc/mpi/hostfile ]] || refuse "no /etc/mpi/hostfile: this runs in the launcher's pod of an MPIJob, where the operator puts it"

# The server first, with one slot; then the workers' pods as the operator lists them.
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
{
    echo "$HOSTNAME slots=1"
    grep -v "^${HOSTNAME}[. ]" /etc/mpi/hostfile || true
} >"$folder/hosts"

# The operator's own settings (OMPI_MCA_orte_*) mean nothing to Open MPI 5: without these flags all ranks would run in this pod.
options=(--hostfile "$folder/hosts" --prtemca prte_keep_fqdn_hostnames 1 --prtemca plm_ssh_no_tree_spawn 1)
options+=(--prtemca plm_ssh_agent "ssh -F $PWD/configs/clusters/kubernetes/ssh_config")
options+=("${lose_ranks[@]}" "${same_threads[@]}")
# The pods' file systems are read-only but for /tmp.
export XDG_CACHE_HOME=/tmp/cache NUMBA_CACHE_DIR=/tmp/numba
options+=(-x XDG_CACHE_HOME -x NUMBA_CACHE_DIR)
attend .venv/bin/mpirun "${options[@]}" "$PWD/.venv/bin/python" -m mpi4py -m byzshield train "$@" --resume --exit-file "$folder/exit" || true
exit "$(cat "$folder/exit" 2>/dev/null || echo 1)"
