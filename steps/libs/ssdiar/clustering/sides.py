"""Number of speakers on each side of a call, if the number of the call is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssdiar.clustering.ahc import merges_of_vectors
from ssdiar.clustering.vectors import length_normalise

_MIN_SIZE = 5  # sub-segments of a group that may be a speaker
_MIN_SHARE = 0.05  # of a side's sub-segments, likewise
_MAX_LEAVES = 4000  # a tree of this many sub-segments, evenly spaced, is enough


def share_out(total: int, sides: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return a number of speakers per side, at least one each, that adds up to ``total``.

    Further speakers go to the sides whose trees of x-vectors (S, D) have the highest merges of two groups of sufficient
    size.
    """
    counts = dict.fromkeys(sides, 1)
    splits = [(height, side) for side, vectors in sides.items() for height in _splits(vectors)]
    for _, side in sorted(splits, key=lambda split: (-split[0], split[1]))[: max(0, total - len(sides))]:
        counts[side] += 1
    return counts


def _splits(vectors: np.ndarray) -> list[float]:
    """Return the heights of the merges of two groups that are both large enough to be a speaker."""
    if len(vectors) > _MAX_LEAVES:
        vectors = vectors[np.linspace(0, len(vectors) - 1, _MAX_LEAVES).astype(int)]
    count = len(vectors)
    merges, heights = merges_of_vectors(length_normalise(np.asarray(vectors, np.float64)), "average")
    sizes = np.ones(2 * count - 1)
    for step, pair in enumerate(merges):
        sizes[count + step] = sizes[pair].sum()
    smaller = sizes[merges].min(axis=1)
    return heights[smaller >= max(_MIN_SIZE, _MIN_SHARE * count)].tolist()
