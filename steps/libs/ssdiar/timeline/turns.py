"""From labelled sub-segments to turns that cover all speech, each second once."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ssdiar.timeline.regions import merge
from ssdiar.timeline.sides import speaker_name
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped


class Stretch(NamedTuple):
    """A labelled stretch of one recording.

    Attributes:
        start: Seconds.
        end: Seconds.
        label: The speaker's number.
        sure: The probability that it is this speaker; None if it is not known.
    """

    start: float
    end: float
    label: int
    sure: float | None = None


# Turns are written in milliseconds: a gap below half of one is none.
_TOUCH = 0.0005


def turns_of_labels(
    pieces: Iterable[Segment],
    labels: Mapping[str, int],
    unlabelled: Iterable[Segment] = (),
    overlap: Iterable[Segment] = (),
    second_speaker: bool = False,
    sure: Mapping[str, float] | None = None,
    second_sure: tuple[float, float] | None = None,
) -> list[Turn]:
    """Return the turns of all recordings; the speaker of label 1 is ``speaker1`` (:func:`speaker_name`).

    Exactly the time of the given segments is labelled, once; with ``second_speaker``, overlap twice. Sub-segments that
    overlap are cut (:func:`cut_overlaps`). Turns of one speaker that touch are one turn. Without overlapping
    sub-segments and with sub-segments only, the result is that of Kaldi's ``diarization/make_rttm.py``. A turn's
    confidence is the mean probability of its parts, weighted by time: the expected share of its time in which it is
    this speaker.

    Args:
        pieces: Sub-segments with a label each.
        labels: Label by sub-segment id.
        unlabelled: Speech that is too short for a label of its own; it takes the label of the nearest sub-segment in
            time (of two equally near ones the earlier), in a recording without sub-segments label 1. Inside a
            sub-segment, that label stays.
        overlap: Overlapped speech, which took no part in the clustering; it is labelled in the same way.
        second_speaker: Whether overlapped speech also takes the nearest other label of its recording, if there is one.
        sure: The probability that the label is right by sub-segment id, if it is known. Speech that takes its label
            from a sub-segment takes the probability, too.
        second_sure: The probability that the second speaker of overlapped speech is right, in recordings of two
            speakers and in others, if it is known.

    Raises:
        KeyError: A sub-segment has no label, or no probability although they are given; the key is its id.
    """
    piece_groups, short_groups, overlap_groups = by_recording(pieces), by_recording(unlabelled), by_recording(overlap)
    turns = []
    for reco in sorted(piece_groups.keys() | short_groups.keys() | overlap_groups.keys()):
        stretches = cut_overlaps(
            Stretch(piece.start, piece.end, labels[piece.id], None if sure is None else sure[piece.id])
            for piece in piece_groups.get(reco, [])
        )
        nearest = _Nearest(stretches)
        of_second = None
        if second_sure is not None:
            of_second = second_sure[len({stretch.label for stretch in stretches}) > 2]
        for segments, second in ((short_groups, False), (overlap_groups, second_speaker)):
            found = []
            for start, end, label in _parts(segments.get(reco, []), stretches):
                if label is None:
                    found.append(nearest.labelled(start, end))
                if second:
                    first = found[-1].label if label is None else label
                    found += nearest.labelled_otherwise(start, end, first, of_second)
            stretches = sorted(stretches + found)
        turns += _joined(reco, stretches)
    return turns


def close_pauses(turns: Iterable[Turn], gap: float) -> list[Turn]:
    """Return the turns with every speaker's pauses shorter than ``gap`` closed, unless someone else talks in them.

    References mark a turn as speech through its short pauses. A silence between two speakers stays open. The confidence
    of a turn is the mean of its parts' confidences, weighted by time without the pauses.

    Args:
        turns: Turns of any recordings.
        gap: Seconds.
    """
    groups: dict[str, dict[str, list[Turn]]] = {}
    for turn in turns:
        groups.setdefault(turn.reco, {}).setdefault(turn.speaker, []).append(turn)
    closed = []
    for reco, speakers in groups.items():
        speech = merge([(turn.start, turn.end) for before in speakers.values() for turn in before])
        for speaker, before in speakers.items():
            own = merge([(turn.start, turn.end) for turn in before])
            pauses = np.column_stack([own[:-1, 1], own[1:, 0]])
            # A pause is silent if all of it lies between two regions of speech.
            left = np.searchsorted(speech[:, 0], pauses[:, 0], side="right") - 1
            right = np.minimum(left + 1, len(speech) - 1)
            silent = (speech[left, 1] <= pauses[:, 0]) & (speech[right, 0] >= pauses[:, 1])
            short = pauses[:, 1] - pauses[:, 0] < gap
            spans = merge(np.concatenate([own, pauses[silent & short]]))
            closed += _turns(reco, speaker, spans, [(turn.start, turn.end, turn.confidence) for turn in before])
    return sorted(closed, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker))


def rename_speakers(turns: Iterable[Turn], names: Mapping[tuple[str, str], str]) -> list[Turn]:
    """Return the turns with other names, by recording and speaker; if two speakers get one name, turns are joined."""
    found = []
    for reco, own in grouped(turns).items():
        new = [replace(turn, speaker=names.get((reco, turn.speaker), turn.speaker)) for turn in own]
        are_joined = len({turn.speaker for turn in new}) < len({turn.speaker for turn in own})
        found += close_pauses(new, 0) if are_joined else new
    return found


def exclusive_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns of any recordings with one speaker at a time, by recording and time.

    Overlapped speech goes to the turn that began first (of two, the one that ends first), so a turn inside another one
    is left out. Speech recognisers need such turns; pyannote calls them ``exclusive_speaker_diarization``.
    """
    alone: list[Turn] = []
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        at = alone[-1].end if alone and alone[-1].reco == turn.reco else -math.inf
        if turn.end - at >= _TOUCH:
            alone.append(replace(turn, start=max(turn.start, at)))
    return alone


