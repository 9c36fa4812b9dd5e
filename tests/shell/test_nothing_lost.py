"""Nothing lost, mixed or stale: kills, two runs at once, changed inputs, damage, full disks, hostile names."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs import job_word
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.timeline.spans import Segment

DIAR = Path(__file__).resolve().parents[2] / "steps" / "diar"
HOSTILE = 'o\'dd; (1) & $HOME `ü` | "JOB"'
SIZES = {"a": 40, "b.x": 25, "c-1": 12, "d": 60, "e_": 9, "f": 33}


def make_xvectors(folder, sizes=SIZES):
    """Write an x-vector directory: two speakers who take turns of three pieces."""
    folder.mkdir(parents=True, exist_ok=True)
    segments, places = [], {}
    for number, (reco, size) in enumerate(sizes.items()):
        rng = np.random.default_rng(number)
        rows = rng.standard_normal((2, 8))[np.arange(size) // 3 % 2] + 0.2 * rng.standard_normal((size, 8))
        ids = [f"{reco}-{75 * i:07d}-{75 * (i + 1):07d}" for i in range(size)]
        segments += [Segment(key, reco, 0.75 * i, 0.75 * (i + 1)) for i, key in enumerate(ids)]
        ark = folder / f"xvector.{reco}.ark"
        places |= {key: (ark, place) for key, place in write_xvectors(ark, dict(zip(ids, rows, strict=True))).items()}
    write_segments(folder, segments)
    write_xvector_scp(folder / "xvector.scp", places)


def make_data(folder, seconds, turns=()):
    """Write a data directory of buzzing recordings, and a reference if there are turns (reco, speaker, start, end)."""
    folder.mkdir(parents=True)
    for number, (reco, length) in enumerate(seconds.items()):
        times = np.arange(int(length * 8000)) / 8000
        sound = sum(np.sin(2 * np.pi * (110 + 40 * number) * k * times) / k for k in range(1, 12))
        loud = 0.05 + (times % 3 < 2)
        noise = np.random.default_rng(number).normal(0, 0.02, len(times))
        soundfile.write(folder / f"{reco}.wav", 0.1 * sound * loud + noise, 8000)
    (folder / "wav.scp").write_text("".join(f"{reco} {folder}/{reco}.wav\n" for reco in sorted(seconds)))
    lines = [f"SPEAKER {r} 1 {start} {end - start} <NA> <NA> {s} <NA> <NA>\n" for r, s, start, end in turns]
    if lines:
        (folder / "ref.rttm").write_text("".join(lines))


def command(stage, *args):
    return [str(DIAR / f"{stage}.sh"), "--python", sys.executable, *map(str, args)]


def run(root, stage, *args, rc=0, before=""):
    """Run a stage script to its end, after shell text ``before``; it must end with ``rc`` and without a traceback."""
    words = command(stage, *args)
    if before:
        words = ["bash", "-c", f'{before}; exec "$@"', "bash", *words]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == rc, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def start(root, stage, *args):
    """Start a stage script in a session of its own, with its stderr in the file err.<process>."""
    with open(root / "err", "w") as stream:
        return subprocess.Popen(
            command(stage, *args), cwd=root, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True
        )


def session(leader):
    """Return the living processes of a session, each of which has its leader's id in the sixth field of its stat."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[3] == str(leader) and fields[0] != "Z":
                members.append(int(stat.parent.name))
    return sorted(members)


