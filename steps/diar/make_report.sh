#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 8: the report of an experiment set. <out-dir>/index.html is one page that needs no network: the scores of all
# systems, recordings worst first, and per recording a player, the timelines of reference and systems with errors
# marked, talk time, and how the clustering went. <out-dir>/table.md has for each
# protocol a row per system with miss, false alarm, confusion and DER, and where its speech, speaker counts and x-vectors
# came from; the same table is printed on stdout. What there is not (reference, audio, training) is left out.
# Without a reference the page leads with who spoke when and where that is unsure, and the table says for each recording,
# the least sure first, how many speakers were found and how long each of them talks. In the page, speakers and turns can be
# corrected and saved (RTTM, CSV, JSON, Audacity); nothing leaves the machine. The audio is copied into <out-dir>/audio as
# MP3, so that <out-dir> can be moved or given away. A page whose inputs did not change is not made again.

# Begin configuration section.
systems=
data_dir=
audio=copy
allow_commands=false
nj=1
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <exp-set-dir> <out-dir>
 e.g.: $0 --data-dir data/mini exp/mini exp/mini/report
Reads <exp-set-dir>/*/{rttm,result.json,meta.json,score/*.json,history/*.json}, writes
<out-dir>/{index.html,table.md} and prints the table.
  --systems '<names>|'      # which systems, in this order; default: every folder that has an rttm, by name
  --data-dir <dir>          # wav.scp, reco2dur, ref.rttm, all.uem; default: no player, no reference timeline
  --audio <copy|link|embed> # copy: MP3 beside the page (default); link: the files where they are, if browsers play them;
                            # embed: MP3 in the page itself
  --allow-commands <true|false>
                            # true: run the commands of wav.scp (entries that end in |); default: refuse them
  --nj <n|1>                # recordings whose audio is copied at a time
  --python <path|$python>   # Python that has the requirements
  --verbose <0|1|2>         # 0: warnings only, 1: progress (default), 2: details
  --config <file>           # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--systems="$systems" --data-dir="$data_dir" --audio="$audio" --allow-commands="$allow_commands"
  --nj="$nj")
run_python "$@"
