"""Evidence of the segmentation network about labels: who is the same and who another within a window.

A *local speaker* is one of the network's speakers in one of its windows.

The network's local speakers mean nothing outside their window, and on telephone speech it often takes two voices for
one. When it finds two, there are two: on simulated calls 96 to 99 % of its "another" are right, 84 to 94 % of its
"same".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ssdiar.timeline.segmentation import Segmentation

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Set by hand with the rest of `best`, on the development calls of RESULTS.md; no finer search of them is recorded.
_INSIDE = 0.9  # minimum share of a sub-segment inside the window
_ACTIVE = 0.5  # minimum number of talkers in it, by the network, on average


_SOLO = 0.6  # seconds in which a local speaker talks without another one, below which it is not used


class Links(NamedTuple):
    """Links between clusters, (K, K) and symmetric, in square seconds: products of durations, summed over windows."""

    same: np.ndarray  # as one speaker
    another: np.ndarray  # as two speakers


def links_of_clusters(labels: np.ndarray, times: np.ndarray, segmentation: Segmentation, clusters: int) -> Links:
    """Compare labels (S,), from 0 and below ``clusters``, with the network's local speakers, window by window.

    The cosine c of the mean local activities of two sub-segments of a window links them: as "same" with 2 c - 1 if
    that is positive, as "another" with 1 - 2 c otherwise.
    """
    activities = segmentation.activities()
    frames = activities.shape[1]
    sums = np.concatenate([np.zeros_like(activities[:, :1]), np.cumsum(activities, axis=1, dtype=np.float64)], axis=1)
    edges = np.round((times - segmentation.frame_start) / segmentation.frame_step).astype(int)
    durations = times[:, 1] - times[:, 0]
    order = np.argsort(times[:, 0], kind="stable")
    starts = edges[order, 0]
    same, another = np.zeros((clusters, clusters)), np.zeros((clusters, clusters))
    for window, first in enumerate(segmentation.first_frames):
        near = order[np.searchsorted(starts, first) : np.searchsorted(starts, first + frames)]
        low, high = edges[near, 0] - first, np.minimum(edges[near, 1] - first, frames)
        length = np.maximum(edges[near, 1] - edges[near, 0], 1)
        mean = (sums[window, high] - sums[window, low]) / np.maximum(high - low, 1)[:, None]
        good = (high - low > _INSIDE * length) & (mean.sum(axis=1) > _ACTIVE)
        near, mean = near[good], mean[good]
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        link = (2 * (unit @ unit.T) - 1) * np.outer(durations[near], durations[near])
        np.fill_diagonal(link, 0)  # a sub-segment is no evidence about itself
        member = np.eye(clusters)[labels[near]]
        same += member.T @ np.maximum(link, 0) @ member
        another += member.T @ np.maximum(-link, 0) @ member
    return Links(same, another)


def local_speakers(segmentation: Segmentation, times: np.ndarray) -> csr_array:
    """Return the seconds in which each local speaker is the only one who talks in each sub-segment, (L, S).

    ``times`` are (S, 2) starts and ends in seconds.
    """
    from scipy.sparse import csr_array, vstack

    active = segmentation.activities() > _ACTIVE
    solo = active & (active.sum(axis=2, keepdims=True) == 1)
    sums = np.concatenate([np.zeros_like(solo[:, :1]), np.cumsum(solo, axis=1)], axis=1)
    edges = np.round((times - segmentation.frame_start) / segmentation.frame_step).astype(int)
    found = []
    for first, window in zip(segmentation.first_frames, sums, strict=True):
        low, high = np.clip(edges.T - first, 0, len(window) - 1)
        near = np.flatnonzero(high > low)
        seconds = (window[high[near]] - window[low[near]]).T * segmentation.frame_step
        for own in seconds[seconds.sum(axis=1) >= _SOLO]:
            found.append(csr_array((own, (np.zeros(len(near), int), near)), shape=(1, len(times))))
    return vstack(found, "csr") if found else csr_array((0, len(times)))


def explained(local: csr_array, labels: np.ndarray, clusters: int) -> float:
    """Return how far the local speakers, (L, S) seconds, tell the clusters apart, 0 to 1: Goodman and Kruskal's tau.

    It is the share of the chance to be in another cluster that disappears if the local speaker is known. Purity alone
    would prefer one large cluster and crumbs. (Goodman & Kruskal, J. Am. Stat. Assoc. 49, 1954.)
    """
    seconds = local @ np.eye(clusters)[labels]
    total = seconds.sum()
    if total == 0:
        return 0.0
    before = 1 - ((seconds.sum(axis=0) / total) ** 2).sum()
    after = 1 - (seconds**2 / np.maximum(seconds.sum(axis=1, keepdims=True), 1e-9)).sum() / total
    return float(1 - after / before) if before > 0 else 0.0