def wait_for(condition, seconds=60):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def content(folder):
    """Return what a stage made, by name, without what tells of times: log, seconds, notes of the run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name.startswith((".", "log/")):
            continue
        found[name] = path.read_bytes()
        if name.startswith("history/"):
            history = json.loads(found[name])
            found[name] = {
                **history,
                "seconds": 0,
                "iterations": [{**step, "seconds": 0} for step in history.get("iterations", [])],
            }
        elif name == "xvector.scp":
            found[name] = found[name].replace(bytes(folder), b"")
    return found


def made(folder):
    """Return when each recording was done, by id."""
    return {path.stem: path.stat().st_mtime_ns for path in (folder / ".manifest").glob("*/[!.]*.json")}


@pytest.fixture
def root(tmp_path):
    path = tmp_path / HOSTILE
    path.mkdir()
    return path


# ---- killed at any moment


def kill_often(root, stage, args, kills, seed):
    """Run a stage into out and kill a process of it at a random moment, often; the next run starts at once.

    What a run to the end leaves must be what an undisturbed run makes; then it begins anew.
    """
    began = time.monotonic()
    run(root, stage, *args, "whole")
    longest, whole = time.monotonic() - began, content(root / "whole")
    rng, completed = random.Random(seed), 0
    while kills or not completed:
        before = made(root / "out")
        process = start(root, stage, *args, "out")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.2, 0.9) * longest if kills else 60)
        if process.poll() is None:
            kills -= 1
            victims = [process.pid] if rng.random() < 0.3 else session(process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
            if rng.random() < 0.5:
                os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
        assert before.items() <= made(root / "out").items(), "what was done is not done again"
        assert "Traceback" not in (root / "err").read_text()
        if process.returncode == 0:
            completed += 1
            assert content(root / "out") == whole
            assert not [path for path in (root / "out").rglob("*") if ".tmp" in path.name]
            shutil.rmtree(root / "out")


def test_clustering_survives_kills(root):
    make_xvectors(root / "x vectors")
    kill_often(root, "cluster_ssl", ["--nj", "2", "--system", "nmesc", "x vectors"], kills=8, seed=0)


def test_speech_detection_survives_kills(root):
    make_data(root / "data", dict.fromkeys("abcdef", 6))
    kill_often(root, "detect_speech", ["--nj", "2", "data"], kills=5, seed=1)


def test_x_vectors_survive_kills(root):
    make_data(root / "data", dict.fromkeys("abc", 4))
    (root / "pieces").mkdir()
    pieces = [Segment(f"{r}-{i}", r, 0.75 * i, 0.75 * i + 0.75) for r in "abc" for i in range(5)]
    write_segments(root / "pieces", pieces)
    kill_often(root, "extract_xvectors", ["--nj", "2", "data", "pieces"], kills=1, seed=0)


def test_the_number_of_jobs_has_no_say(root):
    make_xvectors(root / "x")
    for nj in (1, 3, 7):
        run(root, "cluster_ssl", "--nj", nj, "--system", "xvector_ahc", "x", f"out{nj}")
        assert content(root / f"out{nj}") == content(root / "out1")
        assert len(list((root / f"out{nj}/log").iterdir())) == min(nj, len(SIZES))


# ---- two runs at once


@pytest.fixture
def gate(root):
    """A --cmd that runs jobs when the file `open` is there, and makes `arrived` when it is asked to."""
    make_xvectors(root / "x")
    path = root.parent / "gate.sh"
    path.write_text('#!/bin/bash\ntouch arrived\nuntil [ -e open ]; do sleep 0.02; done\nexec run.pl "$@"\n')
    path.chmod(0o755)
    return ["--cmd", path, "--nj", "2", "--system", "xvector_ahc"]


@pytest.mark.parametrize("kill_the_first", [False, True])
def test_a_second_run_waits_for_the_first_and_its_jobs(root, gate, kill_the_first):
    first = start(root, "cluster_ssl", *gate, "x", "out")
    wait_for((root / "arrived").exists)
    (root / "arrived").unlink()
    if kill_the_first:  # what it started lives on and works on
        os.kill(first.pid, signal.SIGKILL)
        first.wait(60)
    second = start(root, "cluster_ssl", *gate, "--seed", "1", "x", "out")
    told = f"out is in use by cluster_ssl, process {first.pid} on "
    wait_for(lambda: told in (root / "err").read_text())
    assert not (root / "arrived").exists() and second.poll() is None
    (root / "open").touch()
    assert second.wait(60) == 0
    assert first.wait(60) == (-signal.SIGKILL if kill_the_first else 0)
    assert json.loads((root / "out/history/a.json").read_text())["seed"] == 1
    run(root, "cluster_ssl", "--system", "xvector_ahc", "--seed", "1", "x", "alone")
    assert content(root / "out") == content(root / "alone")
    assert session(first.pid) == []


def test_the_lock_of_a_killed_run_without_jobs_is_gone(root, gate):
    first = start(root, "cluster_ssl", *gate, "x", "out")
    wait_for((root / "arrived").exists)
    while alive := session(first.pid):  # one may end by itself, or start another, meanwhile
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    first.wait(60)
    assert "in use" not in run(root, "cluster_ssl", "--system", "xvector_ahc", "x", "out").stderr


# ---- stale work


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """All stages from speech to report, on two short recordings."""
    root = tmp_path_factory.mktemp("chain") / HOSTILE
    turns = [(reco, speaker, start, start + 2) for reco in "ab" for speaker, start in (("A", 0), ("B", 3))]
    make_data(root / "data", {"a": 6, "b": 6}, turns)
    shutil.copy(root / "data/ref.rttm", root / "given.rttm")
    (root / "own.yaml").write_text("description: of the test\nmethod: ahc\n")
    for stage, *args in CHAIN.values():
        run(root, stage, *args)
    return root


CHAIN = {
    2: ("detect_speech", "--sad", "given.rttm", "data", "speech"),
    3: ("make_subsegments", "speech", "pieces"),
    4: ("extract_xvectors", "speech", "pieces", "x"),
    5: ("cluster_ssl", "--system", "own.yaml", "x", "exp/own"),
    6: ("make_rttm", "pieces", "exp/own"),
    7: ("score_der", "data", "exp/own"),
    8: ("make_report", "--data-dir", "data", "exp", "report"),
}


@contextlib.contextmanager
def kept(folder):
    """Put everything below a folder back as it was afterwards."""
    copy = folder.parent / "kept"
    shutil.copytree(folder, copy, symlinks=True)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        copy.rename(folder)


def same_size_and_date(root):
    path = root / "data/a.wav"
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def replace(name, old, new):
    def change(root):
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return change


def again(number, *options, rc=0):
    stage, *args = CHAIN[number]
    return lambda root: run(root, stage, *options, *args, rc=rc)


def cut(name):
    def change(root):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: len(data) - 3])

    return change


def flip(name):
    def change(root):
        data = bytearray((root / name).read_bytes())
        data[-2] ^= 1
        (root / name).write_bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "number", "message"),
    [
        (same_size_and_date, 3, "out of date: {root}/data/a.wav has changed since detect_speech.sh read it"),
        (same_size_and_date, 5, "out of date: {root}/data/a.wav has changed since detect_speech.sh read it"),
        (replace("given.rttm", " 2 ", " 1 "), 3, "out of date: {root}/given.rttm has changed since detect_speech.sh"),
        (again(2, "--overlap", "keep"), 4, "out of date: {root}/speech/meta.json has changed since make_subsegments"),
        (again(3, "--window", "1"), 5, "out of date: {root}/pieces/segments has changed since extract_xvectors.sh"),
        (again(3, "--window", "1"), 6, "out of date: {root}/pieces/segments has changed since extract_xvectors.sh"),
        (replace("own.yaml", "test", "tests"), 6, "out of date: {root}/own.yaml has changed since cluster_ssl.sh read"),
        (again(5, "--num-spk", "1"), 7, "rttm: out of date: exp/own/labels has changed since make_rttm.sh read"),
        (again(5, "--num-spk", "1"), 8, "rttm: out of date: exp/own/labels has changed since make_rttm.sh read"),
        (again(5, "--seed", "1", "--cmd", "false", rc=1), 6, "labels: not complete: cluster_ssl.sh was started again"),
        (cut("exp/own/labels"), 6, "exp/own/labels: damaged: not as cluster_ssl.sh wrote it"),
        (cut("exp/own/history/a.json"), 8, "exp/own/history/a.json: damaged: not as cluster_ssl.sh wrote it"),
        (cut("exp/own/meta.json"), 8, "exp/own/meta.json: damaged: not as cluster_ssl.sh wrote it"),
        (flip("x/xvector.a.ark"), 5, "x/xvector.a.ark: damaged: not as extract_xvectors.sh wrote it"),
        (cut("x/xvector.scp"), 5, "x/xvector.scp: damaged: not as extract_xvectors.sh wrote it"),
        (cut("pieces/meta.json"), 4, "pieces/meta.json: damaged: not as make_subsegments.sh wrote it"),
    ],
)
def test_what_is_stale_or_damaged_is_refused_by_name(chain, change, number, message):
    stage, *args = CHAIN[number]
    with kept(chain):
        change(chain)
        error = run(chain, stage, *args, rc=1).stderr
    assert message.format(root=chain) in error, error


@pytest.mark.parametrize("number", [5, 6, 7, 8])
def test_a_stage_repairs_its_unreadable_manifest(chain, number):
    """The stages after it name it, others do not mind, and none needs more than one repair."""
    manifests = {5: "exp/own/.manifest/cluster_ssl.json", 6: "exp/own/.manifest/make_rttm.json"}
    manifests |= {7: "exp/own/.manifest/score_der.fair.json", 8: "report/.manifest/make_report.json"}
    with kept(chain):
        cut(manifests[number])(chain)
        for later in range(number + 1, 8):
            stage, *args = CHAIN[later]
            error = run(chain, stage, *args, rc=1).stderr
            assert f"{manifests[number]}: damaged" in error and f"Run {CHAIN[number][0]}.sh again" in error
        for again in range(number, 9):
            stage, *args = CHAIN[again]
            run(chain, stage, *args)


def test_the_scores_of_a_foreign_rttm_repair_their_manifests(chain):
    (chain / "foreign").mkdir()
    shutil.copy(chain / "exp/own/rttm", chain / "foreign/rttm")
    for _ in range(2):
        run(chain, "score_der", "data", "foreign")
        cut("foreign/.manifest/score_der.full.json")(chain)


@pytest.mark.parametrize("change", [replace("data/ref.rttm", " A ", " C "), cut("exp/own/score/full.json")])
def test_a_score_of_another_reference_or_damaged_is_not_shown(chain, change):
    with kept(chain):
        change(chain)
        done = subprocess.run(command(*CHAIN[8]), cwd=chain, capture_output=True, text=True, timeout=300, check=False)
    assert "newer rttm, reference or UEM than its scores" in done.stderr or "not a score file" in done.stderr


def test_the_same_again_is_all_done_and_current(chain):
    for path in (chain / "data").iterdir():
        os.utime(path)  # content decides, not the date
    for number, (stage, *args) in CHAIN.items():
        done = run(chain, stage, *args)
        assert ("nothing to do" in done.stderr) == (number in (2, 4, 5))


# ---- what can go wrong with a machine


GOOD = {"a": 40, "b": 20, "c": 30}


def one_error(done, *texts):
    """The failure is told by one line of a script, beside what run.pl says of the log, with these texts in it."""
    told = [line for line in done.stderr.splitlines() if ": error: " in line and "run.pl" not in line]
    assert len(told) == 1, done.stderr
    assert all(text in done.stderr for text in texts), done.stderr


def mounted(folder, *options):
    """Mount a small tmpfs, or skip the test where that is not permitted (the tests beside it need no mount)."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not permitted")
    return contextlib.closing(Mount(folder))


