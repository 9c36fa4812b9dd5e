"""Tables of the report, for a terminal and as Markdown.

With a reference there is a table per protocol with a row per system; without one, a table per system with a row per
recording, the least certain first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssdiar.report.recordings import ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.results import RecordingEntry, recording_entry
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, percent

_SCORES = ("System", "Speech", "Speaker count", "x-vectors", "Miss %", "False alarm %", "Confusion %", "DER %", "JER %")
_TALK = ("Recording", "Duration", "Speakers", "Number sure", "Turns sure", "Talk time")
_FIGURES = frozenset((*_SCORES[4:], *_TALK[1:5]))  # aligned right; other columns are words
_NOTE = "DER and its parts are percent of scored speaker time, pooled over recordings; JER is the mean over speakers."
_UNKNOWN = "-"
_MAX_ROWS = 20  # of a table that is also in a file
_MAX_SPEAKERS = 4  # that a row names


class Table(NamedTuple):
    """A table of text; ``file`` holds the same recordings, so that a terminal may show only the first rows."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    file: Path | None = None


def report_tables(systems: Sequence[ReportSystem], recordings: Sequence[ReportRecording]) -> list[Table]:
    """Return the tables of an experiment set: scores if there are any, else who spoke for how long."""
    if any(system.scores for system in systems):
        return score_tables(systems)
    tables = []
    for system in systems:
        entries = [
            recording_entry(
                reco.id,
                reco.turns[system.name],
                duration=reco.seconds,
                probability=system.count_sure.get(reco.id),
            )
            for reco in recordings
        ]
        number, length = plural(len(recordings), "recording"), clock(sum(reco.seconds for reco in recordings))
        speech, speakers, model = _origin(system)[1:]
        title = f"{system.name}: {number}, {length}; speech: {speech}; speakers: {speakers}; x-vectors: {model}"
        tables.append(talk_table(entries, title, system.folder / "result.json"))
    return tables


def score_tables(systems: Sequence[ReportSystem]) -> list[Table]:
    """Return a table for each set of terms (protocol, UEM, scorer), since scores compare only under the same terms.

    Every table has a row for every system; the row of a system without such a score gives the reason.
    """
    terms = sorted({_terms(score) for system in systems for score in system.scores.values()})
    titles = [text for _, text in terms] or ["no reference, so no score"]
    return [Table(text, _SCORES, [(*_origin(system), *_cells(system, text)) for system in systems]) for text in titles]


def talk_table(entries: Iterable[RecordingEntry], title: str = "", file: Path | None = None) -> Table:
    """Return a row per recording: the least certain number of speakers first, then the least certain turns.

    A column without any value is left out.
    """

    def order(entry: RecordingEntry) -> tuple[float, float, str]:
        number, turns = entry["num_spk_probability"], entry["confidence"]
        return math.inf if number is None else number, math.inf if turns is None else turns, entry["recording"]

    rows = [_talk_row(entry) for entry in sorted(entries, key=order)]
    kept = [at for at in range(len(_TALK)) if not rows or any(row[at] != _UNKNOWN for row in rows)]
    return Table(title, [_TALK[at] for at in kept], [[row[at] for at in kept] for row in rows], file)


def as_text(tables: Sequence[Table], max_rows: int = _MAX_ROWS) -> str:
    """Return tables for a terminal; those with the same columns have the same widths."""
    shown = [table.rows[:max_rows] if table.file else table.rows for table in tables]
    blocks = []
    for table, rows in zip(tables, shown, strict=True):
        alike = [row for other, own in zip(tables, shown, strict=True) if other.head == table.head for row in own]
        widths = [max(map(len, column)) for column in zip(table.head, *alike, strict=True)]
        rule = ["-" * width for width in widths]
        lines = [table.title] if table.title else []
        for row in (table.head, rule, *rows):
            cells = zip(table.head, row, widths, strict=True)
            padded = [cell.rjust(width) if name in _FIGURES else cell.ljust(width) for name, cell, width in cells]
            lines.append("  ".join(padded).rstrip())
        if len(rows) < len(table.rows):
            lines.append(f"and {len(table.rows) - len(rows)} more ({table.file})")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def as_markdown(tables: Sequence[Table], title: str) -> str:
    """Return tables as Markdown, all rows."""
    lines = [f"# {title}", *(["", _NOTE] if any(table.head == _SCORES for table in tables) else [])]
    for table in tables:
        rule = "|" + "".join(" ---: |" if name in _FIGURES else " --- |" for name in table.head)
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (table.head, *table.rows)]
        head, *rows = (f"| {' | '.join(row)} |" for row in cells)
        lines += ["", f"## {table.title}", "", head, rule, *rows]
    return "\n".join(lines) + "\n"


def clock(seconds: float) -> str:
    """Return a time or length as m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plural(number: int, noun: str) -> str:
    """Return "1 recording" or "2 recordings"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _talk_row(entry: RecordingEntry) -> list[str]:
    speakers = entry["speakers"]
    talk = [f"{one['name']} {clock(one['seconds'])} ({one['share']:.0%})" for one in speakers[:_MAX_SPEAKERS]]
    if len(speakers) > _MAX_SPEAKERS:
        talk.append(f"and {len(speakers) - _MAX_SPEAKERS} more")
    duration = _UNKNOWN if entry["duration"] is None else clock(entry["duration"])
    sure = [_UNKNOWN if one is None else f"{one:.0%}" for one in (entry["num_spk_probability"], entry["confidence"])]
    return [entry["recording"], duration, str(entry["num_spk"]), *sure, ", ".join(talk) or "no speech"]


def _terms(score: Score) -> tuple[tuple[int, str, bool], str]:
    """Return a sort key and the title of the table that a score belongs to."""
    known, name = list(PROTOCOLS), score.protocol.name
    uem = "UEM" if score.uem is not None else "no UEM (false alarms outside the reference not counted)"
    text = f"{score.protocol.describe()}; {uem}; scorer {score.scorer}"
    return (known.index(name) if name in known else len(known), name, score.uem is None), text


def _origin(system: ReportSystem) -> tuple[str, ...]:
    keys = ("speech_source", "num_spk_source", "xvector_model")
    return (system.name, *(system.origin.get(key, "not recorded") for key in keys))


def _cells(system: ReportSystem, terms: str) -> list[str]:
    """Return the figures of a row: miss, false alarm, confusion, DER (or the reason why there is none) and JER."""
    reason = "not scored" if system.scores else "no reference"
    for score in system.scores.values():
        if _terms(score)[1] == terms:
            if score.protocol.name not in system.outdated:
                parts = [percent(score.total.fraction(part)) for part in ("miss", "false_alarm", "confusion")]
                return [*parts, percent(score.total.der), percent(score.total.jer)]
            reason = "out of date"
    return [_UNKNOWN, _UNKNOWN, _UNKNOWN, reason, _UNKNOWN]
