"""Neighbours in time: adjacent sub-segments of a stretch of speech nearly always have the same speaker.

The covariance of their differences is therefore a within-speaker covariance, without labels (the idea of slow feature
analysis and of WCCN). Whitening by it shrinks words and noise, which change from one sub-segment to the next, and keeps
the voice, which lasts for a turn.

``times`` are (S, 2) starts and ends in seconds, in any order; ``stretch`` is (S,) the stretch of each sub-segment.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import relabel_by_time

_TOUCH = 0.008  # seconds; a shorter gap does not end a stretch
_MIN_DURATION = 0.5  # seconds; x-vectors of shorter sub-segments do not show how a speaker varies
_MIN_PAIRS = 4  # set by hand: fewer differences have no covariance; above that their number sets the shrinkage
_APART = 0.75  # seconds between the centres of neighbours in the paper's sub-segments
_REACH = 4.0  # in units of the decay; neighbours further away would have less than 2 % of the weight


def stretches(times: np.ndarray, regions: np.ndarray | None = None) -> np.ndarray:
    """Return the number of the stretch that each sub-segment belongs to, (S,), from 0 in order of time.

    With ``regions`` (S,), names or numbers of speech regions, a region is a stretch. Without them, a stretch is a chain
    of sub-segments with no gap between.
    """
    order = _in_time(times)
    result = np.empty(len(times), np.int64)
    if regions is not None:
        result[order] = relabel_by_time(np.asarray(regions)[order])
        return result
    ordered = times[order]
    latest = np.maximum.accumulate(ordered[:, 1])
    result[order] = np.concatenate([[0], np.cumsum(ordered[1:, 0] - latest[:-1] >= _TOUCH)])
    return result


def without_overlap(times: np.ndarray) -> np.ndarray:
    """Return the seconds that each sub-segment stands for, (S, 2): overlapping windows are cut between their centres.

    Every second of speech then counts once, and every window keeps its centre.
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


def mean_overlap(times: np.ndarray, stretch: np.ndarray) -> float:
    """Return the mean over sub-segments of the seconds that each shares with the next one of its stretch."""
    order = _in_time(times)
    ordered, own = times[order], stretch[order]
    inside = own[1:] == own[:-1]
    return float(np.maximum(ordered[:-1, 1] - ordered[1:, 0], 0)[inside].mean()) if inside.any() else 0.0


def chunks(times: np.ndarray, stretch: np.ndarray, span: float) -> np.ndarray:
    """Cut stretches into chunks of at most ``span`` seconds; return the chunk of each sub-segment, (S,) from 0.

    A sub-segment longer than ``span`` is a chunk of its own.
    """
    result = np.empty(len(times), np.int64)
    number, begin, last = -1, 0.0, -1
    for index in _in_time(times).tolist():
        if stretch[index] != last or times[index, 1] - begin > span + 1e-6:
            number, begin, last = number + 1, times[index, 0], stretch[index]
        result[index] = number
    return result


def neighbour_pairs(times: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Return (P, 2) indices of neighbours: a sub-segment and the next one of its stretch that shares no audio with it.

    The difference of windows that share audio would show less than a speaker's variability.
    """
    order = _in_time(times)
    ordered, own = times[order], stretch[order]
    after = np.searchsorted(ordered[:, 0], ordered[:, 1] - 1e-6)
    first = np.arange(len(times))
    inside = after < len(times)
    first, after = first[inside], after[inside]
    long = ordered[:, 1] - ordered[:, 0] >= _MIN_DURATION - 1e-6
    good = (own[first] == own[after]) & long[first] & long[after] & (after > first)
    return np.column_stack([order[first[good]], order[after[good]]])


def neighbour_whitening(vectors: np.ndarray, times: np.ndarray, stretch: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return the symmetric transform (D, D) that whitens by the covariance of differences of neighbours.

    It is the identity if there are hardly any neighbours. ``vectors`` (S, D) have length 1. ``shrinkage`` is the weight
    of the identity, given at least D pairs 0.75 s apart; it is high, since some pairs are two speakers. The weight of
    the covariance falls in proportion with fewer pairs, and with the square of the distance of neighbours (which grows
    if windows overlap), since more pairs are then two speakers.
    """
    dimension = vectors.shape[1]
    first, second = neighbour_pairs(times, stretch).T
    number = len(first)
    differences = vectors[first] - vectors[second]
    covariance = differences.T @ differences / 2 / max(number, 1)
    scale = np.trace(covariance) / dimension
    if number < _MIN_PAIRS or scale <= 0:
        return np.eye(dimension)
    centres = times.mean(axis=1)
    distance = np.median(centres[second] - centres[first])
    shrinkage = 1 - (1 - shrinkage) * min(1.0, number / dimension) * min(1.0, _APART / distance) ** 2
    values, axes = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * scale * np.eye(dimension))
    # With a shrinkage of 0, directions without any difference get the smallest variance.
    values = np.maximum(values, scale * 1e-6)
    return (axes / np.sqrt(values)) @ axes.T


def neighbour_average(vectors: np.ndarray, times: np.ndarray, stretch: np.ndarray, decay: float) -> np.ndarray:
    """Return the weighted average of every vector and the others of its stretch, (S, D).

    The weight of a sub-segment is its duration times exp(-distance / decay), with the distance of centres in seconds.
    """
    order = _in_time(times)
    ordered, own = vectors[order], stretch[order]
    centre, duration = times[order].mean(axis=1), times[order, 1] - times[order, 0]
    total = duration.copy()
    summed = ordered * duration[:, None]
    for step in range(1, len(vectors)):
        distance = np.abs(centre[step:] - centre[:-step])
        near = (own[step:] == own[:-step]) & (distance <= _REACH * decay)
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


def _in_time(times: np.ndarray) -> np.ndarray:
    """Return the indices that sort sub-segments by start, then end."""
    return np.lexsort((times[:, 1], times[:, 0]))
