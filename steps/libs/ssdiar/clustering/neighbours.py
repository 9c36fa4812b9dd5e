"""Neighbours in time: what lies side by side in a stretch of speech is nearly always one speaker.

So the differences of neighbours show how a speaker's x-vectors vary, with no label at all: their covariance is a
within-speaker covariance whose teacher is time (the idea of slow feature analysis and of WCCN). Whitening by it makes
small what changes from piece to piece, words and noise, and leaves large what stays for a turn, the voice.

Times are (S, 2) starts and ends in seconds, in any order. A stretch is a chain of sub-segments with no gap between.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TOUCH = 0.008  # seconds; a gap below it is none (where a detector cuts at a change of speaker it leaves 0.01)
_LEAST = 0.5  # seconds; the x-vectors of shorter sub-segments say little of how a speaker varies
_FEWEST_PAIRS = 4  # set by hand: fewer differences are no covariance; from there on their number sets the shrinkage
_APART = 0.75  # seconds between the centres of neighbours in the paper's sub-segments
_REACH = 4.0  # times the decay of the neighbours' weight; what is further away has under 2 % of it


def stretches(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the sub-segments in time (S,), and the number of the stretch of each in that order (S,)."""
    order = np.lexsort((times[:, 1], times[:, 0]))
    ordered = times[order]
    latest = np.maximum.accumulate(ordered[:, 1])
    starts_new = ordered[1:, 0] - latest[:-1] >= _TOUCH
    return order, np.concatenate([[0], np.cumsum(starts_new)])


def without_overlap(times: np.ndarray) -> np.ndarray:
    """Return the time that each sub-segment stands for, (S, 2): windows that overlap are cut between their centres.

    So a second of speech counts once, however many windows hear it, and every window keeps its centre.
    """
    order = np.argsort(times.mean(axis=1), kind="stable")
    starts, ends = times[order].T.copy()
    middle = (starts + ends) / 2
    between = (middle[:-1] + middle[1:]) / 2
    shared = starts[1:] < ends[:-1]
    starts[1:] = np.where(shared, np.maximum(starts[1:], between), starts[1:])
    ends[:-1] = np.where(shared, np.minimum(ends[:-1], between), ends[:-1])
    result = np.empty_like(times)
    result[order] = np.column_stack([starts, ends])
    return result


def mean_overlap(times: np.ndarray) -> float:
    """Return the seconds that a sub-segment shares with the next of its stretch, mean of the sub-segments."""
    order, stretch = stretches(times)
    ordered = times[order]
    inside = stretch[1:] == stretch[:-1]
    return float(np.maximum(ordered[:-1, 1] - ordered[1:, 0], 0)[inside].mean()) if inside.any() else 0.0


def chunks(times: np.ndarray, span: float) -> np.ndarray:
    """Return the number of each sub-segment's chunk, (S,) from 0: stretches cut into parts of at most ``span`` seconds.

    A sub-segment that is longer than ``span`` is a chunk of its own.
    """
    order, stretch = stretches(times)
    result = np.empty(len(times), np.int64)
    number, begin, last = -1, 0.0, -1
    for piece, own in zip(order.tolist(), stretch.tolist(), strict=True):
        if own != last or times[piece, 1] - begin > span + 1e-6:
            number, begin, last = number + 1, times[piece, 0], own
        result[piece] = number
    return result


def neighbour_pairs(times: np.ndarray) -> np.ndarray:
    """Return (P, 2) indices of neighbours: each sub-segment, and the next of its stretch that shares no audio with it.

    Windows that overlap share audio: their difference would say what half a second changes, not what a speaker does.
    """
    order, stretch = stretches(times)
    ordered = times[order]
    after = np.searchsorted(ordered[:, 0], ordered[:, 1] - 1e-6)
    first = np.arange(len(times))
    inside = after < len(times)
    first, after = first[inside], after[inside]
    long = ordered[:, 1] - ordered[:, 0] >= _LEAST - 1e-6
    good = (stretch[first] == stretch[after]) & long[first] & long[after] & (after > first)
    return np.column_stack([order[first[good]], order[after[good]]])


def neighbour_whitening(vectors: np.ndarray, times: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return the symmetric transform (D, D) that whitens by the covariance of neighbours' differences.

    Args:
        vectors: (S, D) x-vectors, of length 1.
        times: (S, 2).
        shrinkage: Of the covariance towards a multiple of the identity, 0 to 1, where there are at least as many pairs
            as dimensions and neighbours are 0.75 s apart. Some pairs are two speakers, so much is needed. What is not
            shrunk falls with fewer pairs in proportion, and with the square of the distance of neighbours, which
            grows where windows share audio: the further apart, the more pairs are two speakers.

    Returns:
        The identity where there are hardly any neighbours to learn from.
    """
    return common_whitening([(vectors, times)], shrinkage)


def common_whitening(recordings: Sequence[tuple[np.ndarray, np.ndarray]], shrinkage: float) -> np.ndarray:
    """Return :func:`neighbour_whitening` by the neighbours of several recordings together.

    Args:
        recordings: (S, D) x-vectors of length 1 and (S, 2) times of each, at least one recording.
        shrinkage: As there.
    """
    dimension = recordings[0][0].shape[1]
    covariance, apart = np.zeros((dimension, dimension)), []
    for vectors, times in recordings:
        pairs = neighbour_pairs(times)
        differences = vectors[pairs[:, 0]] - vectors[pairs[:, 1]]
        covariance += differences.T @ differences / 2
        centres = times.mean(axis=1)
        apart.append(centres[pairs[:, 1]] - centres[pairs[:, 0]])
    distances = np.concatenate(apart)
    number = len(distances)
    covariance /= max(number, 1)
    scale = np.trace(covariance) / dimension
    if number < _FEWEST_PAIRS or scale <= 0:
        return np.eye(dimension)
    shrinkage = 1 - (1 - shrinkage) * min(1.0, number / dimension) * min(1.0, _APART / np.median(distances)) ** 2
    values, axes = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * scale * np.eye(dimension))
    # A shrinkage of 0 leaves directions that no difference has; they are as quiet as the quietest that one has.
    values = np.maximum(values, scale * 1e-6)
    return (axes / np.sqrt(values)) @ axes.T


def neighbour_average(vectors: np.ndarray, times: np.ndarray, decay: float) -> np.ndarray:
    """Return every vector averaged with those of its stretch, (S, D).

    A sub-segment's weight is its duration, falling by exp(-distance / decay) with the distance of the centres.

    Args:
        vectors: (S, D).
        times: (S, 2).
        decay: Seconds, above 0.
    """
    order, stretch = stretches(times)
    ordered = vectors[order]
    centre, duration = times[order].mean(axis=1), times[order, 1] - times[order, 0]
    total = duration.copy()
    summed = ordered * duration[:, None]
    for step in range(1, len(vectors)):
        distance = np.abs(centre[step:] - centre[:-step])
        near = (stretch[step:] == stretch[:-step]) & (distance <= _REACH * decay)
        if not near.any():
            break
        left, right = np.flatnonzero(near), np.flatnonzero(near) + step
        weight = np.exp(-distance[near] / decay)
        for here, there in ((left, right), (right, left)):
            summed[here] += ordered[there] * (weight * duration[there])[:, None]
            total[here] += weight * duration[there]
    result = np.empty_like(summed)
    result[order] = summed / total[:, None]
    return result
