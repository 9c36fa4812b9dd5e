#!/usr/bin/env bash
# Sorts the files of a data directory and drops what they do not have in common. Same command line as Kaldi's
# fix_data_dir.sh; the work is in fix_data_dir.py.
#
# Utterances that are not in every file by utterance go, and so do recordings and speakers left without any (or missing
# in a file by recording or speaker), everywhere: also from reco2num_spk, reco2dur, reco2channel, reco2offset, ref.rttm,
# all.uem, overlap.segments.
# spk2utt is made anew from utt2spk. A file that is right already is not touched. Two different lines with the same id
# are an error, and so is a directory of which nothing would remain: then nothing is touched.
set -euo pipefail

# Begin configuration section.
utt_extra_files=    # more files to sort and filter, with an utterance in the first field
spk_extra_files=    # the same, with a speaker
python=${PYTHON:-python3}
# End configuration section.

help_message="Usage: $0 [options] <data-dir>
e.g.:  $0 data/test
What the changed files held before is kept in <data-dir>/.backup.
Options:
  --utt-extra-files \"<names>\"    # more files to sort and filter, by utterance
  --spk-extra-files \"<names>\"    # more files to sort and filter, by speaker
  --python <python|$python>    # the Python that runs it, 3.10 or newer
  --config <file>                # read these options from a file"
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=parse_options.sh
. "$here/parse_options.sh"

if [[ $# -ne 1 || -z ${1:-} ]]; then
  echo "$help_message" >&2
  exit 1
fi
if ! command -v "$python" >/dev/null; then
  echo "${0##*/}: error: $python: no such program; see --python" >&2
  exit 1
fi
exec "$python" "$here/fix_data_dir.py" --utt-extra-files "$utt_extra_files" --spk-extra-files "$spk_extra_files" "$1"