class Mount:
    """A mounted folder."""

    def __init__(self, folder):
        self.folder = folder

    def close(self):
        subprocess.run(["umount", self.folder], check=True)


def test_a_failing_job_of_many_keeps_what_the_others_did(root):
    make_xvectors(root / "x", GOOD)
    (root / "cmd.sh").write_text('#!/bin/bash\nexec run.pl "${@:1:2}" [ JOB != 2 ] "&&" "${@:3}"\n')
    (root / "cmd.sh").chmod(0o755)
    args = ["--nj", "3", "--system", "xvector_ahc", "x", "out"]
    error = run(root, "cluster_ssl", "--cmd", "./cmd.sh", *args, rc=1).stderr
    assert "run.pl: error: 1 / 3 failed, log is in out/log/cluster_ssl.*.log; failed jobs: 2" in error
    before = made(root / "out")
    assert len(before) == 2
    run(root, "cluster_ssl", *args)
    assert before.items() <= made(root / "out").items()


def test_a_killed_worker(root):
    make_xvectors(root / "x", GOOD)
    (root / "job.sh").write_text('[ "$1" != 1 ] || kill -9 $$\nexec "${@:2}"\n')
    (root / "cmd.sh").write_text('#!/bin/bash\nexec run.pl "${@:1:2}" bash job.sh JOB "${@:3}"\n')
    (root / "cmd.sh").chmod(0o755)
    args = ["--nj", "3", "--system", "xvector_ahc", "x", "out"]
    error = run(root, "cluster_ssl", "--cmd", "./cmd.sh", *args, rc=1).stderr
    assert "(code 137)" in error
    assert len(made(root / "out")) == 2


