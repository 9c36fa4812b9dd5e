#!/usr/bin/env bash
# The paper's Tables II and III and Figures 2 to 5 on CALLHOME, with the paper's x-vectors: stages 0 to 4 of run.sh, then
# local/paper/run.sh of the repository, both with the options given here. A rerun only does the missing work.
#   ./run_paper.sh --data "--corpus-dir ~/LDC"
#   Options: all of local/paper/run.sh (below), and --data, --stage and --overwrite of run.sh
set -euo pipefail

if [[ " $* " == *" --help "* ]]; then
  sed -n 's/^# *//p' "$0" | sed 1d
  exec "${0%/*}/../../local/paper/run.sh" --help
fi
stages=(--sad oracle --xvector speechbrain --systems "conformer_finch_ahc_contrastive best")
rows=(--set callhome --xvector speechbrain --readings "robust literal")
while [ $# -gt 1 ]; do
  case $1 in --make | --readings | --seeds | --num-spk) ;; *) stages+=("$1" "$2") ;; esac
  case $1 in --data | --stage | --overwrite) ;; *) rows+=("$1" "$2") ;; esac
  shift 2
done
"${0%/*}/run.sh" "${stages[@]}" "$@" --stop-stage 4
exec ../../local/paper/run.sh "${rows[@]}" "$@"
