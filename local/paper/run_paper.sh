#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Tables II and III of the paper on a set whose stages 0 to 4 are done (run.sh --stop-stage 4): every system, each with
# several seeds, with the reference's speaker counts and with estimated ones. Beside the paper's rows, baseline2 (the
# baseline as its authors published it) and nmesc (untrained spectral clustering). Results are in <exp-root>/<set>/paper:
#   table.md, table.tsv   DER of each system, mean and standard deviation over seeds, beside the paper's figures
#   bootstrap.tsv         paired differences between systems with confidence intervals, and the paper's rankings
#   <system>/<oracle|estimate>/seed<N>/   the runs: labels, history, rttm, score
# The order completes a seed at a time, and the tables are written anew after each. A rerun does what is missing.

# Begin configuration section.
set=
systems="xvector_ahc dnn_ahc_triplet conformer_ahc_triplet conformer_ahc_contrastive dnn_finch_ahc_triplet
  dnn_finch_ahc_contrastive conformer_finch_ahc_triplet conformer_finch_ahc_contrastive baseline2 nmesc"
reading=robust
system_options=
num_spk="oracle estimate"
seeds="0 1 2 3 4"
protocols="forgiving fair full"
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
 e.g.: ./run.sh --sad oracle --stop-stage 4 && $0 --set mini
  --set <name>                 # <data-root>/<name>, <exp-root>/<name>
  --systems <\"names\">          # files of conf/systems (default: all rows of Tables II and III, baseline2, nmesc)
  --reading <robust|literal|\"robust literal\">
                               # how the trained systems follow the paper: as their files say (default), to the letter
                               # (conf/readings/literal.yaml), or both beside each other, with the difference
  --system-options <\"name=value ..\"> # options that override all of these files, as in \"encoder.heads=4\"
  --num-spk <\"oracle estimate\">
                               # speaker counts from the reference, from the x-vectors, or both (default)
  --seeds <\"n ..\"|0 1 2 3 4>   # seeds of the training; a system without randomness runs with the first one only
  --protocols <\"names\"|forgiving fair full>
                               # see score_der.sh; details are shown for the first
  --xvector <name|campplus>    # which <exp-root>/<set>/xvectors_<name>
  --tag <text>                 # results go to paper_<text>, for example to keep two x-vector models apart
  --data-root <dir|data>, --exp-root <dir|exp>
                               # see run.sh
  --nj <n|$nj>                   # parallel jobs (default: the number of cores)
  --cmd <command|run.pl>       # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>     # true: do finished runs again (default false)
  --python <path|$python>      # Python that has the requirements
  --verbose <0|1|2>            # 0: warnings only, 1: a line per run and the tables (default), 2: details in run.log
  --config <file>              # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../steps/diar/begin.sh"

[ -n "$set" ] || die "expected --set <name>"
# shellcheck source=local/paper/loop.sh
. "$here/loop.sh"

paper() {
  "$python" "$here/run_paper.py" --verbose "$verbose" "$1" --systems "$systems" --reading "$reading" \
    --system-options "$system_options" --num-spk "$num_spk" --seeds "$seeds" --protocols "$protocols" \
    --overwrite "$overwrite" "${inputs[@]}" "$out"
}
plan() { paper plan; }
tables_so_far() { verbose=0 overwrite=false paper tables; }

run_planned "$protocols" plan tables_so_far
paper tables
