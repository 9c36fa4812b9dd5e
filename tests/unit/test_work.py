"""Work per recording: shared out evenly, done once, and never taken for done when it is not."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from ssdiar.errors import InputError
from ssdiar.made import file_digest, file_stamp, marks
from ssdiar.work import WorkDir, balance, fingerprint

RECORDINGS = ["a", "b.x", "c"]

# Does a job as a stage does. Given a number n, the process kills itself (SIGKILL) just before it opens, renames, makes
# or removes a file for the n-th time.
JOB = """
import os, sys
from ssdiar.work import WorkDir
work, kill_at, events = WorkDir(sys.argv[1]), int(sys.argv[2]), 0
def watch(event, args):
    global events
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        events += 1
        if events == kill_at:
            os.kill(os.getpid(), 9)
sys.addaudithook(watch)
todo = work.job(1)
for reco in todo:
    with work.recording(reco) as folder:
        (folder / "parts").mkdir()
        (folder / f"{reco}.bin").write_bytes(reco.encode() * 1000)
        (folder / "parts" / f"{reco}.txt").write_text("of " + reco)
print(events, *todo)
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "sortie là"


def plan(out, stamps=None, jobs=1, **options):
    stamps = dict.fromkeys(RECORDINGS, "1") if stamps is None else stamps
    return WorkDir(out).plan({"n": 1}, stamps, dict.fromkeys(stamps, 1.0), jobs, **options)


def do(out, job=1, text="of "):
    """Do a job in this process and return what it did."""
    work = WorkDir(out)
    todo = work.job(job)
    for reco in todo:
        with work.recording(reco) as folder:
            (folder / "parts").mkdir()
            (folder / f"{reco}.bin").write_bytes(reco.encode() * 1000)
            (folder / "parts" / f"{reco}.txt").write_text(text + reco)
    return todo


def run_job(out, kill_at=0):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", JOB, str(out), str(kill_at)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def whole(out, reco):
    """Whether all that a recording's job makes is there as it should be."""
    binary, text = out / f"{reco}.bin", out / "parts" / f"{reco}.txt"
    return (
        binary.is_file()
        and binary.read_bytes() == reco.encode() * 1000
        and text.is_file()
        and text.read_text() == "of " + reco
    )


def test_killed_at_any_moment_nothing_looks_finished_that_is_not(out):
    plan(out)
    events = int(run_job(out).stdout.split()[0])
    assert events > 30
    for kill_at in [*random.Random(0).sample(range(1, events + 1), 12), events]:
        plan(out, overwrite=True)
        for name in [f"{reco}.bin" for reco in RECORDINGS]:
            (out / name).write_text("of an earlier run, stale")
        assert run_job(out, kill_at).returncode == -signal.SIGKILL
        left = WorkDir(out).job(1)
        assert plan(out) == (min(len(left), 1), len(left))
        for reco in RECORDINGS:
            assert reco in left or whole(out, reco), f"killed at {kill_at}: {reco} counts as done and is not"
        if left:
            with pytest.raises(InputError, match=f"{len(left)} recordings are not done, the first is {left[0]}"):
                WorkDir(out).finish()
            assert do(out) == left, "what was missing and nothing else"
        assert WorkDir(out).finish() == RECORDINGS
        assert all(whole(out, reco) for reco in RECORDINGS)
        assert not list(out.glob(".tmp.*")), "finishing tidies up"


def test_a_job_that_runs_again_goes_on_where_it_stopped(out):
    plan(out)
    events = int(run_job(out).stdout.split()[0])
    plan(out, overwrite=True)
    run_job(out, events * 3 // 4)
    left = run_job(out).stdout.split()[1:]
    assert 0 < len(left) < 3
    assert WorkDir(out).job(1) == []


def test_done_work_is_left_alone_and_stale_work_is_not(out):
    assert plan(out, jobs=5) == (3, 3), "never more jobs than recordings"
    assert [do(out, job) for job in (1, 2, 3)] == [["a"], ["b.x"], ["c"]]
    assert plan(out, jobs=5) == (0, 0)
    assert WorkDir(out).load() == {"n": 1}
    assert plan(out, {"a": "1", "b.x": "2", "c": "1"}) == (1, 1)
    assert do(out) == ["b.x"]
    assert plan(out, overwrite=True) == (1, 3)
    assert WorkDir(out).job(1) == RECORDINGS


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-2])


def damage_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_to_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damage_truncate, damage_byte, os.unlink, damage_to_folder])
@pytest.mark.parametrize("name", ["b.x.bin", "parts/b.x.txt", ".done/b.x.json"])
def test_a_damaged_file_makes_its_recording_undone(out, name, damage):
    plan(out)
    do(out)
    if name.startswith(".done") and damage in (damage_to_folder, damage_byte):
        (out / name).write_bytes(b"\xff\x00")
    else:
        damage(out / name)
    assert plan(out) == (1, 1)
    if (out / name).is_dir():
        (out / name).rmdir()
    assert do(out) == ["b.x"]
    assert WorkDir(out).finish() == RECORDINGS
    assert all(whole(out, reco) for reco in RECORDINGS)


