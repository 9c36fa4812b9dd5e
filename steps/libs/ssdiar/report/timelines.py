"""What a recording's timelines show: turns by speaker, errors, talk time, and the turns that a system is least sure of.

Speakers have numbers, and the number a colour. A system's speaker has the number of the reference speaker that the DER
maps it to; of those left over, and without a reference of all, the mapping to the systems before decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ssdiar.exports import shown_name
from ssdiar.report.charts import SPEAKER_COLOURS
from ssdiar.report.marks import KINDS, error_marks
from ssdiar.report.recordings import Shown
from ssdiar.report.systems import System
from ssdiar.scoring.der import PROTOCOLS, Cells, Region, cut_cells
from ssdiar.scoring.score_file import Score
from ssdiar.timeline.regions import total
from ssdiar.timeline.spans import Turn

#: A turn with less confidence than this is shown as unsure: about half of them are wrong, and they are half of all that
#: are wrong (RESULTS.md, "How sure the turns are"). With a larger one most of what is shown would be right.
UNSURE = 0.7
_MOST_UNSURE = 8  # of the list of a recording's least sure turns


def current_scores(system: System) -> list[Score]:
    """Return the scores that are of the RTTM as it is, protocols in their usual order."""
    known = [*PROTOCOLS, *sorted(system.scores.keys() - PROTOCOLS.keys())]
    return [system.scores[name] for name in known if name in system.scores and name not in system.outdated]


def lanes_of(reco: Shown, systems: Sequence[System]) -> list[dict[str, Any]]:
    """Return the lanes of a recording: the reference, where there is one, and each system.

    A lane has ``name``, ``system`` (its number; None: the reference), ``rows`` (a speaker each: name, ``match``, the
    reference speaker's name, ``number``, ``turns``) and ``errors`` by protocol and kind; a system's, how sure it is of
    the number of speakers.
    """
    known: dict[str, int] = {}
    lanes, errors = [], {}
    if reco.reference is not None:
        known = {name: number for number, name in enumerate(_names(reco.reference))}
        lanes.append({"name": "Reference", "system": None, "rows": _rows(reco.reference, known, {}), "errors": {}})
    spare: list[Turn] = []  # of speakers whom no reference speaker is mapped to, named by their numbers
    free = len(known)
    for place, system in enumerate(systems):
        turns = reco.turns[system.name]
        matches: dict[str, str] = {}
        if reco.reference is not None:
            protocols = [score.protocol for score in current_scores(system)] or [PROTOCOLS["full"]]
            cells = {one.name: cut_cells(reco.reference, turns, reco.regions, one) for one in protocols}
            matches = next(iter(cells.values())).matches  # the same under every protocol
            errors = {name: _marks(own) for name, own in cells.items()}
        rest = [turn for turn in turns if turn.speaker not in matches]
        others = cut_cells(spare, rest, _extent(reco), PROTOCOLS["full"]).matches
        numbers = {name: known[match] for name, match in matches.items()}
        numbers |= {name: int(number) for name, number in others.items()}
        new = [name for name in _names(rest) if name not in others]
        numbers |= {name: free + count for count, name in enumerate(new)}
        free += len(new)
        spare += [replace(turn, speaker=str(numbers[turn.speaker])) for turn in rest if turn.speaker in new]
        lane = {"name": system.name, "system": place, "rows": _rows(turns, numbers, matches), "errors": errors}
        lanes.append({**lane, "count_sure": system.sure.get(reco.id)})
    return lanes


def talk_of(lanes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the talk time of every speaker of every lane: seconds, and the share of all speakers' talk."""
    found = []
    for lane in lanes:
        seconds = [total([turn[:2] for turn in row["turns"]]) for row in lane["rows"]]
        everybody = sum(seconds) or 1.0
        speakers = [
            {
                "name": shown_name(row["name"]),
                "match": row["match"],
                "colour": row["number"] % len(SPEAKER_COLOURS),
                "seconds": own,
                "share": own / everybody,
            }
            for row, own in zip(lane["rows"], seconds, strict=True)
        ]
        found.append({"name": lane["name"], "speakers": speakers})
    return found


def unsure_of(reco: Shown, systems: Sequence[System]) -> list[dict[str, Any]]:
    """Return the turns below :data:`UNSURE`, least sure first, per system that knows how sure it is."""
    found = []
    for system in systems:
        turns = [turn for turn in reco.turns[system.name] if turn.confidence is not None]
        unsure = sorted((turn for turn in turns if turn.confidence < UNSURE), key=lambda turn: turn.confidence)
        if turns:
            rows = [
                {"speaker": shown_name(turn.speaker), "start": turn.start, "end": turn.end, "sure": turn.confidence}
                for turn in unsure[:_MOST_UNSURE]
            ]
            found.append({"name": system.name, "count": len(unsure), "turns": rows})
    return found


def _names(turns: Sequence[Turn]) -> list[str]:
    return sorted({turn.speaker for turn in turns})


def _extent(reco: Shown) -> list[Region]:
    return [(0.0, max([reco.seconds, *(turn.end for own in reco.turns.values() for turn in own)]))]


def _rows(turns: Sequence[Turn], numbers: Mapping[str, int], matches: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = [
        {
            "name": name,
            "match": matches.get(name, ""),
            "number": numbers[name],
            "turns": [_times(turn) for turn in sorted(turns, key=lambda turn: turn.start) if turn.speaker == name],
        }
        for name in _names(turns)
    ]
    return sorted(rows, key=lambda row: row["number"])


def _times(turn: Turn) -> list[float]:
    sure = [] if turn.confidence is None else [round(turn.confidence, 3)]
    return [round(turn.start, 3), round(turn.end, 3), *sure]


def _marks(cells: Cells) -> dict[str, list[list[float]]]:
    marks: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for mark in error_marks(cells):
        marks[mark.kind].append([round(mark.start, 3), round(mark.end, 3)])
    return marks