def cut_overlaps(pieces: Iterable[Stretch]) -> list[Stretch]:
    """Return the stretches of one recording in time order, cut so that no two overlap and all their time is kept.

    Two stretches that overlap are cut in the middle of their overlap, as Kaldi's ``make_rttm.py`` does with successive
    windows. A stretch inside another one is kept whole, between two parts of the other (for which Kaldi writes a
    negative duration).
    """
    queue = sorted(pieces)
    result: list[Stretch] = []
    current: Stretch | None = None
    while queue:
        piece = heapq.heappop(queue)
        if current is None:
            current = piece
            continue
        if piece.end <= current.start:
            continue  # it lies in stretches that are cut already
        if piece.start >= current.end:
            cut = piece.start
        elif piece.end < current.end:
            cut = max(piece.start, current.start)
            heapq.heappush(queue, current._replace(start=piece.end))
        else:
            cut = max((piece.start + current.end) / 2, current.start)
        result.append(current._replace(end=min(cut, current.end)))
        current = piece._replace(start=cut)
    if current is not None:
        result.append(current)
    return [stretch for stretch in result if stretch.end > stretch.start]


def _parts(regions: Sequence[Segment], stretches: Sequence[Stretch]) -> list[tuple[float, float, int | None]]:
    """Return the time of the regions, each second once, cut where stretches begin and end.

    Args:
        regions: Regions of one recording, in order.
        stretches: Disjoint and in order.

    Returns:
        (start, end, label of the stretch there or None), in order.
    """
    ends = [stretch.end for stretch in stretches]
    parts: list[tuple[float, float, int | None]] = []
    at = -math.inf
    for region in regions:
        at = max(at, region.start)
        number = bisect_right(ends, at)
        while at < region.end:
            start, end, label, _ = stretches[number] if number < len(stretches) else Stretch(math.inf, math.inf, 0)
            if at < start:
                parts.append((at, min(start, region.end), None))
            else:
                parts.append((at, min(end, region.end), label))
                number += 1
            at = parts[-1][1]
    return parts


class _Nearest:
    """Finds the labels nearest in time to a region; stretches are disjoint and in order."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        # Adjacent stretches of one label are one run, so that the nearest other label is in one of the next runs.
        runs = [list(group) for _, group in groupby(stretches, key=lambda stretch: stretch.label)]
        self._starts = [stretch.start for stretch in stretches]
        self._stretches = stretches
        self._runs = [Stretch(run[0].start, run[-1].end, run[0].label) for run in runs]
        self._run_starts = [run.start for run in self._runs]

    def labelled(self, start: float, end: float) -> Stretch:
        """Return the region with the nearest label, the earlier of two equally near ones; 1 if there is none."""
        before = bisect_right(self._starts, start) - 1
        near = self._stretches[max(before, 0) : before + 2]
        if not near:
            return Stretch(start, end, 1)
        return min(near, key=lambda stretch: _distance(stretch, start, end))._replace(start=start, end=end)

    def labelled_otherwise(self, start: float, end: float, label: int, sure: float | None) -> list[Stretch]:
        """Return the region with the nearest label that is not ``label``, if there is one."""
        before = bisect_right(self._run_starts, start) - 1
        others = [run for run in self._runs[max(before - 1, 0) : before + 3] if run.label != label]
        nearest = min(others, key=lambda run: _distance(run, start, end), default=None)
        return [] if nearest is None else [Stretch(start, end, nearest.label, sure)]


def _distance(stretch: Stretch, start: float, end: float) -> tuple[float, float]:
    """Return the seconds between a stretch and a region, to the microsecond, 0 if they touch; then the start."""
    return max(0.0, round(max(stretch.start - end, start - stretch.end), 6)), stretch.start


def _joined(reco: str, stretches: Iterable[Stretch]) -> list[Turn]:
    """Return the stretches of one recording as turns in time order, a speaker's touching stretches as one."""
    by_label: dict[int, list[tuple[float, float, float | None]]] = {}
    for start, end, label, sure in stretches:
        by_label.setdefault(label, []).append((start, end, sure))
    turns = [
        turn
        for label, own in by_label.items()
        for turn in _turns(reco, speaker_name(label), merge([part[:2] for part in own], _TOUCH), own)
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))


def _turns(
    reco: str, speaker: str, spans: np.ndarray, parts: Sequence[tuple[float, float, float | None]]
) -> list[Turn]:
    """Return a turn for each of a speaker's spans (n, 2), with the mean probability of its parts (start, end, sure).

    Parts without a probability are ignored; a turn with only such parts has no confidence.
    """
    known = np.array([part for part in parts if part[2] is not None and part[1] > part[0]], np.float64).reshape(-1, 3)
    start, seconds, sure = known[:, 0], known[:, 1] - known[:, 0], known[:, 2]
    owner = np.searchsorted(spans[:, 0], start, side="right") - 1
    weights = np.bincount(owner, seconds, len(spans))
    sums = np.bincount(owner, seconds * sure, len(spans))
    return [
        Turn(reco, speaker, float(start), float(end), float(value / weight) if weight else None)
        for (start, end), value, weight in zip(spans, sums, weights, strict=True)
    ]
