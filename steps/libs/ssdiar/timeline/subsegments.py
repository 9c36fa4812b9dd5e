"""Cutting speech regions into sub-segments, which get one x-vector each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ssdiar.timeline.regions import hundredths
from ssdiar.timeline.spans import Segment


def segment_id(reco: str, start: int, end: int) -> str:
    """Return the id of a region or sub-segment of ``reco`` from its times in hundredths of a second."""
    return f"{reco}-{start:07d}-{end:07d}"


def segments_of(reco: str, regions: Iterable[Sequence[int]]) -> list[Segment]:
    """Return regions of a recording, in hundredths of a second, as segments."""
    return [Segment(segment_id(reco, start, end), reco, start / 100, end / 100) for start, end in regions]


def make_subsegments(
    segments: Sequence[Segment], window: int = 75, period: int = 75, min_segment: int = 50
) -> list[Segment]:
    """Cut speech regions into sub-segments of ``window``, one every ``period``.

    The rule of Kaldi's ``get_uniform_subsegments.py --constant-duration=true``: windows follow each other while more
    than one is left of the region. The rest is a sub-segment of its own, unless it is shorter than ``min_segment``:
    then the last sub-segment is the last window of the region (and overlaps the one before). A region no longer than
    a window is one sub-segment.

    Args:
        segments: Speech regions; their times are rounded to hundredths of a second.
        window: Length of a sub-segment, in hundredths of a second.
        period: From one start to the next, in hundredths; at most ``window``.
        min_segment: Minimum length of a last sub-segment, in hundredths; at most ``window``.

    Returns:
        Sub-segments with their region, in the order of the regions, then of time, no two with the same recording and
        times; ids by :func:`segment_id`. A region that rounds to nothing has none.

    Raises:
        ValueError: Not 0 < period <= window, or not 0 <= min_segment <= window.
    """
    if not 0 < period <= window or not 0 <= min_segment <= window:
        raise ValueError("expected 0 < period <= window and 0 <= min_segment <= window")
    times = hundredths([(segment.start, segment.end) for segment in segments]).astype(np.int64).reshape(-1, 2)
    owners = np.flatnonzero(times[:, 1] > times[:, 0])
    starts, lengths = times[owners, 0], times[owners, 1] - times[owners, 0]
    # Whole windows: one every period while more than a window is left; then the rest.
    whole = np.maximum(0, -(-(lengths - window) // period))
    count = whole + 1
    first = np.cumsum(count) - count
    place = np.arange(count.sum()) - np.repeat(first, count)
    begin = np.repeat(starts, count) + place * period
    end = begin + window
    last = first + whole
    left = lengths - whole * period
    end[last] = starts + lengths
    begin[last] = np.where(left < min_segment, np.maximum(starts, end[last] - window), begin[last])
    found: dict[tuple[str, int, int], str] = {}
    for owner, start, stop in zip(np.repeat(owners, count), begin.tolist(), end.tolist(), strict=True):
        found.setdefault((segments[owner].reco, start, stop), segments[owner].id)
    return [
        Segment(segment_id(reco, start, stop), reco, start / 100, stop / 100, region)
        for (reco, start, stop), region in found.items()
    ]


def split_short(segments: Sequence[Segment], shortest: int = 10) -> tuple[list[Segment], list[Segment]]:
    """Separate sub-segments that are long enough for an x-vector from those that are not.

    Args:
        segments: Sub-segments of any recordings.
        shortest: Hundredths of a second.

    Returns:
        carriers: Sub-segments of at least ``shortest``. A recording without any keeps its longest one (the first of
            several), so that a recording with speech always has an x-vector.
        short: The others.
    """
    lengths = {segment.id: round(segment.duration * 100) for segment in segments}
    carriers = {segment.id for segment in segments if lengths[segment.id] >= shortest}
    served = {segment.reco for segment in segments if segment.id in carriers}
    longest: dict[str, Segment] = {}
    for segment in segments:
        best = longest.get(segment.reco)
        if best is None or lengths[segment.id] > lengths[best.id]:
            longest[segment.reco] = segment
    carriers |= {segment.id for reco, segment in longest.items() if reco not in served}
    return [s for s in segments if s.id in carriers], [s for s in segments if s.id not in carriers]
