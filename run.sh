#!/usr/bin/env bash
# Self-supervised speaker diarization, from audio to RTTM and DER: runs stages 0-8 in order, on the recipe directory that
# it is run from (the one with local/). Every stage is a script of its own that can be run by hand.

# Under sh, or in bash without its own features, it starts again.
if [ -z "${BASH_VERSION:-}" ] || [ -n "${POSIXLY_CORRECT+set}" ]; then
  unset POSIXLY_CORRECT
  exec bash "$0" "$@"
fi
unset PYTHONSAFEPATH # programs import their neighbours

# Begin configuration section.
set=
audio=
rttm=
uem=
data=
systems=
sad=pyannote
xvector=campplus
num_spk=
turns=
known=
tag=
seed=0
stage=0
stop_stage=8
nj=$(getconf _NPROCESSORS_ONLN)
cmd=
data_root=data
exp_root=exp
python=
overwrite=false
allow_commands=false
verbose=1
# End configuration section.

# shellcheck disable=SC2034  # parse_options.sh prints it
help_message="Usage: ./run.sh [options]
 e.g.: ./run.sh                                    # the corpus mini: a baseline, its control, the paper's best, and ours
       ./run.sh --audio ~/calls --set calls        # your own audio, our system: who spoke when
       ./run.sh --audio ~/calls --set calls --rttm ref.rttm --num-spk 2        # ... with the number of speakers, and DER

Data
  --set <name>               name the data set: data/<name>, exp/<name> (mini; in egs/<name> that name)
  --audio <dir|file>         use a folder of audio (docs/audio.md) or one file instead of the recipe's own corpus
  --rttm <file>              reference for --audio, read by scoring and by options that say oracle
  --uem <file>               scored regions for --audio (all of it)
  --data \"<options>\"         pass options to the data preparation, as in --data \"--channels parties\": see --help of
                             local/prepare_audio.sh, or local/prepare_data.sh without --audio
