#!/usr/bin/env bash
# Evaluates checkpoints by the words of the published DETOX and ByzShield code, in place of its evaluate_pytorch.sh.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/evaluate_pytorch.sh PROJECT_INDEX Q LR GAMMA [LAST_STEP]
       bash scripts/evaluate_pytorch.sh [FLAG ...]

Prints test accuracy (top-1 and top-5) and loss of the checkpoints in a folder: of files model_step_N of the published code, or of a
run of `byzshield detox`. The first form takes the folder that the published tuning uses, and its network and data set,
  ${TUNE_DIR:-$HOME/shared/tune}/BYZSHIELD<PROJECT_INDEX>/output_q_<Q>_lr_<LR>_gamma_<GAMMA>, ResNet18, Cifar10, --eval-freq 52.

  --model-dir DIR         the folder (default: output/models)
  --network NAME          of files model_step_N (default: LeNet); of a run, config.toml says it
  --dataset NAME          of files model_step_N (default: MNIST); of a run, config.toml says it
  --eval-freq N           steps between two evaluations (default: 50)
  --cur-step N            the first evaluation is N steps, and --eval-freq more, from the start (default: 0)
  --last-step N           the last step; 0 goes on until the run has ended, or you press Ctrl-C (default: 0)
  --eval-batch-size N     no effect: results do not depend on it
  --set KEY=VALUE         override a key of the run file, e.g. data.root=cifar10_data
  --json                  one JSON document at the end in place of lines
EOT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/request.sh
. "$project/scripts/lib/request.sh"
folder=output/models network=LeNet dataset=MNIST every=50 current=0 last=0 given=0 more=()
case "${1:-}" in
    -* | "") ;;
    *)
        (($# == 4 || $# == 5)) || refuse "it takes PROJECT_INDEX Q LR GAMMA and perhaps LAST_STEP, or flags"
        folder=${TUNE_DIR:-$HOME/shared/tune}/BYZSHIELD$1/output_q_$2_lr_$3_gamma_$4
        network=ResNet18 dataset=Cifar10 every=52 last=${5:-0}
        set --
        ;;
esac
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --json) more+=(--json) && shift && continue ;;
        --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
        -*) (($# > 1)) || refuse "$1 is no flag, or has no value" ;;
        *) refuse "there is no argument $1" ;;
    esac
    case $1 in
        --model-dir) folder=$2 ;;
        --network) network=$2 given=1 ;;
        --dataset) dataset=$2 given=1 ;;
        --eval-freq) every=$2 ;;
        --cur-step) current=$2 ;;
        --last-step) last=$2 ;;
        --eval-batch-size) ;;
        --set) more+=(--set "$2") ;;
        *) refuse "there is no flag $1" ;;
    esac
    shift 2
done
for number in "$every" "$current" "$last"; do
    [[ $number =~ ^[0-9]{1,9}$ ]] || refuse "steps are whole numbers; got $number"
done
((10#$every)) || refuse "--eval-freq must be at least 1"
first=$((10#$current + 10#$every))
((10#$last == 0 || 10#$last >= first)) || refuse "--last-step $last comes before the first evaluation, which is of step $first"
[[ -d $folder ]] || refuse "there is no folder $folder"
if ((given)) || [[ ! -e $folder/config.toml ]]; then more+=(--network "$network" --dataset "$dataset"); fi
steps=$first:
if ((10#$last)); then steps+=$((10#$last)); fi
[[ -x $project/.venv/bin/python ]] || refuse "$project has no .venv; install_node.sh or quickstart.sh makes it"
exec "$project/.venv/bin/python" -m byzshield evaluate "$folder" --watch --steps "$steps:$((10#$every))" ${more[@]+"${more[@]}"}
