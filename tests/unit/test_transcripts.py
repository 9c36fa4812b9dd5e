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


@pytest.mark.parametrize("bad", [float("nan"), None, -3.0, "soon", 1e300, "missing"])
def test_unusable_times_cost_the_word_and_are_named(tmp_path, caplog, bad):
    """The word takes the time between its neighbours, a phrase likewise; -0.02 counts as 0."""
    words = [{"word": "so", "start": -0.02, "end": 0.5}, {"word": "good", "start": bad, "end": bad}]
    segments = [
        {"start": -0.02, "end": 2.0, "text": " so good", "words": words},
        {"start": 6.5, "end": bad, "text": " abc"},
        {"start": 8.0, "end": bad, "text": " abcd ab"},
    ]
    text = json.dumps({"segments": segments}).replace(', "end": "missing"', "")
    found = read(tmp_path, "a.json", text)
    # At the end of a transcript, letters tell how long a phrase takes.
    expected = [("so", 0, 0.5), ("good", 0.5, 2), ("abc", 6.5, 8), ("abcd", 8, 8.333), ("ab", 8.333, 8.533)]
    assert times(found) == expected
    (message,) = caplog.messages
    assert "a.json: 3 words or phrases" in message and '"good" in phrase 1 (start)' in message


def test_an_unusable_end_is_the_start_of_the_next(tmp_path):
    words = [{"word": "a", "start": 1, "end": None}, {"word": "b", "start": 3, "end": None}]
    segments = [{"start": 1, "end": 4, "text": "a b", "words": words}, {"start": 5, "end": 6, "text": "c"}]
    assert times(read(tmp_path, "a.json", json.dumps({"segments": segments}))) == [
        ("a", 1, 3),
        ("b", 3, 4),
        ("c", 5, 6),
    ]


