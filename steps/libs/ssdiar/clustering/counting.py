"""Estimate the number of speakers.

For each k, the recording is clustered into k clusters and every pair of clusters is scored: are these two people? A
logistic model maps features to log odds: separation in units of the spread within clusters (mean of the views), seconds
and turn length of the smaller cluster, links by the segmentation network's local speakers, and the likeness of the
clusters' mean x-vectors. k speakers are likely if the weakest pair at k is still two people and the weakest pair at
k + 1 is not.

No feature grows with the length of the recording or depends on the scale of the x-vectors. The weights are in
conf/systems/best.yaml, which names the simulated recordings and the command that gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import astuple, replace

from ssdiar.clustering.config import (
    Count,
    PairWeights,
    PairWeightsWithLikeness,
    PairWeightsWithLinks,
    SystemConfig,
)
from ssdiar.clustering.consensus import Views
from ssdiar.clustering.links import links_of_clusters
from ssdiar.clustering.neighbours import chunks, mean_overlap
from ssdiar.clustering.vectors import length_normalise, seconds_of, sums_by
from ssdiar.timeline.segmentation import Segmentation

# These define the features and were set by hand. The weights of the model are fitted to the features: a change of one
# needs a new fit (bench/fit.py count).
_BLOCK = 4.0  # seconds that are left out together, since neighbours in time are not independent
_PRIOR_CHUNKS = 4.0  # weight of the spread within all clusters in that within two, in chunks
_CHUNKS_PER_SPEAKER = 1.5  # with fewer on average there is nothing to compare
_LONG_ENOUGH = 8.0  # seconds of a cluster above which more do not add certainty
_MAX_SEPARATION = 5.0
_MIN_STINT, _MAX_STINT = 0.3, 4.0  # seconds
_FEW_LINKS = 3.0  # square seconds of undecided links, added to those that were found

_SETTLED = 1e-5  # larger numbers are not tried once the last one is less likely than the best so far by this factor

#: Columns of :func:`pair_evidence`.
EVIDENCE = PairWeights.__struct_fields__[1:]
#: Its further columns if there is output of the segmentation network.
LINKS = PairWeightsWithLinks.__struct_fields__[1 + len(EVIDENCE) :]
#: And one more if the x-vector model is the one that the weights were fitted to.
LIKENESS = PairWeightsWithLikeness.__struct_fields__[1 + len(EVIDENCE + LINKS) :]


class Estimate(NamedTuple):
    """Number of speakers."""

    number: int  # the likeliest one
    probabilities: dict[int, float]  # of every number that was considered
    odds: dict[int, float]  # for each number of clusters, the log odds that its weakest pair is two speakers


def estimate_num_spk(views: Views, config: SystemConfig, limits: tuple[int, int]) -> Estimate:
    """Estimate the number of speakers of one recording.

    Args:
        views: The recording.
        config: ``count`` has the model, ``consensus`` makes the chunks.
        limits: Minimum and maximum number.
    """
    count, recording = config.count, views.prepared[0].recording
    if recording.is_side:
        count = replace(count, prior=count.prior_of_side)
    found, behind, weights = {}, 0.0, np.zeros(1)
    for clusters, pairs in evidence_by_number(views, config, limits[1] + 1):
        found[clusters], weights = pairs, weights_for(count, pairs.shape[1])
        # Log likelihood of this number relative to the best one so far; log odds are ratios of adjacent numbers.
        behind = min(behind + _min_odds(pairs, weights), 0.0)
        if clusters > limits[0] and behind < count.temperature * np.log(_SETTLED):
            break
    return estimate_from_evidence(found, weights, count, limits)


def weights_for(count: Count, features: int) -> np.ndarray:
    """Return the weights of the model for evidence with this number of features, the constant first."""
    models = (count.weights, count.weights_with_links, count.weights_with_likeness)
    return next(np.array(astuple(model)) for model in models if len(astuple(model)) == 1 + features)


def estimate_from_evidence(
    evidence: Mapping[int, np.ndarray], weights: np.ndarray, count: Count, limits: tuple[int, int]
) -> Estimate:
    """Return the number of speakers that the evidence makes likeliest.

    Args:
        evidence: Features of all pairs, (pairs, features), by number of clusters, up to one above the maximum.
        weights: (1 + features,) of the logistic model, the constant first.
        count: Has the prior and the temperature.
        limits: Minimum and maximum number; with too little speech to compare, the minimum is the answer.
    """
    odds = {clusters: _min_odds(pairs, weights) for clusters, pairs in evidence.items()}
    numbers = [n for n in range(limits[0], limits[1] + 1) if n == 1 or n in odds] or [limits[0]]
    scores = np.array([_log_likelihood(number, odds) + np.log(count.prior_of(number)) for number in numbers])
    chances = np.exp((scores - scores.max()) / count.temperature)
    chances /= chances.sum()
    probabilities = {number: round(float(chance), 4) for number, chance in zip(numbers, chances, strict=True)}
    return Estimate(numbers[int(chances.argmax())], probabilities, {k: round(v, 3) for k, v in odds.items()})


def _min_odds(pairs: np.ndarray, weights: np.ndarray) -> float:
    """Return the log odds that the weakest pair of clusters is two speakers."""
    return float((weights[0] + pairs @ weights[1:]).min())


def _log_likelihood(number: int, odds: Mapping[int, float]) -> float:
    """Return the log likelihood of a number: pairs are two speakers up to that many clusters, and not above."""
    return -sum(float(np.logaddexp(0, -value if clusters <= number else value)) for clusters, value in odds.items())


def evidence_by_number(views: Views, config: SystemConfig, limit: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield numbers of clusters from 2, with the features of all pairs, (pairs, features).

    It ends at ``limit`` or when there is too little speech to compare.
    """
    first = views.prepared[0]
    recording, vectors = first.recording, [view.vectors for view in views.prepared]
    chunk = chunks(first.times, first.stretch, config.consensus.chunk)
    is_known = recording.segmentation is not None and recording.model == config.count.likeness_of
    plain = length_normalise(np.asarray(recording.vectors, np.float64)) if is_known else None
    shared = mean_overlap(recording.times, first.stretch)
    for clusters in range(2, limit + 1):
        if chunk.max() + 1 < _CHUNKS_PER_SPEAKER * clusters or len(chunk) <= clusters:
            return
        labels = views.vote(clusters).labels
        yield clusters, pair_evidence(labels, vectors, first.times, chunk, recording.segmentation, plain, shared)


