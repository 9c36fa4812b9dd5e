"""From labelled pieces to turns: who speaks when, with no speech left out and nothing said twice."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from ssdiar.io.rttm import Turn
from ssdiar.io.tables import Segment, by_recording
from ssdiar.regions import merge

# A labelled stretch of one recording: start, end (seconds), label.
Stretch = tuple[float, float, int]

#: What the name of every speaker begins with; the label's number follows.
SPEAKER = "speaker"

# Turns are written in milliseconds: what is nearer than half of one touches.
_TOUCH = 0.0005


def turns_of_labels(
    pieces: Iterable[Segment],
    labels: Mapping[str, int],
    unlabelled: Iterable[Segment] = (),
    overlap: Iterable[Segment] = (),
    second_speaker: bool = False,
) -> list[Turn]:
    """Return the turns of all recordings: the speaker of label 1 is ``speaker1`` (:func:`speaker_name`).

    All time of the given segments is labelled once, and no other time; with ``second_speaker``, that of ``overlap``
    twice. Where pieces overlap, they are cut (:func:`cut_overlaps`). Turns of one speaker that touch are one turn.
    Where no pieces overlap and nothing but pieces is given, the result is that of Kaldi's
    ``diarization/make_rttm.py``.

    Args:
        pieces: Sub-segments with a label each.
        labels: Label by sub-segment id.
        unlabelled: Speech that is too short for a label of its own; it takes that of the nearest piece in time, of two
            equally near ones the earlier. In a recording without pieces it is speaker 1. Where it lies in a piece, the
            piece's label stays.
        overlap: Overlapped speech, which took no part in the clustering; the same goes for it.
        second_speaker: Whether overlapped speech also takes the nearest other label of its recording, if there is one.

    Raises:
        KeyError: A piece has no label; the key is its id.
    """
    piece_groups, short_groups, overlap_groups = by_recording(pieces), by_recording(unlabelled), by_recording(overlap)
    turns = []
    for reco in sorted(piece_groups.keys() | short_groups.keys() | overlap_groups.keys()):
        labelled = [(piece.start, piece.end, labels[piece.id]) for piece in piece_groups.get(reco, [])]
        stretches = cut_overlaps(labelled)
        nearest = _Nearest(stretches)
        for segments, number in ((short_groups, 1), (overlap_groups, 2 if second_speaker else 1)):
            found = []
            for start, end, label in _parts(segments.get(reco, []), stretches):
                first = nearest.label(start, end) if label is None else label
                labels_there = [first, *nearest.other_label(start, end, first)][:number]
                found += [(start, end, one) for one in labels_there if one != label]
            stretches = sorted(stretches + found)
        turns += _joined(reco, stretches)
    return turns


def speaker_name(label: int) -> str:
    """Return what the RTTM calls the speaker of a label."""
    return f"{SPEAKER}{label}"


def close_pauses(turns: Iterable[Turn], gap: float) -> list[Turn]:
    """Return the turns with every speaker's pauses shorter than ``gap`` closed, unless somebody else talks in them.

    References mark a turn as speech through its short pauses. A silence between two speakers stays one.

    Args:
        turns: Of any recordings.
        gap: Seconds.
    """
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for turn in turns:
        groups.setdefault(turn.reco, {}).setdefault(turn.speaker, []).append((turn.start, turn.end))
    closed = []
    for reco, speakers in groups.items():
        anybody = merge([region for regions in speakers.values() for region in regions])
        for speaker, regions in speakers.items():
            own = merge(regions)
            pauses = np.column_stack([own[:-1, 1], own[1:, 0]])
            # Nobody talks in a pause if all of it lies in one silence of everybody.
            before = np.searchsorted(anybody[:, 0], pauses[:, 0], side="right") - 1
            after = np.minimum(before + 1, len(anybody) - 1)
            silent = (anybody[before, 1] <= pauses[:, 0]) & (anybody[after, 0] >= pauses[:, 1])
            short = pauses[:, 1] - pauses[:, 0] < gap
            spans = merge(np.concatenate([own, pauses[silent & short]]))
            closed += [Turn(reco, speaker, float(start), float(end)) for start, end in spans]
    return sorted(closed, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker))


def cut_overlaps(pieces: Iterable[Stretch]) -> list[Stretch]:
    """Return the pieces of one recording in time order, cut so that no two overlap and all of their time is kept.

    Two pieces that overlap are cut in the middle of their overlap, as Kaldi's ``make_rttm.py`` does with successive
    pieces of a sliding window. A piece that lies inside another one is kept whole, between the two parts of the other
    (where Kaldi writes a negative duration).
    """
    queue = sorted(pieces)
    result: list[Stretch] = []
    current: Stretch | None = None
    while queue:
        start, end, label = heapq.heappop(queue)
        if current is None:
            current = (start, end, label)
            continue
        if end <= current[0]:
            continue  # all of it lies in what is cut already
        if start >= current[1]:
            cut = start
        elif end < current[1]:
            cut = max(start, current[0])
            heapq.heappush(queue, (end, current[1], current[2]))
        else:
            cut = max((start + current[1]) / 2, current[0])
        result.append((current[0], min(cut, current[1]), current[2]))
        current = (cut, end, label)
    if current is not None:
        result.append(current)
    return [stretch for stretch in result if stretch[1] > stretch[0]]


def _parts(regions: Sequence[Segment], stretches: Sequence[Stretch]) -> list[tuple[float, float, int | None]]:
    """Return the time of the regions, each second once, cut where stretches begin and end.

    Args:
        regions: Of one recording, in order.
        stretches: Disjoint and in order.

    Returns:
        (start, end, label of the stretch there; None where there is none), in order.
    """
    ends = [stretch[1] for stretch in stretches]
    parts: list[tuple[float, float, int | None]] = []
    at = -math.inf
    for region in regions:
        at = max(at, region.start)
        number = bisect_right(ends, at)
        while at < region.end:
            start, end, label = stretches[number] if number < len(stretches) else (math.inf, math.inf, 0)
            if at < start:
                parts.append((at, min(start, region.end), None))
            else:
                parts.append((at, min(end, region.end), label))
                number += 1
            at = parts[-1][1]
    return parts


class _Nearest:
    """Finds the labels that are nearest in time to a region; stretches are disjoint and in order."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        # Neighbours with the same label are one run: the nearest other label is then always in one of the next runs.
        runs = [list(group) for _, group in groupby(stretches, key=lambda stretch: stretch[2])]
        self._starts = [stretch[0] for stretch in stretches]
        self._stretches = stretches
        self._runs = [(run[0][0], run[-1][1], run[0][2]) for run in runs]
        self._run_starts = [run[0] for run in self._runs]

    def label(self, start: float, end: float) -> int:
        """Return the nearest label, of two equally near ones the earlier; 1 if there is none."""
        before = bisect_right(self._starts, start) - 1
        near = self._stretches[max(before, 0) : before + 2]
        return min(near, key=lambda stretch: (_distance(stretch, start, end), stretch[0]))[2] if near else 1

    def other_label(self, start: float, end: float, label: int) -> list[int]:
        """Return the nearest label that is not ``label``, if there is one."""
        before = bisect_right(self._run_starts, start) - 1
        others = [run for run in self._runs[max(before - 1, 0) : before + 3] if run[2] != label]
        return [min(others, key=lambda run: (_distance(run, start, end), run[0]))[2]] if others else []


def _distance(stretch: Stretch, start: float, end: float) -> float:
    """Return the seconds between a stretch and a region, to the microsecond; 0 if they touch or overlap."""
    return max(0.0, round(max(stretch[0] - end, start - stretch[1]), 6))


def _joined(reco: str, stretches: Iterable[Stretch]) -> list[Turn]:
    """Return the stretches of one recording as turns, those of a speaker that touch as one, in time order."""
    by_label: dict[int, list[tuple[float, float]]] = {}
    for start, end, label in stretches:
        by_label.setdefault(label, []).append((start, end))
    turns = [
        Turn(reco, speaker_name(label), float(start), float(end))
        for label, regions in by_label.items()
        for start, end in merge(regions, _TOUCH)
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
