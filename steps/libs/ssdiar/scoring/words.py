"""Speaker errors of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.io.transcripts import Word


@dataclass(frozen=True)
class WordErrors:
    """``wrong`` of ``words`` have the wrong speaker, or none; sum these over recordings, never average their rates."""

    words: int = 0
    wrong: int = 0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.words + other.words, self.wrong + other.wrong)

    @property
    def rate(self) -> float | None:
        """The fraction of wrong words; None if there is no word."""
        return self.wrong / self.words if self.words else None


def word_errors(reference: Sequence[Word], system: Sequence[Word]) -> WordErrors:
    """Compare the speakers of one recording's words under the one-to-one mapping of speakers with the fewest errors.

    Raises:
        ValueError: ``reference`` and ``system`` are not the same words in the same order.
    """
    from scipy.optimize import linear_sum_assignment

    if [(word.text, word.start) for word in reference] != [(word.text, word.start) for word in system]:
        raise ValueError("reference and system must be the same words in the same order")
    common = _spoken(reference) @ _spoken(system).T
    right = int(common[linear_sum_assignment(common, maximize=True)].sum())
    return WordErrors(len(reference), len(reference) - right)


def _spoken(words: Sequence[Word]) -> np.ndarray:
    """Return (speakers in order of name, words) of 0 and 1: whose word it is."""
    names = sorted({word.speaker for word in words if word.speaker is not None})
    return np.array([[word.speaker == name for word in words] for name in names], int).reshape(len(names), len(words))
