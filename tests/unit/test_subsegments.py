"""Cutting regions into pieces, against the tail rule written out in plain words."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiar.timeline.spans import Segment
from ssdiar.timeline.subsegments import make_subsegments, segment_id, split_short


def region(start, end, reco="a"):
    return Segment(segment_id(reco, start, end), reco, start / 100, end / 100)


def cut(start, end, window=75, period=75, min_segment=50):
    return [
        (round(p.start * 100), round(p.end * 100))
        for p in make_subsegments([region(start, end)], window, period, min_segment)
    ]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (3, [(0, 3)]),
        (75, [(0, 75)]),
        (76, [(0, 75), (1, 76)]),
        (124, [(0, 75), (49, 124)]),
        (125, [(0, 75), (75, 125)]),
        (150, [(0, 75), (75, 150)]),
        (151, [(0, 75), (75, 150), (76, 151)]),
    ],
)
def test_tail_rule(end, expected):
    assert cut(0, end) == expected


def test_sliding_windows():
    assert cut(1000, 1300, 150, 75) == [(1000, 1150), (1075, 1225), (1150, 1300)]
    assert cut(0, 230, 150, 75) == [(0, 150), (75, 225), (150, 230)]


@pytest.mark.parametrize("seed", range(20))
def test_random_regions_follow_the_rule(seed):
    rng = random.Random(seed)
    window = rng.choice([75, 100, 150])
    period, least = rng.randrange(10, window + 1), rng.randrange(window + 1)
    start = rng.randrange(1000)
    end = start + rng.randrange(1, 1000)
    expected, at = [], start
    while end - at > window:
        expected.append((at, at + window))
        at += period
    expected.append((max(start, end - window) if end - at < least else at, end))
    # The last window of the region may be the piece before it: it is there once.
    assert cut(start, end, window, period, least) == list(dict.fromkeys(expected))


REGIONS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(0, 400)), max_size=6)
CUTS = st.integers(1, 200).flatmap(lambda w: st.tuples(st.just(w), st.integers(1, w), st.integers(0, w)))


def hundredths_of(segments):
    return {
        (segment.reco, tick)
        for segment in segments
        for tick in range(round(segment.start * 100), round(segment.end * 100))
    }


@settings(max_examples=100, deadline=None)
@given(REGIONS, CUTS, st.integers(0, 100))
def test_no_speech_is_lost_and_every_piece_has_one_place(regions, options, least):
    speech = [region(start, start + length, reco) for reco, start, length in regions]
    pieces = make_subsegments(speech, *options)
    assert hundredths_of(pieces) == hundredths_of(speech)
    assert len({piece.id for piece in pieces}) == len({(p.reco, p.start, p.end) for p in pieces}) == len(pieces)
    assert all(0 < round(piece.duration * 100) <= options[0] for piece in pieces)
    carriers, short = split_short(pieces, least)
    assert sorted(piece.id for piece in carriers + short) == sorted(piece.id for piece in pieces)
    assert {piece.reco for piece in carriers} == {piece.reco for piece in pieces}


def test_every_piece_has_an_id_of_its_own_and_times_on_the_grid():
    pieces = make_subsegments([region(0, 200), region(200, 201), region(50, 200), region(0, 200, "b")])
    assert len({piece.id for piece in pieces}) == len(pieces)
    assert [p.id for p in pieces if p.reco == "b"] == ["b-0000000-0000075", "b-0000075-0000150", "b-0000150-0000200"]
    assert make_subsegments([Segment("x", "a", 1.001, 1.004)]) == []
    assert make_subsegments([]) == []


@pytest.mark.parametrize("options", [(75, 0, 50), (75, 76, 50), (75, 75, 76), (75, 75, -1)])
def test_options_that_would_lose_speech(options):
    with pytest.raises(ValueError, match="expected 0 < period"):
        make_subsegments([region(0, 100)], *options)


def test_short_pieces_go_apart_but_never_all_of_a_recording():
    pieces = [region(0, 9), region(20, 30), region(5, 9, "b"), region(10, 18, "b"), region(30, 38, "b")]
    carriers, short = split_short(pieces, 10)
    assert [piece.id for piece in carriers] == ["a-0000020-0000030", "b-0000010-0000018"]
    assert [piece.id for piece in short] == ["a-0000000-0000009", "b-0000005-0000009", "b-0000030-0000038"]


def test_many_pieces_in_linear_time():
    regions = [region(at, at + 300) for at in range(0, 3_000_000, 300)]
    started = time.process_time()
    assert len(make_subsegments(regions)) == 40_000
    assert time.process_time() - started < 2
