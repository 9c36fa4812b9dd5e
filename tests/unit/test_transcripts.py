"""Transcripts of recognisers: what each format says of its words, and what is refused."""

import json

import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.transcripts import Word, read_transcript


def read(tmp_path, name, text, reco=None):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_transcript(tmp_path / name, reco)


def times(words):
    return [(word.text, round(word.start, 3), round(word.end, 3)) for word in words]


def test_ctm(tmp_path):
    text = ";; of Kaldi and of NIST\na 1 0.5 0.25 hi\nb A 1 .5 Zoë 0.9 lex sp1\nb A 2 1 [noise] NA non-lex\n"
    assert read(tmp_path, "x.ctm", text) == [Word("a", "hi", 0.5, 0.75), Word("b", "Zoë", 1.0, 1.5, 0.9)]


def test_whisper(tmp_path):
    """Words begin with a blank; a segment without words shares its time by letters."""
    words = [
        {"word": " Hello,", "start": 0.0, "end": 0.4, "probability": 0.75},
        {"word": " you.", "start": 0.4, "end": 1},
    ]
    segments = [
        {"start": 0.0, "end": 1.0, "text": " Hello, you.", "words": words},
        {"start": 2.0, "end": 3.0, "text": " abc abcde"},
    ]
    found = read(tmp_path, "call.1.json", json.dumps({"segments": segments, "language": "en"}))
    assert times(found) == [("Hello,", 0, 0.4), ("you.", 0.4, 1), ("abc", 2, 2.4), ("abcde", 2.4, 3)]
    assert {word.reco for word in found} == {"call.1"}
    assert [(word.confidence, word.phrase) for word in found] == [(0.75, 0), (None, 0), (None, 1), (None, 1)]


def test_whisperx_leaves_numbers_without_times(tmp_path):
    words = [
        {"word": "in", "start": 1.0, "end": 1.2, "score": 0.9},
        {"word": "1984"},
        {"word": "we", "start": 2.0, "end": 2.25, "score": 0.8},
        {"word": "20"},
    ]
    segments = {"segments": [{"start": 1.0, "end": 3.0, "text": "in 1984 we 20", "words": words}], "word_segments": []}
    found = read(tmp_path, "a.json", json.dumps(segments))
    assert times(found) == [("in", 1, 1.2), ("1984", 1.2, 2), ("we", 2, 2.25), ("20", 2.25, 3)]


def test_languages_without_blanks(tmp_path):
    segments = [{"start": 0, "end": 2, "text": "你好"}]
    found = read(tmp_path, "a.json", json.dumps({"segments": segments, "language": "zh"}))
    assert times(found) == [("你", 0, 1), ("好", 1, 2)]
    assert all(word.glued for word in found)


def test_srt(tmp_path):
    text = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>ab</i> ab\r\n\r\n2\r\n01:00:00,500 --> 01:00:01,000\r\nx\r\n"
    found = read(tmp_path, "a.srt", text, "b")
    assert times(found) == [("ab", 1, 1.5), ("ab", 1.5, 2), ("x", 3600.5, 3601)]
    assert {(word.reco, word.phrase) for word in found} == {("b", 0), ("b", 1)}


def test_webvtt_with_voices_and_inner_times(tmp_path):
    text = (
        "WEBVTT - a head\nKind: captions\n\nNOTE of\nsomebody\n\nSTYLE\n::cue {}\n\n"
        "first\n00:01.000 --> 00:03.000 align:start\n<v Zoë>a &amp; b<00:02.500><c> c</c>\n\n00:04.000 --> 00:04.500\n"
    )
    assert times(read(tmp_path, "a.vtt", text)) == [("a", 1, 1.5), ("&", 1.5, 2), ("b", 2, 2.5), ("c", 2.5, 3)]


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("a.txt", "hi", "a.txt", "known transcript"),
        ("a.ctm", "a 1 0 1 hi\na 1 0 1\n", "a.ctm:2", "number of fields"),
        ("a.ctm", "a 1 0 -1 hi\n", "a.ctm:1", "duration"),
        ("a.ctm", "a 1 0 1 hi 1.5\n", "a.ctm:1", "confidence"),
        ("a.ctm", "a 1 * * <ALT_BEGIN>\n", "a.ctm:1", "bad start"),
        ("a.json", "{\n]", "a.json:2", "not JSON"),
        ("a.json", '{"text": "hi"}', "a.json", "segments"),
        ("a.json", '{"segments": [{"start": 0, "end": "NaN", "text": ""}]}', "a.json", "Whisper"),
        ("a.srt", "1\n00:00:01,000 -> 00:00:02,000\nhi\n", "a.srt:2", "not a cue"),
        ("a.srt", "1\n00:00:03,000 --> 00:00:02,000\nhi\n", "a.srt:2", "ends before"),
        ("-a.srt", "", "-a.srt", "bad id"),
    ],
)
def test_refusals(tmp_path, name, text, place, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, name, text)
    assert f"{tmp_path}/{place}: " in str(error.value)
    assert words in str(error.value)


def test_no_such_file(tmp_path):
    for name in ("a.ctm", "a.json", "a.srt"):
        with pytest.raises(InputError, match="no such file"):
            read_transcript(tmp_path / name)
