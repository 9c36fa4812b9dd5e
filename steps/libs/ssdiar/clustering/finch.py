"""FINCH: clusters are the connected components of the graph of first neighbours.

Written from equation 1 of the paper and Sarfraz et al., "Efficient Parameter-free Clustering Using First Neighbor
Relations", CVPR 2019. Points that share a first neighbour are connected through it, so the graph of each i and its
first neighbour has the same components.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import cluster_means, length_normalise

_CELLS = 1 << 21  # similarities held at once
_TIE = 1e-12  # similarities this close are equal, so that rounding does not choose between them


def finch(vectors: np.ndarray) -> list[np.ndarray]:
    """Return FINCH's partitions, finest first: each (S,) labels from 0, numbered by first occurrence.

    Every further partition comes from the means of the clusters before it. The last one has more than one cluster,
    unless the first has only one. Neighbours of vectors (S, D) are by cosine; ties go to the smaller index.
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
    """Return labels (S,) of at most ``clusters`` clusters: one per vector if these are few enough, else FINCH's.

    They are FINCH's finest partition that is small enough, or its last one.
    """
    if len(vectors) <= clusters:
        return np.arange(len(vectors))
    partitions = finch(vectors)
    return next((labels for labels in partitions if labels.max() < clusters), partitions[-1])


def first_neighbours(vectors: np.ndarray) -> np.ndarray:
    """Return for each row the index of its nearest other row by cosine, (S,) int64; S at least 2."""
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
    """Return the component of each node, numbered by first occurrence, in the graph of edges i - neighbours[i]."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(neighbours)
    graph = csr_matrix((np.ones(size, np.int8), (np.arange(size), neighbours)), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)
