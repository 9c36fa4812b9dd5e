"""Casting: voices chosen evenly for each recording, or listed in a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from simulation.corpus import generator
from ssdiar.base.errors import InputError
from ssdiar.io.tables import read_rows


def assign_voices(
    voices: Sequence[str], parties: Sequence[int], seed: int, persons: Mapping[str, str] | None = None
) -> list[tuple[str, ...]]:
    """Choose different voices for each recording, all voices equally often to within one.

    Among equally used voices, those that have met the recording's other voices least come first, then chance decides.
    The first recordings of a corpus do not depend on how many follow.

    Args:
        voices: Their names.
        parties: The number of voices of each recording, at most the number of persons.
        seed: The corpus's seed.
        persons: The person of a voice that shares one with other voices. Voices of one person never meet, which may
            make their use less even.
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
    """Read ``<recording> <voice> ...`` lines and return the voices of each, in file order.

    Raises:
        InputError: A line is malformed, names an unknown voice, or one voice twice; or there is no line.
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
    """Parse ``a,b c,d,e``, a person's voices in each group; return the group's first voice by voice.

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
