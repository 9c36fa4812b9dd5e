"""Jaccard error rate (JER), as DIHARD and dscore define it: every speaker counts alike, however little they say.

Reference and system speakers are mapped one to one so that the sum of their errors is least. The error of a reference
speaker is 1 minus the time in which both of the pair talk as a fraction of the time in which either does; it is 1 for
a speaker without a partner. The rate is the mean over all reference speakers of all recordings. The whole
evaluated time is scored: a JER has no collar and counts overlapped speech, whatever the DER beside it leaves out.

Where dscore rounds times to frames of 10 ms, here they are exact. System speech of a recording without reference speech
does not count; dscore prints 100 % for such a recording, and does not count it in the total either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.scoring.der import Comparison, Region
from ssdiar.timeline.regions import Regions, intersect, total
from ssdiar.timeline.spans import Turn


@dataclass(frozen=True)
class JaccardError:
    """Errors (each from 0 to 1) added up over ``speakers`` reference speakers; sum these over recordings."""

    speakers: int = 0
    error: float = 0.0

    def __add__(self, other: JaccardError) -> JaccardError:
        return JaccardError(self.speakers + other.speakers, self.error + other.error)

    @property
    def jer(self) -> float | None:
        """The rate, a fraction; None where no reference speaker is scored."""
        return self.error / self.speakers if self.speakers else None


def jaccard(comparison: Comparison) -> dict[str, JaccardError]:
    """Return the errors of each recording, in order of their ids; ``sum(..., JaccardError())`` pools them."""
    return {
        reco: jaccard_recording(
            comparison.reference.get(reco, []), comparison.system.get(reco, []), comparison.regions(reco)
        )
        for reco in comparison.recordings
    }


def jaccard_recording(reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region]) -> JaccardError:
    """Score one recording as the module's docstring says.

    Args:
        reference: Reference turns, in any order.
        system: System turns, likewise.
        regions: Evaluated regions in seconds, disjoint.
    """
    from scipy.optimize import linear_sum_assignment

    ref, hyp = _talk(reference, regions), _talk(system, regions)
    errors = np.ones((len(ref), len(hyp)))
    for row, own in enumerate(ref):
        for column, other in enumerate(hyp):
            common = total(intersect(own, other))
            errors[row, column] = 1 - common / (total(own) + total(other) - common)
    rows, columns = linear_sum_assignment(errors)
    return JaccardError(len(ref), float(errors[rows, columns].sum()) + len(ref) - len(rows))


def _talk(turns: Sequence[Turn], regions: Regions) -> list[np.ndarray]:
    """Return the evaluated talk of each speaker who has any, speakers in order of name."""
    names = sorted({turn.speaker for turn in turns})
    talk = [intersect([(turn.start, turn.end) for turn in turns if turn.speaker == name], regions) for name in names]
    return [own for own in talk if len(own)]