def test_a_worker_out_of_memory(root):
    make_xvectors(root / "x", {"a": 40, "big": 7000})
    args = ["--nj", "2", "--system", "xvector_ahc", "x", "out"]
    done = run(root, "cluster_ssl", *args, rc=1, before="ulimit -v 450000")
    one_error(done, "cluster_ssl.sh: error: out of memory", "last lines of out/log/cluster_ssl.")
    assert list(made(root / "out")) == ["a"]


def test_a_full_disk(root):
    make_xvectors(root / "x", {"long": 2500, "short": 2400})  # each some 55 kB of labels
    args = ["--nj", "1", "--system", "xvector_ahc", "x"]  # one after another, the longest first
    run(root, "cluster_ssl", *args, "whole")
    with mounted(root / "disk", "-o", "size=96k"):
        done = run(root, "cluster_ssl", *args, "disk/out", rc=1)
        one_error(done, "cluster_ssl.sh: error: ", "No space left on device")
        assert list(made(root / "disk/out")) == ["long"]
        assert not (root / "disk/out/labels").exists()
        subprocess.run(["mount", "-o", "remount,size=8m", root / "disk"], check=True)
        run(root, "cluster_ssl", *args, "disk/out")
        assert content(root / "disk/out") == content(root / "whole")


def test_files_that_may_not_grow(root):
    """Stands in for a full disk where nothing can be mounted."""
    make_xvectors(root / "x", {"a": 40, "big": 2000})
    args = ["--nj", "2", "--system", "xvector_ahc", "x", "out"]
    done = run(root, "cluster_ssl", *args, rc=1, before="ulimit -f 24")
    one_error(done, "cluster_ssl.sh: error: ", "File too large")
    assert list(made(root / "out")) == ["a"]
    run(root, "cluster_ssl", *args)


