#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 1: from one of the three corpora that are called CALLHOME to a data directory. Reads the corpus where it is (no
# audio is copied) and writes <data-root>/<set>/: wav.scp, reco2dur, ref.rttm, all.uem (the annotated extent),
# reco2num_spk, utt2spk, spk2utt, and more as the corpus has it; see README.md. Audio of two channels is heard as their
# mix by all stages. Recordings that are missing, unreadable or inconsistent are left out, named in the log and in
# left_out. The directory appears when it is complete; a rerun with the same corpus and options leaves it alone.

# Begin configuration section.
corpus_dir=
corpus=auto
subset=
crop=none
set=callhome
data_root=data
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options] --corpus-dir <dir>
 e.g.: $0 --corpus-dir ~/LDC --subset two-speaker
  --corpus-dir <dir>         # folder with audio and annotation of one corpus, at any depth, links followed (required)
  --corpus <auto|callhome_english|cabank|sre2000>
                             # LDC97S42 + LDC97T14, TalkBank CABank, or LDC2001S97 + sre2000-key; auto: by its files
  --subset <all|two-speaker|part|n|file>
                             # all usable recordings (default of sre2000); those with two speakers in the annotation, as
                             # in the paper (default of the others); a part of the corpus (train, devtest, evltest;
                             # callhome1, callhome2); the first n; a list of ids
  --crop <none|uem>          # uem: copy the annotated minutes of every call into <data-root>/<set>/wav (flac, mono mix);
                             # all stages then see these alone, and times count from their beginning (default: none)
  --set <name|callhome>      # name of the data directory
  --data-root <dir|data>     # where data directories are
  --python <path|$python>    # Python that has the requirements
  --verbose <0|1|2>          # 0: warnings only, 1: progress (default), 2: details
  --config <file>            # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../../steps/diar/begin.sh"

[ $# = 0 ] || die "expected options only, got $1 (see $script --help)"
[ -n "$corpus_dir" ] || die "expected --corpus-dir <dir>, got no --corpus-dir (see $script --help)"
"$python" "$here/prepare_data.py" --verbose "$verbose" --corpus "$corpus" --subset "$subset" --crop "$crop" --set "$set" \
  --data-root "$data_root" "$corpus_dir"
checked=$(PYTHON=$python "$utils/validate_data_dir.sh" --no-feats --no-text "$data_root/$set") || exit 1
if [ "$verbose" != 0 ]; then echo "$checked" >&2; fi