OPENAI_WORDS = [{"word": "Good", "start": 0.5, "end": 1.0}, {"word": "day", "start": 1.0, "end": 1.5}]
SHAPES = {
    "OpenAI, words": {"task": "transcribe", "language": "english", "text": "Good day.", "words": OPENAI_WORDS},
    "OpenAI, both": {
        "words": OPENAI_WORDS,
        "segments": [{"id": 0, "start": 0.4, "end": 2, "text": " Good day.", "tokens": [50364, 12]}],
    },
    "whisper-timestamped": {
        "segments": [
            {
                **{"start": 0.4, "end": 2, "text": " Good day", "confidence": 0.8},
                "words": [{"text": one["word"], **one, "confidence": 0.9} for one in OPENAI_WORDS],
            }
        ]
    },
    "whisper.cpp": {
        "result": {"language": "en"},
        "transcription": [
            {
                "timestamps": {"from": "00:00:00,400", "to": "00:00:02,000"},
                "offsets": {"from": 400, "to": 2000},
                "text": " Good day",
                "tokens": [
                    {"text": "[_BEG_]", "offsets": {"from": 400, "to": 400}, "p": 0.9},
                    {"text": " G", "offsets": {"from": 500, "to": 700}, "p": 0.9},
                    {"text": "ood", "offsets": {"from": 700, "to": 1000}, "p": 0.9},
                    {"text": " day", "offsets": {"from": 1000, "to": 1500}, "p": 0.9},
                    {"text": "[_TT_100]", "offsets": {"from": 2000, "to": 2000}, "p": 0.2},
                ],
            }
        ],
    },
    "whisper.cpp, a token each": {
        "transcription": [
            {"offsets": {"from": 500, "to": 800}, "text": " Go"},
            {"offsets": {"from": 800, "to": 1000}, "text": "od"},
            {"offsets": {"from": 1000, "to": 1500}, "text": " day"},
        ]
    },
    "Transformers, words": {
        "text": " Good day",
        "chunks": [{"text": " Good", "timestamp": [0.5, 1.0]}, {"text": " day", "timestamp": [1.0, 1.5]}],
    },
    "Vosk": {
        "result": [
            {"conf": 0.9, "end": one["end"], "start": one["start"], "word": one["word"]} for one in OPENAI_WORDS
        ],
        "text": "Good day",
    },
    "Vosk, alternatives": {
        "alternatives": [{"confidence": 231.4, "result": OPENAI_WORDS, "text": "Good day"}, {"text": "could day"}]
    },
    "vosk-transcriber": {
        "schemaVersion": "2.0",
        "text": ["Good day"],
        "monologues": [
            {
                "speaker": {"id": "unknown", "name": None},
                "start": 0.5,
                "end": 1.5,
                "terms": [{"text": one["word"], **one, "confidence": 0.9, "type": "WORD"} for one in OPENAI_WORDS],
            }
        ],
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_json_of_other_recognisers(tmp_path, name):
    found = read(tmp_path, "a.json", json.dumps(SHAPES[name]))
    assert times(found) == [("Good", 0.5, 1), ("day", 1, 1.5)]
    assert len({word.phrase for word in found}) == 1
    if name in ("whisper-timestamped", "whisper.cpp", "Vosk", "vosk-transcriber"):
        assert {word.confidence for word in found} == {0.9}


def test_words_beside_segments_come_once(tmp_path):
    """A word may begin a little before its segment."""
    segments = [{"start": 0.4, "end": 1.0, "text": " Good"}, {"start": 1.1, "end": 2, "text": " day."}]
    found = read(tmp_path, "a.json", json.dumps({"words": OPENAI_WORDS, "segments": segments}))
    assert [(word.text, word.phrase) for word in found] == [("Good", 0), ("day", 1)]
    segments[1]["start"] = 1.3
    found = read(tmp_path, "a.json", json.dumps({"words": OPENAI_WORDS, "segments": segments}))
    assert [word.text for word in found] == ["Good", "day"]


def test_phrases_of_transformers(tmp_path):
    """The end of the last chunk may be null."""
    chunks = [{"timestamp": [0.0, 1.0], "text": " ab ab"}, {"timestamp": [1.0, None], "text": " abcd"}]
    found = read(tmp_path, "a.json", json.dumps({"text": " ab ab abcd", "chunks": chunks}))
    assert times(found) == [("ab", 0, 0.5), ("ab", 0.5, 1), ("abcd", 1, 1.333)]


@pytest.mark.parametrize("lines", [True, False])
def test_results_of_vosk_one_after_the_other(tmp_path, lines):
    later = [{"word": "bye", "start": 7.0, "end": 8.0, "conf": 1.0}]
    values = [SHAPES["Vosk"], {"text": ""}, {"result": later, "text": "bye"}]
    found = read(tmp_path, "a.json", "\n".join(map(json.dumps, values)) if lines else json.dumps(values))
    assert [(word.text, word.start, word.phrase) for word in found] == [("Good", 0.5, 0), ("day", 1, 0), ("bye", 7, 1)]


def test_languages_without_blanks(tmp_path):
    segments = [{"start": 0, "end": 2, "text": "你好"}]
    for language in ({"language": "zh"}, {"language": "chinese"}, {"result": {"language": "zh"}}):
        found = read(tmp_path, "a.json", json.dumps({"segments": segments, **language}))
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


FIRST, SECOND = "00:00:00,300 --> 00:00:02,000", "00:00:06,700 --> 00:00:08,000"
BOTH = [("good", 0.3, 2), ("yes", 6.7, 8)]


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("a.srt", ["1", FIRST, "good", "2", SECOND, "yes"], BOTH),
        ("a.srt", ["1", FIRST, "good", "", "2", "", SECOND, "yes"], BOTH),
        ("a.srt", ["0", FIRST, "good", "1", SECOND, "yes"], BOTH),
        ("a.srt", [FIRST, "good", "2", SECOND, "yes"], BOTH),
        ("a.srt", ["1", FIRST, "good", "", "2", "0:00:02 --> 0:00:03", "3", SECOND, "yes"], BOTH),
        ("a.srt", ["1", FIRST, "42", "", "2", SECOND, "2"], [("42", 0.3, 2), ("2", 6.7, 8)]),
        ("a.srt", ["1", FIRST, "42", "2", SECOND, "2"], [("42", 0.3, 2), ("2", 6.7, 8)]),
        (
            "a.srt",
            ["1", FIRST, "good", "", "NOTE", "2", SECOND, "yes"],
            [("good", 0.3, 1.15), ("NOTE", 1.15, 2), BOTH[1]],
        ),
        ("a.srt", ["1", "00:00:00,3 --> 00:00:02,0", r"{\an8}good", "5", SECOND.replace(" ", ""), "yes"], BOTH),
        ("a.vtt", ["WEBVTT", FIRST, "good", "", SECOND, "yes"], BOTH),
        ("a.vtt", ["WEBVTT", FIRST, "42", SECOND, "yes"], [("42", 0.3, 2), BOTH[1]]),
        ("a.vtt", ["WebVTT", "1", FIRST, "good", "2", SECOND, "yes"], BOTH),
        ("a.vtt", ["WEBVTT", "Kind: captions", "", "NOTE a", "b", FIRST, "good", "", "NOTE", SECOND, "yes"], BOTH),
        ("a.vtt", [FIRST, "good", "", "name", SECOND, "yes"], BOTH),
        ("a.srt", ["1", "-00:00:01,000 --> 00:00:02,000", "so", "2", SECOND, "yes"], [("so", 0, 2), BOTH[1]]),
    ],
)
def test_a_line_of_times_begins_a_cue_wherever_it_stands(tmp_path, name, lines, expected):
    for end in ("\n", "\r\n"):
        assert times(read(tmp_path, name, end.join(lines) + end)) == expected
        assert times(read(tmp_path, name, "\ufeff" + end.join(lines))) == expected


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
        ("a.json", '{"segments": [{"end": "NaN", "text": "hi"}]}', "a.json", "no times"),
        ("a.json", '{"segments": [{"start": 0, "end": 1, "text": 5}]}', "a.json", 'item without text, {"start": 0'),
        (
            "a.json",
            '{"id": 1, "words": [{"text": "hi", "start": 250, "end": 650}], "text": "hi"}',
            "a.json",
            "id, words",
        ),
        ("a.json", '{"recording": "a", "turns": []}', "a.json", "got an object of recording, turns"),
        ("a.json", "[1]", "a.json", "got 1"),
        ("a.json", '{"words": [' * 400 + "1" + "]}" * 400, "a.json", "not a known transcript"),
        ("a.json", "\0{", "a.json", "UTF-16"),
        ("a.json", "", "a.json:1", "not JSON"),
        ("a.srt", "1\n00:00:01,000 -> 00:00:02,000\nhi\n", "a.srt:2", "not a cue"),
        ("a.srt", "title\n\n1\n00:00:01,000 --> 00:00:02,000\nhi\n", "a.srt:1", "not a cue"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nhi\n\n2\n00:00:03:000 --> 00:00:04\nho\n", "a.srt:6", "not a cue"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nhi\n\n2\n", "a.srt:5", "not a cue"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nhi\n\n2\nho\n", "a.srt:6", "not a cue"),
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
    with pytest.raises(InputError, match="none: no such folder"):
        read_transcript(tmp_path / "none")
