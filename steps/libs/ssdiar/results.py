"""What was found, in figures: ``result.json`` of a system, and the table that a run without a reference ends with.

The turns themselves are in the RTTM. docs/reference.md explains the keys of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssdiar.errors import InputError
from ssdiar.timeline.regions import covered, merge, total
from ssdiar.timeline.spans import Turn

#: The form of the file; its number changes when a key gets another meaning or goes.
SCHEMA = "ssdiar-result/1"
#: What of meta.json the file says, too.
ORIGIN = ("system", "seed", "speech_source", "num_spk_source", "xvector_model")

_HEAD = ("Recording", "Duration", "Speakers", "Number sure", "Turns sure", "Talk time")
#: Those columns of the table of recordings that are figures; the others are words.
FIGURES = ("Duration", "Speakers", "Number sure", "Turns sure")
_UNKNOWN = "-"
_MOST_SPEAKERS = 4  # of a recording, that a row of the table names
_KINDS: dict[str, tuple[type, ...]] = {
    "recording": (str,),
    "file": (str, type(None)),
    "duration": (int, float, type(None)),
    "num_spk": (int,),
    "num_spk_probability": (int, float, type(None)),
    "confidence": (int, float, type(None)),
    "overlap": (int, float),
    "speakers": (list,),
}


def recording_entry(
    reco: str,
    turns: Sequence[Turn],
    *,
    file: str | None = None,
    duration: float | None = None,
    probability: float | None = None,
) -> dict[str, Any]:
    """Return what was found in a recording, without the turns.

    Args:
        reco: Its id.
        turns: Its turns, in any order; none where nobody speaks.
        file: Its audio, where that is known.
        duration: Its length in seconds, where that is known.
        probability: How sure the number of speakers is, from 0 to 1; None where it was given or is not known.

    Returns:
        The keys of an entry of result.json, values rounded: seconds to 3 decimals, shares and probabilities to 4.
    """
    talk: dict[str, list[Turn]] = {}
    for turn in turns:
        talk.setdefault(turn.speaker, []).append(turn)
    regions = {name: merge([(turn.start, turn.end) for turn in own]) for name, own in talk.items()}
    seconds = {name: total(own) for name, own in regions.items()}
    everybody = sum(seconds.values())
    overlap = covered(np.concatenate([*regions.values(), np.empty((0, 2))]), 2)
    return {
        "recording": reco,
        "file": file,
        "duration": None if duration is None else round(duration, 3),
        "num_spk": len(talk),
        "num_spk_probability": None if probability is None else round(probability, 4),
        "confidence": _mean_confidence(turns),
        "overlap": round(total(overlap), 3),
        "speakers": [
            {
                "name": name,
                "seconds": round(seconds[name], 3),
                "share": round(seconds[name] / everybody, 4) if everybody else 0.0,
                "turns": len(talk[name]),
            }
            for name in sorted(talk, key=lambda name: (-seconds[name], name))
        ],
    }


def result_content(meta: Mapping[str, Any], recordings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of result.json.

    Args:
        meta: meta.json of the system.
        recordings: An entry per recording (:func:`recording_entry`).
    """
    entries = sorted(recordings, key=lambda entry: entry["recording"])
    return {"schema": SCHEMA, **{key: meta.get(key) for key in ORIGIN}, "recordings": entries}


def result_text(content: Mapping[str, Any]) -> str:
    """Return the text of result.json."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a result.json.

    Raises:
        InputError: It is not one, or of another schema.
    """
    hint = "Run make_rttm.sh again."
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        schema, entries = content["schema"], content["recordings"]
        whole = all(isinstance(entry[key], kinds) for entry in entries for key, kinds in _KINDS.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError("not a result", path=path, expected="what make_rttm.sh writes", hint=hint) from None
    if schema != SCHEMA:
        raise InputError("result of another schema", path=path, expected=SCHEMA, got=schema, hint=hint)
    if not whole:
        raise InputError("damaged", path=path, expected="what make_rttm.sh writes", hint=hint)
    return content


def number_found(history: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Return how many speakers clustering found, and how sure that is where it was estimated, of its history."""
    probabilities = {int(number): sure for number, sure in history.get("num_spk_probabilities", {}).items()}
    return {"number": history["clusters"], "probability": probabilities.get(history["num_spk"])}


def count_probabilities(num_spk: Mapping[str, Mapping[str, Any]], sides: Mapping[str, str]) -> dict[str, float]:
    """Return how sure the number of speakers of each recording is, where it was estimated.

    A recording whose parties have a channel each is as sure as all of them together: the product.

    Args:
        num_spk: What meta.json says by recording or side: ``number`` and ``probability``.
        sides: Recording by side, where recordings have sides.
    """
    sure: dict[str, float] = {}
    for key, found in num_spk.items():
        if found.get("probability") is not None:
            reco = sides.get(key, key)
            sure[reco] = sure.get(reco, 1.0) * found["probability"]
    return sure


def least_sure_first(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries by how sure the number of speakers is, then by how sure the turns are.

    What is not known comes last.
    """

    def order(entry: Mapping[str, Any]) -> tuple[float, float, str]:
        sure = (entry["num_spk_probability"], entry["confidence"])
        return (*(math.inf if one is None else one for one in sure), entry["recording"])

    return sorted(entries, key=order)


def clock(seconds: float) -> str:
    """Return a time or length as m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def talk_table(entries: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return a table of recordings, the least sure first: its head, and its rows.

    A column of which nothing is known is left out.

    Args:
        entries: Of result.json.
    """
    rows = [_row(entry) for entry in least_sure_first(entries)]
    kept = [at for at in range(len(_HEAD)) if not rows or any(row[at] != _UNKNOWN for row in rows)]
    return [_HEAD[at] for at in kept], [[row[at] for at in kept] for row in rows]


def talk_text(entries: Iterable[Mapping[str, Any]], file: str | Path, most: int = 20) -> str:
    """Return the table for a terminal.

    Args:
        entries: Of result.json.
        file: That result.json; the last line names it, if there are more recordings.
        most: Rows.
    """
    head, rows = talk_table(entries)
    lines = aligned(head, rows[:most], FIGURES)
    if len(rows) > most:
        lines.append(f"and {len(rows) - most} more ({file})")
    return "\n".join(lines) + "\n"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str]) -> list[str]:
    """Return a table's lines in columns of equal width; those that ``figures`` names stand to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if name in figures else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        return "  ".join(cells).rstrip()

    return [line(head), "  ".join("-" * width for width in widths), *map(line, rows)]


def _row(entry: Mapping[str, Any]) -> list[str]:
    speakers = entry["speakers"]
    words = [f"{one['name']} {clock(one['seconds'])} ({one['share']:.0%})" for one in speakers[:_MOST_SPEAKERS]]
    if len(speakers) > _MOST_SPEAKERS:
        words.append(f"and {len(speakers) - _MOST_SPEAKERS} more")
    duration = _UNKNOWN if entry["duration"] is None else clock(entry["duration"])
    sure = [_UNKNOWN if entry[key] is None else f"{entry[key]:.0%}" for key in ("num_spk_probability", "confidence")]
    return [entry["recording"], duration, str(entry["num_spk"]), *sure, ", ".join(words) or "no speech"]


def _mean_confidence(turns: Sequence[Turn]) -> float | None:
    """Return the mean confidence of the turns of which it is known, weighted by their length."""
    known = [(turn.end - turn.start, turn.confidence) for turn in turns if turn.confidence is not None]
    seconds = sum(length for length, _ in known)
    return round(sum(length * sure for length, sure in known) / seconds, 4) if seconds else None
