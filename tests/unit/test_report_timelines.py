"""Timelines: marked errors are those that the DER counts, and a speaker keeps its colour from lane to lane."""

import numpy as np
import pytest

from ssdiar.report.recordings import ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.report.timelines import KINDS, error_marks, lanes_of
from ssdiar.scoring.der import PROTOCOLS, cut_cells, score_recording
from ssdiar.timeline.spans import Turn


def random_turns(rng, speakers, count):
    starts = np.round(rng.uniform(0, 60, count), 2)
    lengths = np.round(rng.exponential(3, count) + 0.01, 2)
    names = rng.choice(list(speakers), count)
    return [Turn("r", str(n), float(s), float(s + d)) for n, s, d in zip(names, starts, lengths, strict=True)]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("seed", range(15))
def test_marks_sum_to_the_der(seed, protocol):
    rng = np.random.default_rng(seed)
    reference, system = random_turns(rng, "ABC"[: 1 + seed % 3], seed), random_turns(rng, "1234", 12)
    regions = [(5.0, 40.0), (42.0, 55.5)]
    marks = error_marks(cut_cells(reference, system, regions, protocol))
    expected = score_recording(reference, system, regions, protocol)
    for kind in KINDS:
        seconds = sum(count * (end - start) for start, end, count in marks[kind])
        assert seconds == pytest.approx(getattr(expected, kind), abs=1e-9)


def test_marks_of_a_known_case():
    reference = [Turn("r", "A", 0, 4), Turn("r", "B", 4, 8)]
    system = [Turn("r", "1", 1, 5), Turn("r", "2", 5, 9)]
    cells = cut_cells(reference, system, [(0, 10)], PROTOCOLS["full"])
    assert cells.matches == {"1": "A", "2": "B"}
    assert error_marks(cells) == {"miss": [(0, 1, 1)], "false_alarm": [(8, 9, 1)], "confusion": [(4, 5, 1)]}


def test_nothing_to_mark():
    turns = [Turn("r", "A", 1, 2)]

    def cells(reference, system, regions):
        return cut_cells(reference, system, regions, PROTOCOLS["full"])

    nothing = {kind: [] for kind in KINDS}
    assert error_marks(cells([], [], [])) == nothing
    assert error_marks(cells(turns, turns, [(0, 3)])) == nothing
    assert error_marks(cells([], turns, [(0, 3)])) == nothing | {"false_alarm": [(1, 2, 1)]}
    assert cells([], turns, [(0, 3)]).matches == {}


def lanes(reference, *systems):
    """Return (speaker, number, reference speaker) of every row of every lane of one recording of 20 s."""
    turns = {f"s{place}": [Turn("r", *turn) for turn in own] for place, own in enumerate(systems)}
    true = None if reference is None else [Turn("r", *turn) for turn in reference]
    reco = ReportRecording("r", 20, None, true, [(0, 20)], turns)
    shown = [ReportSystem(name, None, {}, {}, frozenset(), {}) for name in turns]
    return [[(row["name"], row["number"], row["match"]) for row in lane["rows"]] for lane in lanes_of(reco, shown)]


def test_speakers_have_the_numbers_of_their_reference_speakers():
    reference = [("A", 0, 10), ("B", 10, 20)]
    first = [("2", 0, 9), ("1", 9, 18), ("3", 18, 20)]
    second = [("x", 17, 20), ("y", 0, 10), ("z", 10, 17), ("w", 1, 2)]
    assert lanes(reference, first, second) == [
        [("A", 0, ""), ("B", 1, "")],
        [("2", 0, "A"), ("1", 1, "B"), ("3", 2, "")],
        [("y", 0, "A"), ("z", 1, "B"), ("x", 2, ""), ("w", 3, "")],
    ]


def test_without_reference_speakers_have_the_numbers_of_the_system_before():
    first, second = [("1", 0, 10), ("2", 10, 20)], [("b", 0, 9), ("a", 11, 20), ("c", 9, 11)]
    assert lanes(None, first, second) == [[("1", 0, ""), ("2", 1, "")], [("b", 0, ""), ("a", 1, ""), ("c", 2, "")]]
    assert lanes(None, [], second) == [[], [("a", 0, ""), ("b", 1, ""), ("c", 2, "")]]
