"""utils/slurm.pl on a real Slurm (tests/slurm_cluster.py): the same as run.pl, lost jobs, limits, options, signals."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import AWKWARD
from slurm_cluster import CPUS, MAX_ARRAY_SIZE

from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.timeline.spans import Segment

REPO = Path(__file__).resolve().parents[2]
RUN, SLURM = REPO / "utils" / "run.pl", REPO / "utils" / "slurm.pl"
WATCHED = ("squeue", "scontrol", "sacct", "sbatch", "scancel")


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def read(path):
    return path.read_text() if path.exists() else ""


def left_behind(folder):
    """Folders that slurm.pl waits at and has not cleared away."""
    return list(folder.rglob(".slurm.*"))


def watched(folder, environment):
    """Put wrappers of Slurm's commands on the PATH, which write every call to `folder`/calls."""
    (folder / "bin").mkdir()
    for name in WATCHED:
        wrapper = folder / "bin" / name
        wrapper.write_text(
            f'#!/bin/sh\necho {name} >>"{folder}/calls"\nPATH=${{PATH#*:}}\nexec {name} "$@"\n', newline="\n"
        )
        wrapper.chmod(0o755)
    return environment | {"PATH": f"{folder / 'bin'}:{environment['PATH']}"}


def calls(folder):
    return read(folder / "calls").split()


