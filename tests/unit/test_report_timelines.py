"""Timelines: a speaker keeps its colour from lane to lane."""

from ssdiar.report.recordings import ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.report.timelines import lanes_of
from ssdiar.timeline.spans import Turn


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
