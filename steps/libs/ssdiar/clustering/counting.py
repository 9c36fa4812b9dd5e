"""How many speakers: for every number of clusters, whether even the most doubtful two of them are two speakers.

A recording is clustered into 2, 3, ... clusters. Two clusters of one voice differ from two voices in how far apart they
are in units of the spread within them, measured on speech that did not set the direction (:func:`separations`); in how
much speech the smaller one has, in how long stints; and in whether the segmentation network, where it heard both within
ten seconds, took them for one speaker. None of these grows with the length of a recording (how far random parts agree
does, and is not asked), and none depends on the scale of the x-vectors. A logistic model turns them into the odds that
two clusters are two speakers; its few numbers come from simulated recordings, by the command that
conf/systems/best.yaml names. A number of speakers is likely if even its least likely two clusters are two, and those of
all larger numbers are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ssdiar.clustering.config import Consensus, Count, SystemConfig
from ssdiar.clustering.consensus import Parts
from ssdiar.clustering.links import links_of_clusters
from ssdiar.clustering.neighbours import chunks
from ssdiar.clustering.recording import Prepared
from ssdiar.clustering.vectors import length_normalise
from ssdiar.timeline.segmentation import Segmentation

# These say what is measured, and were set by hand. The weights of the model are fitted to what they give: a change of
# one needs a new fit (bench/count_model.sh).
_BLOCK = 4.0  # seconds that are left out together; neighbours in time are no independent witnesses
_PRIOR_CHUNKS = 4.0  # how many chunks the spread within all clusters counts for in that of two
_CHUNKS_PER_SPEAKER = 1.5  # with fewer on average there is nothing to compare
_LONG_ENOUGH = 8.0  # seconds of a cluster from which more make it no more certain
_LARGEST_SEPARATION = 5.0  # voices that are further apart are no more two than these
_SHORTEST_STINT, _LONGEST_STINT = 0.3, 4.0  # seconds between which the length of a stint says something
_FEW_LINKS = 3.0  # square seconds of links that would count for undecided

_SETTLED = 1e-5  # relative likelihood of a number from which larger ones, each less likely so far, are not tried

#: What :func:`pair_evidence` measures, in order.
EVIDENCE = (
    "separation",
    "log_seconds",
    "short",
    "separation_if_short",
    "log_stint",
)
#: What it measures after these where there is output of the segmentation network.
LINKS = ("heard_apart", "links_same", "links_another")


class Estimate(NamedTuple):
    """How many speakers there are.

    Attributes:
        number: The likeliest number.
        probabilities: Of every number that was considered.
        odds: By number of clusters, the log odds that the most doubtful two of them are two speakers.
    """

    number: int
    probabilities: dict[int, float]
    odds: dict[int, float]


def estimate_num_spk(
    prepared: Prepared, config: SystemConfig, limits: tuple[int, int], rng: np.random.Generator
) -> Estimate:
    """Estimate the number of speakers of one recording.

    Args:
        prepared: The recording, its vectors of length 1; it needs times.
        config: The system: its ``count`` has the model, its ``consensus`` makes the clusters.
        limits: Least and largest number to consider.
        rng: See :class:`ssdiar.clustering.consensus.Parts`.
    """
    count, heard = config.count, prepared.recording.heard
    if prepared.recording.is_side:
        count = replace(count, prior=count.prior_of_side)
    weights = np.asarray(count.weights if heard is None else count.weights_with_links)
    found, behind = {}, 0.0
    for clusters, pairs in evidence_by_number(prepared, config.consensus, limits[1] + 1, rng):
        found[clusters] = pairs
        # By so much is this number less likely than the likeliest up to here (log odds are ratios of neighbours).
        behind = min(behind + _least_odds(pairs, weights), 0.0)
        if clusters > limits[0] and behind < count.temperature * np.log(_SETTLED):
            break
    return estimate_from_evidence(found, weights, count, limits)


def estimate_from_evidence(
    evidence: Mapping[int, np.ndarray], weights: np.ndarray, count: Count, limits: tuple[int, int]
) -> Estimate:
    """Return the number of speakers that the evidence speaks for.

    Args:
        evidence: Of all pairs, (pairs, features), by number of clusters, up to one more than the largest number.
        weights: (1 + features,) of the logistic model, the constant first.
        count: The prior and the temperature.
        limits: See :func:`estimate_num_spk`. Where there is too little speech for that many, the least is the answer.
    """
    least, most = limits
    odds = {clusters: _least_odds(pairs, weights) for clusters, pairs in evidence.items()}
    numbers = [number for number in range(least, most + 1) if number == 1 or number in odds] or [least]
    scores = np.array([_log_likelihood(number, odds) + np.log(count.prior_of(number)) for number in numbers])
    chances = np.exp((scores - scores.max()) / count.temperature)
    chances /= chances.sum()
    probabilities = {number: round(float(chance), 4) for number, chance in zip(numbers, chances, strict=True)}
    return Estimate(numbers[int(chances.argmax())], probabilities, {k: round(v, 3) for k, v in odds.items()})


def _least_odds(pairs: np.ndarray, weights: np.ndarray) -> float:
    """Return the log odds that the most doubtful two clusters are two speakers."""
    return float((weights[0] + pairs @ weights[1:]).min())


def _log_likelihood(number: int, odds: Mapping[int, float]) -> float:
    """Return how well a number explains that some clusters look like speakers and others do not."""
    return -sum(float(np.logaddexp(0, -value if clusters <= number else value)) for clusters, value in odds.items())


def evidence_by_number(
    prepared: Prepared, consensus: Consensus, most: int, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the numbers of clusters from 2 to ``most``, each with the evidence of all its pairs, (pairs, features).

    Arguments are those of :func:`estimate_num_spk`. It ends early where there is too little speech to compare.
    """
    vectors, times, heard = prepared.vectors, prepared.times, prepared.recording.heard
    parts = Parts(vectors, times, consensus, rng, prepared.threads)
    number_of_chunks = int(chunks(times, consensus.chunk).max()) + 1
    for clusters in range(2, most + 1):
        if number_of_chunks < _CHUNKS_PER_SPEAKER * clusters or len(vectors) <= clusters:
            return
        yield clusters, pair_evidence(parts.vote(clusters).labels, vectors, times, consensus.chunk, heard)