@pytest.fixture
def start(slurm, tmp_path):
    """Return a function that starts slurm.pl, in tmp_path unless told otherwise."""

    def start(*arguments, environment=slurm.environment, folder=tmp_path):
        return subprocess.Popen(
            [SLURM, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


@pytest.fixture
def run(start):
    """Return a function that runs slurm.pl and returns its exit code and what it wrote to stderr."""

    def run(*arguments, **more):
        process = start(*arguments, **more)
        stdout, stderr = process.communicate(timeout=300)
        assert stdout == ""
        return process.returncode, stderr

    return run


@pytest.fixture(scope="module", autouse=True)
def lost(slurm, tmp_path_factory):
    """A call whose jobs get lost in several ways, running beside the other tests: Slurm takes up to half a minute to
    see that time is over."""
    folder = tmp_path_factory.mktemp("lost")
    command = "echo I am JOB; [ JOB = 2 ] && exit 7; [ JOB = 1 ] || touch running.JOB; [ JOB = 1 ] || sleep 300"
    process = subprocess.Popen(
        [SLURM, "--mem", "10M", "--max-jobs-run", "2", "JOB=1:5", "x.JOB.log", "bash", "-c", command],
        cwd=folder,
        env=watched(folder, slurm.environment),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: {path.name for path in folder.glob("running.*")} == {"running.3", "running.4"})
    array = slurm.output_of("squeue", "--noheader", "--format=%F").split()[0]
    slurm.output_of("scancel", f"{array}_5")  # waits in the queue
    slurm.output_of("scancel", f"{array}_3")
    slurm.output_of("scontrol", "update", f"jobid={array}_4", "EndTime=now")  # limits are in minutes
    yield process, folder
    process.terminate()
    process.wait()


# ---- as run.pl does it

ARRAY = {
    "success": ["JOB=1:3", "lo g/%j é.JOB.log", "printf", "job-JOB"],
    "awkward arguments": ["JOB=2:2", "x.JOB.log", sys.executable, "show it.py", *AWKWARD, "\r\n", "it's JOB"],
    "shell text": [
        "JOB=3:3",
        "x.JOB.log",
        "echo",
        "$[JOB+1]",
        "|",
        "tr",
        "4",
        "5",
        ">",
        "out",
        "&&",
        "false",
        ";",
        "pwd",
    ],
    "standard input": ["x.log", "cat", ";", "echo", "JOB"],
    "failures": ["--num-threads", "2", "JOB=1:3", "x.JOB.log", "bash", "-c", "seq JOB 100; [ JOB = 2 ]"],
    "killed": ["x.JOB.log", "kill", "-9", "$BASHPID"],
    "long": ["x.log", "echo", *["a" * 100] * 2000, "|", "wc", "-c"],
}


@pytest.mark.parametrize("arguments", ARRAY.values(), ids=ARRAY)
def test_logs_outputs_and_messages_are_those_of_run_pl(run, tmp_path, arguments):
    results = []
    for program in (RUN, SLURM):
        folder = tmp_path / program.stem / "qui %j è\\là"
        folder.mkdir(parents=True)
        (folder / "show it.py").write_text("import json,sys;print(json.dumps(sys.argv[1:]))")
        if program == RUN:
            done = subprocess.run(
                [RUN, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
            )
            result = (done.returncode, done.stderr.replace("run.pl", "slurm.pl"))
        else:
            result = run(*arguments, folder=folder)
        files = {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
        for name, text in files.items():  # less times, places and process numbers
            text = re.sub(r"(^# Started at|^# Ended .* at) .*", r"\1", text, flags=re.MULTILINE)
            text = re.sub(r"time[= ]\d+|\d+ Killed", "", text)
            files[name] = text.replace(str(tmp_path / program.stem), "")
        results.append((re.sub(r"\d+ Killed", "Killed", str(result)), files))
    assert results[0] == results[1]
    assert any("# Ended (code" in text for text in results[1][1].values())


def test_without_the_callers_environment_path_sh_is_read(run, slurm, tmp_path):
    (tmp_path / "path.sh").write_text("export FROM_PATH_SH=yes\n")
    environment = slurm.environment | {"NOT_EXPORTED": "yes"}
    echo = ("echo", "[$FROM_PATH_SH]", "[$NOT_EXPORTED]")
    assert run("--export", "PATH", "x.log", *echo, environment=environment)[0] == 0
    assert "\n[yes] []\n" in (tmp_path / "x.log").read_text()


# ---- what Slurm gets to know


def test_options_reach_slurm(run, tmp_path):
    options = ["--mem", "150M", "--time", "7", "--num-threads", "2", "--nice", "5", "--comment", "a 'b", "-A", "acc"]
    show = ("exp/é x.JOB.log", "scontrol", "show", "job", "$SLURM_JOB_ID")
    assert run(*options, "--gpu", "0", "--max-jobs-run", "3", "JOB=2:3", *show) == (0, "")
    expected = ["MinMemoryNode=150M", "TimeLimit=00:07:00", "CPUs/Task=2", "Nice=5", "Comment=a 'b", "Account=acc"]
    for job in (2, 3):
        log = (tmp_path / "exp" / f"é x.{job}.log").read_text()
        assert all(text in log for text in expected)
        assert f"ArrayTaskId={job} ArrayTaskThrottle=3 JobName=é x\n" in log
        assert "threads=2\n" in log


def test_slurms_refusal_is_told_in_its_words(run, tmp_path):
    code, stderr = run("--mem", "900G", "JOB=1:2", "x.JOB.log", "true")
    assert code == 1
    assert re.fullmatch(
        r"slurm\.pl: error: sbatch took no job: .*Memory specification can not be satisfied.*\n", stderr
    )
    assert left_behind(tmp_path) == []


def test_limit_of_jobs_at_a_time(run, slurm, tmp_path):
    command = "echo + >>events; sleep 0.3; echo - >>events"
    environment = watched(tmp_path, slurm.environment)
    jobs = MAX_ARRAY_SIZE - 1
    run_all = ("--mem", "10M", "--max-jobs-run", "2", f"JOB=1:{jobs}", "x.JOB.log", "bash", "-c", command)
    assert run(*run_all, environment=environment) == (0, "")
    events = (tmp_path / "events").read_text().split()
    running = [events[: i + 1].count("+") - events[: i + 1].count("-") for i in range(len(events))]
    assert events.count("+") == jobs
    assert max(running) == 2 < CPUS
    assert all("# Ended (code 0)" in (tmp_path / f"x.{job}.log").read_text() for job in range(1, jobs + 1))
    assert calls(tmp_path).count("sbatch") == 1
    assert calls(tmp_path).count("squeue") <= 2


def test_more_jobs_than_an_array_takes_are_refused(run, tmp_path):
    code, stderr = run("--mem", "10M", f"JOB=1:{MAX_ARRAY_SIZE}", "x.JOB.log", "true")
    assert code == 1 and "slurm.pl: error: sbatch took no job: " in stderr and "array" in stderr
    assert left_behind(tmp_path) == []


# ---- refused before anything is submitted


@pytest.fixture(scope="module")
def no_slurm(tmp_path_factory):
    """Return a folder for the PATH with no command of Slurm in it."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("env", "perl", "setsid"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mem"], "option --mem needs a value"),
        (["JOB=1:2", "x.log", "true"], "2 parallel jobs would write to one log, x.log; expected JOB in its name"),
        (["x.log", "true"], "sbatch took no job: setsid: failed to execute sbatch: No such file"),
        (["x.log"], "Usage: slurm.pl"),
    ],
)
def test_bad_command_lines_submit_nothing(tmp_path, no_slurm, arguments, message):
    environment = os.environ | {"PATH": str(no_slurm)}
    done = subprocess.run(
        [SLURM, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    if not message.startswith("Usage"):
        assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "x.log"] == []


def test_an_option_that_sbatch_does_not_know(run, tmp_path):
    code, stderr = run("--no-such", "1", "x.log", "true")
    assert code == 1 and "slurm.pl: error: sbatch took no job: " in stderr and "no-such" in stderr


def test_option_values_are_data(run, tmp_path):
    code, stderr = run("--mem", "1M; touch hacked $(touch hacked)", "x.log", "true")
    assert code == 1
    assert stderr.startswith("slurm.pl: error: sbatch took no job: sbatch: error: Invalid --mem specification")
    assert {path.name for path in tmp_path.iterdir()} == {"x.log"}


# ---- signals, lost jobs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_jobs(start, slurm, tmp_path, number):
    process = start(
        "--mem", "10M", "--max-jobs-run", "2", "JOB=1:3", "stop.JOB.log", "bash", "-c", "touch run.JOB; sleep 300"
    )
    wait_for(lambda: len(list(tmp_path.glob("run.*"))) == 2)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == -number
    assert stderr == f"slurm.pl: error: stopped by {number.name}, and all jobs with it; log is in stop.*.log\n"
    assert "stop" not in slurm.output_of("squeue", "--noheader", "--format=%j").split()
    assert "# Ended" not in (tmp_path / "stop.1.log").read_text()
    assert not (tmp_path / "run.3").exists()
    assert left_behind(tmp_path) == []


def test_a_job_back_in_the_queue_is_waited_for(start, slurm, tmp_path):
    command = "if mkdir first; then echo $SLURM_JOB_ID >id.new && mv id.new id && sleep 300; else echo second; fi"
    process = start("--mem", "10M", "x.log", "bash", "-c", command)
    wait_for(lambda: read(tmp_path / "id"))
    job = read(tmp_path / "id").strip()
    slurm.output_of("scontrol", "requeue", job)
    wait_for(lambda: "PENDING" in slurm.output_of("squeue", "--noheader", "--format=%T", f"--jobs={job}"))
    # Slurm itself starts it again, once nothing of the first run can come in any more (cred_expire of the cluster).
    assert process.communicate(timeout=300)[1] == ""
    assert process.returncode == 0
    log = (tmp_path / "x.log").read_text()
    assert log.count("# Started at") == 1
    assert "\nsecond\n" in log


def make_xvectors(folder):
    rng = np.random.default_rng(0)
    segments, vectors = [], {}
    for reco in ("a", "b.x", "c-1"):
        speakers = rng.standard_normal((2, 8))
        for i in range(24):
            key = f"{reco}-{75 * i:07d}-{75 * (i + 1):07d}"
            segments.append(Segment(key, reco, 0.75 * i, 0.75 * (i + 1)))
            vectors[key] = speakers[i // 3 % 2] + 0.2 * rng.standard_normal(8)
    folder.mkdir()
    places = write_xvectors(folder / "xvector.ark", vectors)
    write_xvector_scp(folder / "xvector.scp", {key: (folder / "xvector.ark", place) for key, place in places.items()})
    write_segments(folder, segments)


def test_a_stage_gives_the_same_on_slurm(slurm, tmp_path):
    work = tmp_path / "qui è là"
    work.mkdir()
    make_xvectors(work / "x vectors")
    for cmd, out in (("run.pl", "here"), ("slurm.pl --mem 1G", "there")):
        options = ["--system", "xvector_ahc", "--nj", "3", "--cmd", cmd, "--python", sys.executable]
        done = subprocess.run(
            [REPO / "steps/diar/cluster_ssl.sh", *options, "x vectors", out],
            cwd=work,
            env=slurm.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    here, there = (
        {path.name: path.read_bytes() for path in (work / out).rglob("*") if path.name == "labels"}
        for out in ("here", "there")
    )
    assert here == there and len(here["labels"].split(b"\n")) == 73
    assert len(list((work / "there" / "log").glob("cluster_ssl.?.log"))) == 3


def test_lost_jobs_are_told_apart_and_the_controller_is_asked_seldom(lost):
    process, folder = lost
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert stderr.splitlines()[:5] == [
        "slurm.pl: error: 1 / 5 failed, log is in x.*.log; failed jobs: 2",
        "slurm.pl: last lines of x.2.log (code 7):",
        "  I am 2",
        "slurm.pl: error: 3 / 5 lost, log is in x.*.log; lost jobs: 3 (CANCELLED) 4 (TIMEOUT) 5 (CANCELLED)",
        "slurm.pl: last lines of x.3.log (CANCELLED):",
    ]
    assert "\n  I am 3\n" in stderr
    assert "\nslurm.pl: last lines of the output of Slurm:\n" in stderr
    assert "DUE TO TIME LIMIT" in stderr
    ends = [(folder / f"x.{job}.log").read_text().splitlines()[-1] for job in range(1, 6)]
    for end, expected in zip(
        ends, ["Ended (code 0)", "Ended (code 7)", "Lost (CAN", "Lost (TIM", "Lost (CAN"], strict=True
    ):
        assert end.startswith(f"# {expected}")
    assert left_behind(folder) == []
    assert calls(folder).count("sbatch") == 1
    assert 2 <= calls(folder).count("squeue") <= 9
