"""Turn taking: who speaks when in a simulated recording of any number of parties.

Terms after Heldner & Edlund (J. Phonetics 38, 2010): a *spurt* is speech of one party without a silence longer than
about 0.3 s; a *pause* separates two spurts of one party; at a *transfer* the floor passes to another party, after a gap
(positive offset) or in overlap (negative offset); a *backchannel* ("mhm", "yeah") does not take the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Two spurts of one party that are closer than this (seconds) are one spurt, as in a manual reference.
SPURT_JOIN = 0.3
# No syllable fits into a shorter spurt, so corpus.py leaves it out.
SHORTEST_SPURT = 0.2
# Smallest expected share of talk of one of three or more parties.
LEAST_SHARE = 0.04


@dataclass(frozen=True)
class Spurt:
    """Party number ``party`` (from 0) speaks from ``start`` to ``end`` seconds."""

    party: int
    start: float
    end: float


@dataclass(frozen=True)
class TurnTaking:
    """Distributions of the turn-taking model; all times in seconds.

    The defaults are round numbers after published descriptions of conversation, not fits to a corpus. Two parties
    alternate; a single party continues after every pause. With more parties, each may take the floor (Sacks, Schegloff
    & Jefferson, Language 50, 1974), at random by its share of talk and by how recently it had the floor.
    """

    # Median and log-standard deviation of the log-normal length of a spurt, limited to 0.4-12 s (Brady, Bell Syst.
    # Tech. J. 47, 1968).
    spurt: tuple[float, float] = (1.6, 0.8)
    # The same for the pause before a party continues, limited to 0.31-3 s (Heldner & Edlund 2010; Campione & Veronis,
    # Speech Prosody 2002, for the shape).
    pause: tuple[float, float] = (0.6, 0.5)
    hold: float = 0.3  # probability that a party continues after a pause instead of yielding the floor
    # Mean and standard deviation of the normal floor-transfer offset, limited to -1.5-3 s (Heldner & Edlund 2010; on
    # the telephone more overlap: ten Bosch et al., Speech Communication 47, 2005).
    transfer: tuple[float, float] = (0.0, 0.6)
    # Backchannels per minute of other parties' speech, a Poisson process (Jurafsky et al. 1997 on Switchboard); the
    # listener is drawn at random.
    backchannel_rate: float = 6.0
    backchannel: tuple[float, float] = (0.3, 0.8)  # shortest and longest, uniform
    # Of two parties, the standard deviation of the log-ratio of their spurt lengths. Of more, the standard deviation of
    # the logarithm of a party's share of talk, half of it due to longer spurts and half to taking the floor more often;
    # 0.8 gives shares near the geometric series of discussion groups (Stephan & Mishler, Am. Sociol. Rev. 17, 1952),
    # the smallest of many about LEAST_SHARE.
    dominance: float = 0.8
    # Factor on the chance of the party that had the floor just before the present one; its excess over 1 halves with
    # each turn since then (Stasser & Taylor, J. Pers. Soc. Psychol. 60, 1991; Gibson, Social Forces 81, 2003).
    recency: float = 4.0
    least_talk: float = 2.0  # seconds for which each of three or more parties has the floor, if the duration suffices

    def draw(self, duration: float, rng: np.random.Generator, parties: int = 2) -> list[Spurt]:
        """Return the spurts of ``duration`` seconds, ordered by start; no party overlaps itself."""
        floor = self._draw_floor(duration, rng, parties)
        spurts = floor + self._draw_backchannels(floor, duration, rng, parties)
        return sorted(spurts, key=lambda spurt: (spurt.start, spurt.party))

    def _draw_floor(self, duration: float, rng: np.random.Generator, parties: int) -> list[Spurt]:
        """Return the spurts that hold the floor, each followed by a pause or a transfer, until time is up."""
        weights = self._draw_weights(rng, parties)
        median, deviation = self.spurt
        party, start = int(rng.integers(parties)), rng.uniform(0.2, 1.5)
        last_end, talk = np.full(parties, -np.inf), np.zeros(parties)
        # Number of the turn in which each party last had the floor.
        turn, last_turn = 0, np.full(parties, -np.inf)
        spurts: list[Spurt] = []
        while start < duration - 0.6:
            length = _log_normal((median * weights[party], deviation), (0.4, 12.0), rng)
            end = start + _limited(length, party, self._missing(talk), duration - start)
            end = min(end, duration - 0.2)
            spurts.append(Spurt(party, start, end))
            last_end[party], last_turn[party] = end, turn
            talk[party] += end - start
            missing = self._missing(talk)
            waiting = np.flatnonzero(missing if duration - end < _time_for(missing) else 0)
            if parties == 1 or (not len(waiting) and rng.random() < self.hold):
                start = end + _log_normal(self.pause, (SPURT_JOIN + 0.01, 3.0), rng)
                continue
            party = self._next_party(party, waiting, weights, turn - last_turn, rng)
            turn += 1
            # An early start overlaps at most half of the spurt before it.
            offset = max(np.clip(rng.normal(*self.transfer), -1.5, 3.0), -(end - start) / 2)
            start = float(max(end + offset, last_end[party] + SPURT_JOIN + 0.01))
        return spurts

    def _draw_weights(self, rng: np.random.Generator, parties: int) -> np.ndarray:
        """Return the square root of each party's share of talk, (parties,), scaled to a geometric mean of 1."""
        if parties == 2:
            ratio = np.exp(rng.normal(0.0, self.dominance) / 2)
            return np.array([ratio, 1 / ratio])
        shares = np.exp(rng.normal(0.0, self.dominance, parties))
        weights = np.sqrt(np.maximum(shares / shares.sum(), LEAST_SHARE))
        return weights / np.exp(np.log(weights).mean())

    def _missing(self, talk: np.ndarray) -> np.ndarray:
        """Return the seconds that each of three or more parties lacks to ``least_talk``, (parties,)."""
        return np.maximum(self.least_talk - talk, 0.0) if len(talk) > 2 else np.zeros(len(talk))

    def _next_party(
        self, party: int, waiting: np.ndarray, weights: np.ndarray, turns_ago: np.ndarray, rng: np.random.Generator
    ) -> int:
        """Return who takes the floor from ``party``: one of ``waiting`` if any, else by share and recency."""
        if len(weights) == 2:
            return 1 - party
        others = np.setdiff1d(waiting, [party])
        if not len(others):
            others = np.setdiff1d(np.arange(len(weights)), [party])
        chances = weights[others] * (1 + (self.recency - 1) * 0.5 ** (turns_ago[others] - 1))
        return int(rng.choice(others, p=chances / chances.sum()))

    def _draw_backchannels(
        self, floor: Sequence[Spurt], duration: float, rng: np.random.Generator, parties: int
    ) -> list[Spurt]:
        """Return backchannels of the listeners; those that touch a listener's own speech are dropped."""
        own = [[(s.start, s.end) for s in floor if s.party == party] for party in range(parties)]
        found: list[Spurt] = []
        for spurt in floor if parties > 1 else ():
            listeners, length = [party for party in range(parties) if party != spurt.party], spurt.end - spurt.start
            for _ in range(rng.poisson(self.backchannel_rate * length / 60)):
                start = rng.uniform(spurt.start + min(0.4, length / 2), spurt.end)
                end = start + rng.uniform(*self.backchannel)
                listener = listeners[0] if parties == 2 else int(rng.choice(listeners))
                touches = any(s < end + SPURT_JOIN and e > start - SPURT_JOIN for s, e in own[listener])
                if not touches and end < duration:
                    found.append(Spurt(listener, start, end))
                    own[listener].append((start, end))
        return found


def draw_duration(first: float, last: float, rng: np.random.Generator) -> float:
    """Return ``first`` to ``last`` seconds, uniform in the logarithm; whole seconds unless both are the same."""
    if first == last:
        return first
    return float(np.clip(np.round(np.exp(rng.uniform(np.log(first), np.log(last)))), first, last))


def _limited(length: float, party: int, missing: np.ndarray, left: float) -> float:
    """Return a spurt's length that leaves time for the talk that other parties lack, (parties,) ``missing`` seconds."""
    if left < _time_for(missing):
        length = max(length, missing[party])
    others = np.delete(missing, party)
    if not others.any():
        return length
    return min(length, max(left - _time_for(others), left / (1 + np.count_nonzero(others))))


def _time_for(missing: np.ndarray) -> float:
    """Return the seconds that parties need for the talk that they lack, with a gap before each."""
    return float(missing.sum()) + 2.0 * np.count_nonzero(missing)


def _log_normal(shape: tuple[float, float], bounds: tuple[float, float], rng: np.random.Generator) -> float:
    median, deviation = shape
    return float(np.clip(median * np.exp(deviation * rng.normal()), *bounds))
