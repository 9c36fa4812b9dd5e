"""prepare_audio.sh as users call it: any folder of audio becomes a data directory, or one line says why not."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running import REPO, run_script

TABLES = ["reco2dur", "recordings.tsv", "spk2utt", "utt2spk", "wav.scp"]


@pytest.fixture
def work(tmp_path):
    """A place with a space and a non-ASCII letter in its name, and a folder of three files and some others."""
    root = tmp_path / "più audio"
    for name, seconds, rate, channels in [
        ("calls/b (1).wav", 1.5, 8000, 2),
        ("calls/sub dir/a.flac", 2.0, 48000, 1),
        ("calls/Łódź.mp3", 1.0, 16000, 1),
    ]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (int(seconds * rate), channels)), rate)
    (root / "calls/notes.txt").write_text("not audio")
    (root / "calls/._b (1).wav").write_text("what macOS leaves behind")
    return root


def run(work, *args, rc=0):
    return run_script(REPO / "local/prepare_audio.sh", *args, cwd=work, rc=rc)


def error(work, *args):
    lines = run(work, *args, rc=1).stderr.splitlines()
    assert not (work / "data").exists()
    shown = f"{REPO / 'local/prepare_audio.sh'} --"  # the command line
    return "\n".join(line for line in lines if "WARNING" not in line and not line.startswith(shown))


def read(work, name):
    return (work / "data/calls" / name).read_text()


def rttm(work, *turns):
    lines = [f"SPEAKER {r} 1 {start} {length} <NA> <NA> {s} <NA> <NA>\n" for r, s, start, length in turns]
    (work / "ref.rttm").write_text("".join(lines))


def test_a_folder_without_reference(work):
    log = run(work, "--set", "calls", "calls").stderr
    assert "1 files that are no audio by their names are left out" in log
    assert "3 recordings" in log
    assert sorted(os.listdir(work / "data/calls")) == TABLES
    assert read(work, "wav.scp").splitlines() == [
        f"Lodz {work}/calls/Łódź.mp3",
        f"b__1_ {work}/calls/b (1).wav",
        f"sub_dir-a {work}/calls/sub dir/a.flac",
    ]
    durations = dict(line.split() for line in read(work, "reco2dur").splitlines())
    assert durations["sub_dir-a"] == "2.0000"
    assert durations["b__1_"] == "1.5000"


def test_reference_by_raw_or_legal_name(work):
    rttm(
        work, ("b(1)", "x", 0, 1), ("Łódź", "A", 0, 0.5), ("Łódź", "B", 0.5, 0.5), ("a", "A", 0, 1), ("lost", "A", 0, 1)
    )
    (work / "calls/b (1).wav").rename(work / "calls/b(1).wav")
    with (work / "ref.rttm").open("a") as stream:
        stream.write("NOSCORE a 1 1 0.5 <NA> <NA> <NA> <NA>\nNOSCORE lost 1 1 0.5 <NA> <NA> <NA> <NA>\n")
    log = run(work, "--set", "calls", "--rttm", "ref.rttm", "calls").stderr
    assert "WARNING: ref.rttm: 1 recordings (e.g. lost) have no audio, left out" in log
    assert "NOSCORE sub_dir-a 1 1.000 0.500 " in read(work, "ref.rttm")
    assert read(work, "reco2num_spk") == "Lodz 2\nb_1_ 1\nsub_dir-a 1\n"
    assert read(work, "all.uem").splitlines()[1:] == ["b_1_ 1 0.000 1.500", "sub_dir-a 1 0.000 2.000"]
    assert read(work, "ref.rttm").count("SPEAKER Lodz ") == 2
    assert "lost" not in read(work, "ref.rttm")


def test_uem_speaker_counts_and_channel_are_kept_until_asked_for_no_longer(work):
    rttm(work, ("a", "A", 0, 1))
    (work / "u.uem").write_text("a 1 0.5 1.5\nlost 1 0 9\n")
    (work / "counts").write_text("a 4\nb__1_ 2\nlost 3\n")
    options = ["--rttm", "ref.rttm", "--uem", "u.uem", "--num-spk-file", "counts", "--channels", "1"]
    log = run(work, "--set", "calls", *options, "calls").stderr
    assert "WARNING: u.uem: does not name 2 recordings: Lodz b__1_" in log
    assert read(work, "all.uem") == "sub_dir-a 1 0.500 1.500\n"
    assert read(work, "reco2num_spk") == "b__1_ 2\nsub_dir-a 4\n"
    assert read(work, "reco2channel") == "b__1_ 1\n"  # the others have no other channel
    run(work, "--set", "calls", "calls")
    assert sorted(os.listdir(work / "data/calls")) == TABLES


def test_a_rerun_leaves_unchanged_files_alone(work):
    run(work, "--set", "calls", "--data-root", "my data", "calls")
    before = {path: path.stat().st_mtime_ns for path in (work / "my data/calls").iterdir()}
    run(work, "--set", "calls", "--data-root", "my data", "calls")
    assert {path: path.stat().st_mtime_ns for path in (work / "my data/calls").iterdir()} == before


def test_a_linked_folder_is_searched_once(work):
    (work / "calls/again").symlink_to(work / "calls")
    run(work, "--set", "calls", "calls")
    assert len(read(work, "wav.scp").splitlines()) == 3


def test_files_of_one_name_get_ids_that_differ_and_stay(work):
    for name in ("mon/call.wav", "tue/call.wav", "call.wav", "call.flac", "b_(1).wav", "Иванов.wav", "Петров.wav"):
        (work / "calls" / name).parent.mkdir(exist_ok=True)
        soundfile.write(work / "calls" / name, np.ones(800) / 2, 8000)
    run(work, "--set", "calls", "calls")
    ids = dict(line.split(" ", 1) for line in read(work, "wav.scp").splitlines())
    plain = {"Ivanov", "Petrov", "Lodz", "call-flac", "call-wav", "mon-call", "tue-call", "sub_dir-a"}
    assert plain < ids.keys()
    assert sorted(re.sub("[0-9a-f]{8}$", "#", reco) for reco in ids.keys() - plain) == ["b__1_-wav-#", "b__1_-wav-#"]
    rttm(work, ("mon/call", "A", 0, 1), ("Иванов", "A", 0, 1), ("tue-call", "B", 0, 1), ("call.flac", "C", 0, 1))
    log = run(work, "--set", "calls", "--rttm", "ref.rttm", "calls").stderr
    assert [line.split()[0] for line in read(work, "reco2num_spk").splitlines()] == [
        "Ivanov",
        "call-flac",
        "mon-call",
        "tue-call",
    ]
    assert "ref.rttm: does not name 6 recordings: Lodz Petrov" in log
    assert len(read(work, "all.uem").splitlines()) == 4  # only what has a reference is scored
    rttm(work, ("call", "A", 0, 1))
    message = run(work, "--set", "calls", "--rttm", "ref.rttm", "calls", rc=1).stderr
    assert "ref.rttm:1: call may mean 4 recordings" in message


def test_a_batch_survives_its_worst_files(work):
    (work / "calls/bad.wav").write_text("hello")
    (work / "calls/empty.mp3").write_bytes(b"")
    (work / "calls/new\nline.wav").write_text("x")
    data = (work / "calls/sub dir/a.flac").read_bytes()
    (work / "calls/sub dir/a.flac").write_bytes(data[: len(data) // 2])
    log = run(work, "--set", "calls", "calls").stderr
    assert len(read(work, "wav.scp").splitlines()) == 3
    rows = [line.split("\t") for line in read(work, "left_out.tsv").splitlines()]
    assert rows[0] == ["file", "reason", "what to do"]
    assert [Path(row[0]).name for row in rows[1:]] == ["bad.wav", "empty.mp3", "new\\nline.wav"]
    assert all(len(row) == 3 and all(row) for row in rows)
    for row in rows[1:]:
        assert f"WARNING: left out: {row[0]}: {row[1]}. {row[2]}" in log
    assert "a.flac: cut off" in log
    assert "cut off" in read(work, "recordings.tsv")
    lines = run(work, "--set", "calls", "--bad-files", "stop", "calls", rc=1).stderr
    assert "prepare_audio.sh: error: 3 of 6 files cannot be used: " in lines
    for name in ("bad.wav", "empty.mp3", "new\nline.wav"):
        (work / "calls" / name).unlink()
    run(work, "--set", "calls", "--bad-files", "stop", "calls")
    assert not (work / "data/calls/left_out.tsv").exists()


def test_what_is_odd_about_a_file_is_told_once(work):
    data = (work / "calls/b (1).wav").read_bytes()
    (work / "calls/b (1).wav").write_bytes(data[:-2000])
    assert run(work, "--set", "calls", "calls").stderr.count("b (1).wav: cut off") == 1
    stage2 = REPO / "steps/diar/detect_speech.sh"
    assert "cut off" not in run_script(stage2, "data/calls", "speech", cwd=work).stderr
    (work / "data/calls/recordings.tsv").unlink()  # of another's data directory stage 2 tells
    log = run_script(stage2, "--overwrite", "true", "data/calls", "speech", cwd=work).stderr
    assert log.count("b (1).wav: cut off") == 1


def test_one_file_instead_of_a_folder(work):
    run(work, "--set", "calls", "calls/b (1).wav")
    assert read(work, "wav.scp") == f"b__1_ {work}/calls/b (1).wav\n"


def voice(seed, gaps):
    """Return 12 s of noise that comes and goes like syllables of 0.2 s, silent where ``gaps`` says."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.uniform(0.02, 1, 60), 1600) * np.repeat(gaps, 8000)
    return 0.2 * random.standard_normal(96000) * level


