#!/usr/bin/env bash
# All that CI asks: formatting, types, layers, scripts, tests.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash scripts/test.sh [PYTEST_ARGUMENT ...]

Makes .venv if it is missing, installs what the tests need, and runs ruff, mypy, import-linter, shellcheck and pytest.
Arguments go to pytest, for example: -k placement
EOF
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/venv.sh
. scripts/venv.sh
# shellcheck source=scripts/mpi_env.sh
. scripts/mpi_env.sh
ensure_venv mnist5k,test
ensure_launcher_python2

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
.venv/bin/shellcheck --external-sources scripts/*.sh .ci/run
.venv/bin/python -m pytest -q "$@"
