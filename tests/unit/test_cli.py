"""The command ssdiar: options that reach diarize(), the files that it writes, and errors of single files."""

import json
import logging
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
        calls.append((path.name, recording, made | options))
        progress(1.0, 2.0)
        if "bad" in path.name:
            raise InputError("cannot be decoded", path=path)
        turns = [Turn(recording, "speaker1", 0, 1), Turn(recording, "speaker2", 1, 4)]
        entry = recording_entry(recording, turns, duration=4, probability=0.75)
        remarks = ["ends early"] if "odd" in path.name else []
        return SimpleNamespace(summary=entry, remarks=remarks, to=lambda name: exports.text_of(name, turns, 4.0))

    made = {}

    def load(**options):
        made.update(options)
        return diarize

    def run(*args):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        monkeypatch.setattr(cli, "Diarizer", load)
        monkeypatch.setattr(sys, "argv", ["ssdiar", *args])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return exit_.value.code, out, err, calls

    return run


def test_files_and_table(command, tmp_path):
    code, out, err, calls = command("a.wav", "odd.flac", "--out", "new/out", "--format", "rttm,csv srt")
    assert (code, out) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new/out").glob("[!.]*")) == [
        *("a.csv", "a.rttm", "a.srt", "odd.csv", "odd.rttm", "odd.srt")
    ]
    assert err.splitlines()[3].split() == [
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
        "known": None,
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
    assert [path.name for path in (tmp_path / "ssdiar").glob("*.json")] == ["a.json"] and "(75%)" in err and not out


def test_only_its_own_unchanged_files_are_replaced(command, tmp_path):
    (tmp_path / "ssdiar").mkdir()
    for path in (tmp_path / "a.rttm", tmp_path / "ssdiar/b.json"):
        path.write_text("mine")
    assert command("a.wav")[0] == command("a.wav")[0] == 0
    code, _, err, calls = command("a.wav", "b.wav")
    assert code == 1 and "ssdiar/b.json: exists and is not as this program wrote it" in err and len(calls) == 2
    (tmp_path / "ssdiar/a.rttm").write_text("corrected")
    code, _, err, calls = command("a.wav")
    assert code == 1 and "ssdiar/a.rttm: exists and is not as" in err and len(calls) == 2
    assert [path.read_text() for path in sorted(tmp_path.rglob("a.rttm"))] == ["mine", "corrected"]
    assert command("a.wav", "--overwrite", "true")[0] == 0
    assert (tmp_path / "ssdiar/a.rttm").read_text().startswith("SPEAKER a ")


def test_names_do_not_depend_on_other_arguments(command, tmp_path):
    for name in ("calls/mon/a.wav", "calls/tue/a.wav", "calls/notes.txt", "b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [call[1] for call in command("calls/mon/a.wav", "b.wav")[3]] == ["a", "b"]
    assert [call[1] for call in command("b.wav", "calls")[3][2:]] == ["b", "mon-a", "tue-a"]
    code, _, err, calls = command("calls/mon", "calls/tue/a.wav")
    assert code == 1 and "tue/a.wav: has the same name, a, as" in err and "--out" in err and len(calls) == 5
    (tmp_path / "empty").mkdir()
    assert "empty: no audio files" in command("empty")[2]


def test_the_result_alone_on_the_standard_output(command, tmp_path):
    code, out, err, _ = command("a.wav", "odd.wav", "--stdout", "rttm")
    assert code == 0 and [line.split()[1] for line in out.splitlines()] == ["a", "a", "odd", "odd"]
    assert "(75%)" in err and "odd.wav: ends early" in err and not (tmp_path / "ssdiar").exists()
    code, out, err, _ = command("a.wav", "--stdout", "json", "--quiet")
    assert json.loads(out)["recording"] == "a" and not err
    code, out, err, _ = command("a.wav", "b.wav", "--stdout", "srt")
    assert code == 1 and "--stdout srt takes one recording" in err and not out


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
