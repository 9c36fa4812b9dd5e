"""Where a system is wrong in one recording: what :mod:`ssdiar.scoring.der` counts, as regions to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ssdiar.scoring.der import Cells
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Turn

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


def error_marks(cells: Cells) -> list[Mark]:
    """Return where a system errs in what the protocol scores, by kind and time.

    Their lengths, each times the number of speakers, sum to the seconds that the score has.
    """
    return [mark for kind in KINDS for mark in _runs(kind, getattr(cells, kind) * cells.scored, cells.times)]


def _runs(kind: str, counts: np.ndarray, times: np.ndarray) -> list[Mark]:
    """Return neighbouring cells of one count as one mark."""
    edges = np.flatnonzero(np.diff(counts, prepend=0, append=0)).tolist()
    return [
        Mark(kind, float(times[first]), float(times[last]), int(counts[first]))
        for first, last in pairwise(edges)
        if counts[first] > 0
    ]
