"""What to simulate: the length, number of speakers and turns of every recording, drawn or taken from an RTTM."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.simulation.corpus import generator
from ssdiar.simulation.turns import Spurt, TurnTaking, spurts_from_turns
from ssdiar.timeline.spans import Turn

_LOG = logging.getLogger(__name__)

# Seconds that follow the last turn of a recording that is as long as its turns.
AFTER_LAST_TURN = 0.5


@dataclass(frozen=True)
class Plan:
    """A recording to make.

    Attributes:
        reco: Its id.
        source: Where its turns are from, for the log.
        spurts: Who speaks when.
        duration: Seconds.
        parties: How many speak.
    """

    reco: str
    source: str
    spurts: list[Spurt]
    duration: float
    parties: int


def plan_by_model(
    reco: str, model: TurnTaking, spans: Sequence[tuple[float, float]], numbers: Collection[int], seed: int
) -> Plan:
    """Draw a recording's length, number of speakers and turns.

    Args:
        reco: Id of the recording; with ``seed`` it decides everything that is random here.
        model: The distributions of turns.
        spans: Lengths to draw from, (first, last) seconds of each range: see :func:`draw_duration`.
        numbers: Numbers of speakers to draw from, all alike.
        seed: The corpus's seed.
    """
    duration = draw_duration(spans, generator(seed, reco, "duration"))
    parties = _draw_number(sorted(numbers), reco, seed)
    return Plan(reco, "the model", model.draw(duration, generator(seed, reco, "turns"), parties), duration, parties)


def plan_by_turns(
    reco: str,
    source: tuple[str, Sequence[Turn]],
    spans: Sequence[tuple[float, float]],
    numbers: Collection[int],
    seed: int,
) -> Plan | None:
    """Take a recording's turns from those of another one, from its start.

    Args:
        reco: Id of the recording.
        source: Name and turns of the other one.
        spans: Lengths to draw from, as for :func:`plan_by_model`, or none: as long as the other one, which is the most.
        numbers: Numbers of speakers to draw from; those of the other one who speak most are taken. If empty: all.
        seed: The corpus's seed.

    Returns:
        The plan; None if there are fewer speakers in that time than the least of ``numbers``.
    """
    name, turns = source
    duration = draw_duration(spans, generator(seed, reco, "duration")) if spans else None
    found = count_parties(turns, duration)
    possible = [number for number in sorted(numbers) if number <= found] if numbers else [found]
    if not possible:
        return None
    parties = _draw_number(possible, reco, seed)
    spurts = spurts_from_turns(turns, duration, parties)
    end = max(spurt.end for spurt in spurts) + AFTER_LAST_TURN
    return Plan(reco, name, spurts, end if duration is None else min(duration, end), parties)


def usable_sources(
    turns: Mapping[str, Sequence[Turn]], longest: float | None, numbers: Collection[int], most: int
) -> list[tuple[str, Sequence[Turn]]]:
    """Return (recording, turns) of those recordings that have enough speakers, telling of the others.

    Args:
        turns: By recording.
        longest: If given, only the first seconds up to this are looked at.
        numbers: Numbers of speakers that are wanted; empty: all that a recording has.
        most: How many speakers there can be.
    """
    usable = []
    for reco in sorted(turns):
        found = count_parties(turns[reco], longest)
        if min(numbers, default=1) <= found and (numbers or found <= most):
            usable.append((reco, turns[reco]))
        else:
            expected = f"at least {min(numbers)}" if numbers else f"1 to {most}, by the number of voices"
            _LOG.warning("WARNING: recording %s skipped: speakers: expected %s, got %d", reco, expected, found)
    return usable


def count_parties(turns: Sequence[Turn], duration: float | None = None) -> int:
    """Return how many speakers a recording has in its first ``duration`` seconds, or in all."""
    return len({spurt.party for spurt in spurts_from_turns(turns, duration)})


def draw_duration(spans: Sequence[tuple[float, float]], rng: np.random.Generator) -> float:
    """Return seconds within one of the ranges, all of which are alike.

    Args:
        spans: First and last of each range. A range of one number is that number; in others the logarithm is uniform,
            and the result is whole seconds.
        rng: Source of chance.
    """
    first, last = spans[int(rng.integers(len(spans)))]
    if first == last:
        return first
    return float(np.clip(np.round(np.exp(rng.uniform(np.log(first), np.log(last)))), first, last))


def _draw_number(numbers: Sequence[int], reco: str, seed: int) -> int:
    return int(generator(seed, reco, "speakers").choice(numbers))
