"""The loss of labels over all their pairs or triplets: the L^0 and L^i that Algorithm 1 compares.

Training draws a few hundred pairs per step (:mod:`ssdiar.clustering.pairs`). Here the mean is over every pair or
triplet, weighted by how likely training is to draw it, so that losses differ by labels and latent vectors only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ssdiar.clustering.config import Loss

_MAX_ANCHORS = 2048  # sub-segments that are compared with all; a longer recording gives this many, evenly spaced
_CELLS = 1 << 21  # pairs held at once


def loss_of_labels(latent: np.ndarray, labels: np.ndarray, config: Loss) -> float:
    """Return the loss of pseudo-labels (S,) over all pairs or triplets of unit latent vectors Y^i (S, d).

    There must be two clusters, one of them with two members.
    """
    latent, labels = np.asarray(latent, np.float64), np.asarray(labels)
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MAX_ANCHORS)).round().astype(np.int64))
    columns, sizes, own = latent[np.argsort(labels, kind="stable")], np.bincount(labels), labels[chosen]
    similar, dissimilar = np.empty((2, len(chosen)))
    # The positive of a triplet is an anchor, too, so its negative is drawn from all sub-segments alike.
    by_cluster = config.type == "contrastive" and config.anchors == "clusters"
    step = max(1, _CELLS // len(latent))
    for first in range(0, len(chosen), step):
        rows = slice(first, first + step)
        near, far = _losses_of_pairs(latent[chosen[rows]], columns, config)
        similar[rows] = _mean_of_own(near, own[rows], sizes)
        dissimilar[rows] = _mean_of_others(far, own[rows], sizes, by_cluster)
    similar_weights, dissimilar_weights = _weights(sizes, own, config.anchors)
    if config.type == "contrastive":
        share = sizes @ (sizes - 1) / (len(labels) * (len(labels) - 1)) if config.anchors == "all" else 0.5
        return float(share * similar_weights @ similar + (1 - share) * dissimilar_weights @ dissimilar)
    return float(similar_weights @ (similar + dissimilar))


def _losses_of_pairs(anchors: np.ndarray, latent: np.ndarray, config: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of every pair as a similar and as a dissimilar one, (A, S) each."""
    cosines = anchors @ latent.T
    if config.type == "triplet":  # a negative is compared with the anchor and with the positive
        return 1 - cosines, 2 * config.gamma * cosines
    squared = np.maximum(2 - 2 * cosines, 0)
    return squared, np.square(np.maximum(config.margin - np.sqrt(squared), 0))


def _mean_of_own(values: np.ndarray, own: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the mean of (A, S) values over the anchor's cluster without itself, whose value is 0, (A,)."""
    sums = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=1)
    return sums[np.arange(len(own)), own] / np.maximum(sizes[own] - 1, 1)


def _mean_of_others(values: np.ndarray, own: np.ndarray, sizes: np.ndarray, by_cluster: bool) -> np.ndarray:
    """Return the mean of (A, S) values over the other clusters, weighted equally or by size, (A,)."""
    weights = 1 / sizes if by_cluster else np.ones(len(sizes))
    sums = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=1) * weights
    sums[np.arange(len(own)), own] = 0
    return sums.sum(axis=1) / (weights @ sizes - (weights * sizes)[own])


def _weights(sizes: np.ndarray, own: np.ndarray, anchors: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of anchors of clusters ``own`` among similar and dissimilar pairs, (A,) each of sum 1."""
    size = sizes[own].astype(np.float64)
    if anchors == "clusters":
        similar, dissimilar = (size > 1) / size, 1 / size
    else:
        similar, dissimilar = size - 1, sizes.sum() - size
    return similar / max(similar.sum(), 1e-12), dissimilar / dissimilar.sum()
