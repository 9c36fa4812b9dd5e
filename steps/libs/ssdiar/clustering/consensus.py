"""Speakers by agreement: k-means of random parts of a recording, and how far the parts agree on the rest.

Whatever splits a recording into true speakers is found again in any part of it; what splits one speaker, or makes a
speaker of a cough, is not. So the same parts give labels (their vote) and the number of speakers (the largest number
that they agree on): prediction strength (Tibshirani & Walther, J. Comp. Graph. Stat. 14, 2005), with parts made of
blocks of time, since neighbours in time are no independent witnesses. Nothing in it knows the scale of the vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ssdiar.clustering.config import Consensus, Count
from ssdiar.clustering.vectors import length_normalise, relabel_by_time

_ITERATIONS = 50
_PIECES_PER_SPEAKER = 3  # with fewer there is nothing to agree on


class Vote(NamedTuple):
    """What the parts say together.

    Attributes:
        labels: (S,) from 0 by first occurrence.
        agreement: (K,) how far the parts agree on each cluster: the share of it, of what a part did not see, that the
            part puts there too, mean of the parts; 0 for a part that has seen all of it. nan where nothing can be said.
    """

    labels: np.ndarray
    agreement: np.ndarray


class Agreement(NamedTuple):
    """How far parts agree on a number of speakers: mean of the speakers, and on the one with the least."""

    mean: float
    least: float


def vote(
    vectors: np.ndarray,
    times: np.ndarray,
    clusters: int,
    share: float,
    config: Consensus,
    rng: np.random.Generator,
) -> Vote:
    """Cluster by k-means of many random parts, each of which labels everything.

    Args:
        vectors: (S, D) of length 1, S at least 1.
        times: (S, 2) seconds; longer sub-segments count for more.
        clusters: Number of clusters; with no more vectors than that each is its own.
        share: Of the blocks in a part, between 0 and 1.
        config: How many parts and starts, and how long a block is.
        rng: For parts and starts.
    """
    if len(vectors) <= clusters:
        return Vote(np.arange(len(vectors)), np.full(clusters, np.nan))
    weights = np.maximum(times[:, 1] - times[:, 0], 1e-3)
    parts = _parts(times, share, config, rng)
    opinions = []
    for part in parts:
        known = part if part.sum() > clusters else np.ones_like(part)
        centres = _kmeans(vectors[known], weights[known], clusters, config.starts, rng)
        opinions.append((vectors @ centres.T).argmax(axis=1))
    tables = [[_table(a, b, weights, clusters) for b in opinions] for a in opinions]
    shared = np.array([[_matched(table)[1] for table in row] for row in tables])
    leader = int(shared.mean(axis=1).argmax())
    votes = np.zeros((len(vectors), clusters))
    renamed = []
    for number, opinion in enumerate(opinions):
        names, agreed = _matched(tables[number][leader])
        renamed.append(names[opinion])
        votes[np.arange(len(vectors)), renamed[-1]] += agreed
    labels = votes.argmax(axis=1)
    found = [_recall(labels, own, weights * ~part, clusters) for own, part in zip(renamed, parts, strict=True)]
    nothing_unseen = all(part.all() for part in parts)
    return Vote(relabel_by_time(labels), np.full(clusters, np.nan) if nothing_unseen else np.mean(found, axis=0))


def estimate_num_spk(
    vectors: np.ndarray,
    times: np.ndarray,
    count: Count,
    config: Consensus,
    rng: np.random.Generator,
) -> tuple[int, dict[int, Agreement]]:
    """Return the largest number of speakers that the parts of a recording agree on, and the agreement on those tried.

    Args:
        vectors: (S, D) of length 1, S at least 1.
        times: (S, 2) seconds.
        count: What agreement is enough, the ``share`` of the blocks in a part, the ``most`` speakers. Trying ends two
            numbers after the last that was enough.
        config: As of :func:`vote`.
        rng: As of :func:`vote`.
    """
    best, tried = 1, {}
    for clusters in range(2, min(count.most, len(vectors) // _PIECES_PER_SPEAKER) + 1):
        agreement = vote(vectors, times, clusters, count.share, config, rng).agreement
        if np.isnan(agreement).any():
            break  # a single block: there is nothing that parts could agree on
        tried[clusters] = Agreement(round(float(agreement.mean()), 4), round(float(agreement.min()), 4))
        enough = count.agreement_on_three if clusters == 3 else count.agreement
        if agreement.mean() >= enough and agreement.min() >= count.agreement_on_each:
            best = clusters
        elif clusters >= best + 2:
            break
    return best, tried


def _parts(times: np.ndarray, share: float, config: Consensus, rng: np.random.Generator) -> list[np.ndarray]:
    """Return masks (S,) of random parts, each ``share`` of the blocks that have speech and at least one of them."""
    _, blocks = np.unique((times.mean(axis=1) // config.block).astype(int), return_inverse=True)
    number = int(blocks.max()) + 1
    if number == 1:
        return [np.ones(len(times), bool)] * config.parts
    size = min(max(1, round(number * share)), number - 1)
    return [np.isin(blocks, rng.permutation(number)[:size]) for _ in range(config.parts)]


def _kmeans(
    vectors: np.ndarray, weights: np.ndarray, clusters: int, starts: int, rng: np.random.Generator
) -> np.ndarray:
    """Return centres (K, D) of length 1 with the greatest weighted sum of cosines, of several starts (k-means++)."""
    best, best_sum = vectors[:clusters], -np.inf
    weighted = vectors * weights[:, None]
    for _ in range(starts):
        centres = _first_centres(vectors, weights, clusters, rng)
        labels = np.full(len(vectors), -1)
        for _ in range(_ITERATIONS):
            cosines = vectors @ centres.T
            before, labels = labels, cosines.argmax(axis=1)
            if (before == labels).all():
                break
            sums = np.eye(clusters)[labels].T @ weighted
            empty = ~sums.any(axis=1)
            centres = np.where(empty[:, None], centres, length_normalise(sums))
        total = float(weights @ cosines.max(axis=1))
        if total > best_sum:
            best, best_sum = centres, total
    return best


def _first_centres(vectors: np.ndarray, weights: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return vectors far from each other: each next one drawn by weight and distance from those before."""
    chance = weights / weights.sum()
    chosen = [int(rng.choice(len(vectors), p=chance))]
    distance = np.maximum(1 - vectors @ vectors[chosen[0]], 0)
    for _ in range(clusters - 1):
        chance = distance * weights
        chance = chance / chance.sum() if chance.sum() > 0 else weights / weights.sum()
        chosen.append(int(rng.choice(len(vectors), p=chance)))
        distance = np.minimum(distance, np.maximum(1 - vectors @ vectors[chosen[-1]], 0))
    return vectors[chosen]


def _table(first: np.ndarray, second: np.ndarray, weights: np.ndarray, clusters: int) -> np.ndarray:
    """Return the weight of every pair of labels, (K, K)."""
    return np.bincount(first * clusters + second, weights, clusters**2).reshape(clusters, clusters)


def _matched(table: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the second label for each first one that makes them agree most, (K,), and the share they then agree on."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-table)
    return columns, float(table[rows, columns].sum() / table.sum())


def _recall(labels: np.ndarray, found: np.ndarray, weights: np.ndarray, clusters: int) -> np.ndarray:
    """Return the share of every cluster of ``labels`` that ``found`` has too, (K,); of a cluster not there, 0."""
    total = np.bincount(labels, weights, clusters)
    right = np.bincount(labels, weights * (labels == found), clusters)
    return right / np.where(total > 0, total, 1)
