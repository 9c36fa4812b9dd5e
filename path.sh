# Environment of the recipe; sourced by run.sh and by every stage script that is run from this folder.
# shellcheck shell=bash

export LC_ALL=C
export PYTHONUNBUFFERED=1
# One thread per job: --nj says how many jobs run side by side.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# The environment that stage 0 made, if it made one.
recipe=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
if [ -x "$recipe/.venv/bin/python3" ]; then PATH=$recipe/.venv/bin:$PATH; fi
PATH=$recipe/utils:$PATH
unset recipe

# Optional. Kaldi's own tools, if you want them on the PATH:
#   export KALDI_ROOT=/path/to/kaldi; . "$KALDI_ROOT/tools/config/common_path.sh"
# github.com/nryant/dscore, for --scorer dscore (PyPI's package dscore is another program):
#   export DSCORE_ROOT=/path/to/dscore
export PATH
