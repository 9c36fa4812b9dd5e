"""Paired bootstrap over recordings: confidence intervals of differences between two systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20250101  # fixed, so that the same scores give the same interval


@dataclass(frozen=True)
class Difference:
    """A difference and its confidence interval, which is NaN for a single recording."""

    value: float
    low: float
    high: float

    def verdict(self, below: str, above: str) -> str:
        """Return ``below`` or ``above`` if the whole interval is on that side of zero, else ``undecided``."""
        if self.high < 0:
            return below
        return above if self.low > 0 else "undecided"


def paired_difference(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> Difference:
    """Return the difference of two pooled rates, first minus second, with its percentile interval.

    Recordings are drawn with replacement, for both systems together, :data:`RESAMPLES` times (Bisani & Ney, ICASSP
    2004). The draws depend only on the number of recordings.

    Args:
        first: (R,) errors of the first system by recording, such as seconds.
        second: (R,) the same for the second system.
        weights: (R,) denominators, such as scored seconds; draws that sum to 0 are ignored.
    """
    difference = np.asarray(first, float) - second
    weights = np.asarray(weights, float)
    value = difference.sum() / weights.sum() if weights.any() else np.nan
    number = len(difference)
    if number < 2 or not weights.any():
        return Difference(value, np.nan, np.nan)
    draws = np.random.default_rng(_SEED).multinomial(number, np.full(number, 1 / number), RESAMPLES)
    scored = draws @ weights
    values = (draws @ difference)[scored > 0] / scored[scored > 0]
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(float(value), float(low), float(high))


def mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]], weights: np.ndarray) -> Difference:
    """Return :func:`paired_difference` of the means over pairs of (first, second), such as seeds."""
    first, second = (np.mean([pair[place] for pair in pairs], axis=0) for place in (0, 1))
    return paired_difference(first, second, weights)
