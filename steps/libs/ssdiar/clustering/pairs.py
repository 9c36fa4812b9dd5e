"""Pairs and triplets of sub-segments that a loss compares, drawn from pseudo-labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ssdiar.clustering.config import Loss


class Draw(NamedTuple):
    """The comparisons of one training step; all arrays are (P,), indices int32, weights float32 and summing to 1."""

    anchor: np.ndarray  # sub-segments
    other: np.ndarray  # for a pair, the other sub-segment; for a triplet, one of the anchor's cluster
    third: np.ndarray  # for a pair, y of equation 2 (0 similar, 1 dissimilar); for a triplet, one of another cluster
    weight: np.ndarray  # share in the loss


class Sampler:
    """Draws pairs (contrastive loss) or triplets from one labelling of a recording.

    Similar pairs: a cluster of two or more, each equally likely, then two of its members. Dissimilar pairs: two
    clusters, then a member of each. So large clusters do not dominate, and similar pairs are half of the loss for any
    number of clusters. With ``anchors: pairs`` all pairs of a kind are equally likely instead, with ``all`` all pairs.
    If a recording has few enough pairs, all are taken, weighted by their probability. A triplet is a similar pair and a
    sub-segment of another cluster. Labels (S,) are pseudo-labels from 0, every number in use.
    """

    def __init__(self, labels: np.ndarray, loss: Loss, rng: np.random.Generator) -> None:
        self._loss, self._rng = loss, rng
        self._labels = np.asarray(labels)
        self._order = np.argsort(self._labels, kind="stable")
        self._sizes = np.bincount(self._labels)
        self._starts = np.cumsum(self._sizes) - self._sizes
        size = len(self._labels)
        takes_all = loss.type == "contrastive" and size * (size - 1) // 2 <= loss.pairs
        self._kept = self._all_pairs() if takes_all and self.has_both_kinds else None

    @property
    def has_both_kinds(self) -> bool:
        """Whether there is at least one similar and one dissimilar pair; otherwise there is nothing to learn."""
        return len(self._sizes) > 1 and bool((self._sizes > 1).any())

    def draw(self) -> Draw:
        """Return the comparisons of the next step; requires :attr:`has_both_kinds`."""
        if self._kept is not None:
            return self._kept
        draw = self._pairs() if self._loss.type == "contrastive" else self._triplets()
        if self._loss.resample == "iteration":
            self._kept = draw
        return draw

    def _all_pairs(self) -> Draw:
        left, right = np.triu_indices(len(self._labels), 1)
        different = self._labels[left] != self._labels[right]
        chance = np.ones(len(left))
        if self._loss.anchors == "clusters":
            sizes_left, sizes_right = self._sizes[self._labels[left]], self._sizes[self._labels[right]]
            within = np.maximum(sizes_left * (sizes_left - 1) / 2, 1)
            chance /= np.where(different, sizes_left * sizes_right, within)
        if self._loss.anchors != "all":
            for kind in (~different, different):
                chance[kind] *= 0.5 / chance[kind].sum()
        return _draw(left, right, different, chance / chance.sum())

    def _pairs(self) -> Draw:
        if self._loss.anchors == "all":
            count, size = self._loss.pairs, len(self._labels)
            left = self._rng.integers(0, size, count)
            right = (left + self._rng.integers(1, size, count)) % size
            return _draw(left, right, self._labels[left] != self._labels[right], np.full(count, 1 / count))
        half = max(1, self._loss.pairs // 2)
        similar, dissimilar = self._similar(half), self._dissimilar(half)
        return _draw(
            np.concatenate([similar[0], dissimilar[0]]),
            np.concatenate([similar[1], dissimilar[1]]),
            np.repeat([0, 1], half),
            np.full(2 * half, 0.5 / half),
        )

    def _triplets(self) -> Draw:
        count = self._loss.pairs
        anchor, positive = self._similar(count)
        negative = self._outside(self._labels[anchor])
        return _draw(anchor, positive, negative, np.full(count, 1 / count))

    def _similar(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        candidates = np.flatnonzero(self._sizes > 1)
        sizes = self._sizes[candidates]
        chance = sizes * (sizes - 1.0) if self._loss.anchors != "clusters" else np.ones(len(sizes))
        clusters = self._rng.choice(candidates, count, p=chance / chance.sum())
        sizes, starts = self._sizes[clusters], self._starts[clusters]
        first = self._rng.integers(0, sizes)
        second = (first + self._rng.integers(1, sizes)) % sizes
        return self._order[starts + first], self._order[starts + second]

    def _dissimilar(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        number = len(self._sizes)
        if self._loss.anchors == "pairs":
            chance = self._sizes * (len(self._labels) - self._sizes.astype(np.float64))
            first = self._rng.choice(number, count, p=chance / chance.sum())
            other = self._outside(first)
            return self._member(first), other
        first = self._rng.integers(0, number, count)
        return self._member(first), self._member((first + self._rng.integers(1, number, count)) % number)

    def _member(self, clusters: np.ndarray) -> np.ndarray:
        return self._order[self._starts[clusters] + self._rng.integers(0, self._sizes[clusters])]

    def _outside(self, clusters: np.ndarray) -> np.ndarray:
        """Draw uniformly from everything outside of each cluster: a position in the order that skips the cluster."""
        position = self._rng.integers(0, len(self._labels) - self._sizes[clusters])
        position += np.where(position >= self._starts[clusters], self._sizes[clusters], 0)
        return self._order[position]


def _draw(anchor: np.ndarray, other: np.ndarray, third: np.ndarray, weight: np.ndarray) -> Draw:
    return Draw(anchor.astype(np.int32), other.astype(np.int32), third.astype(np.int32), weight.astype(np.float32))
