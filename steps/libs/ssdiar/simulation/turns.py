"""Who speaks when in a two-party call: a model of turn taking, or the times of real calls out of an RTTM.

Words used here, after Heldner & Edlund (J. Phonetics 38, 2010): a *spurt* is a stretch of one party's speech without a
silence longer than about 0.3 s; a *pause* is the silence between two spurts of the same party; at a *transfer* the
other party takes the floor, after a gap (positive offset) or in overlap (negative offset); a *backchannel* ("mhm",
"yeah") does not take the floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.io.rttm import Turn

# Two spurts of one party that are closer than this are one spurt, in the model as in a hand-made reference.
SPURT_JOIN = 0.3
# What is shorter is neither spoken nor in the reference: no syllable fits.
SHORTEST_SPURT = 0.2


@dataclass(frozen=True)
class Spurt:
    """Party ``side`` (0 or 1) speaks from ``start`` to ``end`` seconds."""

    side: int
    start: float
    end: float


@dataclass(frozen=True)
class TurnTaking:
    """Distributions of the turn-taking model; all times in seconds.

    The defaults are round numbers after published descriptions of telephone and face-to-face talk: approximations of
    their figures, not fits to any corpus.

    Attributes:
        spurt: Median and log-standard deviation of a log-normal length of a spurt, kept within 0.4 to 12 s. Spurts are
            strongly skewed, most under 2 s (Brady, Bell Syst. Tech. J. 47, 1968; Norwine & Murphy, BSTJ 17, 1938).
        pause: The same for the pause before the same party goes on, kept within 0.31 to 3 s; medians near half a
            second (Heldner & Edlund 2010; Campione & Veronis, Speech Prosody 2002, for the log-normal shape).
        hold: Probability that the party goes on after a pause instead of yielding the floor.
        transfer: Mean and standard deviation of a normal floor-transfer offset, kept within -1.5 to 3 s. Offsets are
            roughly normal, centred near zero, and about 40 % are overlaps (Heldner & Edlund 2010 on three corpora),
            more of them on the telephone (ten Bosch et al., Speech Communication 47, 2005).
        backchannel_rate: Backchannels per minute of the other party's speech, a Poisson process; several a minute in
            American English telephone talk (Jurafsky et al. 1997 count about a fifth of all Switchboard utterances).
        backchannel: Shortest and longest backchannel, uniform (0.3-0.8 s: one or two syllables).
        dominance: Standard deviation of the log-ratio between the two parties' spurt lengths; calls are seldom even.
    """

    spurt: tuple[float, float] = (1.6, 0.8)
    pause: tuple[float, float] = (0.6, 0.5)
    hold: float = 0.3
    transfer: tuple[float, float] = (0.0, 0.6)
    backchannel_rate: float = 6.0
    backchannel: tuple[float, float] = (0.3, 0.8)
    dominance: float = 0.8

    def draw(self, duration: float, rng: np.random.Generator) -> list[Spurt]:
        """Return the spurts of a call of ``duration`` seconds, ordered by start; no party overlaps itself."""
        floor = self._draw_floor(duration, rng)
        return sorted(
            floor + self._draw_backchannels(floor, duration, rng), key=lambda spurt: (spurt.start, spurt.side)
        )

    def _draw_floor(self, duration: float, rng: np.random.Generator) -> list[Spurt]:
        """Return the spurts that hold the floor: spurt, then pause or transfer, until the call is over."""
        ratio = np.exp(rng.normal(0.0, self.dominance) / 2)
        side, start = int(rng.integers(2)), rng.uniform(0.2, 1.5)
        last_end = [-np.inf, -np.inf]
        spurts: list[Spurt] = []
        while start < duration - 0.6:
            median, deviation = self.spurt
            length = _log_normal((median * (ratio if side == 0 else 1 / ratio), deviation), (0.4, 12.0), rng)
            end = min(start + length, duration - 0.2)
            spurts.append(Spurt(side, start, end))
            last_end[side] = end
            if rng.random() < self.hold:
                start = end + _log_normal(self.pause, (SPURT_JOIN + 0.01, 3.0), rng)
            else:
                side = 1 - side
                offset = float(np.clip(rng.normal(*self.transfer), -1.5, 3.0))
                # An early start never eats more than half of the spurt that it overlaps.
                offset = max(offset, -(end - start) / 2)
                start = max(end + offset, last_end[side] + SPURT_JOIN + 0.01)
        return spurts

    def _draw_backchannels(self, floor: Sequence[Spurt], duration: float, rng: np.random.Generator) -> list[Spurt]:
        """Return backchannels of the listening party, those that would touch its own speech left out."""
        starts = [np.array([s.start for s in floor if s.side == side]) for side in (0, 1)]
        ends = [np.array([s.end for s in floor if s.side == side]) for side in (0, 1)]
        found: list[Spurt] = []
        for spurt in floor:
            listener, length = 1 - spurt.side, spurt.end - spurt.start
            for _ in range(rng.poisson(self.backchannel_rate * length / 60)):
                start = rng.uniform(spurt.start + min(0.4, length / 2), spurt.end)
                end = start + rng.uniform(*self.backchannel)
                touches = np.any((starts[listener] < end + SPURT_JOIN) & (ends[listener] > start - SPURT_JOIN))
                if not touches and end < duration:
                    found.append(Spurt(listener, start, end))
                    starts[listener], ends[listener] = (
                        np.append(starts[listener], start),
                        np.append(ends[listener], end),
                    )
        return found


def spurts_from_turns(turns: Iterable[Turn], duration: float | None = None) -> list[Spurt]:
    """Return the spurts of the two main speakers of one recording, side 0 being the one who speaks first.

    Args:
        turns: Reference turns of one recording, any number of speakers; those beyond the two with the most speech are
            left out. A speaker's turns that overlap or touch become one; what is then under 0.2 s is left out.
        duration: If given, speech after this time (seconds) is left out.

    Returns:
        Spurts ordered by start; empty when there are not two speakers.
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
    main = sorted(amounts, key=lambda speaker: (-amounts[speaker], speaker))[:2]
    if len(main) < 2:
        return []
    main.sort(key=lambda speaker: by_speaker[speaker][0][0])
    spurts = [Spurt(side, *part) for side, speaker in enumerate(main) for part in by_speaker[speaker]]
    return sorted(spurts, key=lambda spurt: (spurt.start, spurt.side))


def _log_normal(shape: tuple[float, float], bounds: tuple[float, float], rng: np.random.Generator) -> float:
    median, deviation = shape
    return float(np.clip(median * np.exp(deviation * rng.normal()), *bounds))
