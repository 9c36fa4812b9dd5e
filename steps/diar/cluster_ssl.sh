#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 5: who is who. Clusters the x-vectors of every recording on its own, by the system that a file of conf/systems
# describes (self-supervised training of a small network, or a comparison system without training). Reads a directory
# with xvector.scp, segments and utt2spk ("spk" files name recordings), made by extract_xvectors.sh, Kaldi, VBx or any
# other toolkit; writes labels (<sub-segment> <number from 1>), history/<recording>.json and meta.json, and from systems
# that know how sure they are the probability of every label, sure (<sub-segment> <0 to 1>). make_rttm.sh comes next.
# Recordings are done one by one: a rerun does what is missing or no longer valid.

# Begin configuration section.
system=conformer_finch_ahc_contrastive
num_spk=2
min_spk=
max_spk=
threshold=
reco2num_spk=
segmentation=
seed=0
nj=2
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <xvector-dir> <out-dir>
 e.g.: $0 --system xvector_ahc --num-spk 2 exp/mini/xvectors_campplus exp/mini/xvector_ahc
  --system <name|$system>
                                     # conf/systems/<name>.yaml, or the path of such a file; changes may
                                     # follow, as in dnn_ahc_triplet+literal or best+consensus.parts=48
  --num-spk <n|estimate|file|oracle> # speakers per recording (default 2); estimate: from its x-vectors; a file of
                                     # lines <recording> <number>, estimated for recordings that it does not name;
                                     # oracle: from --reco2num-spk
  --min-spk <n>, --max-spk <n>       # least and largest number where it is estimated (default 1, and the system's)
  --reco2num-spk <file>              # <recording> <number> of the reference, for --num-spk oracle only
  --threshold <cosine>               # instead take the number of speakers from AHC of the x-vectors, which stops when
                                     # no two clusters have a mean cosine above this
  --segmentation <dir>               # segmentation/ of the speech directory, where detect_speech.sh made one: the
                                     # system best uses it when it estimates the number of speakers
  --seed <n|0>                       # seed of all randomness
  --nj <n|2>                         # parallel jobs, at most one per recording; where recordings are fewer, each
                                     # gets more threads. Does not affect the result
  --cmd <command|run.pl>             # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>           # true: do all recordings again (default false)
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--system="$system" --num-spk="$num_spk"
  --min-spk="$min_spk" --max-spk="$max_spk" --reco2num-spk="$reco2num_spk" --threshold="$threshold"
  --segmentation="$segmentation" --seed="$seed" --nj="$nj" --overwrite="$overwrite")
plan_jobs "$@"
run_jobs
gather_jobs