def pair_evidence(
    labels: np.ndarray,
    views: Sequence[np.ndarray],
    times: np.ndarray,
    chunk: np.ndarray,
    segmentation: Segmentation | None = None,
    plain: np.ndarray | None = None,
    shared: float = 0.0,
) -> np.ndarray:
    """Return features of all pairs of clusters, (pairs, features), that separate one speaker from two.

    Args:
        labels: (S,) from 0, every number in use.
        views: (S, D) prepared vectors of length 1 of each view.
        times: (S, 2) seconds.
        chunk: (S,) chunk of each sub-segment.
        segmentation: Adds the columns :data:`LINKS` to :data:`EVIDENCE`.
        plain: (S, D) x-vectors of length 1, not prepared; adds :data:`LIKENESS`.
        shared: Seconds that a sub-segment shares with the next one. A stint has this much less of its own: windows that
            span a change of speaker are no third voice.
    """
    clusters = int(labels.max()) + 1
    member = np.eye(clusters)[labels] * seconds_of(times)[:, None]
    seconds = member.sum(axis=0)
    stints = seconds / _number_of_stints(labels, times, clusters) - shared
    first, second = np.triu_indices(clusters, 1)
    small = np.where(seconds[first] < seconds[second], first, second)
    short = np.exp(-seconds[small] / 5)
    found = [separations(labels, vectors, times, chunk)[first, second] for vectors in views]
    separation = np.mean(np.clip(found, 0, _MAX_SEPARATION), axis=0)
    columns = [
        separation,
        np.log(np.minimum(seconds[small], _LONG_ENOUGH)),
        short,
        separation * short,
        np.log(np.clip(stints[small], _MIN_STINT, _MAX_STINT)),
    ]
    if segmentation is not None:
        links = links_of_clusters(labels, times, segmentation, clusters)
        same, another = links.same[first, second], links.another[first, second]
        columns += [
            (another - same) / (another + same + _FEW_LINKS),
            np.log1p(same / seconds[small]),
            np.log1p(another / seconds[small]),
        ]
    if plain is not None:
        means = length_normalise(member.T @ plain)
        columns.append((means @ means.T)[first, second])
    return np.column_stack(columns)


def _number_of_stints(labels: np.ndarray, times: np.ndarray, clusters: int) -> np.ndarray:
    """Return how often each cluster begins, at the start or after another one, (K,)."""
    in_time = labels[np.argsort(times[:, 0], kind="stable")]
    begins = np.concatenate([[True], in_time[1:] != in_time[:-1]])
    return np.bincount(in_time[begins], minlength=clusters)


