"""Where a system is wrong in one recording, and which of its speakers is which of the reference's: to be shown.

The regions of :func:`error_regions` are those that :mod:`ssdiar.scoring.der` counts: their lengths, each times the
number of speakers, sum to its seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ssdiar.io.rttm import Turn
from ssdiar.regions import covered, intersect, subtract, total
from ssdiar.scoring.der import Protocol, Region, map_speakers

#: Kinds of error in the order in which they are shown.
KINDS = ("miss", "false_alarm", "confusion")


@dataclass(frozen=True)
class Mark:
    """``count`` speakers are missed, falsely heard or confused from ``start`` to ``end`` seconds."""

    kind: str
    start: float
    end: float
    count: int


def by_speaker(turns: Sequence[Turn]) -> dict[str, np.ndarray]:
    """Return each speaker's talk as disjoint (n, 2) regions in order, speakers by name."""
    names = sorted({turn.speaker for turn in turns})
    return {name: covered([(turn.start, turn.end) for turn in turns if turn.speaker == name]) for name in names}


def match_speakers(reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region]) -> dict[str, str]:
    """Return the reference speaker of each system speaker that has one, by the mapping that the DER uses."""
    ref, hyp = by_speaker(reference), by_speaker(system)
    times, ref_talks, sys_talks = _cells(ref, hyp, [regions])
    evaluated = np.diff(times) * _inside(covered(regions), times)
    pairs = map_speakers(ref_talks, sys_talks, evaluated)
    names, hyp_names = list(ref), list(hyp)
    return {
        hyp_names[row]: names[column]
        for column, row in pairs
        if total(intersect(ref[names[column]], hyp[hyp_names[row]]))
    }


def error_regions(
    reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region], protocol: Protocol
) -> list[Mark]:
    """Return where the system errs in what ``protocol`` scores, by kind and time.

    Args:
        reference: Turns of one recording, in any order.
        system: Likewise.
        regions: Evaluated regions in seconds (the UEM's), disjoint.
        protocol: Collar, and whether overlapped speech is left out.
    """
    scored = covered(regions)
    spans = np.array([(turn.start, turn.end) for turn in reference]).reshape(-1, 2)
    if protocol.collar > 0:
        bounds = spans.reshape(-1, 1)
        scored = subtract(scored, np.hstack([bounds - protocol.collar, bounds + protocol.collar]))
    if protocol.ignore_overlap:
        scored = subtract(scored, covered(spans, 2))
    ref, hyp = by_speaker(reference), by_speaker(system)
    times, ref_talks, sys_talks = _cells(ref, hyp, [scored])
    same = np.zeros(max(len(times) - 1, 0), int)
    for hyp_name, ref_name in match_speakers(reference, system, regions).items():
        same += ref_talks[list(ref).index(ref_name)] & sys_talks[list(hyp).index(hyp_name)]
    n_ref, n_sys = ref_talks.sum(0), sys_talks.sum(0)
    counts = {
        "miss": np.maximum(n_ref - n_sys, 0),
        "false_alarm": np.maximum(n_sys - n_ref, 0),
        "confusion": np.minimum(n_ref, n_sys) - same,
    }
    inside = _inside(scored, times)
    return [mark for kind in KINDS for mark in _runs(kind, counts[kind] * inside, times)]


def _cells(
    ref: dict[str, np.ndarray], hyp: dict[str, np.ndarray], others: Sequence[Sequence[Region] | np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut time at every boundary; return the cuts (n,), and who talks between them, (speakers, n - 1) booleans each."""
    everything = [np.reshape(spans, (-1, 2)) for spans in (*ref.values(), *hyp.values(), *others)]
    times = np.unique(np.concatenate(everything)) if everything else np.zeros(0)
    talks = [
        np.array([_inside(spans, times) for spans in group.values()], bool).reshape(len(group), max(len(times) - 1, 0))
        for group in (ref, hyp)
    ]
    return times, talks[0], talks[1]


def _inside(spans: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Tell for each cell between neighbours of ``times`` whether the disjoint, ordered ``spans`` cover it."""
    return np.searchsorted(spans.ravel(), (times[1:] + times[:-1]) / 2, side="right") % 2 == 1


def _runs(kind: str, counts: np.ndarray, times: np.ndarray) -> list[Mark]:
    """Return neighbouring cells of one count as one mark."""
    edges = np.flatnonzero(np.diff(counts, prepend=0, append=0)).tolist()
    return [
        Mark(kind, float(times[first]), float(times[last]), int(counts[first]))
        for first, last in pairwise(edges)
        if counts[first] > 0
    ]