def test_what_is_done_with_channels(work):
    turn = np.array([1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0], float)
    left, right, noise = voice(1, turn), voice(2, 1 - turn), 0.05 * np.random.default_rng(3).standard_normal(96000)
    shutil.rmtree(work / "calls")
    (work / "calls").mkdir()
    both = left + right
    for name, channels in {
        "parties": [left + 0.1 * right, right + 0.1 * left],
        "room": [both, 0.7 * both + 0.1 * noise],
        "same": [both, both],
        "anti": [both, -both],
        "noise": [both, noise],
        "dead": [0 * both, both],
        "faint": [left + 0.01 * right, 0.05 * right],
    }.items():
        soundfile.write(work / f"calls/{name}.wav", np.stack(channels, 1), 8000)
    log = run(work, "--set", "calls", "calls").stderr
    rows = [line.split("\t") for line in read(work, "recordings.tsv").splitlines()[1:]]
    done = {row[0]: row[6] for row in rows}
    assert done == {
        "anti": "channel 1",
        "dead": "channel 2",
        "faint": "one party per channel",
        "noise": "channel 1",
        "parties": "one party per channel",
        "room": "mixed",
        "same": "mixed",
    }
    assert read(work, "reco2parties") == "faint 1 2\nparties 1 2\n"
    assert read(work, "reco2channel") == "anti 1\ndead 2\nnoise 1\n"
    assert "anti.wav: the mix of its channels cancels" in log
    assert "noise.wav: channel 2 holds nothing but steady noise; channel 1 is the only one used" in log
    assert "dead.wav: channel 1 is silent; channel 2 is the only one used" in log
    assert "2 recordings of 2 channels: one party per channel (--channels mix" in log
    assert "channel 2 is 26 dB below channel 1" in {row[0]: row[7] for row in rows}["faint"]
    log = run(work, "--set", "calls", "--channels", "mix", "calls").stderr
    assert not (work / "data/calls/reco2parties").exists() and not (work / "data/calls/reco2channel").exists()
    assert "anti.wav: the mix of its channels cancels" in log


