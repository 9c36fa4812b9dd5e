"""prepare_audio.sh as users call it: any folder of audio becomes a data directory, or one line says why not."""

import os
import re

import numpy as np
import pytest
import soundfile
from running import REPO, run_script


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
    assert sorted(os.listdir(work / "data/calls")) == ["reco2dur", "spk2utt", "utt2spk", "wav.scp"]
    assert read(work, "wav.scp").splitlines() == [
        f"__d_ {work}/calls/Łódź.mp3",
        f"a {work}/calls/sub dir/a.flac",
        f"b__1_ {work}/calls/b (1).wav",
    ]
    durations = dict(line.split() for line in read(work, "reco2dur").splitlines())
    assert durations["a"] == "2.0000"
    assert durations["b__1_"] == "1.5000"


def test_reference_by_raw_or_legal_name(work):
    rttm(
        work, ("b(1)", "x", 0, 1), ("Łódź", "A", 0, 0.5), ("Łódź", "B", 0.5, 0.5), ("a", "A", 0, 1), ("lost", "A", 0, 1)
    )
    (work / "calls/b (1).wav").rename(work / "calls/b(1).wav")
    log = run(work, "--set", "calls", "--rttm", "ref.rttm", "calls").stderr
    assert "WARNING: ref.rttm: 1 recordings (e.g. lost) have no audio, left out" in log
    assert read(work, "reco2num_spk") == "__d_ 2\na 1\nb_1_ 1\n"
    assert read(work, "all.uem").splitlines()[1:] == ["a 1 0.000 2.000", "b_1_ 1 0.000 1.500"]
    assert read(work, "ref.rttm").count("SPEAKER __d_ ") == 2
    assert "lost" not in read(work, "ref.rttm")


def test_uem_speaker_counts_and_channel_are_kept_until_asked_for_no_longer(work):
    rttm(work, ("a", "A", 0, 1))
    (work / "u.uem").write_text("a 1 0.5 1.5\nlost 1 0 9\n")
    (work / "counts").write_text("a 4\nb__1_ 2\nlost 3\n")
    options = ["--rttm", "ref.rttm", "--uem", "u.uem", "--num-spk-file", "counts", "--channel", "1"]
    log = run(work, "--set", "calls", *options, "calls").stderr
    assert "WARNING: u.uem: says nothing of 2 recordings" in log
    assert read(work, "all.uem") == "a 1 0.500 1.500\n"
    assert read(work, "reco2num_spk") == "a 4\nb__1_ 2\n"
    assert read(work, "reco2channel") == "__d_ 1\na 1\nb__1_ 1\n"
    run(work, "--set", "calls", "calls")
    assert sorted(os.listdir(work / "data/calls")) == ["reco2dur", "spk2utt", "utt2spk", "wav.scp"]


def test_a_rerun_leaves_unchanged_files_alone(work):
    run(work, "--set", "calls", "--data-root", "my data", "calls")
    before = {path: path.stat().st_mtime_ns for path in (work / "my data/calls").iterdir()}
    run(work, "--set", "calls", "--data-root", "my data", "calls")
    assert {path: path.stat().st_mtime_ns for path in (work / "my data/calls").iterdir()} == before


def test_a_linked_folder_is_searched_once(work):
    (work / "calls/again").symlink_to(work / "calls")
    run(work, "--set", "calls", "calls")
    assert len(read(work, "wav.scp").splitlines()) == 3


def test_two_files_of_one_name(work):
    soundfile.write(work / "calls/b_(1).flac", np.ones(100) / 2, 8000)
    message = error(work, "--set", "calls", "calls")
    assert "two files for recording b__1_" in message
    assert "b (1).wav" in message
    assert "b_(1).flac" in message


def test_all_broken_files_are_listed(work):
    (work / "calls/bad.wav").write_text("hello")
    data = (work / "calls/sub dir/a.flac").read_bytes()
    (work / "calls/sub dir/a.flac").write_bytes(data[: len(data) // 2])
    message = error(work, "--set", "calls", "calls")
    assert "prepare_audio.py: error: 2 of 4 files cannot be used: " in message
    assert "a.flac: truncated audio; expected" in message
    assert "bad.wav: cannot be decoded as audio" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "x", "empty"], "empty: no audio files; expected files named .*, got 0 others"),
        (["--set", "x", "nowhere"], "nowhere: no such folder"),
        (["--set", "x", "calls/notes.txt"], "notes.txt: is not a folder"),
        (["--set", "../x", "calls"], "--set: bad id"),
        (["calls"], "expected --set <name> and <audio-dir>"),
        (["--set", "x", "--channel", "0", "calls"], "--channel: expected a whole number from 1, got 0"),
        (["--set", "x", "--channel", "2", "calls"], "2 of 3 files cannot be used: .*: no channel 2; expected 1 to 1"),
        (["--set", "x", "--rttm", "none.rttm", "calls"], "none.rttm: no such file"),
        (["--set", "x", "--rttm", "bad.rttm", "calls"], "bad.rttm:3: bad duration; expected .*, got -1"),
        (["--set", "x", "--rttm", "other.rttm", "calls"], "names none of the recordings; .*, got for example q"),
        (["--set", "x", "--uem", "bad.uem", "calls"], "bad.uem:1: region has no length"),
        (["--set", "x", "--num-spk-file", "zero", "calls"], "zero:1: bad number; expected .*, got 0"),
        (["--set", "x", "--frobnicate", "1", "calls"], "unknown option --frobnicate"),
        (["--set", "x", "calls", "--rttm"], "got 2 arguments"),
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
    assert "--num-spk-file <file|none>" in run(work, "--help").stdout
