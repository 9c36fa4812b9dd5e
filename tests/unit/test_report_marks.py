"""The regions marked as errors are those that the DER counts, whatever the turns, regions and protocol."""

import numpy as np
import pytest

from ssdiar.report.marks import KINDS, Mark, error_marks
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
        seconds = sum(mark.count * (mark.end - mark.start) for mark in marks if mark.kind == kind)
        assert seconds == pytest.approx(getattr(expected, kind), abs=1e-9)


def test_marks_of_a_known_case():
    reference = [Turn("r", "A", 0, 4), Turn("r", "B", 4, 8)]
    system = [Turn("r", "1", 1, 5), Turn("r", "2", 5, 9)]
    cells = cut_cells(reference, system, [(0, 10)], PROTOCOLS["full"])
    assert cells.matches == {"1": "A", "2": "B"}
    assert error_marks(cells) == [Mark("miss", 0, 1, 1), Mark("false_alarm", 8, 9, 1), Mark("confusion", 4, 5, 1)]


def test_nothing_to_mark():
    turns = [Turn("r", "A", 1, 2)]

    def cells(reference, system, regions):
        return cut_cells(reference, system, regions, PROTOCOLS["full"])

    assert error_marks(cells([], [], [])) == []
    assert error_marks(cells(turns, turns, [(0, 3)])) == []
    assert error_marks(cells([], turns, [(0, 3)])) == [Mark("false_alarm", 1, 2, 1)]
    assert cells([], turns, [(0, 3)]).matches == {}
