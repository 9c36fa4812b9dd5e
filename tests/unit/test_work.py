"""Work per recording: shared out evenly, done once, and never taken for done when it is not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ssdiar.base.errors import InputError
from ssdiar.work import Manifest, check, digest, file_digest
from ssdiar.work.manifest import _balance, _parsed

RECORDINGS = ["a", "b.x", "c"]

# Does a job as a stage does. Given a number n, the process kills itself (SIGKILL) just before it opens, renames, makes
# or removes a file for the n-th time.
JOB = """
import os, sys
from ssdiar.work import Manifest
work, kill_at, events = Manifest(sys.argv[1], "stage"), int(sys.argv[2]), 0
def watch(event, args):
    global events
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        events += 1
        if events == kill_at:
            os.kill(os.getpid(), 9)
sys.addaudithook(watch)
todo = work.job(1)
for reco in todo:
    with work.done(reco) as folder:
        (folder / "parts").mkdir()
        (folder / f"{reco}.bin").write_bytes(reco.encode() * 1000)
        (folder / "parts" / f"{reco}.txt").write_text("of " + reco)
print(events, *todo)
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "sortie là"


def plan(out, stamps=None, jobs=1, **options):
    """Plan, and return the number of jobs and of recordings to do."""
    stamps = dict.fromkeys(RECORDINGS, "1") if stamps is None else stamps
    number = Manifest(out, "stage").plan({}, {"n": 1}, stamps, {}, jobs, **options)
    return number, sum(len(Manifest(out, "stage").job(job + 1)) for job in range(number))


def finish(out):
    """Finish, and return the recordings."""
    with Manifest(out, "stage").finish() as recordings:
        return recordings


def do(out, job=1, text="of "):
    """Do a job in this process and return what it did."""
    work = Manifest(out, "stage")
    todo = work.job(job)
    for reco in todo:
        with work.done(reco) as folder:
            (folder / "parts").mkdir()
            (folder / f"{reco}.bin").write_bytes(reco.encode() * 1000)
            (folder / "parts" / f"{reco}.txt").write_text(text + reco)
    return todo


def run_job(out, kill_at=0):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", JOB, str(out), str(kill_at)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


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
        left = Manifest(out, "stage").job(1)
        assert plan(out) == (min(len(left), 1), len(left))
        for reco in RECORDINGS:
            assert reco in left or whole(out, reco), f"killed at {kill_at}: {reco} counts as done and is not"
        if left:
            with pytest.raises(InputError, match=f"{len(left)} recordings are not done, the first is {left[0]}"):
                finish(out)
            assert do(out) == left, "what was missing and nothing else"
        assert finish(out) == RECORDINGS
        assert all(whole(out, reco) for reco in RECORDINGS)
        assert not list(out.rglob("*.tmp")), "finishing tidies up"


def test_a_job_that_runs_again_goes_on_where_it_stopped(out):
    plan(out)
    events = int(run_job(out).stdout.split()[0])
    plan(out, overwrite=True)
    run_job(out, events * 3 // 4)
    left = run_job(out).stdout.split()[1:]
    assert 0 < len(left) < 3
    assert Manifest(out, "stage").job(1) == []


def test_done_work_is_left_alone_and_stale_work_is_not(out):
    assert plan(out, jobs=5) == (3, 3), "never more jobs than recordings"
    assert [do(out, job) for job in (1, 2, 3)] == [["a"], ["b.x"], ["c"]]
    assert plan(out, jobs=5) == (0, 0)
    assert Manifest(out, "stage").settings == {"n": 1}
    assert plan(out, {"a": "1", "b.x": "2", "c": "1"}) == (1, 1)
    assert do(out) == ["b.x"]
    assert plan(out, overwrite=True) == (1, 3)
    assert Manifest(out, "stage").job(1) == RECORDINGS


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
@pytest.mark.parametrize("name", ["b.x.bin", "parts/b.x.txt", ".manifest/stage/b.x.json"])
def test_a_damaged_file_makes_its_recording_undone(out, name, damage):
    plan(out)
    do(out)
    if name.startswith(".manifest") and damage in (damage_to_folder, damage_byte):
        (out / name).write_bytes(b"\xff\x00")
    else:
        damage(out / name)
    assert plan(out) == (1, 1)
    if (out / name).is_dir():
        (out / name).rmdir()
    assert do(out) == ["b.x"]
    assert finish(out) == RECORDINGS
    assert all(whole(out, reco) for reco in RECORDINGS)


def test_a_recording_that_left_the_input_leaves_the_output(out):
    plan(out)
    do(out)
    assert plan(out, {"a": "1", "c": "1"}) == (0, 0)
    assert finish(out) == ["a", "c"]
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert [name for name in names if name != ".manifest/lock"] == [
        ".manifest/stage.json",
        ".manifest/stage/a.json",
        ".manifest/stage/c.json",
        "a.bin",
        "c.bin",
        "parts/a.txt",
        "parts/c.txt",
    ]


def test_a_recording_that_was_to_be_redone_and_left_the_input_leaves_the_output_too(out):
    plan(out)
    do(out)
    plan(out, {"a": "1", "b.x": "2", "c": "1"})
    plan(out, {"a": "1", "c": "1"})
    assert finish(out) == ["a", "c"]
    assert not list(out.rglob("b.x*"))


def test_a_failing_block_publishes_nothing(out):
    plan(out)
    with pytest.raises(ZeroDivisionError), Manifest(out, "stage").done("a") as folder:
        (folder / "a.bin").write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in out.iterdir()] == [".manifest"]
    assert Manifest(out, "stage").job(1) == RECORDINGS


