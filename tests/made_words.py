"""Artificial words for the turns of simulated calls, with exact times, and the errors in their speakers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.io.transcripts import Word
from ssdiar.timeline.spans import Turn

_RATE = 3.3  # words per second of a turn; conversations have about 200 a minute (Yuan, Liberman & Cieri 2006)
_SILENCE = (0.2, 0.12)  # probability of a silence between two words of a turn, and its maximum length in seconds


def make_words(turns: Iterable[Turn], rng: np.random.Generator) -> list[Word]:
    """Return words that fill the turns, each with a unique text and its true speaker, by recording and time."""
    words = []
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        number = max(1, round(_RATE * (turn.end - turn.start)))
        shares = np.exp(rng.normal(0.0, 0.5, number))
        cuts = turn.start + (turn.end - turn.start) * np.cumsum(np.append(0.0, shares / shares.sum()))
        for at in range(number):
            start, end = float(cuts[at]), float(cuts[at + 1])
            if at + 1 < number and rng.random() < _SILENCE[0]:
                end -= min(rng.uniform(0, _SILENCE[1]), (end - start) / 3)
            words.append(Word(turn.reco, f"w{len(words)}", round(start, 3), round(end, 3), speaker=turn.speaker))
    return sorted(words, key=lambda word: (word.reco, word.start, word.end))


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
