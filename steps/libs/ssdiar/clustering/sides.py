"""How many speakers each side of a call has, where the number of the call is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssdiar.clustering.vectors import length_normalise

_LEAST_PIECES = 5  # of a speaker that is worth telling apart
_LEAST_SHARE = 0.05  # of a side's pieces


def share_out(total: int, sides: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return a number of speakers per side that adds up to ``total``, at least one each.

    One tree of all pieces is cut, with no merges between sides: the sides whose last merges are of the least similar
    groups have more than one speaker. Groups of few pieces do not count.

    Args:
        total: Speakers of the call.
        sides: (S, d) x-vectors by side.
    """
    counts = dict.fromkeys(sides, 1)
    splits = [(height, side) for side, vectors in sides.items() for height in _splits(vectors)]
    for _, side in sorted(splits, key=lambda split: (-split[0], split[1]))[: max(0, total - len(sides))]:
        counts[side] += 1
    return counts


def _splits(vectors: np.ndarray) -> list[float]:
    """Return the distances of the merges of two groups, each large enough to be a speaker (average linkage, cosine)."""
    import fastcluster

    count = len(vectors)
    if count < 2 * _LEAST_PIECES:
        return []
    if count > 4000:  # a tree of these tells the same
        vectors = vectors[np.linspace(0, count - 1, 4000).astype(int)]
        count = len(vectors)
    least = max(_LEAST_PIECES, _LEAST_SHARE * count)
    unit = length_normalise(np.asarray(vectors, np.float64))
    distances = (1 - unit @ unit.T)[np.triu_indices(count, 1)]
    tree = fastcluster.linkage(np.maximum(distances, 0.0), "average")
    sizes = np.concatenate([np.ones(count), tree[:, 3]])
    smaller = np.minimum(sizes[tree[:, 0].astype(int)], sizes[tree[:, 1].astype(int)])
    return [float(height) for height, size in zip(tree[:, 2], smaller, strict=True) if size >= least]
