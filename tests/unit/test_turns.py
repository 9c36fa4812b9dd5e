"""From labels to turns: Kaldi's result where Kaldi has one, all speech labelled, nothing twice."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiar.io.rttm import write_rttm
from ssdiar.timeline.regions import total
from ssdiar.timeline.sides import speaker_name
from ssdiar.timeline.spans import Segment, Turn
from ssdiar.timeline.turns import Stretch, close_pauses, cut_overlaps, exclusive_turns, turns_of_labels

# Segments and labels, and what Kaldi's diarization/make_rttm.py --rttm-channel 1 makes of them (padding taken out).
# It names a speaker by the label's bare number.
KALDI_PIECES = """\
a 0.000 1.500 1
a 0.750 2.250 2
a 1.500 3.000 2
a 5.000 5.750 1
a 5.750 6.200 1
b 0.100 0.850 2
b 0.850 1.600 1
b 1.200 1.950 2
"""
KALDI_RTTM = """\
SPEAKER a 1 0.000 1.125 <NA> <NA> 1 <NA> <NA>
SPEAKER a 1 1.125 1.875 <NA> <NA> 2 <NA> <NA>
SPEAKER a 1 5.000 1.200 <NA> <NA> 1 <NA> <NA>
SPEAKER b 1 0.100 0.750 <NA> <NA> 2 <NA> <NA>
SPEAKER b 1 0.850 0.550 <NA> <NA> 1 <NA> <NA>
SPEAKER b 1 1.400 0.550 <NA> <NA> 2 <NA> <NA>
"""


def labelled(text):
    rows = [line.split() for line in text.splitlines()]
    pieces = [Segment(f"{r}-{n}", r, float(s), float(e)) for n, (r, s, e, _) in enumerate(rows)]
    return pieces, {piece.id: int(row[3]) for piece, row in zip(pieces, rows, strict=True)}


def spoken(text, unlabelled=(), overlap=(), second_speaker=False):
    extra = [[Segment(f"x{s}", "a", s, e) for s, e in regions] for regions in (unlabelled, overlap)]
    turns = turns_of_labels(*labelled(text), *extra, second_speaker)
    return [(turn.speaker.removeprefix("speaker"), round(turn.start, 3), round(turn.end, 3)) for turn in turns]


def test_equal_to_kaldi(tmp_path):
    write_rttm(tmp_path / "rttm", turns_of_labels(*labelled(KALDI_PIECES)))
    assert (tmp_path / "rttm").read_text() == KALDI_RTTM.replace("<NA> <NA> ", "<NA> <NA> speaker", 6)


def test_piece_inside_another_one():
    assert spoken("a 0 10 1\na 2 3 2\n") == [("1", 0, 2), ("2", 2, 3), ("1", 3, 10)]


@pytest.mark.parametrize("seed", range(30))
def test_cutting_keeps_all_time_and_no_overlap(seed):
    rng = random.Random(seed)
    pieces = [Stretch(s, s + rng.randrange(1, 30), rng.randrange(3)) for s in (rng.randrange(60) for _ in range(12))]
    result = cut_overlaps(pieces)
    assert all(start < end for start, end, *_ in result)
    assert all(before[1] <= after[0] for before, after in pairwise(result))
    covered = {tick / 4 for s, e, *_ in pieces for tick in range(4 * s, 4 * e)}
    kept = {tick / 4 for tick in range(400) if any(s <= tick / 4 < e for s, e, *_ in result)}
    assert kept == covered


def test_speech_without_label_takes_the_nearest_one():
    pieces = "a 0 1 1\na 2 3 2\n"
    assert spoken(pieces, unlabelled=[(1.0, 1.3), (1.8, 2.0)]) == [("1", 0, 1.3), ("2", 1.8, 3)]
    assert spoken(pieces, unlabelled=[(1.4, 1.6)]) == [("1", 0, 1), ("1", 1.4, 1.6), ("2", 2, 3)]
    assert spoken(pieces, unlabelled=[(4.0, 4.5)]) == [("1", 0, 1), ("2", 2, 3), ("2", 4, 4.5)]
    assert spoken("a 2 3 2\n", overlap=[(1.0, 2.0)]) == [("2", 1, 3)]


def test_second_speaker_in_overlap():
    pieces = "a 0 1 1\na 1.5 2 1\na 3 4 2\na 9 10 3\n"
    assert spoken(pieces, overlap=[(2.0, 2.5)], second_speaker=True) == [
        ("1", 0, 1),
        ("1", 1.5, 2.5),
        ("2", 2.0, 2.5),
        ("2", 3, 4),
        ("3", 9, 10),
    ]
    assert spoken(pieces, overlap=[(2.0, 2.5)]) == [("1", 0, 1), ("1", 1.5, 2.5), ("2", 3, 4), ("3", 9, 10)]
    # Only overlapped speech has two speakers, and only where there are two.
    assert spoken(pieces, unlabelled=[(2.0, 2.5)], second_speaker=True)[1] == ("1", 1.5, 2.5)
    assert spoken("a 0 1 1\n", overlap=[(1.0, 2.0)], second_speaker=True) == [("1", 0, 2)]


def test_recording_with_nothing_but_speech_that_has_no_label():
    assert spoken("", overlap=[(1.0, 2.0)], second_speaker=True) == [("1", 1, 2)]
    assert spoken("") == []


def test_two_regions_after_the_last_piece():
    """Each once took the other for a piece, and failed."""
    assert spoken("a 0 1 1\n", overlap=[(2.0, 2.5), (3.0, 3.5)]) == [("1", 0, 1), ("1", 2, 2.5), ("1", 3, 3.5)]
    pieces = "a 0 1 1\na 1 2 2\n"
    turns = [("1", 0, 1), ("2", 1, 2), ("2", 3, 3.1), ("2", 4, 5)]
    assert spoken(pieces, unlabelled=[(3.0, 3.1)], overlap=[(4.0, 5.0)]) == turns


def test_regions_that_lie_on_labelled_speech_add_no_first_speaker():
    pieces = "a 0 1 1\na 1 2 2\na 2 3 3\n"
    assert spoken(pieces, unlabelled=[(0.5, 3.2)]) == [("1", 0, 1), ("2", 1, 2), ("3", 2, 3.2)]
    assert spoken(pieces, overlap=[(0.5, 1.2), (1.0, 1.5)]) == [("1", 0, 1), ("2", 1, 2), ("3", 2, 3)]
    assert spoken("a 0 1 1\na 1 2 2\n", overlap=[(0.5, 1.2)], second_speaker=True) == [("1", 0, 1.2), ("2", 0.5, 2)]


def as_segments(regions, kind):
    return [Segment(f"{kind}{n}", "a", start / 50, (start + length) / 50) for n, (start, length) in enumerate(regions)]


def ticks(start, end):
    """The hundredths between two times; pieces lie on every second one, so that they are cut at whole ones."""
    return range(round(start * 100), round(end * 100))


REGIONS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15)), max_size=7)
PIECES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15), st.integers(1, 3)), max_size=9)


@settings(max_examples=150, deadline=None)
@given(PIECES, REGIONS, REGIONS, st.booleans())
def test_every_second_of_speech_is_labelled_once_and_no_other(pieces, short, overlap, second_speaker):
    segments = [as_segments([piece[:2] for piece in pieces], "p"), as_segments(short, "s"), as_segments(overlap, "o")]
    labels = {f"p{n}": label for n, (_, _, label) in enumerate(pieces)}
    turns = turns_of_labels(segments[0], labels, *segments[1:], second_speaker)
    spoken = [{tick for segment in some for tick in ticks(segment.start, segment.end)} for some in segments]
    # Of three pieces at one time one may get none of it, so that its speaker is nobody's second one.
    many = len({turn.speaker for turn in turns_of_labels(segments[0], labels)}) > 1 and second_speaker
    expected = Counter(set.union(*spoken)) + Counter(spoken[2] if many else ())
    assert Counter(tick for turn in turns for tick in ticks(turn.start, turn.end)) == expected
    own: dict[int, set[str]] = {}
    for segment in segments[0]:
        for tick in ticks(segment.start, segment.end):
            own.setdefault(tick, set()).add(speaker_name(labels[segment.id]))
    for turn in turns:
        assert all(turn.speaker in own.get(tick, {turn.speaker}) for tick in {*ticks(turn.start, turn.end)} - spoken[2])


TIMES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20), st.integers(1, 3)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.tuples(TIMES, TIMES, TIMES))
def test_times_off_the_grid_are_labelled_once_too(kinds):
    segments = [
        [Segment(f"{kind}{n}", "a", start, start + length) for n, (start, length, _) in enumerate(some)]
        for kind, some in zip("pso", kinds, strict=True)
    ]
    labels = {f"p{n}": label for n, (_, _, label) in enumerate(kinds[0])}
    turns = turns_of_labels(segments[0], labels, *segments[1:])
    speech = [(segment.start, segment.end) for some in segments for segment in some]
    # Gaps of less than half a millisecond in a speaker's turn are closed.
    assert sum(turn.end - turn.start for turn in turns) == pytest.approx(total(speech), abs=0.02)
    assert total([(turn.start, turn.end) for turn in turns]) == pytest.approx(total(speech), abs=0.02)


@settings(max_examples=100, deadline=None)
@given(PIECES, st.integers(0, 30))
def test_closing_pauses_adds_short_silences_and_nothing_else(pieces, gap):
    turns = [Turn("a", str(label), start / 50, (start + length) / 50) for start, length, label in pieces if length]
    closed = close_pauses(turns, gap / 50)
    anybody = {tick for turn in turns for tick in ticks(turn.start, turn.end)}
    for speaker in "123":
        before, after = (
            {tick for turn in some if turn.speaker == speaker for tick in ticks(turn.start, turn.end)}
            for some in (turns, closed)
        )
        assert before <= after and not (after - before) & anybody
        own = [turn for turn in closed if turn.speaker == speaker]
        assert all(a.end < b.start for a, b in pairwise(own))


def test_touching_to_the_millisecond_is_touching():
    assert spoken("a 0 1.0001 1\na 1.0002 2 1\na 2.002 3 1\n") == [("1", 0, 2), ("1", 2.002, 3)]


def test_piece_without_label():
    pieces, labels = labelled("a 0 1 1\n")
    with pytest.raises(KeyError, match="a-0"):
        turns_of_labels(pieces, dict.fromkeys(labels.keys() - {"a-0"}, 1))


def test_pauses_of_one_speaker_are_closed_and_silences_between_two_are_not():
    turns = [
        Turn("a", "1", 0.0, 1.0),
        Turn("a", "1", 1.5, 2.0),  # after a short pause
        Turn("a", "2", 2.2, 3.0),  # after another speaker
        Turn("a", "2", 4.0, 5.0),  # after a long pause
        Turn("a", "2", 5.3, 6.0),  # after a short one in which speaker 1 talks
        Turn("a", "1", 5.1, 5.2),
        Turn("b", "2", 6.2, 6.4),  # in another recording
    ]
    closed = [(turn.reco, turn.speaker, turn.start, turn.end) for turn in close_pauses(turns, 0.8)]
    assert closed == [
        ("a", "1", 0.0, 2.0),
        ("a", "2", 2.2, 3.0),
        ("a", "2", 4.0, 5.0),
        ("a", "1", 5.1, 5.2),
        ("a", "2", 5.3, 6.0),
        ("b", "2", 6.2, 6.4),
    ]
    assert close_pauses(turns, 0.0) == sorted(turns, key=lambda turn: (turn.reco, turn.start))
    assert close_pauses([], 1.0) == []


def test_a_pause_that_somebody_talks_through_to_the_end_stays():
    turns = [Turn("a", "1", 0.0, 1.0), Turn("a", "2", 0.5, 3.0), Turn("a", "1", 1.5, 2.0)]
    assert len(close_pauses(turns, 1.0)) == 3


def test_a_turn_is_as_sure_as_what_it_is_made_of():
    pieces, labels = labelled("a 0 1 1\na 1 3 1\na 3 4 2\na 5 6 2\n")
    sure = {piece.id: value for piece, value in zip(pieces, (0.6, 0.9, 0.5, 0.7), strict=True)}
    short = [Segment("s", "a", 6.0, 6.5)]  # belongs to the nearest piece, and is as sure
    turns = turns_of_labels(pieces, labels, short, sure=sure)
    assert [(turn.speaker, turn.start, turn.end, round(turn.confidence, 6)) for turn in turns] == [
        ("speaker1", 0, 3, 0.8),
        ("speaker2", 3, 4, 0.5),
        ("speaker2", 5, 6.5, 0.7),
    ]
    closed = close_pauses(turns, 2.0)
    assert [(turn.end, round(turn.confidence, 6)) for turn in closed] == [(3, 0.8), (6.5, 0.62)]  # the pause counts not
    assert {turn.confidence for turn in turns_of_labels(pieces, labels, short)} == {None}
    with pytest.raises(KeyError):
        turns_of_labels(pieces, labels, sure={pieces[0].id: 0.5})


@pytest.mark.parametrize(("third", "expected"), [("", 0.9), ("a 20 21 3\n", 0.7)])
def test_the_second_speaker_is_as_sure_as_experience_says(third, expected):
    pieces, labels = labelled(f"a 0 2 1\na 4 5 2\n{third}")
    sure = {piece.id: 0.6 for piece in pieces}
    overlap = [Segment("o", "a", 1.5, 3.0)]
    turns = turns_of_labels(pieces, labels, (), overlap, True, sure, (0.9, 0.7))
    assert [(turn.speaker, round(turn.confidence, 6)) for turn in turns[:2]] == [
        ("speaker1", 0.6),
        ("speaker2", expected),
    ]
    # What nothing is known of does not count: the touching second speaker, where nobody measured it.
    touching = turns_of_labels(pieces, labels, (), [Segment("o", "a", 1.5, 4.0)], True, sure)
    assert [round(turn.confidence, 6) for turn in touching[:2]] == [0.6, 0.6]
    alone = turns_of_labels(pieces, labels, (), overlap, True, sure)
    assert alone[1].confidence is None


def test_speech_of_a_recording_without_pieces_is_not_known_to_be_sure():
    turns = turns_of_labels([], {}, [Segment("s", "a", 0.0, 0.3)], sure={}, second_sure=(0.9, 0.7))
    assert turns == [Turn("a", "speaker1", 0.0, 0.3)]


def test_exclusive_turns_have_one_speaker_at_a_time_and_lose_no_time():
    rows = [
        ("a", "x", 0, 10),
        ("a", "y", 4, 5),
        ("a", "y", 8, 12),
        ("a", "x", 12, 13),
        ("b", "x", 3, 4),
        ("b", "y", 3, 6),
    ]
    turns = exclusive_turns(Turn(*row) for row in reversed(rows))
    assert [(turn.reco, turn.speaker, turn.start, turn.end) for turn in turns] == [
        *(("a", "x", 0, 10), ("a", "y", 10, 12), ("a", "x", 12, 13), ("b", "x", 3, 4), ("b", "y", 4, 6))
    ]
    assert exclusive_turns(turns) == turns
