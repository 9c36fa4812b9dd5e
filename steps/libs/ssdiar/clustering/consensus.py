"""Labels by consensus: random subsets of a recording are clustered, each labels everything, and they vote.

A recording is seen in one or more views: its x-vectors, prepared in different ways, which err on different recordings.
In each view, a subset is a random share of the recording's blocks of time. Its x-vectors are averaged over chunks of a
stretch, Ward's criterion merges the chunks, and k-means of its sub-segments refines the clusters. Any subset finds a
split into true speakers. A split caused by a cough or a change of noise is rare, and is outvoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Consensus
from ssdiar.clustering.links import explained, local_speakers
from ssdiar.clustering.neighbours import chunks
from ssdiar.clustering.recording import Prepared
from ssdiar.clustering.vectors import fill_empty, length_normalise, seconds_of, sums_by

_ITERATIONS = 50  # at most, of k-means; it ends when no label changes
_MAX_CHUNKS = 1000  # in longer recordings chunks are longer, since merging takes the square of their number
_MAX_LEAVES = 4000  # short stretches may make more chunks; FINCH then merges similar ones first
_MIN_BLOCKS = 20  # in shorter recordings blocks are shorter


class Vote(NamedTuple):
    """The result of a vote."""

    labels: np.ndarray  # (S,) from 0, every number in use
    shares: np.ndarray  # (S, K) share of the votes for each cluster, of sum 1

    @property
    def support(self) -> np.ndarray:
        """Return the share of the votes for each label, (S,), 0 to 1."""
        return self.shares[np.arange(len(self.labels)), self.labels]


class _Part(NamedTuple):
    """One subset of a recording."""

    known: np.ndarray  # (S,) mask of its sub-segments
    tree: Dendrogram  # merges of its chunks
    means: np.ndarray  # (C, D) of the chunks
    seconds: np.ndarray  # (C,)


class Views:
    """A recording in several views, its x-vectors prepared in several ways, which vote."""

    def __init__(self, prepared: Sequence[Prepared], config: Consensus, rng: np.random.Generator) -> None:
        first = prepared[0]
        self.prepared, self._threads = prepared, first.threads
        seeds = rng.spawn(len(prepared))  # so that the order in which threads end decides nothing
        self._parts = self._each(lambda pair: Parts(pair[0], config, pair[1]), list(zip(prepared, seeds, strict=True)))
        segmentation = first.recording.segmentation
        self._local = None if segmentation is None else local_speakers(segmentation, first.times)
        self._seconds = seconds_of(first.times)

    def vote(self, clusters: int) -> Vote:
        """Return labels of min(clusters, S) clusters, and how far views and subsets agree on them.

        Half of the views votes: with output of the segmentation network those for which its local speakers tell the
        clusters apart best, and else the first ones.
        """
        size, half = len(self._seconds), (len(self._parts) + 1) // 2
        if size <= clusters:
            return Vote(np.arange(size), np.eye(size))
        parts = self._parts if self._local is not None else self._parts[:half]
        votes = self._each(lambda view: view.vote(clusters), parts)
        if self._local is not None and half < len(votes):
            found = [explained(self._local, vote.labels, clusters) for vote in votes]
            votes = [votes[index] for index in np.argsort(found, kind="stable")[::-1][:half]]
        return joint_vote([vote.labels for vote in votes], [vote.shares for vote in votes], self._seconds)

    def _each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Return the results of a function for each item, in order."""
        if self._threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(function, items))


def joint_vote(opinions: Sequence[np.ndarray], shares: Sequence[np.ndarray], seconds: np.ndarray) -> Vote:
    """Return the joint vote of opinions, which number their clusters independently.

    Args:
        opinions: (S,) labels of each.
        shares: (S, K) how far each is for each cluster.
        seconds: (S,) weights.
    """
    clusters = shares[0].shape[1]
    tables = [[_table(a, b, seconds, clusters) for b in opinions] for a in opinions]
    # The opinion that agrees best with the others gives the clusters their numbers.
    leader = int(np.argmax([np.mean([_matched(table)[1] for table in row]) for row in tables]))
    votes = np.zeros((len(seconds), clusters))
    for row, share in zip(tables, shares, strict=True):
        names, agreed = _matched(row[leader])
        votes[:, names] += agreed * share
    return Vote(fill_empty(votes.argmax(axis=1), votes, clusters), votes / votes.sum(axis=1, keepdims=True))


class Parts:
    """One view of a recording and random subsets of it, merged once, cut for any number of clusters."""

    def __init__(self, prepared: Prepared, config: Consensus, rng: np.random.Generator) -> None:
        times = prepared.times
        self._vectors = prepared.vectors
        self._seconds = seconds_of(times)
        self._chunks = chunks(times, prepared.stretch, max(config.chunk, self._seconds.sum() / _MAX_CHUNKS))
        subsets = [np.ones(len(times), bool), *_random_subsets(times, config, rng)]
        self._parts = [self._merge(subset) for subset in subsets]

    def vote(self, clusters: int) -> Vote:
        """Return labels of fewer clusters than sub-segments, and how far the subsets agree on them."""
        able = [part for part in self._parts if part.tree.leaves >= clusters]
        opinions = [self._opinion(part, clusters) for part in able]
        if not opinions:  # fewer chunks than clusters
            opinions = [Dendrogram(self._vectors, "ward").cut(clusters)]
        return joint_vote(opinions, [np.eye(clusters)[opinion] for opinion in opinions], self._seconds)

    def _merge(self, known: np.ndarray) -> _Part:
        """Merge the chunks of the sub-segments that a mask (S,) selects."""
        _, own = np.unique(self._chunks[known], return_inverse=True)
        sums = sums_by(own, self._vectors[known], self._seconds[known])
        tree = Dendrogram(sums, "ward", _MAX_LEAVES)
        return _Part(known, tree, length_normalise(sums), np.bincount(own, self._seconds[known]))

    def _opinion(self, part: _Part, clusters: int) -> np.ndarray:
        """Return labels (S,) of the whole recording by one subset."""
        member = np.eye(clusters)[part.tree.cut(clusters)]
        centres = length_normalise(member.T @ (part.means * part.seconds[:, None]))
        centres = _kmeans(self._vectors[part.known], self._seconds[part.known], centres)
        return (self._vectors @ centres.T).argmax(axis=1)


def _random_subsets(times: np.ndarray, config: Consensus, rng: np.random.Generator) -> list[np.ndarray]:
    """Return masks (S,) of random subsets, each with ``share`` of the blocks that contain speech, at least one."""
    speech = float((times[:, 1] - times[:, 0]).sum())
    block = min(config.block, max(speech / _MIN_BLOCKS, 1e-3))
    _, blocks = np.unique((times.mean(axis=1) // block).astype(int), return_inverse=True)
    number = int(blocks.max()) + 1
    if number == 1:
        return []
    size = min(max(1, round(number * config.share)), number - 1)
    return [np.isin(blocks, rng.permutation(number)[:size]) for _ in range(config.parts)]


def _kmeans(vectors: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Refine centres (K, D) of length 1 by k-means on the sphere; a centre that loses all its vectors stays."""
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
    """Return the best match (K,) of second labels to first labels, and the share of weight on which they agree."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-table)
    return columns, float(table[rows, columns].sum() / table.sum())