def test_a_read_only_output(root):
    make_xvectors(root / "x", GOOD)
    with mounted(root / "disk", "-o", "size=96k"):
        (root / "disk/out").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", root / "disk"], check=True)
        for out in ("disk/out", "disk/new"):
            one_error(run(root, "cluster_ssl", "x", out, rc=1), "cluster_ssl.sh: error: ", "Read-only file system")


def test_a_vanished_input(root):
    make_data(root / "data", {"a": 4, "b": 4})
    (root / "cmd.sh").write_text('#!/bin/bash\nrm data/b.wav\nexec run.pl "$@"\n')
    (root / "cmd.sh").chmod(0o755)
    done = run(root, "detect_speech", "--cmd", "./cmd.sh", "--nj", "1", "data", "out", rc=1)
    assert "detect_speech.sh: error: data/wav.scp:2: no such file for recording b; got" in done.stderr.replace(
        f"{root}/", "", 1
    )
    assert not (root / "out/segments").exists()


# ---- hostile input


@pytest.mark.parametrize("bad", ["..", ".hidden", "-rf", "a/../../b", "<b>", "a;id", "$(id)", "a|b"])
def test_ids_that_are_not_names(root, bad):
    make_data(root / "data", {"a": 4})
    (root / "data/wav.scp").write_text(f"{bad} {root}/data/a.wav\n")
    assert (
        "data/wav.scp:1: bad id; expected up to 200 letters" in run(root, "detect_speech", "data", "out", rc=1).stderr
    )
    assert sorted(path.name for path in root.iterdir()) == ["data"]


@pytest.mark.parametrize("number", [2, 4, 8])
def test_commands_run_only_where_they_are_allowed(chain, number):
    stage, *args = CHAIN[number]
    with kept(chain):
        for name in ("data", "speech"):
            scp = chain / name / "wav.scp"
            scp.write_text(scp.read_text().replace(f"a {chain}/data/a.wav", "a touch ran; cat data/a.wav |"))
        for notes in list(chain.rglob(".manifest")):
            shutil.rmtree(notes)
        done = run(chain, stage, *args, rc=1)
        assert "wav.scp:1: recording a is a command; expected a path, or --allow-commands true" in done.stderr
        assert not (chain / "ran").exists()
        if number == 2:
            run(chain, stage, "--allow-commands", "true", *args)
            assert (chain / "ran").exists()


@pytest.mark.parametrize("option", ["--here", "--script", "--utils", "--help-message", "--command-line"])
def test_only_options_are_options(root, option):
    done = run(root, "cluster_ssl", option, "x", "x", "out", rc=1)
    assert f"unknown option {option}" in done.stderr


@pytest.mark.parametrize(
    "text", ["plain/x.py", "ü à", HOSTILE, "", "ends\\", "it's", '"', "new\nline", "\ttab", "~", "*"]
)
def test_words_survive_the_quoting_of_kaldis_run_and_queue(text, tmp_path):
    """Their rule: a word without blanks is shell text, one with blanks goes between quotes, double if it has none."""
    word = job_word(text)
    quoted = word if len(word.split()) == 1 and word == word.strip() else f"'{word}'" if '"' in word else f'"{word}"'
    line = f"printf '<%s>' {quoted}"
    assert subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path).stdout == f"<{text}>"
