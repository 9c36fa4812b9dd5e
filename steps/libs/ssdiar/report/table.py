"""The table of results: one part per protocol, one row per system, as Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssdiar.report.systems import System
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, percent

_HEAD = ("System", "Speech", "Speaker count", "x-vectors", "Miss %", "False alarm %", "Confusion %", "DER %", "JER %")
_TEXT_COLUMNS = 4  # The first four columns are words, the rest are figures.


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
    rule = "|" + " --- |" * _TEXT_COLUMNS + " ---: |" * (len(_HEAD) - _TEXT_COLUMNS)
    lines = [
        f"# {title}",
        "",
        "DER and its parts are percent of scored speaker time, pooled over recordings; JER is the mean over speakers.",
    ]
    for part in parts:
        rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [_HEAD, *part.rows]]
        lines += ["", f"## {part.terms}", "", rows[0], rule, *rows[1:]]
    return "\n".join(lines) + "\n"


def as_text(parts: Sequence[Part]) -> str:
    """Return the table in aligned columns for a terminal; all parts have the same column widths."""
    everything = [_HEAD, *(row for part in parts for row in part.rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(_HEAD))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < _TEXT_COLUMNS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    blocks = ["\n".join([part.terms, line(_HEAD), rule, *map(line, part.rows)]) for part in parts]
    return "\n\n".join(blocks) + "\n"


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
