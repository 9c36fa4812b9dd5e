# Copyright 2026  ssdiar authors
# Apache 2.0

# How a stage keeps its output directory to itself and runs its parallel jobs. Sourced by begin.sh, of whose variables it
# takes stage, script, here and tell_signal, and the options cmd, python and verbose.
# shellcheck shell=bash disable=SC2154

# plan_jobs <input-dir>... <out-dir>: make the plan of <out-dir> with the options in the array `options`; set `out`, and
# `jobs` to the number of jobs. <out-dir>/.manifest/run.lock stays open as file descriptor 9: the plan locks it, or waits
# for the run that has; this script and the jobs that it starts on this machine inherit it and so keep it locked until the
# last of them has ended.
plan_jobs() {
  local code=0
  out=${!#}
  apart "$@"
  if mkdir -p -- "$out/.manifest" 2>/dev/null; then { exec 9>>"$out/.manifest/run.lock"; } 2>/dev/null || true; fi
  jobs=$("$python" "$here/$stage.py" --verbose="$verbose" plan "${options[@]}" -- "$@") || code=$?
  if [ "$code" = 0 ]; then return; fi
  tell_signal "$code"
  if [ ! -e "$out/.manifest/$stage.json" ]; then
    rm -f -- "$out/.manifest/run.lock" 2>/dev/null || true
    rmdir -- "$out/.manifest" "$out" 2>/dev/null || true
  fi
  exit 1
}

# run_jobs: run all jobs of the plan, by $cmd, with logs in <out-dir>/log. Its exit code is that of $cmd. On a terminal
# there is a bar meanwhile, and what $cmd has to say goes through it, to come out above the bar.
run_jobs() {
  local job=JOB word command=()
  if [ "$jobs" = 0 ]; then
    if [ "$verbose" != 0 ]; then echo "$script: nothing to do, all recordings are done"; fi
    return
  fi
  mkdir -p -- "$out/log"
  if [ "$verbose" = 2 ]; then echo "$script: number of jobs: $jobs, logs: $out/log/$stage.*.log" >&2; fi
  # $cmd puts the job's number wherever it finds the name.
  while [[ "$out $python $here" == *"$job"* ]]; do job+=_; done
  for word in "$python" "$here/$stage.py" --verbose="$verbose" run --job="$job" -- "$out"; do
    command+=("$(job_word "$word")")
  done
  command=("$job=1:$jobs" "$out/log/$stage.$job.log" "${command[@]}")
  # $cmd is unquoted by design: it may hold options, as in --cmd "queue.pl --mem 2G".
  # shellcheck disable=SC2086
  if [ "$verbose" != 0 ] && [ -t 2 ]; then
    # The bar ends when $cmd does, of ctrl-C too, and so must not end of ctrl-C before it.
    $cmd "${command[@]}" 2>&1 | (trap '' INT && exec "$python" "$steps/progress.py" "$stage" "$out")
  else
    $cmd "${command[@]}"
  fi
}

# gather_jobs: make of what the jobs left what the stage writes.
gather_jobs() {
  local code=0
  "$python" "$here/$stage.py" --verbose="$verbose" gather -- "$out" || code=$?
  if [ "$code" != 0 ]; then
    tell_signal "$code"
    exit 1
  fi
}

# job_word <text>: print what $cmd must be given for its job to get <text>. Kaldi's run.pl and queue.pl, and ours, make a
# shell line of their arguments: as it is of one without blanks, between double quotes of one with blanks. So a word that
# means something to a shell goes as a substitution (it has blanks, and no quotes) that gives it back.
job_word() {
  local LC_ALL=C text=$1 code='' i plain='[A-Za-z0-9_./:=@%+,-]|[^[:print:][:cntrl:][:space:]]'
  for ((i = 0; i < ${#text}; i++)); do
    if [[ ${text:i:1} =~ $plain ]]; then
      code+=${text:i:1}
    else
      printf -v code '%s\\\\0%03o' "$code" "'${text:i:1}"
    fi
  done
  if [ -n "$text" ] && [ "$code" = "$text" ]; then
    printf '%s' "$text"
  else
    # shellcheck disable=SC2016 # for the shell of the job
    printf '$(printf %%b %s)' "$code"
  fi
}
