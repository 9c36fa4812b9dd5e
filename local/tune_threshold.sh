#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Result of a system whose number of speakers comes from a threshold (cluster_ssl.sh --threshold), tuned in two folds as
# Kaldi's callhome_diarization does it: each threshold of a list is tried on all recordings; the one with the lowest DER
# on one half of them is taken for the other half, and the two halves are scored together. No recording affects its own
# threshold, but the reference of the other half does: the result says "tuned on the other fold".
#
# Comes after extract_xvectors.sh, does what stages 5 to 7 do; <out-dir> is then a system's directory like any other
# (labels, rttm, meta.json, score/). What was tried is in <out-dir>/tuning: table.txt, result.json, threshold_*/.

# Begin configuration section.
system=xvector_ahc
system_options=
thresholds="0 0.05 0.1 0.15 0.2 0.25 0.3 0.35 0.4 0.45 0.5 0.55 0.6 0.65 0.7"
fold1=
fold2=
protocol=forgiving
scorer=ssdiar
seed=0
nj=2
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <data-dir> <subsegments-dir> <xvector-dir> <out-dir>
 e.g.: $0 data/mini exp/mini/subsegments exp/mini/xvectors_campplus exp/mini/xvector_ahc_tuned
  --system <name|$system>   # conf/systems/<name>.yaml, or the path of such a file
  --system-options <\"name=value ..\"> # options that override that file
  --thresholds <\"x y ..\">      # cosines to try, see cluster_ssl.sh --threshold (default 0 to 0.7 by 0.05); of equally
                               # good ones the first is taken
  --fold1 <file>, --fold2 <file>
                               # lists of recordings; with one list, the other fold is the rest; without any, every other
                               # recording by name
  --protocol <forgiving|fair|full>
                               # protocol whose DER is made least (default forgiving); in the end all three are scored
  --scorer <ssdiar|md-eval|dscore>
                               # what makes the final score (default ssdiar); see score_der.sh
  --seed <n|0>                 # see cluster_ssl.sh
  --nj <n|2>                   # parallel jobs, at most one per recording; does not affect the result
  --cmd <command|run.pl>       # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>     # true: try everything again (default false)
  --python <path|$python>      # Python that has the requirements
  --verbose <0|1|2>            # 0: warnings only, 1: progress (default), 2: details
  --config <file>              # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../steps/diar/begin.sh" || exit 1

data=$1
subsegments=$2
xvectors=$3
out=$4
common=(--python "$python" --verbose "$verbose")

options=(--thresholds="$thresholds" --fold1="$fold1" --fold2="$fold2" --protocol="$protocol")
"$python" "$here/$stage.py" --verbose="$verbose" plan "${options[@]}" -- "$data" "$xvectors" "$out" || exit 1

# The threshold takes the place of the number that --num-spk gives.
for threshold in $thresholds; do
  say "threshold $threshold"
  "$here/run_system.sh" --system "$system" --system-options "$system_options" --num-spk 2 --threshold "$threshold" \
    --protocols "$protocol" --seed "$seed" --nj "$nj" --cmd "$cmd" --overwrite "$overwrite" --python "$python" \
    --verbose "$((verbose > 1 ? verbose : 0))" "$data" "$subsegments" "$xvectors" "$out/tuning/threshold_$threshold"
done

"$python" "$here/$stage.py" --verbose="$verbose" choose -- "$out" || exit 1
"$steps/make_rttm.sh" "${common[@]}" "$subsegments" "$out"
"$steps/score_der.sh" "${common[@]}" --scorer "$scorer" \
  --num-spk-source "threshold tuned on the other fold ($protocol)" "$data" "$out"
