#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stages 5 to 7 of one system into one directory, as run_paper.sh, run_figures.sh and tune_threshold.sh need them many
# times: labels, RTTM and scores of a set whose stages 1 to 4 are done. What the stages say goes to <out-dir>/run.log, which is shown where
# one fails. Recordings that are done are not done again.

# Begin configuration section.
system=
reading=robust
system_options=
num_spk=oracle
threshold=
seed=0
protocols="forgiving fair full"
nj=2
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] --system <name> <data-dir> <subsegments-dir> <xvector-dir> <out-dir>
 e.g.: $0 --system nmesc data/mini exp/mini/subsegments exp/mini/xvectors_campplus exp/mini/nmesc_oracle
  --system <name>              # conf/systems/<name>.yaml, or the path of such a file
  --reading <robust|literal>   # how the paper is read; see cluster_ssl.sh
  --system-options <\"name=value ..\"> # options that override these files
  --num-spk <n|estimate|oracle>
                               # speakers per recording: given, from the x-vectors, from the reference (default oracle)
  --threshold <cosine>         # see cluster_ssl.sh
  --seed <n|0>                 # see cluster_ssl.sh
  --protocols <\"names\"|forgiving fair full>
                               # see score_der.sh
  --nj <n|2>                   # parallel jobs, at most one per recording; does not affect the result
  --cmd <command|run.pl>       # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>     # true: do all recordings again (default false)
  --python <path|$python>      # Python that has the requirements
  --verbose <0|1|2>            # 0: warnings only, 1: the result (default), 2: details, in run.log
  --config <file>              # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../steps/diar/begin.sh"

data=$1
subsegments=$2
xvectors=$3
out=$4
common=(--python "$python" --verbose "$verbose")
options=(--system "$system" --reading "$reading" --system-options "$system_options" --num-spk "$num_spk"
  --threshold "$threshold" --seed "$seed")
if [ "$num_spk" = oracle ]; then options+=(--reco2num-spk "$data/reco2num_spk"); fi

mkdir -p "$out"
SECONDS=0
if ! {
  "$here/../../steps/diar/cluster_ssl.sh" "${common[@]}" "${options[@]}" --nj "$nj" --cmd "$cmd" --overwrite "$overwrite" \
    "$xvectors" "$out" &&
    "$here/../../steps/diar/make_rttm.sh" "${common[@]}" "$subsegments" "$out" &&
    "$here/../../steps/diar/score_der.sh" "${common[@]}" --protocols "$protocols" "$data" "$out"
} >"$out/run.log" 2>&1 </dev/null; then
  cat "$out/run.log" >&2
  exit 1
fi
if [ "$verbose" != 0 ]; then
  protocol=${protocols%% *}
  der=$(awk '$1 == "TOTAL" { print $2 }' "$out/score/$protocol.txt")
  echo "$script: $out: DER $der % ($protocol), $SECONDS s" >&2
fi