def separations(labels: np.ndarray, vectors: np.ndarray, times: np.ndarray, chunk: np.ndarray) -> np.ndarray:
    """Return the separation of every two clusters in units of the spread within them, (K, K); 0 if it is not known.

    The chunks of clusters i and j are projected on the axis through the two clusters' means, without the chunk's own
    block of time. Of the projections x_c, weighted by the relative length w_c of chunks, the separation is Ashman's D
    (Ashman, Bird & Zepf, Astron. J. 108, 1994) with a common variance:

        D = (m_i - m_j) / s,    s^2 = (sum_c w_c (x_c - m)^2 + P s_0^2) / (sum_c w_c - 2 + P)

    where m is the mean of the chunk's own cluster, and s_0^2 the variance within all pairs, worth P chunks, since small
    clusters have no reliable variance of their own. Any cut through one Gaussian has D = 2.65, for any length.
    """
    clusters = int(labels.max()) + 1
    means = _chunk_means(labels, vectors, times, chunk)
    directions, distances = _directions_without_block(means, clusters)
    cosines = np.einsum("ckd,cd->ck", directions[means.block], length_normalise(means.sums))
    relative = means.seconds / means.seconds.mean()
    spreads = {}
    for i in range(clusters):
        for j in range(i):
            distance = distances[means.block, i, j]
            known = distance > 0
            projections = (cosines[:, i] - cosines[:, j]) / np.where(known, distance, 1)
            sides = [known & (means.owner == cluster) for cluster in (i, j)]
            if all(side.any() for side in sides):
                spreads[i, j] = _spread([projections[side] for side in sides], [relative[side] for side in sides])
    common = _common_variance(list(spreads.values()))
    result = np.zeros((clusters, clusters))
    for (i, j), spread in spreads.items():
        variance = (spread.squares + _PRIOR_CHUNKS * common) / (max(spread.chunks - 2, 0) + _PRIOR_CHUNKS)
        result[i, j] = result[j, i] = spread.difference / np.sqrt(variance) if variance > 0 else 0.0
    return result


class _ChunkMeans(NamedTuple):
    """Chunks of one cluster each; a chunk that spans two clusters is split."""

    sums: np.ndarray  # (C, D) of vectors weighted by seconds
    seconds: np.ndarray  # (C,)
    owner: np.ndarray  # (C,) cluster
    block: np.ndarray  # (C,) block of time, from 0


def _chunk_means(labels: np.ndarray, vectors: np.ndarray, times: np.ndarray, chunk: np.ndarray) -> _ChunkMeans:
    clusters, weights = int(labels.max()) + 1, seconds_of(times)
    keys, part = np.unique(chunk * clusters + labels, return_inverse=True)
    seconds = np.bincount(part, weights)
    centre = np.bincount(part, weights * times.mean(axis=1)) / seconds
    _, block = np.unique((centre // _BLOCK).astype(int), return_inverse=True)
    return _ChunkMeans(sums_by(part, vectors, weights), seconds, keys % clusters, block)


def _directions_without_block(means: _ChunkMeans, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions of the clusters' means, each block of time left out in turn.

    Returns:
        (B, K, D) directions of length 1, and (B, K, K) distances between them, 0 if a cluster is in that block only.
    """
    inside = np.zeros((means.block.max() + 1, clusters, means.sums.shape[1]))
    np.add.at(inside, (means.block, means.owner), means.sums)
    sums = inside.sum(axis=0) - inside
    lengths = np.linalg.norm(sums, axis=2)
    known = lengths > 1e-9
    directions = sums / np.where(known, lengths, 1)[:, :, None]
    cosines = directions @ directions.transpose(0, 2, 1)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)) * (known[:, :, None] & known[:, None, :])
    return directions, distances


class _Spread(NamedTuple):
    """Projections of the chunks of two clusters, weighted by their relative length."""

    difference: float  # of the clusters' means
    chunks: float  # sum of weights
    squares: float  # of deviations from the own cluster's mean


def _spread(projections: list[np.ndarray], weights: list[np.ndarray]) -> _Spread:
    """Summarise the projections of two clusters, weighted."""
    sides = list(zip(projections, weights, strict=True))
    means = [np.average(values, weights=weight) for values, weight in sides]
    squares = [(weight * (values - mean) ** 2).sum() for (values, weight), mean in zip(sides, means, strict=True)]
    return _Spread(means[0] - means[1], sum(weight.sum() for weight in weights), sum(squares))


def _common_variance(spreads: list[_Spread]) -> float:
    """Return the variance within clusters over all pairs with enough chunks."""
    enough = [spread for spread in spreads if spread.chunks > 2]
    freedom = sum(max(spread.chunks - 2, 0.5) for spread in enough)
    return sum(spread.squares for spread in enough) / freedom if enough else 0.0
