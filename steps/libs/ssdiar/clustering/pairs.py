"""Pairs of sub-segments that a loss compares, drawn from pseudo-labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """Pairs (left[p], right[p]), different[p] being y of equation 2 (0 similar, 1 dissimilar), weight[p] summing to 1.

    All arrays are (P,): int32, int32, float32, float32.
    """

    left: np.ndarray
    right: np.ndarray
    different: np.ndarray
    weight: np.ndarray


class PairSampler:
    """Draws pairs from one labelling of a recording.

    Positive pairs: a cluster of two or more, each as likely as another, then two of its members. Negative pairs: two
    clusters, then a member of each. So a speaker's many sub-segments do not drown another's few, and the share of each
    kind in the loss does not depend on how many clusters there are. Where a recording has few enough pairs they are
    all taken, weighted by how likely each is to be drawn.

    Args:
        labels: (S,) pseudo-labels from 0.
        count: Pairs per draw, half of them positive; a recording with no more pairs than that gives them all.
        positive_share: Share of the positive pairs in the loss, 0 to 1.
        rng: Where the draws come from.
    """

    def __init__(self, labels: np.ndarray, count: int, positive_share: float, rng: np.random.Generator) -> None:
        self._rng, self._share = rng, positive_share
        self._labels = np.asarray(labels)
        self._order = np.argsort(self._labels, kind="stable")
        self._sizes = np.bincount(self._labels)
        self._starts = np.cumsum(self._sizes) - self._sizes
        size = len(self._labels)
        self._half = max(1, count // 2)
        self._all = self._all_pairs() if size * (size - 1) // 2 <= count else None

    @property
    def has_both_kinds(self) -> bool:
        """Whether there is at least one positive and one negative pair, without which nothing can be learnt."""
        return len(self._sizes) > 1 and bool((self._sizes > 1).any())

    def draw(self) -> Pairs:
        """Return pairs for one step; requires :attr:`has_both_kinds`."""
        if self._all is not None:
            return self._all
        left_same, right_same = self._draw_same()
        left_other, right_other = self._draw_other()
        different = np.repeat(np.float32([0, 1]), self._half)
        weight = np.repeat(np.float32([self._share, 1 - self._share]) / self._half, self._half)
        left, right = np.concatenate([left_same, left_other]), np.concatenate([right_same, right_other])
        return Pairs(left.astype(np.int32), right.astype(np.int32), different, weight.astype(np.float32))

    def _all_pairs(self) -> Pairs:
        left, right = np.triu_indices(len(self._labels), 1)
        sizes_left, sizes_right = self._sizes[self._labels[left]], self._sizes[self._labels[right]]
        different = self._labels[left] != self._labels[right]
        # Chance of a pair given its cluster, or its two clusters; clusters are all alike.
        chance = 1 / np.where(different, sizes_left * sizes_right, np.maximum(sizes_left * (sizes_left - 1) / 2, 1))
        for kind, share in ((~different, self._share), (different, 1 - self._share)):
            chance[kind] *= share / max(chance[kind].sum(), 1e-300)
        return Pairs(
            left.astype(np.int32), right.astype(np.int32), different.astype(np.float32), chance.astype(np.float32)
        )

    def _draw_same(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw positive pairs: an anchor uniform over clusters of two or more, then another member of its cluster."""
        clusters = self._rng.choice(np.flatnonzero(self._sizes > 1), self._half)
        sizes, starts = self._sizes[clusters], self._starts[clusters]
        first = self._rng.integers(0, sizes)
        second = (first + self._rng.integers(1, sizes)) % sizes
        return self._order[starts + first], self._order[starts + second]

    def _draw_other(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw negative pairs: an anchor uniform over clusters, then a member of another cluster, also uniform."""
        number = len(self._sizes)
        first = self._rng.integers(0, number, self._half)
        second = (first + self._rng.integers(1, number, self._half)) % number
        pick = [self._order[self._starts[c] + self._rng.integers(0, self._sizes[c])] for c in (first, second)]
        return pick[0], pick[1]
