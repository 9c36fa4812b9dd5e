"""RTTM (who speaks when) and UEM (which stretches are scored), the formats of NIST's Rich Transcription evaluations.

Channels are read and not kept: a recording is one signal here, and a UEM of channel ``NA`` must not silently miss an
RTTM of channel ``1``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.io.names import Names
from ssdiar.io.publish import publish_text
from ssdiar.io.tables import check_reco, parse_float, read_lines, tell_repeated
from ssdiar.timeline.spans import Turn


def read_rttm(path: str | Path, names: Names | None = None) -> list[Turn]:
    """Read the SPEAKER lines of an RTTM file, in file order; comments (``;;``) and other line types are passed over.

    Turns of zero length say nothing and are left out. The confidence (field 9) is kept where it is a number from 0 to
    1; other programs write other things there. Lines that repeat an earlier one are counted once, and a warning is
    logged.

    Args:
        path: The file.
        names: If given, recordings go by any of their names.

    Raises:
        InputError: A line has neither 9 nor 10 fields, a bad recording id, or a time that is negative or no number.
    """
    turns: dict[Turn, int] = {}
    repeated = 0
    for line, text in read_lines(path):
        fields = text.split()
        if text.startswith(";;") or fields[0] != "SPEAKER":
            _check_type(fields[0], path, line)
            continue
        if len(fields) not in (9, 10):
            raise InputError(
                "wrong number of fields", path=path, line=line, expected="10 (9 in older files)", got=f"{len(fields)}"
            )
        reco = check_reco(fields[1], names, path, line)
        start, duration = parse_float(fields[3], "start", path, line), parse_float(fields[4], "duration", path, line)
        if duration > 0:
            repeated += (
                turns.setdefault(Turn(reco, fields[7], start, start + duration, _confidence(fields[8])), line) != line
            )
    tell_repeated(repeated, path)
    return list(turns)


def write_rttm(path: str | Path, turns: Iterable[Turn]) -> bool:
    """Write turns as RTTM (:func:`rttm_text`); return whether the file changed."""
    return publish_text(path, rttm_text(turns))


def rttm_text(turns: Iterable[Turn]) -> str:
    """Return turns as RTTM: 10 fields, channel 1, times with 3 decimals, ordered by recording and time.

    Times are rounded as ends, not as durations, so that turns that touch still touch; turns that round to nothing are
    left out.
    """
    lines = []
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        start, end = round(turn.start * 1000), round(turn.end * 1000)
        if end > start:
            times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
            sure = "<NA>" if turn.confidence is None else f"{turn.confidence:.3f}"
            lines.append(f"SPEAKER {turn.reco} 1 {times} <NA> <NA> {turn.speaker} {sure} <NA>\n")
    return "".join(lines)


def _confidence(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def read_uem(path: str | Path, names: Names | None = None) -> dict[str, list[tuple[float, float]]]:
    """Read ``<recording> <channel> <start> <end>``: scored regions in seconds per recording, ordered and disjoint.

    Lines that repeat an earlier one are counted once, and a warning is logged.

    Args:
        path: The file.
        names: If given, recordings go by any of their names.

    Raises:
        InputError: A line has not 4 fields, a bad id or time, or an end that is not after its start.
    """
    regions: dict[str, set[tuple[float, float]]] = {}
    repeated = 0
    for line, text in read_lines(path):
        fields = text.split()
        if text.startswith(";;"):
            continue
        if len(fields) != 4:
            raise InputError(
                "wrong number of fields",
                path=path,
                line=line,
                expected="4 (recording channel start end)",
                got=f"{len(fields)}",
            )
        reco = check_reco(fields[0], names, path, line)
        start, end = parse_float(fields[2], "start", path, line), parse_float(fields[3], "end", path, line)
        if end <= start:
            raise InputError(
                "region has no length", path=path, line=line, expected=f"an end after {start:g} s", got=f"{end:g} s"
            )
        repeated += (start, end) in regions.setdefault(reco, set())
        regions[reco].add((start, end))
    tell_repeated(repeated, path)
    return {reco: _merged(parts) for reco, parts in regions.items()}


def _merged(regions: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    last_end = -math.inf
    for start, end in sorted(regions):
        if start <= last_end:
            last_end = max(last_end, end)
            merged[-1] = (merged[-1][0], last_end)
        else:
            merged.append((start, end))
            last_end = end
    return merged


# The other line types of RTTM; anything else in the first field means that this is no RTTM at all.
_OTHER_TYPES = frozenset(
    [
        "SEGMENT",
        "NOSCORE",
        "NO_RT_METADATA",
        "LEXEME",
        "NON-LEX",
        "NON-SPEECH",
        "FILLER",
        "EDIT",
        "IP",
        "SU",
        "CB",
        "A/P",
        "SPKR-INFO",
    ]
)


def _check_type(field: str, path: str | Path, line: int) -> None:
    if not field.startswith(";;") and field not in _OTHER_TYPES:
        raise InputError("not an RTTM line", path=path, line=line, expected="SPEAKER first", got=field)
