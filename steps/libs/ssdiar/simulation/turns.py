"""Who speaks when in a recording: a model of turn taking by any number of parties, or the times of an RTTM.

Words used here, after Heldner & Edlund (J. Phonetics 38, 2010): a *spurt* is a stretch of one party's speech without a
silence longer than about 0.3 s; a *pause* is the silence between two spurts of the same party; at a *transfer* the
floor goes to another party, after a gap (positive offset) or in overlap (negative offset); a *backchannel* ("mhm",
"yeah") does not take the floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.timeline.spans import Turn

# Two spurts of one party that are closer than this are one spurt, in the model as in a hand-made reference.
SPURT_JOIN = 0.3
# What is shorter is neither spoken nor in the reference: no syllable fits.
SHORTEST_SPURT = 0.2
# The model's least share of talk of one of three or more parties, before chance has its way.
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

    The defaults are round numbers after published descriptions of telephone and face-to-face talk: approximations of
    their figures, not fits to any corpus. Two parties take turns. A single one goes on after every pause. Among more,
    any may take the floor (Sacks, Schegloff & Jefferson, Language 50, 1974): chance decides, by each party's share of
    talk and by how recently it had the floor.

    Attributes:
        spurt: Median and log-standard deviation of a log-normal length of a spurt, kept within 0.4 to 12 s. Spurts are
            strongly skewed, most under 2 s (Brady, Bell Syst. Tech. J. 47, 1968; Norwine & Murphy, BSTJ 17, 1938).
        pause: The same for the pause before the same party goes on, kept within 0.31 to 3 s; medians near half a
            second (Heldner & Edlund 2010; Campione & Veronis, Speech Prosody 2002, for the log-normal shape).
        hold: Probability that the party goes on after a pause instead of yielding the floor.
        transfer: Mean and standard deviation of a normal floor-transfer offset, kept within -1.5 to 3 s. Offsets are
            roughly normal, centred near zero, and about 40 % are overlaps (Heldner & Edlund 2010 on three corpora),
            more of them on the telephone (ten Bosch et al., Speech Communication 47, 2005).
        backchannel_rate: Backchannels per minute of the other parties' speech, a Poisson process; several a minute in
            American English telephone talk (Jurafsky et al. 1997 count about a fifth of all Switchboard utterances).
            Among several listeners chance decides who gives one.
        backchannel: Shortest and longest backchannel, uniform (0.3-0.8 s: one or two syllables).
        dominance: Of two parties, the standard deviation of the log-ratio between their spurt lengths; calls are seldom
            even. Of more, that of the logarithm of each party's share of talk, half of which comes by longer spurts
            and half by taking the floor more often. With the default, shares fall from rank to rank by about a third,
            near the geometric series of discussion groups (Stephan & Mishler, Am. Sociol. Rev. 17, 1952), and the
            smallest of many parties has about 4 % of the talk (:data:`LEAST_SHARE`).
        recency: How many times its share the chance is of the party that had the floor just before the present one;
            the excess over 1 halves with each turn since. In small groups the floor often goes back and forth between
            two for a while (Stasser & Taylor, J. Pers. Soc. Psychol. 60, 1991; Gibson, Social Forces 81, 2003).
        least_talk: Seconds for which each of more than two parties has the floor, as far as the duration suffices, so
            that no short recording has parties who are not heard.
    """

    spurt: tuple[float, float] = (1.6, 0.8)
    pause: tuple[float, float] = (0.6, 0.5)
    hold: float = 0.3
    transfer: tuple[float, float] = (0.0, 0.6)
    backchannel_rate: float = 6.0
    backchannel: tuple[float, float] = (0.3, 0.8)
    dominance: float = 0.8
    recency: float = 4.0
    least_talk: float = 2.0

    def draw(self, duration: float, rng: np.random.Generator, parties: int = 2) -> list[Spurt]:
        """Return the spurts of ``duration`` seconds, ordered by start; no party overlaps itself.

        Args:
            duration: Seconds.
            rng: Source of everything random.
            parties: How many take part, from 1.
        """
        floor = self._draw_floor(duration, rng, parties)
        return sorted(
            floor + self._draw_backchannels(floor, duration, rng, parties), key=lambda spurt: (spurt.start, spurt.party)
        )

    def _draw_floor(self, duration: float, rng: np.random.Generator, parties: int) -> list[Spurt]:
        """Return the spurts that hold the floor: spurt, then pause or transfer, until the time is over."""
        weights = self._draw_weights(rng, parties)
        median, deviation = self.spurt
        party, start = int(rng.integers(parties)), rng.uniform(0.2, 1.5)
        last_end, talk = np.full(parties, -np.inf), np.zeros(parties)
        # Number of the turn in which each party had the floor last.
        turn, last_turn = 0, np.full(parties, -np.inf)
        spurts: list[Spurt] = []
        while start < duration - 0.6:
            length = _log_normal((median * weights[party], deviation), (0.4, 12.0), rng)
            end = min(start + self._bounded(length, party, talk, duration - start), duration - 0.2)
            spurts.append(Spurt(party, start, end))
            last_end[party], last_turn[party] = end, turn
            talk[party] += end - start
            waiting = np.flatnonzero(self._missing(talk)) if self._is_late(talk, duration - end) else np.empty(0, int)
            if parties == 1 or (not len(waiting) and rng.random() < self.hold):
                start = end + _log_normal(self.pause, (SPURT_JOIN + 0.01, 3.0), rng)
                continue
            party = self._next_party(party, waiting, weights, turn - last_turn, rng)
            turn += 1
            offset = float(np.clip(rng.normal(*self.transfer), -1.5, 3.0))
            # An early start never eats more than half of the spurt that it overlaps.
            offset = max(offset, -(end - start) / 2)
            start = max(end + offset, last_end[party] + SPURT_JOIN + 0.01)
        return spurts

    def _draw_weights(self, rng: np.random.Generator, parties: int) -> np.ndarray:
        """Return the square root of each party's share of talk, (parties,), of geometric mean 1."""
        if parties == 2:
            ratio = np.exp(rng.normal(0.0, self.dominance) / 2)
            return np.array([ratio, 1 / ratio])
        shares = np.exp(rng.normal(0.0, self.dominance, parties))
        weights = np.sqrt(np.maximum(shares / shares.sum(), LEAST_SHARE))
        return weights / np.exp(np.log(weights).mean())

    def _missing(self, talk: np.ndarray) -> np.ndarray:
        """Return the seconds that each party must still speak to be heard, (parties,), of seconds that each has."""
        return np.maximum(self.least_talk - talk, 0.0) if len(talk) > 2 else np.zeros(len(talk))

    def _is_late(self, talk: np.ndarray, left: float) -> bool:
        """Tell whether the ``left`` seconds are needed for those not heard yet."""
        return left < _time_for(self._missing(talk))

    def _bounded(self, length: float, party: int, talk: np.ndarray, left: float) -> float:
        """Return a spurt's length such that ``party`` is heard if it is late, and that time is left for the others."""
        missing = self._missing(talk)
        if self._is_late(talk, left):
            length = max(length, missing[party])
        others = np.delete(missing, party)
        if not others.any():
            return length
        return min(length, max(left - _time_for(others), left / (1 + np.count_nonzero(others))))

    def _next_party(
        self, party: int, waiting: np.ndarray, weights: np.ndarray, turns_ago: np.ndarray, rng: np.random.Generator
    ) -> int:
        """Return who takes the floor from ``party``: one of those waiting, if any, else by share and recency."""
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
        """Return backchannels of the listening parties, those that would touch their own speech left out."""
        starts = [np.array([s.start for s in floor if s.party == party]) for party in range(parties)]
        ends = [np.array([s.end for s in floor if s.party == party]) for party in range(parties)]
        found: list[Spurt] = []
        for spurt in floor if parties > 1 else ():
            listeners, length = [party for party in range(parties) if party != spurt.party], spurt.end - spurt.start
            for _ in range(rng.poisson(self.backchannel_rate * length / 60)):
                start = rng.uniform(spurt.start + min(0.4, length / 2), spurt.end)
                end = start + rng.uniform(*self.backchannel)
                listener = listeners[0] if parties == 2 else int(rng.choice(listeners))
                touches = np.any((starts[listener] < end + SPURT_JOIN) & (ends[listener] > start - SPURT_JOIN))
                if not touches and end < duration:
                    found.append(Spurt(listener, start, end))
                    starts[listener], ends[listener] = (
                        np.append(starts[listener], start),
                        np.append(ends[listener], end),
                    )
        return found


