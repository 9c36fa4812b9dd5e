#!/usr/bin/env bash
# Every test of the project: linters, then unit tests, scripts, and whole runs. Makes the environment if need be.
# Programs that tests compare with (md-eval.pl of Debian's sctk, shellcheck, sox, ffmpeg) are used where installed; with
# CI set, their absence is a failure.
# Usage: tests/run.sh [pytest options]

set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

python=$(utils/setup_env.sh --dev true)
PATH=$(dirname "$python"):$PATH
export PATH PYTHON=$python LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

"$python" -m ruff check .
"$python" -m ruff format --check .
if command -v shellcheck >/dev/null; then
  find . \( -name .venv -o -name data -o -name exp \) -prune -o -type f -name '*.sh' -print0 | xargs -0 shellcheck .ci/run
elif [ -n "${CI:-}" ]; then
  echo "tests/run.sh: error: shellcheck is not installed" >&2
  exit 1
fi
exec "$python" -m pytest -n auto --dist loadfile tests/unit tests/shell tests/e2e "$@"
