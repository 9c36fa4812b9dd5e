#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 5, a second time: trains one linear map of x-vectors on the labels that a clustering gave a whole set of
# recordings, and moves every sub-segment to the speaker of its recording whose mean it is closest to on that map. Nothing
# is learnt from a reference: the labels are those of cluster_ssl.sh or of any other clustering. The result of a
# recording then depends on the other recordings of the set. Reads a directory with xvector.scp, segments and utt2spk,
# and one with labels (<sub-segment> <number from 1>) and, where the system knows it, sure (how sure each label is);
# writes labels and meta.json. make_rttm.sh comes next.

# Begin configuration section.
system=best
system_options=
epochs=8
vote=false
seed=0
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] <xvector-dir> <labels-dir> <out-dir>
 e.g.: $0 exp/mini/xvectors_campplus exp/mini/best exp/mini/best_trained
  --system <name|$system>
                                     # conf/systems/<name>.yaml, or the path of such a file: whose labels they are, and
                                     # how x-vectors are prepared
  --system-options <\"name=value ..\"> # put over what that file says
  --epochs <n|8>                    # how often training sees each recording
  --vote <true|false>                # true: random parts of each recording vote anew on the map, as in best; better where
                                     # the same voices return in many recordings of the set (default false)
  --seed <n|0>                       # of all randomness
  --overwrite <true|false>           # true: train again (default false)
  --python <path|$python>            # Python that has the requirements
  --verbose <0|1|2>                  # 0: warnings only, 1: progress (default), 2: details
  --config <file>                    # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1

apart "$@"
system=$(config_file systems "$system")
options=(--system="$system" --system-options="$system_options" --epochs="$epochs" --vote="$vote" --seed="$seed"
  --overwrite="$overwrite")
run_python "$@"