def test_no_plan_damaged_plan_and_no_such_job(out):
    with pytest.raises(InputError, match=r"stage\.json: no plan.*\nRun stage\.sh"):
        assert not Manifest(out, "stage").settings
    plan(out)
    for number in (0, 2):
        with pytest.raises(InputError, match=f"no such job; expected 1 to 1, got {number}"):
            Manifest(out, "stage").job(number)
    (out / ".manifest/stage.json").write_text('{"settings": ')
    with pytest.raises(InputError, match=r"stage\.json: .*damaged.*\nRun stage\.sh"):
        finish(out)
    assert plan(out) == (1, 3)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("precious")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match="is in the way of the output directory; expected a folder"):
            plan(place)
    assert (tmp_path / "file").read_text() == "precious"


def test_no_recordings_are_no_jobs(out):
    assert plan(out, {}) == (0, 0)
    assert finish(out) == []


@pytest.mark.parametrize("seed", range(5))
def test_balance(seed):
    rng = random.Random(seed)
    weights = {f"r{i}": rng.expovariate(1) + 0.01 for i in range(rng.randint(1, 60))}
    jobs = rng.randint(1, len(weights))
    lists = _balance(weights, jobs)
    assert sorted(reco for part in lists for reco in part) == sorted(weights)
    assert all(lists) and len(lists) == jobs
    totals = [sum(weights[reco] for reco in part) for part in lists]
    assert max(totals) - min(totals) <= max(weights.values()) + 1e-9
    assert _balance(dict(reversed(weights.items())), jobs) == lists


def test_digests_of_values():
    assert digest({"a": 1, "b": 2}, b"x") == digest({"b": 2, "a": 1}, b"x")
    different = [(1,), ("1",), (1.5,), (None,), ([1],), (b"1",), (1, 1), (11,), ("a", "b"), ("ab",), (b"ab",)]
    different += [(b"a", b"b")]
    assert len({digest(*parts) for parts in different}) == len(different) - 1, "the bytes of a number are the number"


@pytest.fixture
def settled(tmp_path, monkeypatch):
    """A file that is not taken for one that may change within a tick of the clock."""
    monkeypatch.setattr("ssdiar.work.digests._SETTLED", -1e18)
    path = tmp_path / "audio"
    path.write_bytes(b"abc")
    return path


def count_reads(path):
    """Return a list that grows whenever this process opens the file."""
    seen = []
    sys.addaudithook(lambda event, args: seen.append(1) if event == "open" and str(args[0]) == str(path) else None)
    return seen