def pair_evidence(
    labels: np.ndarray, vectors: np.ndarray, times: np.ndarray, span: float, heard: Segmentation | None = None
) -> np.ndarray:
    """Return what tells whether two clusters are two speakers, for all pairs of clusters: (pairs, features).

    Args:
        labels: (S,) from 0, every number in use.
        vectors: (S, D) prepared, of length 1.
        times: (S, 2) seconds.
        span: Seconds of a chunk.
        heard: Output of the segmentation network, if there is one.

    Returns:
        Columns as in :data:`EVIDENCE`, and with ``heard`` as in :data:`LINKS`.
    """
    clusters = int(labels.max()) + 1
    weights = np.maximum(times[:, 1] - times[:, 0], 1e-3)
    member = np.eye(clusters)[labels] * weights[:, None]
    seconds = member.sum(axis=0)
    stints = seconds / _number_of_stints(labels, times, clusters)
    first, second = np.triu_indices(clusters, 1)
    small = np.where(seconds[first] < seconds[second], first, second)
    short = np.exp(-seconds[small] / 5)
    separation = np.clip(separations(labels, vectors, times, span)[first, second], 0, _LARGEST_SEPARATION)
    columns = [
        separation,
        np.log(np.minimum(seconds[small], _LONG_ENOUGH)),
        short,
        separation * short,
        np.log(np.clip(stints[small], _SHORTEST_STINT, _LONGEST_STINT)),
    ]
    if heard is not None:
        links = links_of_clusters(labels, times, heard, clusters)
        same, another = links.same[first, second], links.another[first, second]
        columns += [
            (another - same) / (another + same + _FEW_LINKS),
            np.log1p(same / seconds[small]),
            np.log1p(another / seconds[small]),
        ]
    return np.column_stack(columns)


