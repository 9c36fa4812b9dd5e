"""Agglomerative hierarchical clustering (AHC) by cosine: a library's linkage, cut at a number or at a similarity."""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import length_normalise, relabel_by_time


class Dendrogram:
    """All merges of one set of vectors, to be cut as often as needed.

    Args:
        vectors: (S, D), S at least 1.
        linkage: ``average``: the mean of 1 - cosine over all pairs (the paper's); ``ward``, ``complete`` and
            ``single`` as in the library.
        start: (S,) labels of clusters that are merged to begin with; by default every vector is alone.
    """

    def __init__(self, vectors: np.ndarray, linkage: str = "average", start: np.ndarray | None = None) -> None:
        self._size = len(vectors)
        if self._size < 2:
            self._merges, self._heights = np.zeros((0, 2), np.int64), np.zeros(0)
            return
        import fastcluster

        unit = length_normalise(np.asarray(vectors, np.float64))
        left, right = np.triu_indices(self._size, 1)
        distances = np.maximum((1 - unit @ unit.T)[left, right], 0)
        if linkage == "ward":
            distances = np.sqrt(2 * distances)  # Euclidean, between unit vectors
        lift = 0.0
        if start is not None:
            # Nothing within a given cluster, and everything else lifted, so that the given merges come first.
            lift = 4.0
            distances = np.where(start[left] == start[right], 0.0, distances + lift)
        tree = fastcluster.linkage(distances, linkage, preserve_input=False)
        self._merges, self._heights = tree[:, :2].astype(np.int64), tree[:, 2] - lift

    def cut(self, clusters: int) -> np.ndarray:
        """Return labels (S,) from 0, numbered by first occurrence, of exactly min(clusters, S) clusters."""
        parent = np.arange(2 * self._size)
        for step, (left, right) in enumerate(self._merges[: max(0, self._size - clusters)]):
            parent[left] = parent[right] = self._size + step
        # Every node's parent has a higher number, so one pass from the top finds all roots.
        for node in range(len(parent) - 1, -1, -1):
            parent[node] = parent[parent[node]]
        return relabel_by_time(parent[: self._size])

    def clusters_at(self, similarity: float) -> int:
        """Return how many clusters are left when no two have a mean cosine above ``similarity``."""
        return self._size - int(np.count_nonzero(self._heights < 1 - similarity))
