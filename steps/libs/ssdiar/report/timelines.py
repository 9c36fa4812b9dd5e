"""Timelines of a recording: turns by speaker. The page finds the errors (templates/scores.js).

Every speaker has a number, which gives the colour. A system's speaker takes the number of the reference speaker that
the DER maps it to. The others, or all speakers if there is no reference, are mapped to speakers of the systems before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ssdiar.io.rttm import rttm_text
from ssdiar.report.recordings import ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.scoring.der import PROTOCOLS, cut_cells
from ssdiar.timeline.spans import Turn
from ssdiar.work import digest

#: Kinds of error, in the order in which they are shown.
KINDS = ("miss", "false_alarm", "confusion")
#: Colours of speakers, repeated if there are more; the colour-blind can tell them apart (CIE76 >= 14).
COLOURS = ("#3273b8", "#e3a02a", "#1f9a7a", "#8a5a44", "#55b4df", "#b5679b")
#: A turn with a lower confidence is marked as unsure: about half of these turns are wrong, and they are half of all
#: wrong turns (RESULTS.md, "How sure the turns are"). Above it, more marks would be needless than useful.
UNSURE = 0.7
#: A number of speakers that is less sure is doubtful, and the page says what to do; set by hand.
DOUBTFUL = 0.95

Lane = dict[str, Any]


def lanes_of(reco: ReportRecording, systems: Sequence[ReportSystem]) -> list[Lane]:
    """Return the lanes of a recording: the reference if there is one, and each system.

    Returns:
        For each lane ``name``, ``system`` (its number; None: the reference), ``rows`` (one per speaker: ``name``,
        ``number``, ``turns``, and ``match``, the name of its reference speaker), ``count_sure`` (the probability of the
        number of speakers, None if it is not known), and ``key``, under which the browser keeps corrections: a digest
        of the recording and of the turns (None: the reference).
    """
    lanes = []
    known: dict[str, int] = {}
    if reco.reference is not None:
        known = {name: number for number, name in enumerate(_names(reco.reference))}
        lanes.append(_lane("Reference", None, reco.reference, known))
    sound = reco.audio.content() if reco.audio else None
    unmatched = _Unmatched(reco, len(known))
    for place, system in enumerate(systems):
        turns = reco.turns[system.name]
        matches = {}
        if reco.reference is not None:  # the same under every protocol
            matches = cut_cells(reco.reference, turns, reco.regions, PROTOCOLS["full"]).matches
        numbers = {name: known[match] for name, match in matches.items()}
        numbers |= unmatched.numbers([turn for turn in turns if turn.speaker not in matches])
        lanes.append(_lane(system.name, place, turns, numbers, matches, system.count_sure.get(reco.id)))
        lanes[-1]["key"] = f"ssdiar {digest(sound, reco.id, system.name, rttm_text(turns))}"
    return lanes


class _Unmatched:
    """Numbers for speakers without a reference speaker, the same for speakers of several systems that match."""

    def __init__(self, reco: ReportRecording, free: int) -> None:
        self._extent = [(0.0, max([reco.seconds, *(turn.end for own in reco.turns.values() for turn in own)]))]
        self._free = free  # the next number
        self._turns: list[Turn] = []  # of the numbers that were given, which are the speakers' names here

    def numbers(self, turns: Sequence[Turn]) -> dict[str, int]:
        """Return the numbers of the speakers of one system's turns."""
        matches = cut_cells(self._turns, turns, self._extent, PROTOCOLS["full"]).matches
        new = [name for name in _names(turns) if name not in matches]
        numbers = {name: int(number) for name, number in matches.items()}
        numbers |= {name: number for number, name in enumerate(new, self._free)}
        self._free += len(new)
        self._turns += [replace(turn, speaker=str(numbers[turn.speaker])) for turn in turns if turn.speaker in new]
        return numbers


def _lane(
    name: str,
    system: int | None,
    turns: Sequence[Turn],
    numbers: Mapping[str, int],
    matches: Mapping[str, str] | None = None,
    count_sure: float | None = None,
) -> Lane:
    ordered = sorted(turns, key=lambda turn: turn.start)
    rows = [
        {
            "name": speaker,
            "match": (matches or {}).get(speaker, ""),
            "number": numbers[speaker],
            "turns": [_times(turn) for turn in ordered if turn.speaker == speaker],
        }
        for speaker in sorted(_names(turns), key=numbers.__getitem__)
    ]
    return {"name": name, "system": system, "rows": rows, "count_sure": count_sure, "key": None}


def _names(turns: Sequence[Turn]) -> list[str]:
    return sorted({turn.speaker for turn in turns})


def _times(turn: Turn) -> list[float]:
    sure = [] if turn.confidence is None else [round(turn.confidence, 3)]
    return [round(turn.start, 3), round(turn.end, 3), *sure]
