"""Words get speakers by the documented rules, are scored by known turns and by meeteval, and can be read elsewhere."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_words import WordErrors, make_words, word_errors

from simulation.turns import TurnTaking
from ssdiar.base.errors import InputError
from ssdiar.io.transcripts import Word, read_transcript
from ssdiar.results import words as w
from ssdiar.timeline.spans import Turn

TURNS = [Turn("r", "A", 0, 4), Turn("r", "B", 3, 6), Turn("r", "A", 8, 9)]


def speakers(*times, turns=TURNS, **options):
    words = [Word("r", "x", start, end) for start, end in times]
    return [word.speaker for word in w.assign_words(words, turns, **options)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(1, 2)], ["A"]),
        ([(2.9, 4.2)], ["B"]),  # 1.1 s of A, 1.2 s of B
        ([(6.2, 6.5)], ["B"]),  # gaps: the nearest
        ([(7.2, 7.5)], ["A"]),
        ([(6.8, 7.2)], ["B"]),  # in the middle of a gap: nobody spoke before, the turn that began last
        ([(1, 2), (6.8, 7.2)], ["A", "A"]),  # in the middle: who said the word before
        ([(3.5, 3.5)], ["B"]),  # no length: the turn around it, of two the later
        ([(10.5, 11)], [None]),  # too far
        ([(2.8, 3.3), (3.3, 3.7)], ["A", "A"]),  # overlap: who said the word before
        ([(2.8, 3.5), (3.1, 3.4)], ["A", "B"]),  # overlap: one word at a time
        ([(2.8, 3.5), (3.1, 3.4), (3.6, 3.8)], ["A", "B", "B"]),
        ([(3.1, 3.4), (3.2, 4.5)], ["A", "B"]),  # a word without a tie is given away first
    ],
)
def test_rules(times, expected):
    assert speakers(*times) == expected


def test_turns_of_one_speaker_add_up():
    turns = [Turn("r", "A", 0, 0.3), Turn("r", "B", 0.3, 0.7), Turn("r", "A", 0.7, 1)]
    assert speakers((0, 1), turns=turns) == ["A"]


def test_how_far_a_turn_may_be():
    assert speakers((9.5, 10), (10.5, 11)) == ["A", None]
    assert speakers((9.5, 10), (10.5, 11), farthest=0.1) == [None, None]
    assert speakers((9.5, 10), (1000, 1001), farthest=1e9) == ["A", "A"]
    assert speakers((0, 1), turns=[]) == [None]


def test_recordings_are_apart():
    words = [Word("b", "y", 0, 1), Word("a", "x", 0, 1, speaker="wrong")]
    turns = [Turn("a", "A", 0, 1), Turn("b", "B", 0, 1)]
    assert [(word.reco, word.speaker) for word in w.assign_words(words, turns)] == [("a", "A"), ("b", "B")]


TIMES = st.tuples(st.integers(0, 100), st.integers(1, 30)).map(lambda pair: (pair[0] / 10, sum(pair) / 10))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), TIMES), max_size=6), st.lists(TIMES, max_size=8), st.randoms())
def test_no_word_is_lost_and_order_does_not_matter(turns, times, random):
    turns = [Turn("r", speaker, *span) for speaker, span in turns]
    words = [Word("r", str(at), *span) for at, span in enumerate(sorted(times))]
    assigned = w.assign_words(words, turns)
    assert [word.text for word in assigned] == [word.text for word in words]
    shuffled = random.sample(turns, len(turns))
    assert [word.speaker for word in w.assign_words(words, shuffled)] == [word.speaker for word in assigned]
    said = [word for one in w.utterances(assigned) for word in one.words]
    assert sorted(said, key=lambda word: int(word.text)) == assigned


@pytest.fixture(scope="module")
def call():
    """Ten simulated calls of three minutes: turns, words with their true speakers, and which words are overlapped."""
    turns = []
    for number in range(10):
        spurts = TurnTaking().draw(180, np.random.default_rng(number))
        turns += [Turn(f"r{number}", "AB"[s.party], round(s.start, 2), round(s.end, 2)) for s in spurts]
    words = make_words(turns, np.random.default_rng(0))
    by_reco = {turn.reco: [other for other in turns if other.reco == turn.reco] for turn in turns}
    overlapped = [
        any(t.speaker != x.speaker and t.start < x.end and t.end > x.start for t in by_reco[x.reco]) for x in words
    ]
    return turns, words, overlapped


def test_known_turns_of_simulated_calls(call):
    """No word outside overlapped speech is wrong, and of those in it few, though turns alone cannot tell them."""
    turns, words, overlapped = call
    found = w.assign_words(words, turns)
    wrong = [word.speaker != true.speaker for word, true in zip(found, words, strict=True)]
    assert len(words) > 4000 and sum(overlapped) > 1000
    assert not any(bad for bad, both in zip(wrong, overlapped, strict=True) if not both)
    assert sum(wrong) < 0.04 * sum(overlapped)


def test_errors_count_words_whatever_speakers_are_called():
    true = [Word("r", str(at), at, at + 1, speaker=name) for at, name in enumerate("AAABB")]
    found = [Word("r", str(at), at, at + 1, speaker=name) for at, name in enumerate(["2", "2", "1", "1", None])]
    assert word_errors(true, found) == WordErrors(5, 2)
    assert (WordErrors(5, 2) + WordErrors(3, 0)).rate == 0.25
    assert WordErrors().rate is None
    with pytest.raises(ValueError, match="same words"):
        word_errors(true, found[1:])


def test_meeteval_agrees(call, tmp_path, need_module):
    """Every word has its own text: a wrong speaker is a deletion and an insertion, or half of two substitutions."""
    meeteval = need_module("meeteval")
    turns, words, _ = call
    own = [word for word in words if word.reco in ("r0", "r1")]
    swapped = [Turn(t.reco, {"A": "2", "B": "1"}[t.speaker], max(0, t.start - 0.4), t.end - 0.4) for t in turns]
    errors = {}
    for name, given_turns in (("known", turns), ("late", swapped)):
        found = w.assign_words(own, given_turns)
        for folder, content in (("ref", own), (name, found)):
            w.write_words(content, tmp_path / folder, ["stm"])
        rate = meeteval.wer.combine_error_rates(
            meeteval.wer.cpwer(
                meeteval.io.load(tmp_path / "ref/words.stm"), meeteval.io.load(tmp_path / name / "words.stm")
            )
        )
        each = [
            word_errors([x for x in own if x.reco == reco], [x for x in found if x.reco == reco])
            for reco in ("r0", "r1")
        ]
        errors[name] = sum(each, WordErrors())
        missed = rate.deletions + rate.insertions + 2 * rate.substitutions
        assert (rate.length, missed) == (len(own), 2 * errors[name].wrong)
    assert errors["known"].wrong < errors["late"].wrong


WORDS = [
    Word("r", "So,", 0.0, 0.3, 0.9, speaker="1"),
    Word("r", "a<b", 0.4, 0.7, speaker="1"),
    Word("r", "mhm", 0.5, 0.8, speaker="Zoë"),
    Word("r", "well", 0.9, 1.2, speaker="1"),
    Word("r", "yes", 1.3, 1.4, speaker="Zoë"),
    Word("r", "right", 1.5, 1.7, speaker="1"),
    Word("r", "later", 2.5, 2.7, speaker="1"),
    Word("r", "hm", 9.0, 9.2),
]


def test_utterances():
    """They end at a long pause and where somebody takes over in it, not where somebody only talks at the same time."""
    found = [(one.speaker, one.text) for one in w.utterances(WORDS)]
    assert found == [
        ("1", "So, a<b well"),
        ("Zoë", "mhm"),
        ("Zoë", "yes"),
        ("1", "right"),
        ("1", "later"),
        (None, "hm"),
    ]
    words = [Word("r", "abcdefghi", at, at + 1, speaker="1") for at in range(30)]
    assert [len(one.words) for one in w.utterances(words)] == [8, 8, 8, 6]
    assert [len(one.words) for one in w.utterances(words, None)] == [30]
    phrases = [Word("r", "x", at, at + 1, phrase=at // 2, glued=True, speaker="1") for at in range(4)]
    assert [one.text for one in w.utterances(phrases)] == ["xx", "xx"]


def test_files_say_what_the_words_say(tmp_path):
    w.write_words(WORDS, tmp_path, list(w.FILE_NAMES))
    rows = [line.split() for line in (tmp_path / "words.ctm").read_text().splitlines()]
    assert [row[4] for row in rows] == [word.text for word in WORDS]
    assert rows[0] == ["r", "1", "0.000", "0.300", "So,", "0.900", "lex", "1"]
    assert rows[-1][5:] == ["NA", "lex", "unknown"]
    lines = (tmp_path / "words.stm").read_text().splitlines()
    assert lines[0] == "r 1 1 0.000 1.200 So, a<b well"
    segments = json.loads((tmp_path / "r.json").read_text())["segments"]
    assert segments[0] | {"words": []} == {"start": 0, "end": 1.2, "text": "So, a<b well", "words": [], "speaker": "1"}
    assert segments[0]["words"][0] == {"start": 0, "end": 0.3, "word": "So,", "score": 0.9, "speaker": "1"}
    assert "speaker" not in segments[-1]
    for name in ("words.ctm", "r.json", "r.vtt"):
        again = sorted((word.start, word.text) for word in read_transcript(tmp_path / name))
        assert [text for _, text in again] == [word.text for word in WORDS], name


def test_captions_in_a_library(tmp_path, need_module):
    webvtt = need_module("webvtt")
    w.write_words(WORDS, tmp_path, ["srt", "vtt"])
    captions = webvtt.read(str(tmp_path / "r.vtt"))
    assert [(c.voice, c.text) for c in captions][:2] == [("1", "So, a&lt;b well"), ("Zoë", "mhm")]
    captions = webvtt.from_srt(str(tmp_path / "r.srt"))
    assert [c.text for c in captions][:2] == ["speaker 1: So, a<b well", "Zoë: mhm"]
    assert captions[-1].text == "hm"
    assert (captions[0].start, captions[0].end) == ("00:00:00.000", "00:00:01.200")


def test_no_such_format(tmp_path):
    with pytest.raises(InputError, match="expected some of: ctm stm json srt vtt, got doc"):
        w.write_words(WORDS, tmp_path / "out", ["doc"])
    assert not (tmp_path / "out").exists()
