#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 1 of the root recipe: make the data directory of its own corpus `mini`, from public downloads:
#  phone_sample  one real telephone call with a human reference, 30 s (from the pyannote.audio wheel, through pip),
#  sim-0001 ...  simulated calls of 120 s between voices recorded for telephone prompts (from Debian's asterisk
#                packages, through apt-get without root), with an exact reference: see simulate_calls.py.
# Without apt-get or the packages, mini is only the real call, with a warning. Downloads are kept in <data-root>/local.

# Begin configuration section.
data_root=data
set=mini
num_calls=8
seed=0
python=${PYTHON:-python3}
verbose=1
# End configuration section.

help_message="Usage: $0 [options]
 e.g.: $0 --seed 1
Writes <data-root>/mini/{wav.scp,reco2num_spk,reco2dur,ref.rttm,all.uem,wav/*.flac}, unless it is there already, made
with the same --num-calls and --seed.
  --data-root <dir|data>     # where data directories and (in local/) downloads go
  --set <mini>               # the corpus; this recipe has one
  --num-calls <n|8>          # simulated calls; 0: none
  --seed <n|0>               # seed of the simulation; the same seed gives the same calls
  --python <path|$python>    # Python that has the requirements, and pip
  --verbose <0|1|2>          # 0: warnings only, 1: progress (default), 2: details
  --config <file>            # options as name=value lines, read before the others"

# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../steps/diar/begin.sh"

[ $# = 0 ] || die "expected options only, got $1 (see $script --help)"
[ "$set" = mini ] || die "--set: unknown corpus; expected mini, got $set (another folder of audio: see run.sh --audio)"
[[ $num_calls =~ ^[0-9]{1,4}$ ]] || die "--num-calls: expected a whole number up to 9999, got '$num_calls'"
[[ $seed =~ ^[0-9]{1,9}$ ]] || die "--seed: expected a whole number, got '$seed'"
[[ $verbose =~ ^[012]$ ]] || die "--verbose: expected 0, 1 or 2, got '$verbose'"

dir=$data_root/mini
cache=$data_root/local
num_calls=$((10#$num_calls))
seed=$((10#$seed))
mini() { "$python" "$here/make_mini.py" --verbose "$verbose" "$1" --num-calls "$num_calls" --seed "$seed" "${@:2}"; }
# is_there <n>: whether $dir was made with n simulated calls, is whole, and is where it was made.
is_there() { [ "$(mini ask --simulated "$1" "$dir")" = there ]; }

if is_there "$num_calls"; then
  say "$dir is there already, made with the same options"
  exit 0
fi

mkdir -p "$cache" || die "$cache: cannot make this folder"
"$python" "$here/fetch_phone_sample.py" --verbose "$verbose" "$cache/phone_sample"

simulated=$num_calls
if [ "$num_calls" != 0 ] && ! "$python" "$here/fetch_prompts.py" --verbose "$verbose" "$cache/prompts"; then
  simulated=0
  echo "$script: WARNING: no voices to simulate calls with (see above); mini is only the real call" >&2
  if is_there 0; then
    say "$dir is there already, only the real call"
    exit 0
  fi
fi

calls=()
if [ "$simulated" != 0 ]; then
  tmpdir=$(mktemp -d "$cache/.calls.XXXXXX")
  trap 'rm -rf "$tmpdir"' EXIT
  "$python" "$here/simulate_calls.py" --verbose "$verbose" --num-calls "$num_calls" --duration 120 --seed "$seed" \
    --max-speech 150 --repeat true --pairs "$here/mini_pairs.txt" "$cache/prompts" "$tmpdir/calls"
  calls=(--calls "$tmpdir/calls")
fi
mini make ${calls[@]+"${calls[@]}"} "$cache/phone_sample" "$dir"
checked=$(PYTHON=$python "$utils/validate_data_dir.sh" --no-feats --no-text "$dir") || exit 1
if [ "$verbose" != 0 ]; then echo "$checked" >&2; fi
