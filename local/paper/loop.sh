# Copyright 2026  ssdiar authors
# Apache 2.0

# What run_paper.sh and run_figures.sh share: the inputs and the output that their options set, xvector, tag, data_root and
# exp_root name, and the loop over runs. It uses their variables nj, cmd, overwrite, python, verbose, here (the folder of
# this file) and script (the name in messages).
# shellcheck shell=bash disable=SC2034,SC2154

exp=$exp_root/$set
inputs=("$data_root/$set" "$exp/subsegments" "$exp/xvectors_$(basename "$xvector" .yaml)")
out=$exp/paper${tag:+_$tag}

# run_planned <protocols> <plan> [<after-seed>]: do the runs that the command <plan> prints, a line each (see runs.py);
# call <after-seed> when the runs of one seed are complete.
run_planned() {
  local protocols=$1 plan total number=0 last='' dir count seed system row_reading options
  plan=$($2) || exit 1
  [ -n "$plan" ] || [ "$verbose" = 0 ] || echo "$script: nothing to do, all runs are done" >&2
  total=$(grep -c . <<<"$plan") || true
  while IFS=$'\t' read -r dir count seed system row_reading options <&3; do
    if [ -z "$dir" ]; then continue; fi
    if [ -n "$last" ] && [ "$last" != "$count $seed" ]; then ${3:-true}; fi
    last="$count $seed"
    number=$((number + 1))
    if [ "$verbose" != 0 ]; then echo "$script: run $number of $total" >&2; fi
    "$here/run_system.sh" --system "$system" --reading "$row_reading" --system-options "$options" --num-spk "$count" \
      --seed "$seed" --protocols "$protocols" --nj "$nj" --cmd "$cmd" --overwrite "$overwrite" \
      --python "$python" --verbose "$verbose" "${inputs[@]}" "$dir"
  done 3<<<"$plan"
}
