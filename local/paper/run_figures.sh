#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Figures 2 to 5 of the paper on a set whose stages 0 to 4 are done (run.sh --stop-stage 4), as PNG and as the table that
# the PNG shows, in <exp-root>/<set>/paper/figures/figure<N>.{png,tsv}:
#   2  number of clusters per outer iteration, with first labels by AHC and by FINCH
#   3  loss over the whole training, of the same two systems
#   4  DER of Model-2 for 1 to 16 attention heads of width 16 to 128
#   5  DER of Model-1 and Model-2 for thresholds 0.1 to 1.0 of the stop rule
# 2 and 3 use the runs of run_paper.sh where it has made them. A rerun does what is missing.

# Begin configuration section.
set=
figures="2 3 4 5"
num_spk=oracle
seeds=0
protocol=forgiving
xvector=campplus
tag=
data_root=data
exp_root=exp
nj=$(getconf _NPROCESSORS_ONLN)
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] --set <name>
 e.g.: ./run.sh --sad oracle --stop-stage 4 && $0 --set mini --figures \"2 3\"
  --set <name>                 # <data-root>/<name>, <exp-root>/<name>
  --figures <\"n ..\"|2 3 4 5>   # which figures; 4 and 5 are 20 runs each per seed
  --num-spk <oracle|estimate>  # speaker counts from the reference (default) or from the x-vectors
  --seeds <\"n ..\"|0>           # seeds of the training; with several, DERs have error bars of one standard deviation
  --protocol <forgiving|fair|full>
                               # protocol of the DER in figures 4 and 5 (default forgiving); see score_der.sh
  --xvector <name|campplus>    # which <exp-root>/<set>/xvectors_<name>
  --tag <text>                 # results go to paper_<text>; see run_paper.sh
  --data-root <dir|data>, --exp-root <dir|exp>
                               # see run.sh
  --nj <n|$nj>                   # parallel jobs (default: the number of cores)
  --cmd <command|run.pl>       # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>     # true: do finished runs again (default false)
  --python <path|$python>      # Python that has the requirements
  --verbose <0|1|2>            # 0: warnings only, 1: a line per run (default), 2: details in run.log
  --config <file>              # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../steps/diar/begin.sh"

[ -n "$set" ] || die "expected --set <name>"
# shellcheck source=local/paper/loop.sh
. "$here/loop.sh"

figures() {
  "$python" "$here/run_figures.py" --verbose "$verbose" "$1" --figures "$figures" --num-spk "$num_spk" \
    --seeds "$seeds" --protocol "$protocol" --overwrite "$overwrite" "${inputs[@]}" "$out"
}
plan() { figures plan; }

run_planned "forgiving fair full" plan
figures plot