def test_a_file_is_read_once_and_again_only_when_it_may_have_changed(settled):
    reads = count_reads(settled)
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [file_digest(settled), file_digest(settled), len(reads)] == [known, known, 1]
    os.utime(settled, (1, 1))
    assert file_digest(settled) == known and len(reads) == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_another_file_of_the_same_name_size_and_date_is_seen(settled, replaced):
    before, first = os.stat(settled), file_digest(settled)
    time.sleep(0.02)  # more than a tick of the clock of the file system
    path = settled.parent / "new" if replaced else settled
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(path, settled)
    now = os.stat(settled)
    assert (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert file_digest(settled) != first


def test_a_file_that_has_just_changed_is_read_again(tmp_path):
    path = tmp_path / "new"
    path.write_bytes(b"abc")
    reads = count_reads(path)
    assert file_digest(path) == file_digest(path)
    assert len(reads) == 2


def test_an_input_that_a_manifest_knows_is_not_read(settled, out, monkeypatch):
    Manifest(out, "stage").plan(check(settled), {}, {"a": "1"})
    monkeypatch.setattr("ssdiar.work.digests._known", {})
    _parsed.cache_clear()
    reads = count_reads(settled)
    assert Manifest(out, "stage").settings == {} and reads == []
    assert check(settled).keys() == {str(settled)} and reads == []


def test_a_job_of_an_earlier_run_publishes_nothing_that_is_no_longer_wanted(out):
    """Like a job of a queue: its machine knows nothing of the lock that the run here had."""
    plan(out)
    earlier = Manifest(out, "stage")
    assert earlier.job(1) == RECORDINGS
    refused = pytest.raises(
        InputError, match="another run was started here and needs a different result of recording a"
    )
    with refused, earlier.done("a") as folder:
        (folder / "a.bin").write_text("old")
        plan(out, {"a": "2", "b.x": "1"})
    assert not (out / "a.bin").exists()
    with pytest.raises(InputError, match="a different result of recording c"), earlier.done("c") as folder:
        (folder / "c.bin").write_text("old")
    with earlier.done("b.x") as folder:
        (folder / "b.x.bin").write_text("as wanted")
    assert Manifest(out, "stage").job(1) == ["a"]


def test_of_two_that_did_the_same_the_first_counts(out):
    plan(out)
    with Manifest(out, "stage").done("a") as folder:
        (folder / "a.bin").write_text("slow")
        with Manifest(out, "stage").done("a") as other:
            (other / "a.bin").write_text("quick")
    assert (out / "a.bin").read_text() == "quick"
    assert Manifest(out, "stage").job(1) == ["b.x", "c"]


def test_inputs_that_change_after_the_plan_stop_the_run(tmp_path):
    table = tmp_path / "segments"
    table.write_text("as planned")
    Manifest(tmp_path / "out", "stage").plan(check(table), {"n": 1}, {})
    assert Manifest(tmp_path / "out", "stage").settings == {"n": 1}
    table.write_text("changed")
    with pytest.raises(InputError, match="segments: has changed since this run began"):
        assert not Manifest(tmp_path / "out", "stage").settings


def make(out, table):
    """Do all that a stage without jobs does; return whether there was anything to do."""
    work = Manifest(out, "stage")
    if work.is_current(check(table), {"n": (1, 2)}):
        return False
    work.plan(check(table), {"n": (1, 2)})
    with work.finish("all"):
        (out / "all").write_text("all of it")
    return True


def test_a_stage_without_jobs_is_done_again_only_when_something_has_changed(tmp_path, out):
    table = tmp_path / "table"
    table.write_text("1")
    assert [make(out, table), make(out, table)] == [True, False]
    os.utime(table)
    assert not make(out, table), "its content is what it was"
    table.write_text("2")
    with pytest.raises(InputError, match=r"all: out of date: .*table has changed since stage\.sh read it"):
        check(out / "all")
    assert [make(out, table), make(out, table)] == [True, False]
    (out / "all").write_text("other")
    with pytest.raises(InputError, match=r"all: damaged: .*stage\.sh wrote.*\nRun stage\.sh again"):
        check(out / "all")
    assert [make(out, table), make(out, table)] == [True, False]
    Manifest(out, "stage").plan(check(table), {"n": 3})
    with pytest.raises(InputError, match=r"all: not complete: stage\.sh was started again"):
        check(out / "all")


def test_a_copy_of_a_directory_depends_on_its_own_files(tmp_path, out):
    out.mkdir()
    (out / "labels").write_text("1")
    make(out, out / "labels")
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    check(copy / "all")
    (copy / "labels").write_text("2")
    check(out / "all")
    with pytest.raises(InputError, match=r"copy/all: out of date: .*copy/labels has changed"):
        check(copy / "all")


@pytest.mark.parametrize("text", ["{", "[]", '{"finished": true, "inputs": {}, "an earlier": "version"}'])
def test_an_unreadable_manifest_matters_only_for_files_that_no_other_names(tmp_path, out, text):
    table = tmp_path / "table"
    table.write_text("1")
    make(out, table)
    work, other = Manifest(out, "other.full"), out / ".manifest/other.full.json"
    work.plan(check(out / "all"), {})
    with work.finish("sub/scores"):
        (out / "sub").mkdir()
        (out / "sub/scores").write_text("1")
    other.write_text(text)
    (out / "foreign").write_text("of another toolkit")
    assert check(out / "all").keys() == {str(out / "all")}
    assert check(out / "none") == {}
    for name in ("sub/scores", "foreign"):
        with pytest.raises(InputError, match=r"other\.full\.json: damaged.*\nRun other\.sh again; if it did not write"):
            check(out / name)
    assert check(out / "all", out / "foreign", stage="other"), "it is about to replace it"
    assert not work.is_current(check(out / "all"), {})
    work.plan(check(out / "all", out / "foreign", stage="other"), {})
    with work.finish("sub/scores"):
        pass
    check(out / "sub/scores", out / "foreign")


def test_what_a_recording_no_longer_makes_goes(out):
    plan(out, {"a": "1"})
    with Manifest(out, "stage").done("a") as folder:
        (folder / "a.bin").write_text("old")
        (folder / "latent").mkdir()
        (folder / "latent/a.npz").write_text("old")
    plan(out, {"a": "2"})
    with Manifest(out, "stage").done("a") as folder:
        (folder / "a.bin").write_text("new")
    assert finish(out) == ["a"]
    assert (out / "a.bin").read_text() == "new" and not (out / "latent").exists()


def test_ten_thousand_recordings(out):
    """Nothing is read, written or asked once per pair of recordings, nor is a table read once per recording."""
    digests = {f"r{number}": "1" for number in range(10_000)}
    work = Manifest(out, "stage")
    began = time.process_time()
    assert work.plan({}, {"counts": dict.fromkeys(digests, 2)}, digests, {}, 4) == 4
    planned, todo = time.process_time() - began, work.job(1)[:100]
    began = time.process_time()
    for reco in todo:
        with work.done(reco) as folder:
            (folder / reco).write_text(reco)
    assert len(work.done_so_far()) == 100
    assert time.process_time() - began < 3 * planned, "a hundred recordings cost little beside what is done once"
