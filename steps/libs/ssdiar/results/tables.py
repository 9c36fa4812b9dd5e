"""Tables of results, for a terminal and as Markdown."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssdiar.results import RecordingEntry
from ssdiar.timeline.spans import Turn

#: Columns of a table of scores.
SCORES = ("System", "Speech", "Speaker count", "x-vectors", "Miss %", "False alarm %", "Confusion %", "DER %", "JER %")
_TALK = ("Recording", "Duration", "Speakers", "Number sure", "Turns sure", "Talk time")
_FIGURES = frozenset((*SCORES[4:], *_TALK[1:5]))  # aligned right; other columns are words
_NOTE = "DER and its parts are percent of scored speaker time, pooled over recordings; JER is the mean over speakers."
_UNKNOWN = "-"
_MAX_ROWS = 20  # of a table that is also in a file
_COLOURS = ("#0b7285", "#d9480f", "#5f3dc4", "#2b8a3e", "#a61e4d", "#846100")  # of speakers on a timeline
_MAX_SPEAKERS = 4  # that a row names


class Table(NamedTuple):
    """A table of text; ``file`` holds the same recordings, so that a terminal may show only the first rows."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    file: Path | None = None


def talk_table(entries: Iterable[RecordingEntry], title: str = "", file: Path | None = None) -> Table:
    """Return a row per recording, the least certain first: its number of speakers or its turns, the less sure of both.

    A column without any value is left out.
    """

    def order(entry: RecordingEntry) -> tuple[float, str]:
        known = [one for one in (entry["num_spk_probability"], entry["confidence"]) if one is not None]
        return min(known, default=math.inf), entry["recording"]

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
    lines = [f"# {title}", *(["", _NOTE] if any(table.head == SCORES for table in tables) else [])]
    for table in tables:
        rule = "|" + "".join(" ---: |" if name in _FIGURES else " --- |" for name in table.head)
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (table.head, *table.rows)]
        head, *rows = (f"| {' | '.join(row)} |" for row in cells)
        lines += ["", f"## {table.title}", "", head, rule, *rows]
    return "\n".join(lines) + "\n"


def timeline_html(entry: RecordingEntry, turns: Iterable[Turn]) -> str:
    """Return a recording's speakers with their talk time and turns, as a table of HTML without scripts."""
    by_speaker: dict[str, list[str]] = {}
    for turn in turns:
        bar = f'<rect x="{turn.start:.2f}" width="{turn.end - turn.start:.2f}" height="1"/>'
        by_speaker.setdefault(turn.speaker, []).append(bar)
    svg = f'<svg viewBox="0 0 {entry["duration"] or 1:.2f} 1" preserveAspectRatio="none"'
    style = 'style="width:100%;min-width:20em;height:1em;background:#8883"'
    rows = []
    for number, one in enumerate(entry["speakers"]):
        talk = f"{clock(one['seconds'])}&nbsp;({one['share']:.0%})"
        words = f"<td>{html.escape(one['name'])}</td><td>{talk}</td>"
        lane = f'{svg} fill="{_COLOURS[number % len(_COLOURS)]}" {style}>{"".join(by_speaker[one["name"]])}</svg>'
        rows.append(f'<tr>{words}<td style="width:100%">{lane}</td></tr>')
    title = f"{entry['recording']}, {clock(entry['duration'] or 0)}"
    return f"<table><caption>{html.escape(title)}</caption>{''.join(rows)}</table>"


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
