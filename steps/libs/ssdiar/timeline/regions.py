"""Sets of time regions: union, intersection, difference, closing of gaps, padding.

Every function takes regions as an (n, 2) array, or any sequence of (start, end), in any order and overlapping or not,
in any unit (the recipe uses seconds, or whole hundredths where exactness matters), and returns an (m, 2) float64 array
of disjoint regions in time order. Regions of no length are no regions. Regions that touch become one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Regions = np.ndarray | Sequence[tuple[float, float]]


def as_array(regions: Regions) -> np.ndarray:
    """Return regions as they are, in an (n, 2) float64 array.

    Raises:
        ValueError: They are no pairs, a time is not finite, or a region ends before it starts.
    """
    array = np.asarray(regions, dtype=np.float64).reshape(-1, 2) if len(regions) else np.empty((0, 2))
    if not np.isfinite(array).all() or (array[:, 1] < array[:, 0]).any():
        raise ValueError("a region must be two finite times, the end not before the start")
    return array


def covered(regions: Regions, times: int = 1) -> np.ndarray:
    """Return the times that at least ``times`` of the regions cover: 1: their union; 2: the overlap of any two."""
    array = as_array(regions)
    points, place = np.unique(array, return_inverse=True)
    place = place.reshape(array.shape)
    change = np.zeros(len(points) + 1, np.int64)
    np.add.at(change, place[:, 0] + 1, 1)
    np.add.at(change, place[:, 1] + 1, -1)
    # The number of regions that cover the stretch before each point; 0 before the first point and after the last.
    edges = np.flatnonzero(np.diff(np.cumsum(change) >= times))
    return points[edges].reshape(-1, 2)


def merge(regions: Regions, gap: float = 0.0) -> np.ndarray:
    """Return the union of the regions, with gaps shorter than ``gap`` closed."""
    union = covered(regions)
    if len(union) < 2:
        return union
    apart = union[1:, 0] - union[:-1, 1] >= gap
    return np.column_stack([union[np.append(True, apart), 0], union[np.append(apart, True), 1]])


def intersect(first: Regions, second: Regions) -> np.ndarray:
    """Return the times in both sets."""
    return covered(np.concatenate([covered(first), covered(second)]), 2)


def subtract(first: Regions, second: Regions) -> np.ndarray:
    """Return the times in ``first`` and not in ``second``."""
    base = covered(first)
    if not len(base):
        return base
    holes = covered(second)
    outside = np.concatenate([[base[0, 0]], holes.ravel(), [base[-1, 1]]]).reshape(-1, 2)
    return intersect(base, outside[outside[:, 1] > outside[:, 0]])


def pad(regions: Regions, amount: float, end: float = np.inf) -> np.ndarray:
    """Return the regions made longer by ``amount`` on both sides, within 0 and ``end``; overlapping ones are merged."""
    array = covered(regions)
    return covered(np.clip(array + np.array([-amount, amount]), 0.0, end))


def drop_short(regions: Regions, shortest: float) -> np.ndarray:
    """Return the regions of the union that are at least ``shortest`` long."""
    union = covered(regions)
    return union[union[:, 1] - union[:, 0] >= shortest]


def total(regions: Regions) -> float:
    """Return the length of the union of the regions."""
    union = covered(regions)
    return float((union[:, 1] - union[:, 0]).sum())


def hundredths(times: np.ndarray | Sequence[Sequence[float]] | float) -> np.ndarray:
    """Return seconds as whole hundredths (float64 of the same shape), halves up."""
    # Twice rounded, so that 0.575 s, which no float is, goes up like every other half.
    return np.floor(np.round(np.asarray(times, np.float64) * 100, 6) + 0.5)


def to_hundredths(regions: Regions, duration: float | None = None) -> np.ndarray:
    """Round regions in seconds to whole hundredths of a second, so that ids made of times are unique.

    Args:
        regions: In seconds; they stay in their order, and apart even if they touch or overlap.
        duration: If given, nothing ends after the last whole hundredth before it.

    Returns:
        (m, 2) float64 whole numbers, hundredths of a second; regions that round to nothing are left out.
    """
    whole = hundredths(as_array(regions))
    if duration is not None:
        whole = np.minimum(whole, np.floor(np.round(duration * 100, 6)))
    return whole[whole[:, 1] > whole[:, 0]]