Method. A system, detector or model is a file of conf/; changes may follow its name, as in best+count.most=4,
dnn_ahc_triplet+literal (the paper to the letter), webrtc+gap=0.5, campplus+device=cuda
  --systems \"<a> <b> ..\"     run files of conf/systems, where their defaults stand (best with --audio, else
                             \"xvector_ahc xvector_ahc_centred conformer_finch_ahc_contrastive best\")
  --sad <choice|oracle|file> take speech from a detector of conf/sad, the reference (oracle), segments or RTTM (pyannote)
  --xvector <choice>         make x-vectors by a model of conf/xvector (campplus)
  --num-spk <n|a-b|estimate|oracle|file>
                             speakers per recording: given, estimated (within limits), from the reference, or from lines
                             <recording> <number> (as the system's file has it)
  --turns <closed|tight>     close short pauses in turns, or end turns where speech ends (as the system's file has it)
  --known <dir>              name speakers by known voices: a recording, or a folder of recordings, for each name
  --tag <text>               add a suffix to the systems' directories, to keep two runs of one set apart
  --seed <n>                 seed the clustering (0)
Running
  --stage <n>, --stop-stage <n>
                             run these stages: 0 environment, 1 data, 2 speech, 3 sub-segments, 4 x-vectors, 5 clustering,
                             6 RTTM, 7 score, 8 report (0, 8)
  --nj <n>                   run this many jobs in parallel (number of cores)
  --cmd <command>            run jobs by run.pl, slurm.pl or queue.pl with their options (cmd.sh)
  --data-root <dir>, --exp-root <dir>
                             write everything below these folders (data, exp)
  --python <path>            use a Python that has the requirements instead of .venv
  --overwrite <true|false>   do finished work again (false)
  --allow-commands <true|false>
                             run the commands of a wav.scp (entries that end in |) instead of refusing them (false)
  --verbose <0|1|2>          log warnings, progress, or details (1)
  --config <file>            read options from name=value lines first"

# Options of earlier versions. shellcheck disable=SC2034 # parse_options.sh prints it
moved_options="channels bad_files corpus_dir corpus subset crop: give it in --data \"--<option> ..\"
sad_options sad_source: give --sad pyannote+<option>=<value>, as in gap=0.5 or source=<file>
overlap_detector: give --sad webrtc+network=pyannote
overlap changes: give --systems <name>+input.overlap=<drop|keep|label> or +input.changes=<cut|ignore>
reading system_options: give --systems <name>+literal or <name>+<option>=<value>
min_spk max_spk: give --num-spk <a>-<b>
xvector_source device: give --xvector <name>+source=<folder>+device=<cpu|cuda>, --sad pyannote+device=cuda
scorer: score with steps/diar/score_der.sh --scorer
train_on_set: RESULTS.md names the commit that has it"

quoted() { LC_ALL=C.UTF-8 printf '%q ' "$@"; } 2>/dev/null
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
say() { if [ "$verbose" != 0 ]; then printf '%s\n' "$1" >&2; fi; }
# wants <stage> <title>: return whether to run a stage, and announce it.
wants() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && say $'\n'"== Stage $1: $2"; }

[ $# = 0 ] || die "expected options only, got '$1' (see run.sh --help)"
[[ $stage$stop_stage =~ ^[0-9]{2,6}$ ]] || die "--stage, --stop-stage: expected whole numbers, got '$stage', '$stop_stage'"
[[ $nj =~ ^[1-9][0-9]*$ ]] || die "--nj: expected a whole number from 1, got '$nj'"
[ -n "$audio" ] || [ -z "$rttm$uem" ] || die "--rttm and --uem go with --audio"
for file in "$audio" "$rttm" "$uem" "$known"; do [ -z "$file" ] || [ -e "$file" ] || die "$file: no such file or folder"; done
if [ -n "$audio" ]; then
  : "${systems:=best}"
  name=$(basename "$audio")
  if [ -f "$audio" ]; then name=${name%.*}; fi
  name=$(printf '%s' "$name" | LC_ALL=C tr -c 'A-Za-z0-9_.-' _ | sed 's/^[.-]/_/; s/^[_.-]*$/audio/')
elif [ . -ef "$repo" ]; then name=mini; else name=$(basename "$PWD"); fi
: "${set:=$name}" "${systems:=xvector_ahc xvector_ahc_centred conformer_finch_ahc_contrastive best}"
[[ $set =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || die "--set: expected letters, digits and '_.-', got '$set'"

exp=$exp_root/$set data_dir=$data_root/$set
common=(--verbose "$verbose")
jobs=(--nj "$nj" --cmd "$cmd" --overwrite "$overwrite")
data_options=() names=()
if [ -n "$data" ]; then mapfile -d '' -t data_options < <(xargs printf '%s\0' <<<"$data"); fi

if wants 0 "environment"; then
  python=$(utils/setup_env.sh --verbose "$verbose" --python "$python" --choices "$systems $sad $xvector")
fi
export PYTHON=${python:-python3}
# shellcheck disable=SC2086 # a list
plan=$("$PYTHON" steps/diar/list_systems.py --sad "$sad" --num-spk "$num_spk" --turns "$turns" --tag "$tag" $systems)
if [ "$stop_stage" -ge 1 ]; then
  mkdir -p "$data_root" "$exp" || die "cannot make $data_root and $exp; is there write permission?"
  printf '%s  %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$command_line" >>"$exp/commands.log"
fi

if wants 1 "data directory $data_dir"; then
  options=("${common[@]}" --set "$set" --data-root "$data_root" ${data_options[@]+"${data_options[@]}"})
  if [ -n "$audio" ]; then
    if [ -f "$num_spk" ]; then options+=(--num-spk-file "$num_spk"); fi
    "$repo/local/prepare_audio.sh" --nj "$nj" --rttm "$rttm" --uem "$uem" "${options[@]}" "$audio"
  elif [ "$set" != mini ] && [ -z "$data" ] && [ -f "$data_dir/wav.scp" ]; then
    say "run.sh: $data_dir is there and is used as it is"
  else
    local/prepare_data.sh "${options[@]}"
  fi
fi

# Stages 2 to 4 run once for all systems with the same input, and the segmentation network once for all inputs.
inputs=" " first_speech=
while IFS='|' read -r choice name input overlap changes number row_turns <&3; do
  speech=$data_root/${set}_speech$input subsegments=$exp/subsegments$input
  xvectors=$exp/xvectors_$(basename "${xvector%%+*}" .yaml)$input
  if [[ $inputs != *" x$input "* ]]; then
    inputs+="x$input "
    if wants 2 "speech regions $speech ($sad)"; then
      steps/diar/detect_speech.sh "${common[@]}" "${jobs[@]}" --allow-commands "$allow_commands" --sad "$sad" \
        --overlap "$overlap" --changes "$changes" --segmentation-from "$first_speech" "$data_dir" "$speech"
    fi
    if wants 3 "sub-segments"; then
      steps/diar/make_subsegments.sh "${common[@]}" --config "$repo/conf/subsegments.conf" "$speech" "$subsegments"
    fi
    if wants 4 "x-vectors ($xvector)"; then
      steps/diar/extract_xvectors.sh "${common[@]}" "${jobs[@]}" --allow-commands "$allow_commands" \
        --xvector "$xvector" "$speech" "$subsegments" "$xvectors"
    fi
    : "${first_speech:=$speech}"
  fi
  dir=$exp/$name
  names+=("$name")
  if [ -n "$audio" ] && [ -f "$number" ]; then number=$data_dir/reco2num_spk; fi # that file, with the recordings' ids
  if wants 5 "clustering, $name"; then
    options=(--system "$choice" --seed "$seed" --num-spk "$number")
    if [ "$number" = oracle ]; then options+=(--reco2num-spk "$data_dir/reco2num_spk"); fi
    if [ -d "$speech/segmentation" ]; then options+=(--segmentation "$speech/segmentation"); fi
    steps/diar/cluster_ssl.sh "${common[@]}" "${jobs[@]}" "${options[@]}" "$xvectors" "$dir"
  fi
  if wants 6 "RTTM, $name"; then
    if [ "$overlap" = label ]; then second=true; else second=false; fi
    steps/diar/make_rttm.sh "${common[@]}" --second-speaker "$second" --turns "$row_turns" --data-dir "$data_dir" \
      "$subsegments" "$dir"
    if [ -n "$known" ]; then steps/diar/name_speakers.sh "${common[@]}" --known "$known" "$dir"; fi
  fi
  if [ ! -f "$data_dir/ref.rttm" ]; then
    if wants 7 "no reference ($data_dir/ref.rttm), so no DER"; then :; fi
  elif wants 7 "score, $name"; then
    steps/diar/score_der.sh "${common[@]}" "$data_dir" "$dir"
  fi
done 3<<<"$plan"

if wants 8 "report"; then
  steps/diar/make_report.sh "${common[@]}" --allow-commands "$allow_commands" --nj "$nj" --systems "${names[*]}" \
    --data-dir "$data_dir" "$exp" "$exp/report"
  if [ "$verbose" != 0 ]; then
    printf '\n'
    printf "RTTM    $exp/%s/rttm\n" "${names[@]}"
    echo "Report  $exp/report/index.html"
  fi
fi
