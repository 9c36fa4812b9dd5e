"""The bar that stages show while jobs run: on a terminal only, in colour only where wanted, gone with the jobs."""

import errno
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from running import DIAR, PATIENCE
from test_cluster_ssl import make, speakers

from jobs import _draw

RECORDINGS = 3
BAR = "cluster_ssl: {} of 3 recordings"


class Terminal:
    """A command on a terminal of 100 columns (or one that does not tell its size); what it wrote, and its exit code."""

    def __init__(self, command, cwd, columns=100, **environment):
        self.text, self.code = "", None
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8"})
            os.environ.pop("NO_COLOR", None)
            os.environ.update(environment)
            os.execv(command[0], command)
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30 if columns else 0, columns, 0, 0))

    def read(self, until=None, timeout=PATIENCE):
        """Read on, to the end or until a text is there."""
        limit = time.monotonic() + timeout
        while until is None or until not in self.text:
            assert select.select([self.end], [], [], limit - time.monotonic())[0], f"nothing more after: {self.text}"
            try:
                data = os.read(self.end, 65536)
            except OSError as error:  # how Linux tells that the terminal's other end is closed
                assert error.errno == errno.EIO
                data = b""
            if not data:
                break
            self.text += data.decode()
        if until is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self.end)
        return self.text


@pytest.fixture
def work(tmp_path):
    """A folder with an x-vector directory `x` of three recordings, at a path with a space and an accent."""
    root = tmp_path / "qui è"
    make(root / "x", {f"r{i}": speakers(12, i)[0] for i in range(RECORDINGS)})
    return root


def stage(*options, python=sys.executable):
    return [str(DIAR / "cluster_ssl.sh"), "--python", str(python), "--system", "xvector_ahc", *options, "x", "out"]


def python_whose_jobs(folder, deed):
    """Return a Python that does something else where it should run a job."""
    path = folder / "python"
    python = shlex.quote(sys.executable)
    path.write_text(f'#!/bin/bash\ncase "$*" in *" --job "*) {deed} ;; *) exec {python} "$@" ;; esac\n')
    path.chmod(0o755)
    return path


def test_on_a_terminal_a_bar_shows_how_far_the_jobs_are(work):
    terminal = Terminal(stage("--verbose", "2"), work)
    text = terminal.read()
    assert terminal.code == 0
    assert BAR.format(3) + " 100%|" in text, text
    assert "\x1b[36m" in text
    assert "cluster_ssl.sh: 2 jobs, logs: out/log/cluster_ssl.*.log" in text
    assert text.rindex(BAR.format(3)) < text.index("out/labels: 3 recordings")
    again = Terminal(stage(), work, NO_COLOR="1")
    assert "nothing to do" in again.read() and "%|" not in again.text


def test_no_colour_with_no_color_and_a_bar_where_the_terminal_tells_no_size(work):
    terminal = Terminal(stage(), work, columns=0, NO_COLOR="1")
    text = terminal.read()
    assert terminal.code == 0
    assert BAR.format(3) + " 100%|" in text
    assert "\x1b[3" not in text


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_no_bar_where_stderr_is_no_terminal_and_nothing_at_all_with_verbose_0(work, verbose):
    done = subprocess.run(
        stage("--verbose", verbose), cwd=work, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    log = "".join(path.read_text() for path in (work / "out" / "log").iterdir())
    assert "%|" not in done.stdout + done.stderr + log
    assert (done.stdout + done.stderr == "") == (verbose == "0")
    assert ("12 sub-segments" in log) == (verbose == "1")
    if verbose == "0":
        again = subprocess.run(
            stage("--verbose", "0"), cwd=work, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert again.stdout + again.stderr == ""


def test_run_sh_with_verbose_0_is_quiet_on_a_terminal_too(repo, work):
    (work / "calls").mkdir()
    soundfile.write(work / "calls" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * 8000), 8000)
    roots = ["--data-root", str(work / "data"), "--exp-root", str(work / "exp"), "--python", sys.executable]
    # A warning would be shown, and rightly: noise is speech to this detector, while pyannote would find none.
    options = ["--audio", str(work / "calls"), "--set", "calls", "--sad", "webrtc", "--stop-stage", "3"]
    options += [
        "--systems",
        "best+input.overlap=keep",
        "--verbose",
        "0",
    ]  # webrtc hears no overlap, and would warn that it drops none
    terminal = Terminal([str(repo / "run.sh"), *roots, *options], repo)
    assert terminal.read() == "" and terminal.code == 0
    assert (work / "exp" / "calls" / "subsegments_keep" / "segments").is_file()


def test_a_failing_job_tells_above_the_bar_and_fails_the_stage(work):
    terminal = Terminal(stage(python=python_whose_jobs(work, "echo no luck; exit 7")), work)
    text = terminal.read()
    assert terminal.code == 1
    assert "\rrun.pl: error: 2 / 2 failed, log is in out/log/cluster_ssl.*.log; failed jobs: 1 2\r\n" in text
    assert "  no luck\r\n" in text
    assert "out/labels" not in text


def test_ctrl_c_ends_bar_and_jobs(work):
    terminal = Terminal(stage(python=python_whose_jobs(work, "echo $$ >>pids; exec sleep 300")), work)
    terminal.read(until=BAR.format(0))
    limit = time.monotonic() + PATIENCE
    while len((work / "pids").read_text().split() if (work / "pids").exists() else ()) < 2:
        assert time.monotonic() < limit, terminal.text
        time.sleep(0.05)
    os.write(terminal.end, b"\x03")
    text = terminal.read()  # to the end, which comes when no process has the terminal any more
    assert terminal.code not in (0, None)
    assert "stopped by SIGINT, and all jobs with it" in text and "Traceback" not in text
    for pid in (work / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), signal.SIGCONT)


def test_the_bar_counts_by_expected_cost_and_forgets_what_is_done_anew(tmp_path):
    from ssdiar.work import Manifest

    work = Manifest(tmp_path, "stage")
    digests, costs = {"a": "1", "b": "2", "c": "3"}, {"a": 6.0, "b": 1.0, "c": 1.0}

    def do(*recos):
        for reco in recos:
            with work.done(reco) as folder:
                (folder / reco).write_text(reco)

    def shown(unit=""):
        """Return how much of the total cost the bar shows, and its text."""
        bar = SimpleNamespace(total=sum(work.costs.values()) if unit else len(work.costs), refresh=lambda: None)
        bar.set_description_str = lambda text, refresh: setattr(bar, "text", text)
        _draw(bar, work, unit)
        return bar.n / bar.total, bar.text

    work.plan({}, {}, digests, costs, 2)
    assert shown("s of audio") == (0.0, "stage: 0 of 8 s of audio")
    do("a")
    assert shown("s of audio") == (0.75, "stage: 6 of 8 s of audio")
    assert shown() == (0.75, "stage: 1 of 3 recordings")
    work.plan({}, {}, digests, costs, 2)
    assert shown() == (0.0, "stage: 0 of 2 recordings")
    do("b", "c")
    assert shown() == (1.0, "stage: 2 of 2 recordings")
    work.plan({}, {}, digests, costs, 2, overwrite=True)
    assert shown() == (0.0, "stage: 0 of 3 recordings")
