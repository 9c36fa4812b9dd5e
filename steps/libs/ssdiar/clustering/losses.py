"""The loss of a labelling over all its pairs or triplets: the L^0 and L^i that Algorithm 1 compares.

Training takes a few hundred pairs per step (:mod:`ssdiar.clustering.pairs`); a ratio of two such draws would compare
one draw with another. Here nothing is drawn: the mean is over every pair (contrastive) or triplet that the labels make,
weighted as training expects to draw them, so that two labellings differ by their labels and latent vectors alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ssdiar.clustering.config import Loss

_MOST = 2048  # sub-segments that are held against all; a longer recording gives that many, at even distances
_CELLS = 1 << 21  # pairs held at once


def loss_of_labels(latent: np.ndarray, labels: np.ndarray, config: Loss) -> float:
    """Return the loss of ``labels`` over all pairs or triplets of a recording.

    Args:
        latent: (S, d) latent vectors Y^i, of length 1.
        labels: (S,) pseudo-labels from 0, every number in use; two clusters or more, one of them of two or more.
        config: Which loss, and how its pairs are weighted (``anchors``, ``positive_share``).
    """
    labels = np.asarray(labels)
    sizes = np.bincount(labels)
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MOST)).round().astype(np.int64))
    own = labels[chosen]
    similar, dissimilar = _weights(sizes, own, config.anchors)
    values = np.concatenate([_each(rows, config) for rows in _blocks(np.asarray(latent, np.float64), labels, chosen)])
    if config.type == "contrastive":
        share = config.positive_share
        return float(share * similar @ values[:, 0] + (1 - share) * dissimilar @ values[:, 1])
    return float(similar @ values[:, 0])


def _weights(sizes: np.ndarray, own: np.ndarray, anchors: str) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each anchor counts among similar and among dissimilar pairs; either sums to 1.

    Args:
        sizes: (K,) of the clusters.
        own: (A,) cluster of each anchor.
        anchors: See :class:`ssdiar.clustering.config.Loss`.
    """
    size = sizes[own].astype(np.float64)
    if anchors == "clusters":
        similar, dissimilar = (size > 1) / size, 1 / size
    else:
        similar, dissimilar = size - 1, sizes.sum() - size
    return similar / max(similar.sum(), 1e-12), dissimilar / dissimilar.sum()


class _Block:
    """Some anchors against all sub-segments, those of one cluster side by side.

    Attributes:
        cosines, squared: (B, S) cosines and squared distances.
        itself: (B,) cosine of each anchor with itself: 1, but for vectors of zeros.
        own: (B,) cluster of each anchor.
        sizes, starts: (K,) of the clusters, among the columns.
    """

    def __init__(self, anchors: np.ndarray, latent: np.ndarray, own: np.ndarray, sizes: np.ndarray) -> None:
        self.own, self.sizes, self.starts = own, sizes, np.cumsum(sizes) - sizes
        self.cosines = anchors @ latent.T
        self.itself = np.square(anchors).sum(axis=1)
        self.squared = np.maximum(self.itself[:, None] + np.square(latent).sum(axis=1) - 2 * self.cosines, 0)

    def own_mean(self, values: np.ndarray, itself: np.ndarray | float) -> np.ndarray:
        """Return (B,) the mean of (B, S) ``values`` over the anchor's cluster, less the anchor's own, ``itself``."""
        sums = np.add.reduceat(values, self.starts, axis=1)[np.arange(len(values)), self.own]
        return (sums - itself) / np.maximum(self.sizes[self.own] - 1, 1)

    def other_mean(self, values: np.ndarray, by_cluster: bool) -> np.ndarray:
        """Return (B,) the mean of ``values`` over all other clusters: over clusters alike, or over their members."""
        sums = np.add.reduceat(values, self.starts, axis=1)
        if by_cluster:
            sums, counts = sums / self.sizes, np.full(len(values), len(self.sizes) - 1)
        else:
            counts = self.sizes.sum() - self.sizes[self.own]
        return (sums.sum(axis=1) - sums[np.arange(len(values)), self.own]) / counts


def _blocks(latent: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Iterator[_Block]:
    columns, sizes = latent[np.argsort(labels, kind="stable")], np.bincount(labels)
    step = max(1, _CELLS // len(latent))
    for first in range(0, len(chosen), step):
        rows = chosen[first : first + step]
        yield _Block(latent[rows], columns, labels[rows], sizes)


def _each(block: _Block, config: Loss) -> np.ndarray:
    """Return the mean loss of each anchor: (B, 2) of similar and dissimilar pairs, or (B, 1) of triplets."""
    if config.type == "contrastive":
        near = block.own_mean(block.squared, 0.0)
        far = np.square(np.maximum(config.margin - np.sqrt(block.squared), 0))
        return np.column_stack([near, block.other_mean(far, config.anchors == "clusters")])
    if config.type == "triplet":
        # The negative is as likely to be compared with the anchor as with the positive, which is an anchor, too.
        near = 1 - block.own_mean(block.cosines, block.itself)
        return (near + 2 * config.gamma * block.other_mean(block.cosines, False))[:, None]
    return _hinge(block, config.margin)[:, None]


def _hinge(block: _Block, margin: float) -> np.ndarray:
    """Return the mean over positives and negatives of max(0, margin + d(a, p) - d(a, n)) for each anchor."""
    distances = np.sqrt(block.squared)
    means = np.zeros(len(distances))
    for number, (row, cluster) in enumerate(zip(distances, block.own, strict=True)):
        start, end = block.starts[cluster], block.starts[cluster] + block.sizes[cluster]
        negatives = np.sort(np.concatenate([row[:start], row[end:]]))
        below = np.concatenate([[0.0], np.cumsum(negatives)])
        reach = margin + row[start:end]
        count = np.searchsorted(negatives, reach)
        sums = count * reach - below[count]
        # The anchor itself, at distance 0, is no positive of its own.
        alone = np.searchsorted(negatives, margin)
        total = sums.sum() - (alone * margin - below[alone])
        means[number] = total / max(len(reach) - 1, 1) / len(negatives)
    return means
