"""Paired bootstrap over recordings or voices, and over seeds: confidence intervals of differences between systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

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


def share_voices(voices: Sequence[Sequence[str]]) -> bool:
    """Return whether a voice speaks in several recordings, given the voices of each."""
    names = list(chain.from_iterable(map(set, voices)))
    return len(set(names)) < len(names)


def mean_difference(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], weights: np.ndarray, voices: Sequence[Sequence[str]] = ()
) -> Difference:
    """Return the difference of pooled rates, first minus second, mean over pairs of systems, with its interval.

    :data:`RESAMPLES` times, recordings are drawn with replacement, for all systems together (Bisani & Ney, ICASSP
    2004), and for each system its seeds. If recordings share voices, they are not independent: voices are drawn
    instead, and a recording counts as often as the product of the draws of its voices (the pigeonhole bootstrap, Owen,
    Annals of Applied Statistics 2007).

    Args:
        pairs: (A, R) errors of the first and of the second system by seed and recording, such as seconds. Their numbers
            of seeds may differ; (R,) is one seed.
        weights: (R,) denominators, such as scored seconds; draws that sum to 0 are ignored.
        voices: The voices of each recording, if they are known.
    """
    weights = np.asarray(weights, float)
    known = [[np.atleast_2d(np.asarray(errors, float)) for errors in pair] for pair in pairs]
    mean = np.mean([first.mean(axis=0) - second.mean(axis=0) for first, second in known], axis=0)
    value = float(mean.sum() / weights.sum()) if weights.any() else np.nan
    if len(weights) < 2 or not weights.any():
        return Difference(value, np.nan, np.nan)
    rng = np.random.default_rng(_SEED)
    draws = _draws(len(weights), voices, rng)
    drawn = np.mean([_over_seeds(first, rng) - _over_seeds(second, rng) for first, second in known], axis=0)
    scored = draws @ weights
    values = (draws * drawn).sum(axis=1)[scored > 0] / scored[scored > 0]
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(value, float(low), float(high))


def _draws(number: int, voices: Sequence[Sequence[str]], rng: np.random.Generator) -> np.ndarray:
    """Return how often each of ``number`` recordings is drawn in every resample (N, R)."""
    if not share_voices(voices):
        return rng.multinomial(number, np.full(number, 1 / number), RESAMPLES)
    names = sorted(set(chain.from_iterable(voices)))
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return np.stack([counts[:, [names.index(name) for name in set(own)]].prod(axis=1) for own in voices], axis=1)


def _over_seeds(errors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mean over drawn seeds of errors (A, R) in every resample (N, R)."""
    seeds = len(errors)
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) @ errors / seeds