def test_a_recording_that_left_the_input_leaves_the_output(out):
    plan(out)
    do(out)
    assert plan(out, {"a": "1", "c": "1"}) == (0, 0)
    assert WorkDir(out).finish() == ["a", "c"]
    assert sorted(
        path.name for path in out.rglob("*") if path.is_file() and path.name[0] != "." and path.parent.name != ".made"
    ) == [
        "a.bin",
        "a.json",
        "a.txt",
        "c.bin",
        "c.json",
        "c.txt",
    ]


def test_a_recording_that_was_to_be_redone_and_left_the_input_leaves_the_output_too(out):
    plan(out)
    do(out)
    plan(out, {"a": "1", "b.x": "2", "c": "1"})
    plan(out, {"a": "1", "c": "1"})
    assert WorkDir(out).finish() == ["a", "c"]
    assert not list(out.rglob("b.x*"))


def test_a_failing_block_publishes_nothing(out):
    plan(out)
    with pytest.raises(ZeroDivisionError), WorkDir(out).recording("a") as folder:
        (folder / "a.bin").write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in out.iterdir() if path.name not in (".done", ".made", ".plan.json")] == []
    assert WorkDir(out).job(1) == RECORDINGS


def test_no_plan_damaged_plan_and_no_such_job(out):
    with pytest.raises(InputError, match=r"plan\.json: no plan\nRun the stage's \.sh script"):
        WorkDir(out).load()
    plan(out)
    for number in (0, 2):
        with pytest.raises(InputError, match=f"no such job; expected 1 to 1, got {number}"):
            WorkDir(out).job(number)
    (out / ".plan.json").write_text('{"settings": ')
    with pytest.raises(InputError, match="damaged plan"):
        WorkDir(out).finish()
    assert plan(out) == (1, 3)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("precious")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match="is in the way of the output directory; expected a folder"):
            plan(place)
    assert (tmp_path / "file").read_text() == "precious"


def test_no_recordings_are_no_jobs(out):
    assert plan(out, {}) == (0, 0)
    assert WorkDir(out).finish() == []


@pytest.mark.parametrize("seed", range(5))
def test_balance(seed):
    rng = random.Random(seed)
    weights = {f"r{i}": rng.expovariate(1) + 0.01 for i in range(rng.randint(1, 60))}
    jobs = rng.randint(1, len(weights))
    lists = balance(weights, jobs)
    assert sorted(reco for part in lists for reco in part) == sorted(weights)
    assert all(lists) and len(lists) == jobs
    totals = [sum(weights[reco] for reco in part) for part in lists]
    assert max(totals) - min(totals) <= max(weights.values()) + 1e-9
    assert balance(dict(reversed(weights.items())), jobs) == lists


def test_fingerprint_and_stamps(tmp_path):
    assert fingerprint({"a": 1, "b": 2}, b"x") == fingerprint({"b": 2, "a": 1}, b"x")
    different = [
        (1,),
        ("1",),
        (1.5,),
        (None,),
        ([1],),
        (b"1",),
        (1, 1),
        (11,),
        ("a", "b"),
        ("ab",),
        (b"ab",),
        (b"a", b"b"),
    ]
    assert len({fingerprint(*parts) for parts in different}) == len(different) - 1, (
        "the bytes of a number are the number"
    )
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    stamp = file_stamp(path)
    assert stamp == json.loads(json.dumps(stamp))
    path.write_bytes(b"abcd")
    assert file_stamp(path) != stamp


def test_a_job_of_an_earlier_run_publishes_nothing_that_is_no_longer_wanted(out):
    """As of a queue: its machine knows nothing of the lock that the run here had."""
    plan(out)
    earlier = WorkDir(out)
    assert earlier.job(1) == RECORDINGS
    refused = pytest.raises(InputError, match="another run was started here and wants recording a anew")
    with refused, earlier.recording("a") as folder:
        (folder / "a.bin").write_text("old")
        plan(out, {"a": "2", "b.x": "1"})
    assert not (out / "a.bin").exists()
    with pytest.raises(InputError, match="recording c anew"), earlier.recording("c") as folder:
        (folder / "c.bin").write_text("old")
    with earlier.recording("b.x") as folder:
        (folder / "b.x.bin").write_text("as wanted")
    assert WorkDir(out).job(1) == ["a"]


def test_of_two_that_did_the_same_the_first_counts(out):
    plan(out)
    with WorkDir(out).recording("a") as folder:
        (folder / "a.bin").write_text("slow")
        with WorkDir(out).recording("a") as other:
            (other / "a.bin").write_text("quick")
    assert (out / "a.bin").read_text() == "quick"
    assert WorkDir(out).job(1) == ["b.x", "c"]


def test_inputs_that_change_after_the_plan_stop_the_run(tmp_path):
    table = tmp_path / "segments"
    table.write_text("as planned")
    work = WorkDir(tmp_path / "out")
    work.plan({"n": 1}, {}, {}, 1, inputs=marks([table]))
    assert WorkDir(tmp_path / "out").load() == {"n": 1}
    table.write_text("changed")
    with pytest.raises(InputError, match="segments: has changed since this run began"):
        WorkDir(tmp_path / "out").load()
