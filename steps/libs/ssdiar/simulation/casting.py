"""Who speaks in which recording: voices chosen evenly, or listed in a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.io.tables import read_rows
from ssdiar.simulation.corpus import generator


def assign_voices(
    voices: Sequence[str], parties: Sequence[int], seed: int, persons: Mapping[str, str] | None = None
) -> list[tuple[str, ...]]:
    """Choose different voices for each recording, every voice as often as any other to within one.

    Among equally used voices, those that have met the others of the recording least come first, then chance decides.
    The first recordings of a corpus are those of a longer one with the same seed.

    Args:
        voices: Their names.
        parties: How many each recording needs; at most as many as there are persons.
        seed: The corpus's seed.
        persons: Whose voice it is, by name of voice; of one person, no two voices are in a recording, which may make
            their use less even. What is not named is a person of its own.
    """
    persons = {voice: (persons or {}).get(voice, voice) for voice in voices}
    rng = generator(seed, "pairs")
    used = dict.fromkeys(voices, 0)
    met: dict[frozenset[str], int] = {}
    casts = []
    for count in parties:
        chance = dict(zip(voices, rng.permutation(len(voices)), strict=True))
        cast: list[str] = []
        while len(cast) < count:
            taken = {persons[voice] for voice in cast}
            chosen = min(
                (voice for voice in voices if persons[voice] not in taken),
                key=lambda voice: (used[voice], sum(met.get(frozenset((voice, o)), 0) for o in cast), chance[voice]),
            )
            cast.append(chosen)
        for voice in cast:
            used[voice] += 1
        for pair in map(frozenset, combinations(cast, 2)):
            met[pair] = met.get(pair, 0) + 1
        if count == 2:
            cast = cast if rng.random() < 0.5 else cast[::-1]
        else:
            cast = [cast[place] for place in rng.permutation(count)]
        casts.append(tuple(cast))
    return casts


def read_casts(path: str | Path, voices: Collection[str]) -> list[tuple[str, ...]]:
    """Read ``<recording> <voice> ...`` lines: who talks with whom, in file order.

    Raises:
        InputError: A line is malformed, names an unknown voice, or the same voice twice; or there is no line.
    """
    casts = []
    for line, (_, rest) in read_rows(path, "recording voices..."):
        cast = rest.split()
        for voice in cast:
            if voice not in voices:
                raise InputError("unknown voice", path=path, line=line, expected=_some(voices), got=voice)
            if cast.count(voice) > 1:
                raise InputError("the same voice twice", path=path, line=line, got=voice)
        casts.append(tuple(cast))
    if not casts:
        raise InputError("no voices", path=path, expected="lines of a recording and its voices")
    return casts


def read_persons(text: str, voices: Collection[str]) -> dict[str, str]:
    """Return the first voice of its group by voice, of ``a,b c,d,e``: groups of voices of one person each.

    Raises:
        InputError: A voice is unknown or in two groups.
    """
    persons: dict[str, str] = {}
    for group in text.split():
        names = group.split(",")
        for voice in names:
            if voice not in voices:
                raise InputError("--same-person: unknown voice", expected=_some(voices), got=voice)
            if persons.setdefault(voice, names[0]) != names[0]:
                raise InputError("--same-person: a voice in two groups", got=voice)
    return persons


def _some(voices: Collection[str]) -> str:
    names = sorted(voices)
    return "one of " + ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
