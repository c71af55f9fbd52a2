# shellcheck shell=bash
# Sourced: makes .venv and installs the project into it, once for each state of the requirements.

# ensure_venv [EXTRA]: with that extra of setup.py, such as "test"; without one, what jobs and reports on this machine need.
ensure_venv() {
    local extra=${1:-all} state
    state=$(cat setup.py requirements-local.txt requirements-remote.txt | cksum | cut -d ' ' -f 1)
    if [[ -e .venv/.installed-$extra-$state || -e .venv/.installed-test-$state ]]; then # "test" brings all the others
        return
    fi
    make_venv
    echo "Installing byzshield[$extra] into .venv (a few gigabytes the first time) ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
    touch ".venv/.installed-$extra-$state"
}

# ensure_node_venv REQUIREMENTS [WHEELS [TORCH_INDEX]]: what a node needs, exactly as the lock has it (lock.sh). The project itself is
# linked, not built: that needs no build tool, and new code is in force at once.
ensure_node_venv() {
    if [[ -e $LOCK && -e $(node_stamp "$1") ]] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    local had_lock=""
    [[ ! -e $LOCK ]] || had_lock=1
    make_venv
    lock_wheels "$@" || return
    install_locked || return
    [[ -z $had_lock ]] || check_installed "$1" || return
    link_project
    touch "$(node_stamp "$1")"
}

# node_stamp REQUIREMENTS: the file that says that these are installed. A file of the user's own may include ours.
node_stamp() {
    echo ".venv/.installed-node-$({ pwd && cat "$1" requirements-remote.txt "$LOCK"; } | cksum | cut -d ' ' -f 1)"
}

# link_project: lets .venv import this folder's byzshield, and makes the command.
link_project() {
    pwd >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/byzshield-project.pth"
    rm -f .venv/bin/byzshield
    printf '#!/bin/sh\nexec %q -m byzshield "$@"\n' "$PWD/.venv/bin/python" >.venv/bin/byzshield
    chmod 755 .venv/bin/byzshield
}

# make_venv: makes .venv, and completes one that was left half made.
make_venv() {
    if .venv/bin/python -c 'import pip' 2>/dev/null; then
        return
    fi
    local python
    python=$(find_python)
    echo "Making .venv with $python ..."
    "$python" -m venv .venv || {
        echo "scripts: $python cannot make a virtual environment; set PYTHON to one that can (with venv and ensurepip;" \
            "Debian and Ubuntu have them in python3-venv)" >&2
        exit 1
    }
}

# find_python: prints the first Python >= 3.11 on the path, or $PYTHON.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "scripts: no Python >= 3.11 on the path; set PYTHON to one" >&2
    exit 1
}

# ensure_launcher_python2: makes .venv/bin/launcher-python2.7, a Python 2.7 that has what requirements-local.txt pins for it.
ensure_launcher_python2() {
    local python requirements=$PWD/requirements-local.txt packages=$PWD/.venv/launcher-python2.7 stamp
    stamp="$packages/.installed-$(cksum <"$requirements" | cut -d ' ' -f 1)"
    if [[ -e $stamp ]]; then
        return
    fi
    python=$(find_python2) || return 1
    echo "Installing the launcher's packages for $python ..."
    rm -rf "$packages"
    # From .venv: in the project's folder, pip would take the project for installed and check its requirements, too.
    (cd .venv && "$python" -m pip install --quiet --disable-pip-version-check --target "$packages" --requirement "$requirements") ||
        return 1
    printf '#!/bin/sh\nPYTHONPATH=%q exec %q "$@"\n' "$packages" "$python" >.venv/bin/launcher-python2.7
    chmod 755 .venv/bin/launcher-python2.7
    touch "$stamp"
}

# find_python2: prints the first Python 2.7 that runs: $PYTHON2, one on the path, or one of pyenv's.
find_python2() {
    local candidate
    for candidate in ${PYTHON2:+"$PYTHON2"} python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "scripts: no Python 2.7 on the path; the launcher's tests under it cannot run (set PYTHON2 to one)" >&2
    return 1
}
