#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Makes the numbers of conf/systems/best.yaml by which the system best counts speakers: simulates telephone recordings of
# 1 to 7 speakers from free voices, runs stages 1 to 4 on them, fits the model, prints the lines for best.yaml. Takes
# about an hour on two cores. A second set of other recordings, --test, tells how good they are.

# Begin configuration section.
voices=
out=exp/count_model
nj=$(getconf _NPROCESSORS_ONLN)
seed=11
test_seed=31
# End configuration section.

script=$(basename "$0")
# shellcheck disable=SC2034  # parse_options.sh shows it
help_message="Usage: $0 [options]
 e.g.: $0
  --voices <dir>              # one sub-folder of audio per voice (default: the prompts of local/fetch_prompts.py)
  --out <dir|$out>   # where recordings and x-vectors go
  --nj <n|$nj>                   # parallel jobs (default: the number of cores)
  --seed <n|11>, --test-seed <n|31>
                              # of the recordings that are fitted, and of those that tell how good that is"

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=utils/parse_options.sh
. "$root/utils/parse_options.sh" || exit 1
set -euo pipefail
if [ $# != 0 ]; then
  printf '%s: error: expected options only, got %s (see %s --help)\n' "$script" "$1" "$script" >&2
  exit 1
fi

python=$("$root/utils/setup_env.sh" --verbose 0)
mkdir -p -- "$out"
out=$(cd "$out" && pwd)
if [ -z "$voices" ]; then
  voices=$out/voices
  [ -d "$voices" ] || "$python" "$root/local/fetch_prompts.py" "$voices"
fi
cd "$root"

# make <name> <recordings> <speakers> <seconds> <seed>: simulate one set and run stages 1 to 4 on it.
make() {
  if [ ! -d "$out/simulated/$1" ]; then
    "$python" local/simulate_calls.py --same-person allison_en,allison_es --num-calls "$2" --num-spk "$3" \
      --duration "$4" --seed "$5" --prefix "$1" --max-speech 900 "$voices" "$out/simulated/$1"
  fi
  ./run.sh --audio "$out/simulated/$1/wav" --set "$1" --rttm "$out/simulated/$1/ref.rttm" --data-root "$out/data" \
    --exp-root "$out/exp" --uem "$out/simulated/$1/all.uem" --systems best --nj "$nj" --stop-stage 4 >&2
}

pairs=()
tests=()
while read -r name recordings speakers seconds; do
  make "$name" "$recordings" "$speakers" "$seconds" "$seed"
  pairs+=("$out/data/$name:$out/exp/$name")
  make "test_$name" "$((recordings / 4))" "$speakers" "$seconds" "$test_seed"
  tests+=(--test "$out/data/test_$name:$out/exp/test_$name")
  seed=$((seed + 1)) test_seed=$((test_seed + 1))
done <<'SETS'
one 40 1 20-240
two 80 2 20-240
some 80 3-7 20-240
many 70 3-7 120-420
brief 40 1-2 15-60
long 18 1-3 240-900
SETS
"$python" bench/count_model.py "${tests[@]}" "${pairs[@]}"
