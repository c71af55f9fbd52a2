#!/usr/bin/env bash
# Trains by the flags of the published DETOX and ByzShield code, in place of its run_pytorch.sh; runs on the server's host.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/run_pytorch.sh [OPTION ...] FLAG ...

Starts the job that the FLAGs of distributed_nn.py mean (`byzshield detox --help` lists them): over the hosts of a hostfile if
there is one, or else on this machine. What train_cluster.sh and train_local.sh say of logs, Ctrl-C and lost hosts holds here, too.
A run that --train-dir has already goes on over hosts; on this machine the new one gets a suffix. --overwrite replaces it.

  --n N                  processes: the parameter server and N - 1 workers (default: 16, as published)
  --hostfile FILE        an address a line, the server's first (default: .cluster/hosts_address if it is there); of this machine
                         alone, as in "localhost:16", it means --local
  --local                on this machine, whatever .cluster has
  --ssh-config FILE      how this host reaches the others
  --mpi-network CIDR     the network that MPI uses, where hosts have several
  --restarts N, --watch  after lost hosts, and on notice of a spot interruption: as train_cluster.sh has them
  --time-limit MINUTES   end the job after the step that is under way then, with a checkpoint; --resume STEP goes on from it
  --detach               return at once; the job outlives the terminal: logs.sh follows it, stop.sh ends it

Example:
  bash scripts/run_pytorch.sh --n 16 --time-limit 180 --lr=0.05 --momentum=0.9 --network=ResNet18 --dataset=Cifar10 --batch-size=250 \
      --mode=coord-median --approach=mols --group-size=3 --worker-fail=3 --byzantine-gen=hard_coded --err-mode=foe \
      --gamma=0.96 --lr-step=15 --eval-freq=40 --max-steps=1000 --train-dir=runs/mols_foe
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/request.sh
. "$project/scripts/lib/request.sh"
n=16 hostfile="" local=0 options=() cluster_options=() flags=()
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --n=* | --hostfile=* | --ssh-config=* | --mpi-network=* | --restarts=* | --time-limit=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
        --n) need "a number" "$@" && n=$2 && shift ;;
        --hostfile) need "a file" "$@" && hostfile=$(realpath -m -- "$2") && shift ;;
        --local) local=1 ;;
        --ssh-config) need "a file" "$@" && cluster_options+=(--ssh-config "$(realpath -m -- "$2")") && shift ;;
        --mpi-network) need "addresses like 10.0.0.0/16" "$@" && cluster_options+=(--network "$2") && shift ;;
        --restarts) need "a number" "$@" && cluster_options+=(--restarts "$2") && shift ;;
        --watch) cluster_options+=(--watch) ;;
        --time-limit) need "a number of minutes" "$@" && options+=(--time-limit "$2") && shift ;;
        --detach) options+=(--detach) ;;
        *) flags+=("$1") ;;
    esac
    shift
done
((${#flags[@]})) || { usage >&2 && exit 2; }
[[ $n =~ ^[0-9]{1,5}$ && $n -ge 2 ]] || refuse "--n must be at least 2: the server and a worker; got $n"
cd "$project"
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
[[ -x .venv/bin/mpirun ]] || ensure_venv ""
flags=(--workers "$((10#$n - 1))" "${flags[@]}")
# What is wrong with the flags is said here, before anything is started.
.venv/bin/python -m byzshield detox "${flags[@]}" --dry-run >/dev/null
[[ -n $hostfile ]] || [[ ! -r .cluster/hosts_address ]] || hostfile=$PWD/.cluster/hosts_address
if [[ -n $hostfile ]] && ((!local)); then
    [[ -r $hostfile ]] || refuse "there is no hostfile $hostfile"
    # The published file for one machine is "localhost:16".
    [[ $(hosts_of "$hostfile" | sort -u) != @(localhost|127.0.0.1|::1|"$(uname -n)") ]] || local=1
fi
if [[ -n $hostfile ]] && ((!local)); then
    exec bash scripts/train_cluster.sh --hostfile "$hostfile" --ranks "$n" ${cluster_options[@]+"${cluster_options[@]}"} \
        ${options[@]+"${options[@]}"} --detox "${flags[@]}"
fi
exec bash scripts/train_local.sh --ranks "$n" ${options[@]+"${options[@]}"} --detox "${flags[@]}"