def test_a_pipe_in_the_folder_is_left_out(work):
    os.mkfifo(work / "calls/recorder.wav")
    log = run(work, "--set", "calls", "calls").stderr
    assert "left out: " in log and "recorder.wav: is a pipe or a device; expected a file" in log
    assert "recorder.wav" in read(work, "left_out.tsv") and "recorder" not in read(work, "wav.scp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "x", "empty"], "empty: no audio files; expected files named .*, got 0 others"),
        (["--set", "x", "nowhere"], "nowhere: no such folder"),
        (["--set", "x", "calls/notes.txt"], "1 of 1 files cannot be used: .*notes.txt: cannot be decoded as audio"),
        (["--set", "../x", "calls"], "--set: bad id"),
        (["calls"], "expected --set <name> <audio>, got no --set"),
        (
            ["--set", "x", "--channels", "0", "calls"],
            "--channels: expected auto, mix, parties or a whole number",
        ),
        (["--set", "x", "--channel", "1", "calls"], "unknown option --channel "),
        (
            ["--set", "x", "--channels", "2", "--bad-files", "stop", "calls"],
            "2 of 3 files cannot be used: .*: no channel 2; expected 1 to 1",
        ),
        (["--set", "x", "--rttm", "none.rttm", "calls"], "none.rttm: no such file"),
        (["--set", "x", "--rttm", "bad.rttm", "calls"], "bad.rttm:3: bad duration; expected .*, got -1"),
        (["--set", "x", "--rttm", "other.rttm", "calls"], "names none of the recordings; .*, got for example q"),
        (["--set", "x", "--uem", "bad.uem", "calls"], "bad.uem:1: region has no length"),
        (["--set", "x", "--num-spk-file", "zero", "calls"], "zero:1: bad number; expected .*, got 0"),
        (["--set", "x", "--frobnicate", "1", "calls"], "unknown option --frobnicate"),
        (["--set", "x", "calls", "--rttm"], "option --rttm needs a value"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(work, options, message):
    (work / "empty").mkdir()
    (work / "bad.rttm").write_text(";; a comment\n\nSPEAKER a 1 0 -1 <NA> <NA> A <NA> <NA>\n")
    (work / "other.rttm").write_text("SPEAKER q 1 0 1 <NA> <NA> A <NA> <NA>\n")
    (work / "bad.uem").write_text("a 1 2 2\n")
    (work / "zero").write_text("a 0\n")
    assert re.search(message, error(work, *options))


def test_help(work):
    assert "--num-spk-file <file>" in run(work, "--help").stdout


def test_a_data_directory_of_someone_else_is_not_replaced(tmp_path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", np.zeros(8000), 8000)
    (tmp_path / "data/calls").mkdir(parents=True)
    for name in ("wav.scp", "ref.rttm"):
        (tmp_path / "data/calls" / name).write_text("mine\n")
    done = run(tmp_path, "--set", "calls", "audio", rc=1)
    assert "data/calls: was not made by this script" in done.stderr and "--set" in done.stderr
    assert [path.read_text() for path in (tmp_path / "data/calls").iterdir()] == ["mine\n", "mine\n"]
