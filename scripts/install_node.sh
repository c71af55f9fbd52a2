#!/usr/bin/env bash
# Makes this machine a node: Debian packages, .venv, a mounted file system.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/install_node.sh [OPTION ...]

Run on a node. Installs the missing ones of some Debian packages, makes .venv in the project's folder with what the node needs, and
mounts a file system, which /etc/fstab then brings back at each start. Safe to run again: what is there already is left as it is.
Packages and mounts need root or passwordless sudo; the rest does not.

  --packages "A B"       Debian or Ubuntu packages that must be there, for example "python3-venv rsync"
  --python PYTHON        the Python (>= 3.11) that makes .venv (default: the first one on the path)
  --requirements FILE    what goes into .venv (default: requirements-remote.txt)
  --lock FILE            the exact versions, with hashes; becomes .cluster/requirements.lock. While that file is there, exactly what
                         it lists is installed; otherwise the newest versions are, and it is written
  --wheels DIR           take them from the wheels in DIR alone; no package index is asked
  --torch-index URL      the package index of torch's builds for CPUs alone, used where nvidia-smi finds no GPU (default: TORCH_INDEX).
                         Elsewhere, and without one, torch comes with what GPUs need, nearly 5 GB
  --mount-source S       what to mount, for example fs-0123.efs.eu-west-1.amazonaws.com:/
  --mount-point P        where: an absolute path, made if it is missing
  --mount-type T         its type, for example nfs4
  --mount-options O      its options, separated by commas (default: defaults)
  --only-mount           nothing but the mount

Relative paths are relative to the project's folder. A new file system that is still empty is given to the user who runs this;
nothing is ever made writable for all. Exit status: 0 done, 1 something failed, 2 the request was wrong.

Example: bash scripts/install_node.sh --packages "python3-venv rsync" --wheels .cluster/wheels
EOT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/request.sh
. scripts/lib/request.sh
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
# shellcheck source=scripts/lib/lock.sh
. scripts/lib/lock.sh
# shellcheck source=scripts/lib/mount.sh
. scripts/lib/mount.sh

as_root() { if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi; }
can_be_root() { ((EUID == 0)) || sudo -n true 2>/dev/null; }

# install_packages NAME ...: by apt-get, those that dpkg does not know as installed.
install_packages() {
    local package missing=()
    for package in "$@"; do
        [[ $package =~ ^[a-z0-9][a-z0-9.+-]+$ ]] || refuse "'$package' is not the name of a package"
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed* ]] || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        return
    fi
    [[ -n $(type -P apt-get) ]] ||
        fail "these packages are missing, and there is no apt-get: ${missing[*]}; install what your system has instead, then leave --packages out"
    can_be_root ||
        fail "these packages are missing: ${missing[*]}; run 'sudo apt-get install ${missing[*]}', or allow $USER passwordless sudo"
    echo "Installing ${missing[*]} ..."
    update_package_lists
    apt_get install --no-install-recommends "${missing[@]}" || fail "apt-get cannot install ${missing[*]}; its message is above"
}

# Soon after its first start a machine runs apt by itself, and ours may have to wait for that.
LOCK_SECONDS=300
apt_get() {
    as_root env LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
        apt-get --yes --quiet --option "DPkg::Lock::Timeout=$LOCK_SECONDS" "$@" </dev/null
}

# update_package_lists: apt-get does not wait for the lists' lock by itself.
update_package_lists() {
    local message deadline=$((SECONDS + LOCK_SECONDS))
    until message=$(apt_get update 2>&1); do
        [[ $message == *"Could not get lock"* ]] || fail "apt-get cannot update its lists: $message"
        ((SECONDS < deadline)) || fail "another apt has held its lock for $LOCK_SECONDS s; look for it with 'ps', then run this again"
        echo "Waiting for another apt to end ..." >&2
        sleep 2
    done
}

packages="" requirements=requirements-remote.txt lock="" wheels="" torch_index=${TORCH_INDEX:-} only_mount=""
mount_source="" mount_point="" mount_type="" mount_options=defaults
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --only-mount) only_mount=1 && shift && continue ;;
    esac
    (($# > 1)) || refuse "$1 is no option, or has no value"
    case $1 in
        --packages) packages=$2 ;;
        --python) export PYTHON=$2 ;;
        --requirements) requirements=$2 ;;
        --lock) lock=$2 ;;
        --wheels) wheels=$2 ;;
        --torch-index) torch_index=$2 ;;
        --mount-source) mount_source=$2 ;;
        --mount-point) mount_point=$2 ;;
        --mount-type) mount_type=$2 ;;
        --mount-options) mount_options=$2 ;;
        *) refuse "there is no option $1" ;;
    esac
    shift 2
done

umask 022
USER=${USER:-$(id -un)}
if [[ -n $mount_source$mount_point$mount_type ]]; then
    check_mount_request "$mount_source" "$mount_point" "$mount_type" "$mount_options"
elif [[ -n $only_mount ]]; then
    refuse "--only-mount needs --mount-source, --mount-point and --mount-type"
fi
if [[ -z $only_mount ]]; then
    [[ -r $requirements ]] || refuse "$PWD has no file $requirements"
    [[ -z $lock || -r $lock ]] || refuse "$PWD has no file $lock"
    [[ -z $wheels || -d $wheels ]] || refuse "$PWD has no folder $wheels"
    is_package_index "$torch_index" || refuse "--torch-index must begin with https:// or file:///, got '$torch_index'"
    # Nodes may share this folder: one of them installs, the others find it done.
    mkdir -p -m 700 .cluster
    exec 9>>.cluster/install.lock
    flock --wait 1800 9 || fail "another install_node.sh has been at work in $PWD for half an hour; end it, then run this again"
    read -ra names <<<"$packages"
    install_packages ${names[@]+"${names[@]}"}
    if [[ -n $lock ]] && ! cmp --silent "$lock" "$LOCK"; then cp "$lock" "$LOCK"; fi
    ensure_node_venv "$requirements" "$wheels" "$torch_index"
    exec 9>&-
fi
if [[ -n $mount_point ]]; then
    ensure_mount "$mount_source" "$mount_point" "$mount_type" "$mount_options"
fi
echo "This node is ready: $PWD"