def spurts_from_turns(turns: Iterable[Turn], duration: float | None = None, parties: int | None = None) -> list[Spurt]:
    """Return the spurts of the speakers of one recording; parties are numbered by who speaks first.

    Args:
        turns: Reference turns of one recording, any number of speakers. A speaker's turns that overlap or touch become
            one; what is then under 0.2 s is left out.
        duration: If given, speech after this time (seconds) is left out.
        parties: If given, speakers beyond this many with the most speech are left out.

    Returns:
        Spurts ordered by start, of fewer parties where there are fewer.
    """
    by_speaker: dict[str, list[list[float]]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
        end = turn.end if duration is None else min(turn.end, duration)
        if end <= turn.start:
            continue
        parts = by_speaker.setdefault(turn.speaker, [])
        if parts and turn.start <= parts[-1][1]:
            parts[-1][1] = max(parts[-1][1], end)
        else:
            parts.append([turn.start, end])
    for speaker, parts in by_speaker.items():
        by_speaker[speaker] = [part for part in parts if part[1] - part[0] >= SHORTEST_SPURT]
    amounts = {speaker: sum(end - start for start, end in parts) for speaker, parts in by_speaker.items() if parts}
    main = sorted(amounts, key=lambda speaker: (-amounts[speaker], speaker))[:parties]
    main.sort(key=lambda speaker: by_speaker[speaker][0][0])
    spurts = [Spurt(party, *part) for party, speaker in enumerate(main) for part in by_speaker[speaker]]
    return sorted(spurts, key=lambda spurt: (spurt.start, spurt.party))


def _time_for(missing: np.ndarray) -> float:
    """Return the seconds that it takes parties to say what is ``missing`` of each, with a gap before each."""
    return float(missing.sum()) + 2.0 * np.count_nonzero(missing)


def _log_normal(shape: tuple[float, float], bounds: tuple[float, float], rng: np.random.Generator) -> float:
    median, deviation = shape
    return float(np.clip(median * np.exp(deviation * rng.normal()), *bounds))
