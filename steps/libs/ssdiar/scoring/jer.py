"""Jaccard error rate (JER), as DIHARD and dscore define it: all speakers have equal weight, however little they talk.

Reference and system speakers are mapped one to one so that the sum of their errors is smallest. The error of a
reference speaker is 1 minus the time in which both of the pair talk as a fraction of the time in which either does, and
1 without a partner. The rate is the mean over the reference speakers of all recordings. The whole evaluated time is
scored, without a collar and including overlapped speech, whatever the protocol of the DER.

Times are exact; dscore rounds them to frames of 10 ms. System speech of a recording without reference speech is not
counted; dscore prints 100 % for such a recording, and does not count it in the total either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.scoring.der import Comparison, Region, boundaries, cover, talks
from ssdiar.timeline.spans import Turn


@dataclass(frozen=True)
class JaccardError:
    """The sum of the errors (each from 0 to 1) of ``speakers`` reference speakers; sum these over recordings."""

    speakers: int = 0
    error: float = 0.0

    def __add__(self, other: JaccardError) -> JaccardError:
        return JaccardError(self.speakers + other.speakers, self.error + other.error)

    @property
    def jer(self) -> float | None:
        """The rate, a fraction; None if no reference speaker is scored."""
        return self.error / self.speakers if self.speakers else None


def jaccard(comparison: Comparison) -> dict[str, JaccardError]:
    """Return the errors of each recording, in order of their ids; ``sum(..., JaccardError())`` pools them."""
    return {reco: jaccard_recording(*comparison.parts(reco)) for reco in comparison.recordings}


def jaccard_recording(reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region]) -> JaccardError:
    """Score the turns of one recording, in any order, within disjoint ``regions`` (seconds)."""
    from scipy.optimize import linear_sum_assignment

    spans = np.reshape(regions, (-1, 2))
    times = boundaries(reference, system, spans)
    seconds = np.diff(times) * cover(spans, times)
    ref, hyp = (rows[rows @ seconds > 0].astype(float) for _, rows in (talks(reference, times), talks(system, times)))
    common = (ref * seconds) @ hyp.T
    errors = 1 - common / (ref @ seconds[:, None] + hyp @ seconds - common)
    rows, columns = linear_sum_assignment(errors)
    return JaccardError(len(ref), float(errors[rows, columns].sum()) + len(ref) - len(rows))
