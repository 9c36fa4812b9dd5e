#!/usr/bin/env bash
# Checks a data directory. Same command line as Kaldi's validate_data_dir.sh; the checking is in validate_data_dir.py.
#
# A directory has wav.scp and, once speech is known, segments, utt2spk and spk2utt, where a "speaker" is a recording;
# and it may have reco2num_spk, reco2dur, reco2channel, reco2offset, ref.rttm, all.uem, overlap.segments and Kaldi's files
# by utterance or speaker.
# Tables must be sorted, unique and complete, ids the same in all files that share them, segments inside their
# recordings. Exit code 0 only if everything is right; otherwise 1 and one line that names the file and the line.
# With segments, what passes here passes Kaldi's own `validate_data_dir.sh --no-feats --no-text` too.
set -euo pipefail

usage="Usage: $0 [--no-feats] [--no-text] [--no-wav] [--non-print] [--allow-no-speech] <data-dir>
e.g.:  $0 --no-feats --no-text data/test
Options:
  --no-feats           # feats.scp need not be there; what is there is checked all the same
  --no-text            # text need not be there, and is not checked
  --no-wav             # wav.scp need not be there
  --non-print          # text may have non-printing characters
  --allow-no-speech    # recordings of wav.scp need not have segments, and segments may be empty (not in Kaldi)
The Python that runs it is \$PYTHON, or python3."
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
  echo "${0##*/}: error: $1" >&2
  exit 1
}

options=()
data=()
for argument in "$@"; do
  case "$argument" in
    --no-feats | --no-text | --no-wav | --non-print | --allow-no-speech) options+=("$argument") ;;
    --help | -h)
      echo "$usage"
      exit 0
      ;;
    -?*) die "unknown option $argument (see ${0##*/} --help)" ;;
    *) data+=("$argument") ;;
  esac
done
if [[ ${#data[@]} -ne 1 || -z ${data[0]} ]]; then
  echo "$usage" >&2
  exit 1
fi
python=${PYTHON:-python3}
command -v "$python" >/dev/null || die "$python: no such program; set PYTHON to a Python of 3.10 or newer"
exec "$python" "$here/validate_data_dir.py" ${options[@]+"${options[@]}"} "${data[0]}"
