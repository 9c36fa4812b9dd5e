#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 3: cuts speech regions (from detect_speech.sh, or any directory with Kaldi's segments) into the pieces that get
# one x-vector each. Writes segments, utt2spk, spk2utt ("spk" files name recordings, as Kaldi's diarization does),
# short.segments (speech too short for an x-vector), overlap.segments, wav.scp and meta.json (passed on).
# extract_xvectors.sh comes next; make_rttm.sh gives the short and the overlapped speech the label of the nearest piece.
#
# Tail rule, as Kaldi's sub-segments of constant duration: a piece every period while more than a window is left of the
# region; what is then left is a piece, or, if it is shorter than min-segment, the last piece is the region's last window.

# Begin configuration section.
window=0.75
period=0.75
min_segment=0.5
min_piece=0.1
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <speech-dir> <subsegments-dir>
 e.g.: $0 data/mini_speech exp/mini/subsegments
All times in seconds, whole hundredths.
  --window <seconds|0.75>            # length of a piece
  --period <seconds|0.75>            # from the start of a piece to that of the next; at most the window
  --min-segment <seconds|0.5>        # a last piece that would be shorter becomes a whole window
  --min-piece <seconds|0.1>          # speech regions shorter than this get no x-vector, only a label in the end
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others; e.g. conf/subsegments.conf"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

apart "$@"
options=(--window="$window" --period="$period" --min-segment="$min_segment" --min-piece="$min_piece")
run_python "$@"
