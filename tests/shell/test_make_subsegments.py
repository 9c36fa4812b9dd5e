"""make_subsegments.sh as users call it: pieces, what is passed on, odd and bad input."""

import json

import numpy as np
import pytest
import soundfile
from running import DIAR, run_script


@pytest.fixture
def work(tmp_path):
    """A speech directory of two recordings, one of them silent, below a path with a space and a non-ASCII letter."""
    root = tmp_path / "pièces ici"
    speech = root / "speech"
    speech.mkdir(parents=True)
    (speech / "wav.scp").write_text("a true |\nsilent true |\n")
    (speech / "reco2dur").write_text("a 20\nsilent 20\n")
    (speech / "segments").write_text("r1 a 1.000 3.000\nr2 a 5.000 5.050\nr3 a 6.000 6.300\n")
    (speech / "overlap.segments").write_text("o a 3.000 3.500\n")
    (speech / "meta.json").write_text('{"speech_source": "oracle (ref.rttm)", "options": {"overlap": "drop"}}')
    return root


def run(work, *args, rc=0):
    return run_script(DIAR / "make_subsegments.sh", *args, cwd=work, rc=rc)


def test_pieces(work):
    run(work, "speech", "exp/sub")
    out = work / "exp/sub"
    assert (out / "segments").read_text().splitlines() == [
        "a-0000100-0000175 a 1.000 1.750",
        "a-0000175-0000250 a 1.750 2.500",
        "a-0000250-0000300 a 2.500 3.000",
        "a-0000600-0000630 a 6.000 6.300",
    ]
    assert (out / "short.segments").read_text() == "a-0000500-0000505 a 5.000 5.050\n"
    assert (out / "overlap.segments").read_text() == "o a 3.000 3.500\n"
    assert (out / "spk2utt").read_text().startswith("a a-0000100-0000175 a-0000175-0000250 ")
    assert (out / "utt2spk").read_text().startswith("a-0000100-0000175 a\n")
    assert json.loads((out / "meta.json").read_text()) == {
        "speech_source": "oracle (ref.rttm)",
        "options": {"overlap": "drop", "window": 0.75, "period": 0.75, "min_segment": 0.5, "min_piece": 0.1},
    }


def test_options_and_shipped_config(work):
    run(work, "--window", "1.5", "--period", "0.75", "speech", "exp/long")
    assert (work / "exp/long/segments").read_text().startswith("a-0000100-0000250 a 1.000 2.500\na-0000175-0000300 ")
    run(work, "speech", "exp/plain")
    run(work, "--config", str(DIAR.parents[1] / "conf/subsegments.conf"), "speech", "exp/conf")
    assert (work / "exp/conf/meta.json").read_bytes() == (work / "exp/plain/meta.json").read_bytes()


def test_a_rerun_leaves_unchanged_files_alone(work):
    run(work, "speech", "out")
    before = {path.name: path.stat().st_mtime_ns for path in (work / "out").glob("[!.]*")}
    run(work, "speech", "out")
    assert {path.name: path.stat().st_mtime_ns for path in (work / "out").glob("[!.]*")} == before


def test_no_speech_at_all(work):
    (work / "speech/segments").write_text("")
    (work / "speech/overlap.segments").write_text("")
    run(work, "speech", "out")
    for name in ("segments", "utt2spk", "spk2utt", "overlap.segments", "short.segments"):
        assert (work / "out" / name).read_text() == ""


def test_a_plain_kaldi_directory_will_do(work):
    for name in ("wav.scp", "reco2dur", "overlap.segments", "meta.json"):
        (work / "speech" / name).unlink()
    run(work, "speech", "out")
    assert len((work / "out/segments").read_text().splitlines()) == 4
    assert json.loads((work / "out/meta.json").read_text())["speech_source"] == "given"


def test_an_end_of_minus_one_is_the_end_of_the_file(work):
    """Without reco2dur; the length of a command is not known."""
    for name in ("reco2dur", "overlap.segments", "meta.json"):
        (work / "speech" / name).unlink()
    soundfile.write(work / "a.wav", np.zeros(8000 * 3), 8000)
    (work / "speech/wav.scp").write_text("a a.wav\nb cat b.wav |\n")
    (work / "speech/segments").write_text("r a 0 0.5\ns a 1.75 -1\n")
    run(work, "speech", "out")
    ends = [line.split()[3] for line in (work / "out/segments").read_text().splitlines()]
    assert ends == ["0.500", "2.500", "3.000"]
    (work / "speech/segments").write_text("r a 0.75 -1.00\ns b 0 -1\n")
    assert "segments:2: segment s ends where its recording does (-1)" in run(work, "speech", "other", rc=1).stderr


@pytest.mark.parametrize(
    ("file", "text", "options", "message"),
    [
        ("segments", "r a 19 20.2\n", [], "segments:1: segment r ends after its recording; expected at most 20.000 s"),
        ("segments", "r z 1 2\n", [], "segments:1: segment r is of an unknown recording"),
        ("segments", "r a 2 2\n", [], "segments:1: segment r has no length"),
        ("overlap.segments", "r a 2\n", [], "overlap.segments:1: wrong number of fields; expected 4"),
        ("meta.json", "{", [], "meta.json: damaged"),
        (None, "", ["--period", "1"], "--period must be above 0 and at most --window"),
        (None, "", ["--window", "0"], "--period must be above 0 and at most --window"),
        (None, "", ["--min-segment", "0.8"], "--min-segment must be at most --window"),
        (None, "", ["--window", "0.755"], "--window: expected whole hundredths of a second, got 0.755"),
        (None, "", ["--window", "nan"], "--window: expected a number from 0, got nan"),
        (None, "", ["--windows", "1"], "unknown option --windows"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(work, file, text, options, message):
    if file:
        (work / "speech" / file).write_text(text)
    lines = run(work, *options, "speech", "out", rc=1).stderr.splitlines()
    errors = [line for line in lines if "error: " in line]
    assert len(errors) == 1 and lines[-1:] == errors and len(lines) <= 2  # the command line may stand before it
    assert message in errors[0]
    assert not (work / "out").exists()


def test_missing_and_forbidden_places(work):
    assert "nowhere/segments: no such file" in run(work, "nowhere", "out", rc=1).stderr
    assert "input and output at once" in run(work, "speech", "speech", rc=1).stderr
    assert "in the way" in run(work, "speech", "speech/segments", rc=1).stderr
