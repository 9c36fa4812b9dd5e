"""Labels by consensus: many random parts of a recording are clustered, each labels everything, and they vote.

A part is a random share of the recording's blocks of time. Its x-vectors are averaged over chunks of a stretch, the
chunks are merged by Ward's criterion, and k-means of its pieces goes on from there. What splits a recording into true
speakers is found again in any part of it; what a cough or a change of noise splits is not, and is outvoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Consensus
from ssdiar.clustering.neighbours import chunks
from ssdiar.clustering.vectors import fill_empty, length_normalise

_ITERATIONS = 50  # of k-means at most; it ends when no label changes
_MOST_CHUNKS = 1000  # in longer recordings chunks are longer; merging takes the square of their number
_MOST_LEAVES = 4000  # of short stretches there may be more chunks; FINCH then merges the most alike first
_FEWEST_BLOCKS = 20  # in shorter recordings blocks are shorter


class Vote(NamedTuple):
    """What the parts say together.

    Attributes:
        labels: (S,) from 0, every number up to the number of clusters in use as far as there are vectors.
        support: (S,) the share of the votes that each label got, 0 to 1.
    """

    labels: np.ndarray
    support: np.ndarray


class Parts:
    """The random parts of one recording, merged once and cut for any number of clusters.

    Args:
        vectors: (S, D) of length 1, S at least 1.
        times: (S, 2) seconds; longer sub-segments count for more.
        config: How many parts, how large, of what blocks and chunks.
        rng: Which blocks are in a part.
        threads: How many parts are worked on at once.
    """

    def __init__(
        self, vectors: np.ndarray, times: np.ndarray, config: Consensus, rng: np.random.Generator, threads: int = 1
    ) -> None:
        self._vectors = vectors
        self._threads = threads
        self._weights = np.maximum(times[:, 1] - times[:, 0], 1e-3)
        self._chunks = chunks(times, max(config.chunk, self._weights.sum() / _MOST_CHUNKS))
        self._known = [np.ones(len(times), bool), *_random_parts(times, config, rng)]
        self._merged = self._each(self._merge, self._known)

    def vote(self, clusters: int) -> Vote:
        """Return labels of min(clusters, S) clusters, and how far the parts agree on them."""
        vectors, weights = self._vectors, self._weights
        if len(vectors) <= clusters:
            return Vote(np.arange(len(vectors)), np.ones(len(vectors)))
        merged = zip(self._known, self._merged, strict=True)
        able = [(known, *part) for known, part in merged if part[0].leaves >= clusters]
        opinions = self._each(lambda part: self._opinion(*part, clusters), able)
        if not opinions:  # fewer chunks than clusters
            opinions = [Dendrogram(vectors, "ward").cut(clusters)]
        tables = [[_table(a, b, weights, clusters) for b in opinions] for a in opinions]
        leader = int(np.argmax([np.mean([_matched(table)[1] for table in row]) for row in tables]))
        votes = np.zeros((len(vectors), clusters))
        for number, opinion in enumerate(opinions):
            names, agreed = _matched(tables[number][leader])
            votes[np.arange(len(vectors)), names[opinion]] += agreed
        labels = fill_empty(votes.argmax(axis=1), votes, clusters)
        return Vote(labels, votes[np.arange(len(vectors)), labels] / votes.sum(axis=1))

    def _each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Return what a function makes of each item, in order."""
        if self._threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(function, items))

    def _merge(self, known: np.ndarray) -> tuple[Dendrogram, np.ndarray, np.ndarray]:
        """Return the merges of a part's chunks, their means (C, D) and their seconds (C,)."""
        _, own = np.unique(self._chunks[known], return_inverse=True)
        seconds = np.bincount(own, self._weights[known])
        sums = np.zeros((len(seconds), self._vectors.shape[1]))
        np.add.at(sums, own, self._vectors[known] * self._weights[known, None])
        return Dendrogram(sums, "ward", most=_MOST_LEAVES), length_normalise(sums), seconds

    def _opinion(
        self, known: np.ndarray, tree: Dendrogram, means: np.ndarray, seconds: np.ndarray, clusters: int
    ) -> np.ndarray:
        """Return what one part labels the whole recording, (S,)."""
        centres = length_normalise(np.eye(clusters)[tree.cut(clusters)].T @ (means * seconds[:, None]))
        centres = _kmeans(self._vectors[known], self._weights[known], centres)
        return (self._vectors @ centres.T).argmax(axis=1)


def _random_parts(times: np.ndarray, config: Consensus, rng: np.random.Generator) -> list[np.ndarray]:
    """Return masks (S,) of random parts, each ``share`` of the blocks that have speech and at least one of them."""
    speech = float((times[:, 1] - times[:, 0]).sum())
    block = min(config.block, max(speech / _FEWEST_BLOCKS, 1e-3))
    _, blocks = np.unique((times.mean(axis=1) // block).astype(int), return_inverse=True)
    number = int(blocks.max()) + 1
    if number == 1:
        return []
    size = min(max(1, round(number * config.share)), number - 1)
    return [np.isin(blocks, rng.permutation(number)[:size]) for _ in range(config.parts)]


def _kmeans(vectors: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return centres (K, D) of length 1 after k-means on the sphere from given ones; one that loses all stays."""
    labels, weighted = np.full(len(vectors), -1), vectors * weights[:, None]
    for _ in range(_ITERATIONS):
        before, labels = labels, (vectors @ centres.T).argmax(axis=1)
        if (before == labels).all():
            break
        sums = np.eye(len(centres))[labels].T @ weighted
        centres = np.where(sums.any(axis=1)[:, None], length_normalise(sums), centres)
    return centres


def _table(first: np.ndarray, second: np.ndarray, weights: np.ndarray, clusters: int) -> np.ndarray:
    """Return the weight of every pair of labels, (K, K)."""
    return np.bincount(first * clusters + second, weights, clusters**2).reshape(clusters, clusters)


def _matched(table: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the second label for each first one that makes them agree most, (K,), and the share they then agree on."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-table)
    return columns, float(table[rows, columns].sum() / table.sum())
