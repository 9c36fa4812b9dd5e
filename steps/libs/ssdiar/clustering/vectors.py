"""Operations on vectors, (S, D) arrays with one row per sub-segment, and on their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def length_normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale every row to length 1; zero rows stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def principal_axes(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """Return the first principal axes as columns, (D, dimension), largest variance first; ``dimension`` at most D.

    If the rows span fewer dimensions, the remaining axes have no variance. Each axis has a positive largest component.
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=len(centred) < dimension)
    axes = axes[:dimension]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return (axes * signs[:, None]).T


def sums_by(labels: np.ndarray, vectors: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the sum of the vectors of each label, (K, D), weighted by (S,) ``weights``; labels (S,) from 0."""
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]))
    np.add.at(sums, labels, vectors if weights is None else vectors * weights[:, None])
    return sums


def cluster_means(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean vector of each cluster, (K, D); labels (S,) from 0, every number in use."""
    return sums_by(labels, vectors) / np.bincount(labels)[:, None]


def seconds_of(times: np.ndarray) -> np.ndarray:
    """Return durations (S,) of times (S, 2), as weights: at least a millisecond."""
    return np.maximum(times[:, 1] - times[:, 0], 1e-3)


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and covariance (D, D) of vectors."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Moments:
        """Return the moments of (S, D) vectors, S at least 1."""
        centred = vectors - vectors.mean(axis=0)
        return cls(vectors.mean(axis=0), centred.T @ centred / len(centred))

    def whitening(self, shrinkage: float) -> np.ndarray:
        """Return the map (D, D) to the covariance's principal axes, largest first, scaled to about equal variance.

        Args:
            shrinkage: Share of the covariance that a multiple of the identity of the same trace replaces; above 0
                unless there are more vectors than dimensions.
        """
        variances, axes = np.linalg.eigh(self.covariance)
        variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
        shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
        signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(shrunk))])
        return axes * signs / np.sqrt(np.maximum(shrunk, 1e-12 * max(shrunk.max(), 1e-12)))


def relabel_by_time(labels: np.ndarray) -> np.ndarray:
    """Renumber labels 0, 1, ... in the order in which they first occur."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def fill_empty(labels: np.ndarray, scores: np.ndarray, clusters: int) -> np.ndarray:
    """Return labels (S,) in which every number below ``clusters`` is used, at most S.

    Every empty cluster gets the vector that loses the smallest score (S, K) by moving there, from a cluster that keeps
    another.
    """
    labels = labels.copy()
    for empty in range(clusters):
        sizes = np.bincount(labels, minlength=clusters)
        if sizes[empty]:
            continue
        loss = scores[np.arange(len(labels)), labels] - scores[:, empty]
        labels[np.where(sizes[labels] > 1, loss, np.inf).argmin()] = empty
    return labels
