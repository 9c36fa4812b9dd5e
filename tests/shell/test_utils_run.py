"""utils/run.pl: quoting, logs, failures, limits, signals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import AWKWARD, PATIENCE

RUN = Path(__file__).resolve().parents[2] / "utils" / "run.pl"
SHOW_ARGUMENTS = "import json,sys;print(json.dumps(sys.argv[1:]))"


@pytest.fixture
def run(tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([RUN, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE)

    return run


def test_log_tells_command_host_times_and_code(run, tmp_path):
    done = run("--mem", "2G", "JOB=1:2", "--num-threads", "3", "lo g/é.JOB.log", "printf", "job-JOB")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for job in (1, 2):
        log = (tmp_path / "lo g" / f"é.{job}.log").read_text()
        assert re.fullmatch(
            rf"# printf job-{job}\n# Running on \S+\n# Started at .+\n#\njob-{job}\n"
            r"# Accounting: time=\d+ threads=3\n# Ended \(code 0\) at .+, elapsed time \d+ seconds\n",
            log,
        )


def test_arguments_reach_the_command(run, tmp_path):
    program = tmp_path / "show it.py"
    program.write_text(SHOW_ARGUMENTS)
    assert run("x.log", sys.executable, str(program), *AWKWARD).returncode == 0
    shown = [line for line in (tmp_path / "x.log").read_text().split("\n") if line.startswith("[")]
    assert json.loads(shown[0]) == AWKWARD


def test_words_without_blanks_or_quotes_are_shell_text_as_in_kaldi(run, tmp_path):
    assert (
        run(
            "JOB=3:3", "x.log", "echo", "$[JOB+1]", "|", "tr", "4", "5", ">", "out", "&&", "false", "||", "true"
        ).returncode
        == 0
    )
    assert (tmp_path / "out").read_text() == "5\n"
    assert run("x.log", "bash", "-c", "echo $[1+2]").returncode == 0
    assert "\n3\n" in (tmp_path / "x.log").read_text()


def test_command_line_may_be_longer_than_one_argument_can_be(run, tmp_path):
    assert run("x.log", "echo", *["a" * 100] * 2000, "|", "wc", "-c").returncode == 0
    assert "\n202000\n" in (tmp_path / "x.log").read_text()


def test_failed_jobs_are_named_with_the_end_of_the_first_log(run):
    done = run("JOB=1:3", "x.JOB.log", "bash", "-c", "seq JOB 100; [ JOB = 2 ]")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "run.pl: error: 2 / 3 failed, log is in x.*.log; failed jobs: 1 3",
        "run.pl: last lines of x.1.log (code 1):",
        *(f"  {number}" for number in range(96, 101)),
    ]


def test_one_failed_job(run):
    done = run("x.log", "exit", "7")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "run.pl: error: job failed (code 7), log is in x.log",
        "run.pl: last lines of x.log (code 7):",
        "  (the command wrote nothing)",
    ]
    assert "there is no JOB=1:n before it" in run("x.JOB.log", "false").stderr


@pytest.mark.parametrize("command", [["kill", "-9", "$BASHPID"], ["bash", "-c", "kill -9 \\$$"]])
def test_killed_command_has_failed_with_128_and_the_signal(run, tmp_path, command):
    done = run("x.log", *command)
    assert done.returncode == 1
    assert "job failed (code 137)" in done.stderr
    assert "# Ended (code 137) at" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["JOB=1:2", "x.log", "true"], "2 parallel jobs would write to one log, x.log; expected JOB in its name"),
        (["JOB=1:", "x.JOB.log", "true"], "bad job range JOB=1:; expected 1 <= first <= last, as in JOB=1:4"),
        (["JOB=0:2", "x.JOB.log", "true"], "bad job range JOB=0:2; expected 1 <= first <= last"),
        (["JOB=2:1", "x.JOB.log", "true"], "bad job range JOB=2:1; expected 1 <= first <= last"),
        (
            ["--max-jobs-run", "0", "x.log", "true"],
            "bad value of --max-jobs-run; expected a whole number from 1, got '0'",
        ),
        (["--mem", "JOB=1:2", "x.JOB.log", "true"], "option --mem needs a value"),
        (["--mem"], "option --mem needs a value"),
        (["x.log"], "Usage: run.pl"),
        ([], "Usage: run.pl"),
        (["no/x.log/y.log", "true"], "cannot write the log no/x.log/y.log"),
    ],
)
def test_bad_command_lines_start_nothing(run, tmp_path, arguments, message):
    (tmp_path / "no").write_text("a file\n")
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["no"]


def test_help(run):
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: run.pl [options] [JOB=first:last] <log>")


def test_max_jobs_run_limits_what_runs_at_a_time(run, tmp_path):
    command = "echo + >>events; sleep 0.1; echo - >>events"
    for limit, expected in ((1, 1), (2, 2)):
        (tmp_path / "events").write_text("")
        assert (
            run("--max-jobs-run", "5", "-tc", str(limit), "JOB=1:4", "x.JOB.log", "bash", "-c", command).returncode == 0
        )
        running = most = 0
        for event in (tmp_path / "events").read_text().split():
            running += 1 if event == "+" else -1
            most = max(most, running)
        assert most == expected


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(process: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("number", "trap"), [(signal.SIGINT, ""), (signal.SIGTERM, 'trap "" TERM')])
def test_a_signal_stops_all_that_the_jobs_started(tmp_path, number, trap):
    (tmp_path / "child.sh").write_text(f"{trap}\necho $$ >tmp.$1\nmv tmp.$1 pid.$1\nsleep 60\nsleep 60\n")
    command = [RUN, "--max-jobs-run", "2", "JOB=1:3", "x.JOB.log", "bash", "child.sh", "JOB", "|", "cat"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(list(tmp_path.glob("pid.[12]"))) == 2)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == -number
    assert stderr == f"run.pl: error: stopped by {number.name}, and all jobs with it; log is in x.*.log\n"
    for job in (1, 2):
        child = int((tmp_path / f"pid.{job}").read_text())
        wait_for(lambda child=child: is_gone(child))
        assert "# Ended (code 143) at" in (tmp_path / f"x.{job}.log").read_text()
    assert not (tmp_path / "pid.3").exists()
