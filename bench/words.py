#!/usr/bin/env python3
"""How many words get the wrong speaker: made words of a reference's turns, given speakers by known turns and by ours.

Overlapped words are those that a turn of another speaker touches; a word of both speakers at once cannot be told from
turns alone.
e.g.: bench/words.py --reference data/mini/ref.rttm exp/mini/best exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
from pathlib import Path

import stage

import numpy as np

import measure  # noqa: F401  the way to the stages and the library
from ssdiar.io.rttm import read_rttm
from ssdiar.io.transcripts import Word
from ssdiar.scoring.words import WordErrors, word_errors
from ssdiar.simulation.words import make_words
from ssdiar.timeline.spans import Turn, grouped
from ssdiar.words import assign_words


def main() -> None:
    """Print a row per source of turns."""
    options = _parse()
    reference = read_rttm(options.reference)
    words = make_words(reference, np.random.default_rng(options.seed))
    sources = {"known turns": reference}
    sources |= {str(source): read_rttm(source / "rttm" if source.is_dir() else source) for source in options.sources}
    print(f"{len(words)} words, {sum(_is_overlapped(word, reference) for word in words)} of them overlapped")
    print("wrong speaker, all words %  words not overlapped %  turns")
    for name, turns in sources.items():
        assigned = assign_words(words, turns)
        alone = [at for at, word in enumerate(words) if not _is_overlapped(word, reference)]
        figures = (_pooled(words, assigned), _pooled([words[at] for at in alone], [assigned[at] for at in alone]))
        print("".join(f"{100 * (errors.rate or 0):25.2f}" for errors in figures), f" {name}")


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="RTTM of the true turns")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("sources", type=Path, nargs="*", help="RTTM files, or folders of systems")
    return parser.parse_args()


def _pooled(reference: list[Word], system: list[Word]) -> WordErrors:
    found = grouped(system)
    return sum((word_errors(words, found[reco]) for reco, words in grouped(reference).items()), WordErrors())


def _is_overlapped(word: Word, turns: list[Turn]) -> bool:
    near = (turn for turn in turns if turn.reco == word.reco and turn.start < word.end and turn.end > word.start)
    return any(turn.speaker != word.speaker for turn in near)


if __name__ == "__main__":
    stage.run(main)
