"""RTTM (who speaks when) and UEM (scored regions), the formats of NIST's Rich Transcription evaluations.

Channels are ignored: a recording is one signal, and a UEM of channel ``NA`` must match an RTTM of channel ``1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.names import Names
from ssdiar.io.tables import check_reco, parse_float, read_lines, tell_repeated
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Turn, grouped

#: Kinds of turns, which stage 6 writes beside each other as rttm.KIND: their short pauses closed, or only speech.
TURN_KINDS = ("closed", "tight")

# Line types of RTTM other than SPEAKER; any other first field means that the file is no RTTM.
_OTHER_TYPES = re.compile("SEGMENT|NOSCORE|NO_RT_METADATA|LEXEME|NON-LEX|NON-SPEECH|FILLER|EDIT|IP|SU|CB|A/P|SPKR-INFO")


# Of 9 fields, this one is a confidence: the column before it, the name, is empty.
_SHIFTED = re.compile(r"[01]?\.[0-9]+")


def read_rttm(path: str | Path, names: Names | None = None, anonymous: bool = False) -> list[Turn]:
    """Read the SPEAKER lines of an RTTM file in file order; comments (``;;``) and other line types are skipped.

    Turns of zero length are dropped. The confidence (field 9) is kept if it is a number from 0 to 1. Repeated lines are
    read once, and a warning is logged.

    Args:
        path: The file.
        names: If given, recordings may have any of their names.
        anonymous: Whether turns need no speaker, as those that only tell where speech is.

    Raises:
        InputError: A line has neither 9 nor 10 fields (of other types, more), a bad recording id, no speaker (an empty
            column or ``<NA>``), or a time that is negative or no number.
    """
    turns: dict[Turn, int] = {}
    repeated = 0
    for line, fields in _rows(path):
        if fields[0] != "SPEAKER":
            if not _OTHER_TYPES.fullmatch(fields[0]):
                raise InputError("not an RTTM line", path=path, line=line, expected="SPEAKER first", got=fields[0])
            if len(fields) <= 10:
                continue
        if len(fields) not in (9, 10):
            what, expected = "wrong number of fields", "10 (9 in older files)"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{len(fields)}")
        if not anonymous and (fields[7] == "<NA>" or (len(fields) == 9 and _SHIFTED.fullmatch(fields[7]))):
            what, expected = "the name of the speaker is missing", "it in column 8"
            raise InputError(what, path=path, line=line, expected=expected, got=fields[7])
        reco, start, end = _times(fields, names, path, line)
        if end > start:
            turn = Turn(reco, fields[7], start, end, _confidence(fields[8]))
            repeated += turns.setdefault(turn, line) != line
    tell_repeated(repeated, path)
    return list(turns)


def read_kind(path: str | Path, kind: str | None = None) -> tuple[list[Turn], dict[str, str]]:
    """Read the turns of an RTTM; if stage 6 wrote it, in any kind. Return them and the kind by recording, if known.

    A recording whose turns are of no kind (``corrected``) was changed by hand and stays as it is.

    Args:
        path: The file; stage 6 writes ``rttm`` with ``rttm.closed`` and ``rttm.tight`` beside it.
        kind: One of :data:`TURN_KINDS`; None: each recording as it is.

    Raises:
        InputError: See :func:`read_rttm`; or turns of that kind are not beside it.
    """
    path, own = Path(path), grouped(read_rttm(path))
    files = {name: path.with_name(f"rttm.{name}") for name in TURN_KINDS if path.name == "rttm"}
    made = {name: grouped(read_rttm(file)) for name, file in files.items() if file.is_file()}
    if kind is not None and kind not in made:
        raise InputError(f"no rttm.{kind} beside it", path=path, hint="make_rttm.sh writes it, if speech was detected.")
    turns, kinds = [], {}
    for reco in own | made.get("closed", {}):
        now = own.get(reco, [])
        kinds[reco] = next((name for name, found in made.items() if found.get(reco, []) == now), "corrected")
        if kind is not None and kinds[reco] != "corrected":
            now, kinds[reco] = made[kind].get(reco, []), kind
        turns += now
    return turns, kinds if made else {}


def read_noscore(path: str | Path, names: Names | None = None) -> dict[str, list[tuple[float, float]]]:
    """Read the NOSCORE lines of an RTTM file: regions in seconds per recording that scoring leaves out.

    Args:
        path: The file.
        names: If given, recordings may have any of their names.

    Raises:
        InputError: Such a line has a bad recording id or time.
    """
    regions: dict[str, list[tuple[float, float]]] = {}
    for line, fields in _rows(path):
        if fields[0] == "NOSCORE":
            reco, *region = _times(fields, names, path, line)
            regions.setdefault(reco, []).append(tuple(region))
    return regions


def write_rttm(
    path: str | Path, turns: Iterable[Turn], noscore: Mapping[str, Sequence[tuple[float, float]]] = {}
) -> bool:
    """Write turns (:func:`rttm_text`) and NOSCORE regions by recording as RTTM; return whether the file changed."""
    regions = [(reco, start, end - start) for reco in sorted(noscore) for start, end in noscore[reco]]
    lines = [f"NOSCORE {reco} 1 {start:.3f} {time:.3f} <NA> <NA> <NA> <NA> <NA>\n" for reco, start, time in regions]
    return publish_text(path, rttm_text(turns) + "".join(lines))


def rttm_text(turns: Iterable[Turn]) -> str:
    """Return turns as RTTM: 10 fields, channel 1, times with 3 decimals, ordered by recording and time.

    Ends are rounded, not durations, so that touching turns still touch; turns that round to zero length are dropped.
    """
    lines = []
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        start, end = round(turn.start * 1000), round(turn.end * 1000)
        if end > start:
            times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
            confidence = "<NA>" if turn.confidence is None else f"{turn.confidence:.3f}"
            lines.append(f"SPEAKER {turn.reco} 1 {times} <NA> <NA> {turn.speaker} {confidence} <NA>\n")
    return "".join(lines)


def read_uem(path: str | Path, names: Names | None = None) -> dict[str, list[tuple[float, float]]]:
    """Read ``<recording> <channel> <start> <end>``: scored regions in seconds per recording, ordered and disjoint.

    Repeated lines are read once, and a warning is logged.

    Args:
        path: The file.
        names: If given, recordings may have any of their names.

    Raises:
        InputError: A line does not have 4 fields, has a bad id or time, or an end that is not after its start.
    """
    regions: dict[str, list[tuple[float, float]]] = {}
    repeated = 0
    for line, fields in _rows(path):
        if len(fields) != 4:
            what, expected = "wrong number of fields", "4 (recording channel start end)"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{len(fields)}")
        own = regions.setdefault(check_reco(fields[0], names, path, line), [])
        start, end = parse_float(fields[2], "start", path, line), parse_float(fields[3], "end", path, line)
        if end <= start:
            what, expected = "region has no length", f"an end after {start:g} s"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{end:g} s")
        repeated += (start, end) in own
        own.append((start, end))
    tell_repeated(repeated, path)
    return {reco: [(start, end) for start, end in covered(own).tolist()] for reco, own in regions.items()}


def _rows(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of the lines that are no comments."""
    return ((line, text.split()) for line, text in read_lines(path) if not text.lstrip().startswith(";;"))


def _times(fields: list[str], names: Names | None, path: str | Path, line: int) -> tuple[str, float, float]:
    """Return recording, start and end of a line."""
    if len(fields) < 5:
        expected = "type, recording, channel, start, duration ..."
        raise InputError("wrong number of fields", path=path, line=line, expected=expected, got=f"{len(fields)}")
    start, duration = parse_float(fields[3], "start", path, line), parse_float(fields[4], "duration", path, line)
    return check_reco(fields[1], names, path, line), start, start + duration


def _confidence(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
