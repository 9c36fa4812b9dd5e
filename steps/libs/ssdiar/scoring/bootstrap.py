"""Paired bootstrap over recordings: how sure a difference between two systems on the same recordings is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20250101  # fixed, so that the same scores give the same interval


@dataclass(frozen=True)
class Difference:
    """A difference and its confidence interval; the interval is NaN for a single recording, which cannot tell."""

    value: float
    low: float
    high: float

    def verdict(self, below: str, above: str) -> str:
        """Return ``below`` or ``above`` where the whole interval is on that side of zero, else ``undecided``."""
        if self.high < 0:
            return below
        return above if self.low > 0 else "undecided"


def paired_difference(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> Difference:
    """Return the difference of two pooled rates, first minus second, with its percentile interval.

    Recordings are drawn with replacement, both systems' together, as often as there are recordings
    (:data:`RESAMPLES` times; Bisani & Ney, ICASSP 2004). Calls with equally many recordings draw the same.

    Args:
        first: (R,) what is counted per recording for the first system, such as seconds in error.
        second: (R,) the same for the second system.
        weights: (R,) what it is a share of, such as scored seconds; draws in which nothing is scored are left out.
    """
    difference = np.asarray(first, float) - second
    weights = np.asarray(weights, float)
    if weights.sum() == 0:
        return Difference(np.nan, np.nan, np.nan)
    value = difference.sum() / weights.sum()
    number = len(difference)
    if number < 2:
        return Difference(value, np.nan, np.nan)
    draws = np.random.default_rng(_SEED).multinomial(number, np.full(number, 1 / number), RESAMPLES)
    scored = draws @ weights
    values = (draws @ difference)[scored > 0] / scored[scored > 0]
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(float(value), float(low), float(high))


def mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]], weights: np.ndarray) -> Difference:
    """Return the mean over pairs of (first, second) of :func:`paired_difference`, the pairs drawn together."""
    first, second = (np.mean([pair[place] for pair in pairs], axis=0) for place in (0, 1))
    return paired_difference(first, second, weights)