def _number_of_stints(labels: np.ndarray, times: np.ndarray, clusters: int) -> np.ndarray:
    """Return how often each cluster begins after another one or at the start, (K,)."""
    in_time = labels[np.argsort(times[:, 0], kind="stable")]
    begins = np.concatenate([[True], in_time[1:] != in_time[:-1]])
    return np.bincount(in_time[begins], minlength=clusters)


def separations(labels: np.ndarray, vectors: np.ndarray, times: np.ndarray, span: float) -> np.ndarray:
    """Return how far apart clusters are in units of the spread within them, (K, K); 0 where nothing can be said.

    For every two clusters, chunks are projected on the axis between the clusters' means, from which the chunk's own
    block of time is left out; the value is the difference of the projections' means over their standard deviation
    (Ashman's D, Ashman, Bird & Zepf, Astron. J. 108, 1994). Any cut through one Gaussian has 2.65, however long the
    recording. The spread is drawn towards that of all pairs, since small clusters have none of their own.

    Arguments are those of :func:`pair_evidence`.
    """
    clusters = int(labels.max()) + 1
    weights = np.maximum(times[:, 1] - times[:, 0], 1e-3)
    # What one chunk has of two clusters is two chunks here.
    chunked, chunk = np.unique(chunks(times, span) * clusters + labels, return_inverse=True)
    seconds, owner = np.bincount(chunk, weights), chunked % clusters
    sums = np.zeros((len(seconds), vectors.shape[1]))
    np.add.at(sums, chunk, vectors * weights[:, None])
    when = np.bincount(chunk, weights * times.mean(axis=1)) / seconds
    _, block = np.unique((when // _BLOCK).astype(int), return_inverse=True)
    projections, norms = _projections(length_normalise(sums), sums, owner, block, clusters)
    pairs, counts, spreads = {}, {}, {}
    relative = seconds / seconds.mean()
    for i in range(clusters):
        for j in range(i):
            known = norms[:, i, j] > 0
            values = (projections[:, i] - projections[:, j]) / np.where(known, norms[:, i, j], 1)
            sides = [known & (owner == side) for side in (i, j)]
            if not all(side.any() for side in sides):
                continue
            centres = [np.average(values[side], weights=relative[side]) for side in sides]
            pairs[i, j] = centres[0] - centres[1]
            counts[i, j] = sum(relative[side].sum() for side in sides)
            spreads[i, j] = sum(
                (relative[side] * (values[side] - centre) ** 2).sum()
                for side, centre in zip(sides, centres, strict=True)
            )
    freedom = {pair: max(count - 2, 0.5) for pair, count in counts.items() if count > 2}
    common = sum(spreads[pair] for pair in freedom) / sum(freedom.values()) if freedom else 0.0
    result = np.zeros((clusters, clusters))
    for (i, j), distance in pairs.items():
        variance = (spreads[i, j] + _PRIOR_CHUNKS * common) / (max(counts[i, j] - 2, 0) + _PRIOR_CHUNKS)
        result[i, j] = result[j, i] = distance / np.sqrt(variance) if variance > 0 else 0.0
    return result


def _projections(
    unit: np.ndarray, sums: np.ndarray, owner: np.ndarray, block: np.ndarray, clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Project chunks on the directions of clusters from which the chunk's own block is left out.

    Args:
        unit: (C, D) chunks of length 1.
        sums: (C, D) weighted by seconds.
        owner: (C,) cluster of each chunk.
        block: (C,) block of time of each chunk, from 0.
        clusters: K.

    Returns:
        (C, K) cosines with the directions, and (C, K, K) distances between these; 0 where one is not known.
    """
    inside = np.zeros((block.max() + 1, clusters, sums.shape[1]))
    np.add.at(inside, (block, owner), sums)
    directions = inside.sum(axis=0) - inside  # (blocks, K, D)
    lengths = np.linalg.norm(directions, axis=2)
    known = lengths > 1e-9
    directions = directions / np.where(known, lengths, 1)[:, :, None]
    gram = directions @ directions.transpose(0, 2, 1)
    norms = np.sqrt(np.maximum(2 - 2 * gram, 0)) * (known[:, :, None] & known[:, None, :])
    cosines = np.einsum("ckd,cd->ck", directions[block], unit)
    return cosines, norms[block]
