"""Made words for the turns of a simulated call: exact times to measure the assignment of words with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ssdiar.io.transcripts import Word
from ssdiar.timeline.spans import Turn


def make_words(
    turns: Iterable[Turn], rng: np.random.Generator, rate: float = 3.3, silence: tuple[float, float] = (0.2, 0.12)
) -> list[Word]:
    """Return words that fill the turns, each with its own text and its true speaker, by recording and time.

    Args:
        turns: Turns of any recordings.
        rng: Source of the words' lengths.
        rate: Words per second of a turn; conversations have about 200 a minute (Yuan, Liberman & Cieri, Interspeech
            2006).
        silence: Between two words of a turn there is a silence with this probability, and for this long in seconds at
            most; never for more than a third of a word.
    """
    words = []
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        number = max(1, round(rate * (turn.end - turn.start)))
        shares = np.exp(rng.normal(0.0, 0.5, number))
        cuts = turn.start + (turn.end - turn.start) * np.cumsum(np.append(0.0, shares / shares.sum()))
        for at in range(number):
            length = cuts[at + 1] - cuts[at]
            pauses = at + 1 < number and rng.random() < silence[0]
            end = cuts[at + 1] - (min(rng.uniform(0, silence[1]), length / 3) if pauses else 0.0)
            text = f"w{len(words)}"
            words.append(Word(turn.reco, text, round(float(cuts[at]), 3), round(float(end), 3), speaker=turn.speaker))
    return sorted(words, key=lambda word: (word.reco, word.start, word.end))
