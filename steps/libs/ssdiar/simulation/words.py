"""Artificial words for the turns of a simulated call, with exact times, to measure how words get their speakers."""

from __future__ import annotations

from collections.abc import Iterable

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
