#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Writes who speaks when in the formats of other tools, so that a result can be looked at where one already works:
# audacity (label track, <recording>.txt), textgrid (Praat and ELAN, one tier per speaker, <recording>.TextGrid),
# srt and vtt (captions with speakers), json (turns and talk time, <recording>.json), csv (one table of all recordings,
# turns.csv), rttm (one file per recording, <recording>.rttm). Not a stage of run.sh; it takes what make_rttm.sh wrote, or
# any RTTM.

# Begin configuration section.
formats="audacity textgrid csv rttm json srt vtt"
reco2dur=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <rttm-or-system-dir> [<out-dir>]
 e.g.: $0 exp/mini/xvector_ahc
Writes into <out-dir>, by default the folder export beside the RTTM.
  --formats <\"a b\">         # some of: $formats (default: all)
  --reco2dur <file>         # lengths of the recordings; TextGrids end there (default: those of result.json beside the RTTM,
                            # else with the last turn)
  --python <path|$python>   # Python that has the requirements
  --verbose <0|1|2>         # 0: warnings only, 1: progress (default), 2: details
  --config <file>           # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--formats="$formats" --reco2dur="$reco2dur")
run_python "$@"
