#!/usr/bin/env bash
# All that CI asks: formatting, types, layers, scripts, tests.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/test.sh [PYTEST_ARGUMENT ...]

Makes .venv if it is missing, installs what the tests need, and runs ruff, mypy, import-linter, shellcheck and pytest.
Arguments go to pytest, for example: -k placement

The launcher is tested under Python 2.7, too, if there is one (PYTHON2 names it), the cluster tools with real hosts, sshds and
a real Slurm, the data sets with real images, completion in bash, fish and zsh, and the report's page in Chromium. These need root
and Debian's packages, which are installed where apt-get is found; elsewhere those tests are skipped.
EOF
}

# ensure_debian_packages: what the tests of the cluster tools run, shells, a browser, and real images (31 MB); no service is started.
ensure_debian_packages() {
    local package missing=() policy=/usr/sbin/policy-rc.d
    for package in chromium-headless-shell curl dataset-fashion-mnist fish git iproute2 libpmix-dev munge openssh-client openssh-server procps rsync slurm-client slurmctld slurmd util-linux zsh; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        return
    fi
    echo "Installing ${missing[*]} ..."
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${missing[@]}" >/dev/null
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/venv.sh
. scripts/lib/venv.sh
# shellcheck source=scripts/lib/mpi_env.sh
. scripts/lib/mpi_env.sh
ensure_venv test
# In CI nothing may be skipped because something is missing.
ensure_launcher_python2 || [[ -z ${CI:-} ]]
if ((EUID == 0)) && [[ -n $(type -P apt-get) ]]; then
    ensure_debian_packages
fi

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
.venv/bin/shellcheck --external-sources scripts/*.sh scripts/*/*.sh scripts/slurm/train.sbatch .ci/run
# The tests start hundreds of Pythons: each would compile the package anew, and pytest the tests in each of its processes.
unset PYTHONDONTWRITEBYTECODE
# Four at a time on two cores: many tests wait for processes that they have started. They are dealt out one by one in their order, in
# which those of milliseconds come last, so that all four end together.
.venv/bin/python -m pytest -q -n 4 --dist load --maxschedchunk 1 "$@"
