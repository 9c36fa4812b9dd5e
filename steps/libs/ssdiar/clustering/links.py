"""What the segmentation network says about labels: within a window, who is the same and who is another.

Its local speakers mean nothing outside their window, and on the telephone it often takes two voices for one. Where it
hears two, though, there are two: 96 to 99 % of its "another" are right on simulated calls, 84 to 94 % of its "same".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ssdiar.timeline.segmentation import Segmentation

_INSIDE = 0.9  # share of a sub-segment that must lie in a window
_ACTIVE = 0.5  # mean number of talkers that the network must hear in it
_CLEAR_BREACH = 1.0  # of labels against links: half of what labels by chance have
_FEWEST_CANNOT = 0.02  # share of the links that must say "another"


class Breach(NamedTuple):
    """How labels fare against the links.

    Attributes:
        must: Share of "same" that has two labels, in units of what labels by chance have.
        cannot: Share of "another" that has one label, in the same units.
        share_cannot: Of all links, those that say "another".
    """

    must: float
    cannot: float
    share_cannot: float

    @property
    def shows_speakers(self) -> bool:
        """Whether the links speak clearly for these labels, and so for more than one speaker."""
        return self.share_cannot > _FEWEST_CANNOT and self.must + self.cannot < _CLEAR_BREACH


def breach(labels: np.ndarray, times: np.ndarray, segmentation: Segmentation) -> Breach:
    """Compare labels with the network's local speakers, window by window.

    A pair of sub-segments of a window is linked by the cosine c of their mean local activities: "same" by 2 c - 1 where
    that is positive, "another" by 1 - 2 c. Links count by both durations.

    Args:
        labels: (S,) from 0.
        times: (S, 2) seconds.
        segmentation: Of the recording.
    """
    activities = segmentation.activities()
    frames = activities.shape[1]
    sums = np.concatenate([np.zeros_like(activities[:, :1]), np.cumsum(activities, axis=1, dtype=np.float64)], axis=1)
    edges = np.round((times - segmentation.frame_start) / segmentation.frame_step).astype(int)
    duration = times[:, 1] - times[:, 0]
    order = np.argsort(times[:, 0], kind="stable")
    starts = edges[order, 0]
    must = broken_must = cannot = broken_cannot = 0.0
    for window, first in enumerate(segmentation.first_frames):
        near = order[np.searchsorted(starts, first) : np.searchsorted(starts, first + frames)]
        low, high = edges[near, 0] - first, np.minimum(edges[near, 1] - first, frames)
        length = np.maximum(edges[near, 1] - edges[near, 0], 1)
        mean = (sums[window, high] - sums[window, low]) / np.maximum(high - low, 1)[:, None]
        good = (high - low > _INSIDE * length) & (mean.sum(axis=1) > _ACTIVE)
        near, mean = near[good], mean[good]
        if len(near) < 2:
            continue
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        above = np.triu_indices(len(near), 1)
        link = 2 * (unit @ unit.T)[above] - 1
        weight = np.outer(duration[near], duration[near])[above]
        apart = (labels[near][:, None] != labels[near])[above]
        same, another = weight * np.maximum(link, 0), weight * np.maximum(-link, 0)
        must, broken_must = must + same.sum(), broken_must + (same * apart).sum()
        cannot, broken_cannot = cannot + another.sum(), broken_cannot + (another * ~apart).sum()
    shares = np.bincount(labels, duration) / duration.sum()
    together = float((shares**2).sum())
    return Breach(
        _units(broken_must, must, 1 - together),
        _units(broken_cannot, cannot, together),
        cannot / (must + cannot) if must + cannot > 0 else 0.0,
    )


def _units(broken: float, all_of_them: float, by_chance: float) -> float:
    """Return the share of links that are broken over what it would be by chance; 1 where nothing can be said."""
    return float(broken / all_of_them / by_chance) if all_of_them > 0 and by_chance > 0 else 1.0
