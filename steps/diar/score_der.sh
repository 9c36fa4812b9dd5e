#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 7: the diarization error rate of one system, from its RTTM (make_rttm.sh) and the data directory's reference.
# This is the only stage that reads ref.rttm. For each protocol it writes <exp-dir>/score/<protocol>.json, which
# make_report.sh collects, and <protocol>.txt, a table of recordings with the worst first.
#
# Protocols: forgiving = collar 0.25 s on each side of every reference boundary, overlapped speech ignored;
# fair = the same collar, overlapped speech scored; full = no collar, overlapped speech scored.
# Beside the DER stands the JER, the mean over speakers of what of each is wrong; it has no collar and counts overlapped
# speech under every protocol. All scorers follow NIST's md-eval.pl; DERs are pooled over time, never averaged over
# recordings. Scores of the same RTTM, reference and UEM are told again, not made again.

# Begin configuration section.
protocols="forgiving fair full"
collar=
ignore_overlap=
uem=
ref=
scorer=ssdiar
speech_source=
num_spk_source=
xvector_model=
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <data-dir> <exp-dir>
 e.g.: $0 data/mini exp/mini/xvector_ahc
Reads <data-dir>/{ref.rttm,all.uem} and <exp-dir>/rttm, writes <exp-dir>/score/{forgiving,fair,full}.{json,txt}.
  --protocols '<names>|forgiving fair full'  # which of the three
  --collar <seconds|''>              # score one protocol 'custom' instead, with this collar on each side (default 0)
  --ignore-overlap <true|false|''>   # likewise; true leaves overlapped speech out (default false)
  --uem <file|data-dir/all.uem>      # regions to score; without any, the extent of each reference
  --ref <file|data-dir/ref.rttm>     # reference
  --scorer <ssdiar|md-eval|dscore>   # our scorer (default), or the official program: md-eval.pl on PATH, in MDEVAL or
                                     # from sctk; github nryant/dscore in DSCORE_ROOT
  --speech-source <text|''>          # noted in the score: where speech regions came from
  --num-spk-source <text|''>         # noted in the score: where speaker counts came from
  --xvector-model <text|''>          # noted in the score: which model made the x-vectors
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

options=(--protocols="$protocols" --collar="$collar" --ignore-overlap="$ignore_overlap" --uem="$uem" --ref="$ref"
  --scorer="$scorer" --speech-source="$speech_source" --num-spk-source="$num_spk_source"
  --xvector-model="$xvector_model")
run_python "$@"
