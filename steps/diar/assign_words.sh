#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Gives every word of a transcript the speaker who says it. The transcript comes from any recogniser: CTM, the JSON of
# Whisper or WhisperX, SubRip (SRT) or WebVTT. The turns are what make_rttm.sh wrote, or any RTTM. Not a stage of run.sh.
#
# A word gets the speaker whose turns it overlaps most. A word in a gap gets that of the nearest turn, or none if that is
# farther than --farthest. In overlapped speech, where a word ties, a speaker says one word at a time: the word goes to
# whoever is not saying another word then, else to who said the word before (ssdiar/words.py has every rule).
# Words of captions, which have times of phrases alone, share the phrase's time in proportion to their letters.

# Begin configuration section.
formats="ctm stm json srt vtt"
recording=
farthest=1.0
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <transcript> <rttm-or-system-dir> [<out-dir>]
 e.g.: $0 whisper/call1.json exp/calls/best
<transcript> is a file, or a folder of files named <recording>.json, .srt, .vtt or .ctm; a CTM names recordings itself.
Writes into <out-dir>, by default the folder words beside the RTTM: words.ctm (8 columns, the last is the speaker) and
words.stm of all recordings; <recording>.json (as WhisperX), <recording>.srt and <recording>.vtt.
  --formats <\"a b\">         # some of: $formats (default: all)
  --recording <id>          # recording of a single JSON, SRT or WebVTT file (default: its name without the ending)
  --farthest <seconds|$farthest> # a word farther from any turn has no speaker
  --python <path|$python>   # Python that has the requirements
  --verbose <0|1|2>         # 0: warnings only, 1: progress (default), 2: details
  --config <file>           # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--formats="$formats" --farthest="$farthest" --recording="$recording")
run_python "$@"
