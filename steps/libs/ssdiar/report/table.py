"""The table of results, as Markdown and for a terminal.

With a reference it has one part per protocol and one row per system, without one a part per system and a row per
recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssdiar.report.recordings import Shown
from ssdiar.report.systems import System
from ssdiar.results import FIGURES, aligned, clock, recording_entry, talk_table, talk_text
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, percent

_HEAD = ("System", "Speech", "Speaker count", "x-vectors", "Miss %", "False alarm %", "Confusion %", "DER %", "JER %")
_FIGURES = _HEAD[4:]  # the columns of figures; the others are words


@dataclass(frozen=True)
class Part:
    """The rows under one protocol; ``terms`` is its head: protocol, collar, overlap, UEM, scorer."""

    terms: str
    rows: list[tuple[str, ...]]


def table_parts(systems: Sequence[System]) -> list[Part]:
    """Arrange the scores of ``systems`` (in their order) by the terms under which they were made.

    Scores with and without a UEM, or by different scorers, are not the same measurement and get parts of their own. A
    system without any score says so in every part.
    """
    terms = sorted({_terms(score) for system in systems for score in system.scores.values()})
    if not terms:
        return [
            Part("no reference, so no score", [(*_origin(system), *_unscored("no reference")) for system in systems])
        ]
    return [Part(text, [(*_origin(system), *_cells(system, text)) for system in systems]) for _, text in terms]


def as_markdown(parts: Sequence[Part], title: str) -> str:
    """Return the table as Markdown."""
    note = (
        "DER and its parts are percent of scored speaker time, pooled over recordings; JER is the mean over speakers."
    )
    lines = [f"# {title}", "", note]
    for part in parts:
        lines += ["", f"## {part.terms}", "", *_markdown(_HEAD, part.rows, _FIGURES)]
    return "\n".join(lines) + "\n"


def as_text(parts: Sequence[Part]) -> str:
    """Return the table in aligned columns for a terminal; all parts have the same column widths."""
    head, rule, *lines = aligned(_HEAD, [row for part in parts for row in part.rows], _FIGURES)
    blocks = []
    for part in parts:
        blocks.append("\n".join([part.terms, head, rule, *lines[: len(part.rows)]]))
        lines = lines[len(part.rows) :]
    return "\n\n".join(blocks) + "\n"


def who_as_markdown(systems: Sequence[System], recordings: Sequence[Shown], title: str) -> str:
    """Return who spoke for how long in each recording, as Markdown: a part per system."""
    lines = [f"# {title}"]
    for system in systems:
        head, rows = talk_table(_entries(system, recordings))
        lines += ["", f"## {_who(system, recordings)}", "", *_markdown(head, rows, FIGURES)]
    return "\n".join(lines) + "\n"


def who_as_text(systems: Sequence[System], recordings: Sequence[Shown]) -> str:
    """Return who spoke for how long in each recording, for a terminal: the 20 least sure of each system."""
    blocks = [
        f"{_who(system, recordings)}\n{talk_text(_entries(system, recordings), system.folder / 'result.json')}"
        for system in systems
    ]
    return "\n".join(blocks)


def _entries(system: System, recordings: Sequence[Shown]) -> list[dict[str, Any]]:
    return [
        recording_entry(reco.id, reco.turns[system.name], duration=reco.seconds, probability=system.sure.get(reco.id))
        for reco in recordings
    ]


def _who(system: System, recordings: Sequence[Shown]) -> str:
    """Return what stands over the table of a system."""
    origin = dict(zip(("speech", "speakers", "x-vectors"), _origin(system)[1:], strict=True))
    facts = [f"{len(recordings)} recording{'' if len(recordings) == 1 else 's'}"]
    facts += [clock(sum(reco.seconds for reco in recordings)), *(f"{name}: {value}" for name, value in origin.items())]
    return f"{system.name}: {'; '.join([', '.join(facts[:2]), *facts[2:]])}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str]) -> list[str]:
    rule = "|" + "".join(" ---: |" if name in figures else " --- |" for name in head)
    first, *rest = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
    return [first, rule, *rest]


def _terms(score: Score) -> tuple[tuple[int, str, bool], str]:
    """Return (what to sort by, the head) of the part that a score belongs to."""
    known = list(PROTOCOLS)
    name = score.protocol.name
    uem = "UEM" if score.uem is not None else "no UEM (false alarms outside the reference not counted)"
    text = f"{score.protocol.describe()}; {uem}; scorer {score.scorer}"
    return (known.index(name) if name in known else len(known), name, score.uem is None), text


def _origin(system: System) -> tuple[str, ...]:
    keys = ("speech_source", "num_spk_source", "xvector_model")
    return (system.name, *(system.origin.get(key, "not recorded") for key in keys))


def _cells(system: System, terms: str) -> list[str]:
    if not system.scores:
        return _unscored("no reference")
    for score in system.scores.values():
        if _terms(score)[1] == terms:
            if score.protocol.name in system.outdated:
                return _unscored("out of date")
            parts = [percent(score.total.fraction(part)) for part in ("miss", "false_alarm", "confusion")]
            return [*parts, percent(score.total.der), percent(score.total.jer)]
    return _unscored("not scored")


def _unscored(reason: str) -> list[str]:
    return ["-", "-", "-", reason, "-"]
