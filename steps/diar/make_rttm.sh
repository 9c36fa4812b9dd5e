#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 6: writes <labels-dir>/rttm, who speaks when, from the pieces of make_subsegments.sh and the labels that a
# clustering stage left in <labels-dir>/labels (<piece> <number from 1>). The speaker of label 1 is speaker1. Pieces
# that overlap are cut in the middle of the overlap; turns of one speaker that touch are one. Speech that took no part
# in the clustering (overlap.segments, short.segments of the sub-segments, where they exist) gets the label of the
# nearest piece in time, so that no speech is left out. Two decisions of detect_speech.sh, in meta.json of the
# sub-segments, are carried out here: second_speaker (overlapped speech also gets the nearest other label) and
# close_pauses (short pauses of a speaker are closed, as references do). Where <labels-dir>/sure has the probability of
# every label (<piece> <0 to 1>), field 9 of a turn is how sure it is, the mean over its pieces. <labels-dir>/result.json
# says for each recording how many speakers were found, how long each of them talks, and how sure that is. What was made
# of the same input is left as it is, an edited rttm too (remove it to have it made again). score_der.sh comes next.

# Begin configuration section.
second_speaker=
gap=
data_dir=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <subsegments-dir> <labels-dir>
 e.g.: $0 exp/mini/subsegments exp/mini/xvector_ahc
  --second-speaker <true|false>      # whether overlapped speech gets the nearest other speaker too (default: what
                                     # detect_speech.sh decided: true with --overlap label)
  --gap <seconds>                    # shorter pauses of a speaker in which nobody else talks are closed (default: what
                                     # detect_speech.sh decided: 0.8 if a detector found the speech, with --changes cut)
  --data-dir <dir>                   # wav.scp and reco2dur of all recordings, for result.json: files, lengths, and those
                                     # in which nobody speaks; default: <subsegments-dir>, which has no lengths
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--second-speaker="$second_speaker" --gap="$gap" --data-dir="$data_dir")
run_python "$@"
