"""The command ssdiar: options that reach diarize(), the files that it writes, and errors of single files."""

import sys
from types import SimpleNamespace

import pytest

from ssdiar import cli
from ssdiar.base.errors import InputError
from ssdiar.results import exports, recording_entry
from ssdiar.timeline.spans import Turn


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Return a function that runs the command in an empty folder and gives (exit code, stdout, stderr, calls)."""
    calls = []

    def diarize(path, *, progress, recording, **options):
        calls.append((path.name, recording, options))
        progress(1.0, 2.0)
        if "bad" in path.name:
            raise InputError("cannot be decoded", path=path)
        turns = [Turn(recording, "speaker1", 0, 1), Turn(recording, "speaker2", 1, 4)]
        entry = recording_entry(recording, turns, duration=4, probability=0.75)
        remarks = ["ends early"] if "odd" in path.name else []
        return SimpleNamespace(
            turns=turns, summary=entry, remarks=remarks, to=lambda name: exports.text_of(name, turns, 4.0)
        )

    def run(*args):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(cli, "diarize", diarize)
        monkeypatch.setattr(sys, "argv", ["ssdiar", *args])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return exit_.value.code, out, err, calls

    return run


def test_files_and_table(command, tmp_path):
    code, out, err, calls = command("a.wav", "odd.flac", "--out", "new/out", "--format", "rttm,csv srt")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new/out").iterdir()) == [
        *("a.rttm", "a.srt", "odd.rttm", "odd.srt", "turns.csv")
    ]
    assert (tmp_path / "new/out/turns.csv").read_text().count("\n") == 1 + 2 * 2
    assert out.splitlines()[2].split() == [
        "a",
        "0:04",
        "2",
        "75%",
        "speaker2",
        "0:03",
        "(75%),",
        "speaker1",
        "0:01",
        "(25%)",
    ]
    assert f"ssdiar: WARNING: {tmp_path}/odd.flac: ends early" in err
    assert [call[:2] for call in calls] == [("a.wav", "a"), ("odd.flac", "odd")]


def test_a_dash_is_the_standard_input(command):
    assert command("-")[3][-1][:2] == ("stdin", "stdin")


def test_options_reach_diarize(command):
    *_, calls = command("a.wav")
    assert calls[-1][2] == {
        "num_spk": None,
        "system": "best",
        "sad": "pyannote",
        "xvector": "campplus",
        "channels": "auto",
        "turns": None,
        "seed": 0,
        "threads": None,
    }
    options = ("--num-spk", "2-4", "--sad", "pyannote+gap=0.5", "--channels", "2", "--turns", "tight", "--threads", "3")
    *_, calls = command("a.wav", *options)
    found = calls[-1][2]
    assert (found["num_spk"], found["sad"], found["channels"], found["turns"], found["threads"]) == (
        *("2-4", "pyannote+gap=0.5", 2, "tight", 3),
    )
    assert command("a.wav", "--num-spk", "2")[3][-1][2]["num_spk"] == 2


def test_other_files_are_done_although_one_is_bad(command, tmp_path):
    code, out, err, _ = command("bad.wav", "a.wav")
    assert code == 1 and "bad.wav: cannot be decoded" in err
    assert (tmp_path / "a.json").exists() and not (tmp_path / "bad.json").exists() and "a " in out


@pytest.mark.parametrize(
    "options",
    [
        ("--num-spk", "0"),
        ("--num-spk", "2-"),
        ("--num-spk", "two"),
        ("--format", "doc"),
        ("--turns", "open"),
        ("--sadd",),
    ],
)
def test_bad_options(command, options):
    code, _, err, calls = command("a.wav", *options)
    assert code == 1 and not calls
    assert options[0] in err and len(err.splitlines()) == 1
