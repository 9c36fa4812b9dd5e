"""assign_words.sh as users call it: a file or a folder of transcripts, and what it refuses."""

import json

import pytest
from running import DIAR, run_script

from ssdiar.results import recording_entry, result_content, result_text


def assign(cwd, *args, rc=0):
    return run_script(DIAR / "assign_words.sh", *args, cwd=cwd, rc=rc)


@pytest.fixture
def work(tmp_path):
    """A system of two recordings, and transcripts of both and of one in which nobody talks."""
    root = tmp_path / "mit Lücke"
    (root / "best").mkdir(parents=True)
    rttm = [("r1", 0, 2, "1"), ("r1", 2, 2, "2"), ("r2", 0, 5, "Zoë")]
    lines = [f"SPEAKER {reco} 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n" for reco, start, length, name in rttm]
    (root / "best/rttm").write_text("".join(lines))
    (root / "text").mkdir()
    words = [{"word": "hello", "start": 1, "end": 1.5, "score": 0.5}, {"word": "there", "start": 2.5, "end": 3}]
    segments = [{"start": 1, "end": 3, "text": "hello there", "words": words}]
    (root / "text/r1.json").write_text(json.dumps({"segments": segments}))
    (root / "text/r2.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhi ho\n")
    (root / "text/notes.txt").write_text("no transcript")
    return root


def test_folder_of_transcripts(work):
    (work / "text/mute.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nhm\n")
    done = assign(work, "text", "best")
    assert "WARNING" in done.stderr and "mute" in done.stderr
    assert "5 words (1 without a speaker)" in done.stderr
    names = sorted(path.name for path in (work / "best/words").glob("[!.]*"))
    assert names == sorted(
        [f"{r}.{s}" for r in ("mute", "r1", "r2") for s in ("json", "srt", "vtt")] + ["words.ctm", "words.stm"]
    )
    assert [line.split()[-1] for line in (work / "best/words/words.ctm").read_text().splitlines()] == [
        "unknown",
        "1",
        "2",
        "Zoë",
        "Zoë",
    ]
    assert "r1 1 2 2.500 3.000 there" in (work / "best/words/words.stm").read_text()


def test_a_folder_as_whisper_writes_it(work):
    """The JSON has times of words; copies of a Mac and unknown files are no transcripts."""
    srt = "1\n00:00:01,000 --> 00:00:02,000\nhello there\n"
    for name in ("r1.srt", "r1.tsv", "r1.txt", "._r1.json", ".DS_Store", "r1.vtt"):
        (work / "text" / name).write_text(srt)
    (work / "text/r1.d.json").mkdir()
    done = assign(work, "text", "best")
    assert "4 words" in done.stderr and "WARNING" not in done.stderr
    assert "text: 5 other files are passed over: notes.txt r1.srt r1.tsv r1.txt r1.vtt" in done.stderr
    assert "r1 1 1.000 0.500 hello 0.500 lex 1" in (work / "best/words/words.ctm").read_text()


def test_transcripts_are_named_after_recordings_or_their_files(work):
    """With result.json, by the file's own name; a recording in which no one speaks is known from there."""
    (work / "text/r1.json").rename(work / "text/r1.wav.json")
    (work / "text/r2.srt").rename(work / "text/Łódź 1.srt")
    (work / "text/mute.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhm\n")
    entries = [recording_entry(reco, [], file=f"/calls/{name}") for reco, name in (("r2", "Łódź 1.mp3"), ("mute", "a"))]
    (work / "best/result.json").write_text(result_text(result_content({}, entries)))
    assign(work, "text", "best")
    words = [line.split() for line in (work / "best/words/words.ctm").read_text().splitlines()]
    assert [(row[0], row[7]) for row in words] == [
        ("mute", "unknown"),
        *[("r1", "1"), ("r1", "2")],
        *[("r2", "Zoë"), ("r2", "Zoë")],
    ]
    assign(work, "text/mute.srt", "best", "out")


def test_one_file_and_chosen_formats(work):
    (work / "text/r1.json").rename(work / "a transcript.json")
    assign(work, "--recording", "r1", "--formats", "vtt", "a transcript.json", "best/rttm", "out")
    assert [path.name for path in (work / "out").glob("[!.]*")] == ["r1.vtt"]
    assert "<v 2>there</v>" in (work / "out/r1.vtt").read_text()


def test_a_word_far_from_any_turn_has_no_speaker(work):
    (work / "late.ctm").write_text("r1 1 4.5 0.5 oh\n")
    assign(work, "late.ctm", "best", "near")
    assert (work / "near/words.ctm").read_text().endswith(" 2\n")
    assign(work, "--farthest", "0.4", "late.ctm", "best", "far")
    assert (work / "far/words.ctm").read_text().endswith(" unknown\n")


def test_refusals(work):
    (work / "other.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhi\n")
    (work / "two").mkdir()
    for name in ("r1.ctm", "all.ctm"):
        (work / "two" / name).write_text("r1 1 0 1 hi\n")
    (work / "none").mkdir()
    cases = [
        (("other.srt", "best"), "best/rttm: no turn of a recording of other.srt; expected other, got r1 r2"),
        (("--formats", "srt doc", "text", "best"), "expected some of: ctm stm json srt vtt, got doc"),
        (("two", "best"), "two/r1.ctm: a second transcript of r1"),
        (("none", "best"), "none: no word"),
        (("nowhere", "best"), "nowhere: no such folder"),
        (("--recording", "r1", "text", "best"), "text: --recording is for a single file"),
        (("text/notes.txt", "best"), "text/notes.txt: not a known transcript"),
        (("text", "nothing"), "nothing: no such file"),
        (("text",), "expected <transcript> <rttm-or-system-dir> [<out-dir>], got 1 arguments"),
    ]
    for args, message in cases:
        assert message in assign(work, *args, rc=1).stderr
    assert "expected a number" in assign(work, "--farthest", "x", "text", "best", rc=1).stderr
    assert not (work / "best/words").exists()
    assert "Usage:" in assign(work, "--help").stdout
