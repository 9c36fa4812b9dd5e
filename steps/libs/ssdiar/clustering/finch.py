"""FINCH: clusters as the connected components of the graph of first neighbours.

Written from equation 1 of the paper and Sarfraz et al., "Efficient Parameter-free Clustering Using First Neighbor
Relations", CVPR 2019. Links between points that share a first neighbour never change the components, so the graph of
i and its first neighbour is enough.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import cluster_means, length_normalise

_CELLS = 1 << 21  # similarities held at once
_TIE = 1e-12  # rounding must not choose between similarities this close


def finch(vectors: np.ndarray) -> list[np.ndarray]:
    """Return FINCH's partitions, finest first: each (S,) labels from 0, numbered by first occurrence.

    Every further partition comes from the means of the clusters before it, and the last one has more than one cluster
    unless the first has not. Neighbours are by cosine; ties go to the smaller index. One or two vectors, or vectors
    that are all alike, are one cluster.

    Args:
        vectors: (S, D), S at least 1.
    """
    partitions: list[np.ndarray] = []
    labels = np.arange(len(vectors))
    means = np.asarray(vectors, np.float64)
    while len(means) > 1:
        merged = _components(first_neighbours(means))[labels]
        if partitions and merged.max() == 0:
            break
        partitions.append(merged)
        labels = merged
        means = cluster_means(vectors, labels)
    return partitions or [labels]


def at_most(vectors: np.ndarray, clusters: int) -> np.ndarray:
    """Return labels (S,) of at most ``clusters`` clusters: each vector alone if that will do, else FINCH's.

    Of FINCH's partitions it is the finest that is small enough; where none is, the last.
    """
    if len(vectors) <= clusters:
        return np.arange(len(vectors))
    partitions = finch(vectors)
    return next((labels for labels in partitions if labels.max() < clusters), partitions[-1])


def first_neighbours(vectors: np.ndarray) -> np.ndarray:
    """Return for each row the index of the most similar other row by cosine, (S,) int64; S at least 2."""
    unit = length_normalise(np.asarray(vectors, np.float64))
    neighbours = np.empty(len(unit), np.int64)
    rows = max(1, _CELLS // len(unit))
    for start in range(0, len(unit), rows):
        similarity = unit[start : start + rows] @ unit.T
        numbers = np.arange(len(similarity))
        similarity[numbers, start + numbers] = -np.inf
        nearest = similarity.max(axis=1, keepdims=True)
        neighbours[start : start + rows] = (similarity >= nearest - _TIE).argmax(axis=1)  # the first of them
    return neighbours


def _components(neighbours: np.ndarray) -> np.ndarray:
    """Return the connected component of each node, numbered by first occurrence, of the graph i - neighbours[i]."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(neighbours)
    graph = csr_matrix((np.ones(size, np.int8), (np.arange(size), neighbours)), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)
