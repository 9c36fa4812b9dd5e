# Copyright 2026  ssdiar authors
# Apache 2.0

# How a stage runs its parallel jobs. Sourced by the stage scripts, of whose variables it takes cmd, python, verbose,
# here (the folder of this file) and script (the name to say).
# shellcheck shell=bash disable=SC2154

# run_jobs <stage> <number of jobs> <out-dir>: run <stage>.py for every job that its plan of <out-dir> has, by $cmd, with
# logs in <out-dir>/log. Its exit code is that of $cmd. On a terminal there is a bar meanwhile, and what $cmd has to say
# goes through it, to come out above the bar.
run_jobs() {
  local stage=$1 jobs=$2 out=$3
  if [ "$jobs" = 0 ]; then
    if [ "$verbose" != 0 ]; then echo "$script: nothing to do, all recordings are done"; fi
    return
  fi
  mkdir -p "$out/log"
  if [ "$verbose" = 2 ]; then echo "$script: number of jobs: $jobs, logs: $out/log/$stage.*.log" >&2; fi
  local job=("$out/log/$stage.JOB.log" "$python" "$here/$stage.py" --verbose "$verbose" run --job JOB "$out")
  # $cmd is unquoted by design: it may hold options, as in --cmd "queue.pl --mem 2G".
  # shellcheck disable=SC2086
  if [ "$verbose" != 0 ] && [ -t 2 ]; then
    # The bar ends when $cmd does, of ctrl-C too, and so must not end of ctrl-C before it.
    $cmd JOB=1:"$jobs" "${job[@]}" 2>&1 | (trap '' INT && exec "$python" "$here/progress.py" "$stage" "$out")
  else
    $cmd JOB=1:"$jobs" "${job[@]}"
  fi
}
