#!/usr/bin/env bash
# Trains on several hosts; runs on the first of them, which is the parameter server.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/train_cluster.sh [OPTION ...] RUN.toml [FLAG ...]
       bash scripts/train_cluster.sh [OPTION ...] --detox FLAG ...

Starts mpirun over the hosts of a hostfile: the parameter server on this one, the first, and the run's workers on the others.
Each host has this project in the same folder, with its .venv and RUN.toml (setup_nodes.sh sees to it). FLAGs go to
`byzshield train`, or behind --detox to `byzshield detox`. A process that dies is counted as lost and training goes on; when a host
dies, mpirun ends, and the job goes on from its newest checkpoint on the hosts that are left. A run that is there already is resumed,
unless --overwrite is among the FLAGs.
Shows the log, which also stays in runs/; Ctrl-C ends the job after its step, with a checkpoint.

  --hostfile FILE     an address a line, the server's first (default: .cluster/hosts_address)
  --ranks-per-host N  processes on each worker's host (default: as many as a host has physical cores, and with --detox one; never
                      more in all than the run has workers, which are shared among them evenly)
  --ranks N           processes in all, the server's among them, in place of that
  --ssh-config FILE   how this host reaches the others (default: .cluster/ssh_config if it is there)
  --network CIDR      the network that MPI uses, for example 10.0.0.0/16, where hosts have several
  --restarts N        how often the job is started again after a host has died (default: 3)
  --watch             end the job in order when a host gets notice that its spot instance will be interrupted
  --time-limit MIN    end the job after the step that is under way so many minutes after its start, with a checkpoint
  --dry-run           check the run file, say where the run is, how many workers it has and from which step it goes on, and end
  --detach            return at once; the job outlives the terminal: logs.sh follows it, stop.sh ends it

Example:
  bash scripts/train_cluster.sh --detach configs/runs/quickstart.toml --set run.checkpoint_every=10
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/job.sh
. "$project/scripts/lib/job.sh"
hostfile=.cluster/hosts_address ranks=0 per_host=0 dry_run=0 ssh_config='' network='' restarts=3 watch=0 detach=0 minutes='' detox=0
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --hostfile) need "a file" "$@" && hostfile=$(realpath -m -- "$2") && shift ;;
        --ranks) need "a number" "$@" && ranks=$2 && shift ;;
        --ranks-per-host) need "a number" "$@" && per_host=$2 && shift ;;
        --dry-run) dry_run=1 ;;
        --ssh-config) need "a file" "$@" && ssh_config=$(realpath -m -- "$2") && shift ;;
        --network) need "addresses like 10.0.0.0/16" "$@" && network=$2 && shift ;;
        --restarts) need "a number" "$@" && restarts=$2 && shift ;;
        --watch) watch=1 ;;
        --time-limit) need "a number of minutes" "$@" && minutes=$2 && shift ;;
        --detach) detach=1 ;;
        --detox) detox=1 && shift && break ;;
        -*) refuse "unknown argument $1; flags of byzshield train stand behind RUN.toml" ;;
        *) break ;;
    esac
    shift
done
(($#)) || { usage >&2 && exit 2; }
limit_time "$minutes"
if ((!detox)); then
    run_file=$(realpath -m -- "$1") && shift
    [[ -e $run_file ]] || refuse "$run_file does not exist"
    set -- train "$run_file" "$@"
else
    set -- detox "$@"
fi
cd "$project"
# shellcheck source=scripts/lib/mpirun.sh
. scripts/lib/mpirun.sh
[[ -r $hostfile ]] || refuse "no hostfile $hostfile; setup_nodes.sh or the launcher's setup writes it"
[[ -z $ssh_config || -r $ssh_config ]] || refuse "there is no file $ssh_config"
[[ -x .venv/bin/mpirun ]] || refuse "no .venv in $PWD; bash scripts/install_node.sh makes it"
(($(hosts_of "$hostfile" | wc -l) >= 2)) || refuse "$hostfile must name the server and at least one more host; train_local.sh needs no other"
[[ $ranks =~ ^[0-9]+$ && $ranks -ne 1 ]] || refuse "--ranks must be at least 2: the server and a process for workers; got $ranks"
[[ $per_host =~ ^(0|[1-9][0-9]{0,3})$ ]] || refuse "--ranks-per-host needs a number; got $per_host"
[[ $restarts =~ ^[0-9]+$ ]] || refuse "--restarts needs a number; got $restarts"
[[ -n $ssh_config || ! -e .cluster/ssh_config ]] || ssh_config=$PWD/.cluster/ssh_config

options=(--bind-to none --map-by slot:OVERSUBSCRIBE "${lose_ranks[@]}" "${same_threads[@]}")
# The server's key opens the workers by ssh, and theirs opens nothing; MPI's runtime, once it runs, starts programs for any of them on all.
options+=(--prtemca plm_ssh_no_tree_spawn 1)
# mpirun takes the command apart at its spaces.
[[ $ssh_config != *[[:space:]]* ]] || refuse "the path of the ssh configuration must be free of spaces; got $ssh_config"
export SSH=ssh
if [[ -n $ssh_config ]]; then
    SSH="ssh -F $ssh_config"
    options+=(--prtemca plm_ssh_agent "$SSH")
fi
[[ -z $network ]] || options+=(--prtemca prte_if_include "$network" --mca btl_tcp_if_include "$network")
# A run that is there already goes on, unless it shall be replaced: so the same command starts the job again at any time.
[[ " $* " == *" --overwrite "* || " $* " == *" --resume "* ]] || set -- "$@" --resume
workers=0
if ((detox)); then
    # Its flags may leave the number of workers to that of the processes.
    ((per_host)) || per_host=1
    ((!dry_run)) || refuse "--dry-run needs a RUN.toml; --detox has a --dry-run of its own"
else
    # A mistake in the run file is said here, and not in a log.
    facts=$(.venv/bin/python -m byzshield "$@" --dry-run)
    ((!dry_run)) || { echo "$facts" && exit 0; }
    fact() { sed -n "s/^$1 //p" <<<"$facts"; }
    workers=$(fact workers)
    case " $* $(fact checkpoint)" in
        *" --overwrite "*) echo "$(fact run) begins afresh" ;;
        *none) echo "$(fact run) begins at step 0" ;;
        *) echo "$(fact run) goes on from $(fact checkpoint)" ;;
    esac
fi
run_job "$detach" ${time_limit[@]+"${time_limit[@]}"} bash scripts/node/cluster_job.sh "$hostfile" "$ranks" "$per_host" "$workers" "$restarts" "$watch" .venv/bin/mpirun "${options[@]}" -- \
    "$PWD/.venv/bin/python" -m mpi4py -m byzshield "$@"
