"""Agglomerative hierarchical clustering (AHC) by cosine, cut at a number of clusters or at a similarity.

AHC compares all pairs, which is too much for hours of speech. A long recording therefore starts from FINCH's clusters:
the mean cosine of two clusters is the product of their mean unit vectors, so that means and sizes are enough.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ssdiar.clustering.finch import at_most
from ssdiar.clustering.vectors import cluster_means, length_normalise, relabel_by_time

_CELLS = 1 << 22  # distances computed at once
_TIE = 1e-12  # similarities this close are equal, so that rounding does not choose between them

Linkage = Literal["average", "ward"]


class Dendrogram:
    """All merges of vectors (S, D), to be cut as often as needed.

    Args:
        linkage: ``average``: the mean of 1 - cosine over all pairs (the paper's); ``ward``: Ward's criterion on unit
            vectors, and on the means of FINCH's clusters if it starts from those.
        max_leaves: AHC of more vectors starts from FINCH's finest partition of at most this many clusters. Memory
            grows with its square.

    Attributes:
        leaves: Number of vectors or clusters that AHC started from.
    """

    def __init__(self, vectors: np.ndarray, linkage: Linkage = "average", max_leaves: int | None = None) -> None:
        unit = length_normalise(np.asarray(vectors, np.float64))
        self._start = at_most(unit, max_leaves or len(unit))
        self.leaves = int(self._start.max()) + 1
        if self.leaves == len(unit):
            self._merges, self._heights = merges_of_vectors(unit, linkage)
        elif linkage == "average":
            self._merges, self._heights = merges_of_means(cluster_means(unit, self._start), np.bincount(self._start))
        else:
            self._merges, self._heights = merges_of_vectors(length_normalise(cluster_means(unit, self._start)), linkage)

    def cut(self, clusters: int) -> np.ndarray:
        """Return labels (S,) from 0, numbered by first occurrence, of exactly min(clusters, leaves) clusters."""
        parent = np.arange(2 * self.leaves)
        for step, (left, right) in enumerate(self._merges[: max(0, self.leaves - clusters)]):
            parent[left] = parent[right] = self.leaves + step
        # Every parent has a higher number than its children, so one pass from the top finds all roots.
        for node in range(len(parent) - 1, -1, -1):
            parent[node] = parent[parent[node]]
        return relabel_by_time(parent[self._start])

    def clusters_at(self, similarity: float) -> int:
        """Return how many clusters are left when no two have a mean cosine above ``similarity``."""
        return self.leaves - int(np.count_nonzero(self._heights < 1 - similarity))


def merges_of_vectors(unit: np.ndarray, linkage: Linkage) -> tuple[np.ndarray, np.ndarray]:
    """Return SciPy's merges (S - 1, 2) of unit vectors (S, D), in order of height, and their heights (S - 1,)."""
    size = len(unit)
    if size < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    from scipy.cluster import hierarchy

    distances = np.empty(size * (size - 1) // 2)
    rows, filled = max(1, _CELLS // size), 0
    for first in range(0, size, rows):
        block = 1 - unit[first : first + rows] @ unit.T
        for number, row in enumerate(block, first + 1):
            distances[filled : filled + size - number] = row[number:]
            filled += size - number
    np.maximum(distances, 0, out=distances)
    if linkage == "ward":
        distances = np.sqrt(2 * distances)  # Euclidean, between unit vectors
    tree = hierarchy.linkage(distances, linkage)
    return tree[:, :2].astype(np.int64), tree[:, 2]


def merges_of_means(means: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the merges of average linkage of clusters with these means (K, D) and sizes (K,), as above.

    The nearest-neighbour chain (Murtagh, "A survey of recent advances in hierarchical clustering algorithms", The
    Computer Journal 26, 1983) steps from a cluster to its nearest one until two are each other's nearest; these merge.
    Distances are computed from the means when needed, so memory does not grow with the number of pairs.
    """
    count = len(sizes)
    means, sizes, names = means.copy(), sizes.astype(np.float64), np.arange(count)
    gone = np.zeros(count)  # added to similarities: -inf for clusters that were merged into another
    pairs, heights = np.empty((count - 1, 2), np.int64), np.empty(count - 1)
    chain: list[int] = []
    for step in range(count - 1):
        if 2 * (count - step) < len(sizes):
            kept = np.flatnonzero(gone == 0)
            chain = np.searchsorted(kept, chain).tolist()
            means, sizes, names, gone = means[kept], sizes[kept], names[kept], gone[kept]
        chain = chain or [int(gone.argmax())]
        while True:
            similarity = means @ means[chain[-1]] + gone
            similarity[chain[-1]] = -np.inf
            nearest = int(similarity.argmax())
            if len(chain) > 1 and similarity[chain[-2]] >= similarity[nearest] - _TIE:
                break
            chain.append(nearest)
        right, left = chain.pop(), chain.pop()
        pairs[step], heights[step] = (names[left], names[right]), 1 - similarity[left]
        means[left] = (sizes[left] * means[left] + sizes[right] * means[right]) / (sizes[left] + sizes[right])
        sizes[left] += sizes[right]
        gone[right] = -np.inf
    return _in_order(pairs, heights)


def _in_order(pairs: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort merges by height and number the clusters that they make from K on; ``pairs`` names each by a member."""
    order = np.argsort(heights, kind="stable")
    count = len(pairs) + 1
    parent = np.arange(2 * count - 1)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    merges = np.empty_like(pairs)
    for step, (left, right) in enumerate(pairs[order].tolist()):
        merges[step] = root(left), root(right)
        parent[merges[step]] = count + step
    return merges, heights[order]
