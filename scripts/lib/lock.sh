# shellcheck shell=bash
# Sourced: one set of versions for all nodes of a cluster. .cluster/requirements.lock lists NAME==VERSION and SHA-256 of each wheel, as
# pip reads it; .cluster/locked holds these wheels, and a copy of the lock once all of them are there.

LOCK=.cluster/requirements.lock
LOCKED=.cluster/locked

# lock_wheels REQUIREMENTS [WHEELS [TORCH_INDEX]]: brings the wheels that the lock lists to .cluster/locked. Where there is no lock, those
# that REQUIREMENTS resolves to now, and writes it. They come from pip's index, or from the folder WHEELS alone; on a host without a GPU,
# torch comes from TORCH_INDEX.
lock_wheels() {
    local requirements=$1 wheels=${2:-} torch_index=${3:-} pip=(.venv/bin/python -m pip) from=() new=$LOCKED.new
    if [[ -e $LOCK ]] && cmp --silent "$LOCK" "$LOCKED/lock"; then
        return
    fi
    if [[ -n $wheels ]]; then
        pip=(isolated_pip)
        from=(--no-index --find-links "$wheels")
    elif [[ -n $torch_index ]] && has_gpu; then
        echo "This host has a GPU: torch comes from where everything else comes from, not from $torch_index."
    elif [[ -n $torch_index ]]; then
        from=(--extra-index-url "$torch_index")
    fi
    rm -rf "$new" && mkdir -p "$new"
    if [[ -e $LOCK ]]; then
        if [[ -d $LOCKED ]]; then from+=(--find-links "$LOCKED"); fi
        fetch_locked || return
    else
        resolve || return
        print_lock >"$LOCK.new" && mv "$LOCK.new" "$LOCK" || return
    fi
    cp "$LOCK" "$new/lock" && rm -rf "$LOCKED" && mv "$new" "$LOCKED"
}

# What these three read and write is lock_wheels' own: pip, from, new.
fetch_locked() {
    echo "Fetching the wheels that $LOCK lists ..."
    "${pip[@]}" wheel "${PIP_WORDS[@]}" --no-deps --require-hashes --wheel-dir "$new" ${from[@]+"${from[@]}"} --requirement "$LOCK" || {
        echo "scripts: pip cannot get what $LOCK lists; its message is above. The lock is for the Python and processor that its first" \
            "line names, and torch's builds for CPUs alone (+cpu) need --torch-index" >&2
        return 1
    }
}

resolve() {
    local torch
    echo "Fetching what $requirements asks for (a few gigabytes, if GPU packages are among it) ..."
    if [[ ${from[*]-} == --extra-index-url* ]]; then
        # pip takes the newest version, whichever index has it: so the version is chosen where the builds for CPUs are.
        "${pip[@]}" download "${PIP_WORDS[@]}" --no-deps --dest "$new" --index-url "$torch_index" torch || {
            echo "scripts: pip cannot get torch from $torch_index; its message is above" >&2
            return 1
        }
        torch=$(cd "$new" && echo torch-*.whl)
        IFS=- read -r _ torch _ <<<"$torch"
        echo "torch==$torch" >"$new/constraint"
        from+=(--find-links "$new" --constraint "$new/constraint")
    fi
    "${pip[@]}" wheel "${PIP_WORDS[@]}" --wheel-dir "$new" ${from[@]+"${from[@]}"} --requirement "$requirements" || {
        echo "scripts: pip cannot get what $requirements asks for${wheels:+ from the wheels in $wheels}; its message is above" >&2
        return 1
    }
    rm -f "$new/constraint"
}

print_lock() {
    local wheel name version digest
    .venv/bin/python -c 'import platform as p; print("# For", p.python_implementation(), p.python_version(), p.system(), p.machine())'
    for wheel in "$new"/*.whl; do
        IFS=- read -r name version _ <<<"${wheel##*/}"
        digest=$(sha256sum <"$wheel") || return
        echo "$name==$version --hash=sha256:${digest%% *}"
    done
}

# install_locked: makes .venv have exactly what the lock lists. (pip would keep an installed package of the same version, whatever its hash.)
install_locked() {
    echo "Installing what $LOCK lists into .venv ..."
    isolated_pip install "${PIP_WORDS[@]}" --force-reinstall --no-index --find-links "$LOCKED" --require-hashes --requirement "$LOCK" || {
        echo "scripts: pip cannot install what $LOCK lists from the wheels in $LOCKED; its message is above. They are for the Python and" \
            "processor that the lock's first line names" >&2
        return 1
    }
}

# check_installed REQUIREMENTS: asks for nothing that is not there.
check_installed() {
    isolated_pip install "${PIP_WORDS[@]}" --quiet --no-index --requirement "$1" || {
        echo "scripts: $LOCK does not have what $1 asks for; delete the lock (of a cluster: HOSTS.lock on your machine), and the next" \
            "setup makes a new one for all hosts" >&2
        return 1
    }
}

PIP_WORDS=(--disable-pip-version-check --no-input --progress-bar off)
# isolated_pip WORD ...: pip that reads no configuration, which may name other places to look at.
isolated_pip() { env PIP_CONFIG_FILE=/dev/null .venv/bin/python -m pip --isolated "$@"; }
has_gpu() { nvidia-smi -L 2>/dev/null | grep -q '^GPU '; }
