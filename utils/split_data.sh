#!/usr/bin/env bash
# Splits a data directory into pieces for parallel jobs. Same command line as Kaldi's split_data.sh.
#
# A speaker (in diarization directories: a recording) is never in two pieces. Files by utterance follow them,
# files by recording (wav.scp, reco2num_spk, reco2dur, ref.rttm, all.uem, ...) their recordings; recordings without any
# segment, which have nothing to balance, go to piece 1. A directory without utt2spk, as before speech detection, is
# split by recording. The pieces appear together, by rename, and stay as long as the files that they were made from have
# the same content.
set -euo pipefail
export LC_ALL=C

usage="Usage: $0 [--per-utt] <data-dir> <num-to-split>
e.g.:  $0 data/test 4
Makes data/test/split4/{1,2,3,4}, or data/test/split4utt/{1,2,3,4} with --per-utt.
Options:
  --per-utt    # let the utterances of one speaker go to different pieces"
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
  echo "${0##*/}: error: $1" >&2
  exit 1
}

per_utt=false
while [[ ${1:-} == -* ]]; do
  case "$1" in
    --per-utt) per_utt=true ;;
    --help | -h)
      echo "$usage"
      exit 0
      ;;
    *) die "unknown option $1 (see ${0##*/} --help)" ;;
  esac
  shift
done
if [[ $# -ne 2 ]]; then
  echo "$usage" >&2
  exit 1
fi
data=$1
num=$2
[[ $num =~ ^[1-9][0-9]{0,8}$ ]] || die "bad number of pieces; expected a whole number from 1, got '$num'"
[[ -d $data ]] || die "$data: no such directory"

# The file that is split first and that all others follow.
if [[ -f $data/utt2spk ]]; then
  lead=utt2spk
elif [[ -f $data/segments ]]; then
  die "$data: segments without utt2spk"
elif [[ -f $data/wav.scp ]]; then
  lead=wav.scp
else
  die "$data: neither utt2spk nor wav.scp"
fi
by_utt=(feats.scp text vad.scp segments utt2lang utt2uniq utt2dur utt2num_frames utt2warp)
by_spk=(cmvn.scp spk2gender spk2warp)
by_reco=(wav.scp reco2num_spk reco2dur reco2file_and_channel all.uem)
by_reco_in_field_2=(ref.rttm overlap.segments)

sources=()
for name in utt2spk "${by_utt[@]}" "${by_spk[@]}" "${by_reco[@]}" "${by_reco_in_field_2[@]}"; do
  [[ ! -f $data/$name ]] || sources+=("$name")
done
out=$data/split$num
if $per_utt; then out+=utt; fi

exec 9<"$data" # two that split at the same time would remove each other's pieces
if command -v flock >/dev/null; then flock 9; fi
made_from=$(cd "$data" && cksum "${sources[@]}")
if [[ -f $out/.made_from && $(<"$out/.made_from") == "$made_from" ]]; then
  exit 0
fi

work=$(mktemp -d "$data/.split.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod "$(printf '%o' $((0777 & ~$(umask))))" "$work"
lists=()
for ((n = 1; n <= num; n++)); do
  mkdir "$work/$n"
  lists+=("$work/$n/$lead")
done
keep_together=()
if [[ $lead == utt2spk ]] && ! $per_utt; then keep_together=("--utt2spk=$data/utt2spk"); fi
"$here/split_scp.pl" ${keep_together[@]+"${keep_together[@]}"} "$data/$lead" "${lists[@]}"

# filter <list of ids> <names of files...>: of the present piece, by the first field (or by $field). RTTM and UEM may
# hold comments.
filter() {
  local ids=$1 name
  shift
  for name in "$@"; do
    if [[ -f $data/$name && $name != "$lead" ]]; then
      sed -e '/^;;/d' -e '/^[[:space:]]*$/d' "$data/$name" |
        "$here/filter_scp.pl" -f "${field:-1}" "$ids" >"$piece/$name"
    fi
  done
}

if [[ -f $data/segments ]]; then
  awk '{print $2}' "$data/segments" >"$work/with_segments"
fi
for ((n = 1; n <= num; n++)); do
  piece=$work/$n
  if [[ $lead == utt2spk ]]; then
    "$here/utt2spk_to_spk2utt.pl" "$piece/utt2spk" >"$piece/spk2utt"
    filter "$piece/utt2spk" "${by_utt[@]}"
    filter "$piece/spk2utt" "${by_spk[@]}"
  fi
  if [[ -f $data/segments ]]; then
    awk '{print $2}' "$piece/segments" >"$work/recordings"
    if [[ $n -eq 1 && -f $data/wav.scp ]]; then
      "$here/filter_scp.pl" --exclude "$work/with_segments" "$data/wav.scp" | awk '{print $1}' >>"$work/recordings"
    fi
  else
    awk '{print $1}' "$piece/$lead" >"$work/recordings"
  fi
  filter "$work/recordings" "${by_reco[@]}"
  field=2 filter "$work/recordings" "${by_reco_in_field_2[@]}"
done
rm -f "$work/recordings" "$work/with_segments"
echo "$made_from" >"$work/.made_from"
rm -rf "$out"
mv "$work" "$out"
