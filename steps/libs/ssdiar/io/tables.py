"""Kaldi's text tables: wav.scp, segments, utt2spk, spk2utt, reco2num_spk, reco2dur, labels, sure; and utt2region.

Readers check their input and raise :class:`InputError` with file and line. Writers sort by key in byte order, as Kaldi
does (``LC_ALL=C``), and publish by rename. In diarization directories a "speaker" of utt2spk is a recording, as in
Kaldi. ``utt2region`` (``<sub-segment> <speech region>``) is optional and ours.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.names import Names
from ssdiar.timeline.spans import Segment, grouped

_LOG = logging.getLogger(__name__)

SIDE2RECO = "side2reco"
UTT2REGION = "utt2region"
_Table = TypeVar("_Table")
# Ids become file names and fields of text files. A leading '-' would be an option, a leading '.' a hidden file or '..'.
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def check_id(text: str, path: str | Path, line: int | None = None) -> str:
    """Return ``text`` if it is an id (letters, digits and ``_.-``, not starting with ``.`` or ``-``), or raise."""
    if not _ID.fullmatch(text):
        expected = "up to 200 letters, digits or '_.-', starting with a letter, a digit or '_'"
        raise InputError("bad id", path=path, line=line, expected=expected, got=text)
    return text


def check_reco(text: str, names: Names | None, path: str | Path, line: int | None = None) -> str:
    """Return the id of the recording that ``text`` names (by any of its ``names``, if given), or raise."""
    if names is None:
        return check_id(text, path, line)
    try:
        return names.find(text)
    except InputError as error:
        raise InputError(error.what, path=path, line=line, expected="a name of one recording") from None


def read_text(path: str | Path) -> str:
    """Return the content of a UTF-8 text file, without a byte order mark.

    Raises:
        InputError: There is no such file, or it is not UTF-8 text.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except IsADirectoryError:
        raise InputError("is a folder", path=path, expected="a text file") from None
    # ASCII letters in UTF-16 have a zero in every second byte.
    begin = data[:64]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or 3 * begin.count(b"\0") > len(begin):
        hint = "Save it as UTF-8, or: iconv -f UTF-16 -t UTF-8."
        raise InputError("is UTF-16 text", path=path, expected="UTF-8", hint=hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", path=path, line=line) from None


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) for each non-empty line of a UTF-8 text file.

    Raises:
        InputError: See :func:`read_text`.
    """
    for number, line_text in enumerate(read_text(path).split("\n"), 1):
        if line_text.strip():
            yield number, line_text.rstrip("\r")


def read_rows(
    path: str | Path, columns: str, names: Names | None = None, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of a table with a unique id in its first column.

    Repeated lines are read once, and a warning is logged.

    Args:
        path: The file.
        columns: Names of the columns, for example ``"sub-segment recording start end"``. A last name that ends in
            ``...`` takes the rest of the line, which must not be empty.
        names: If given, the first column may have any name of a recording, and its id is yielded.
        strict: Whether repeated lines are errors, as for Kaldi's programs.

    Raises:
        InputError: A row has another number of fields, a bad id, or the id of an earlier, different row.
    """
    titles = columns.split()
    splits = len(titles) - 1 if columns.endswith("...") else -1
    seen: dict[str, tuple[int, list[str]]] = {}
    repeated = 0
    for line, text in read_lines(path):
        fields = text.split(None, splits)
        if len(fields) != len(titles):
            expected = f"{len(titles)} ({columns})"
            raise InputError("wrong number of fields", path=path, line=line, expected=expected, got=f"{len(fields)}")
        key = check_reco(fields[0], names, path, line)
        row = [key, *(field.strip() for field in fields[1:])]
        first_line, first = seen.setdefault(key, (line, row))
        if first_line == line:
            yield line, row
        elif row == first and not strict:
            repeated += 1
        else:
            raise InputError(f"duplicate id {key}, first seen in line {first_line}", path=path, line=line)
    tell_repeated(repeated, path)


def tell_repeated(number: int, path: str | Path) -> None:
    """Log a warning about repeated lines, if there are any."""
    if number:
        _LOG.warning("WARNING: %s: %d lines repeat earlier ones and are counted once", path, number)


def parse_float(text: str, name: str, path: str | Path, line: int) -> float:
    """Return ``text`` as a finite number of at least 0, or raise an :class:`InputError`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or "_" in text:  # Python takes 1_0 for 10
        raise InputError(f"bad {name}", path=path, line=line, expected="a finite number of at least 0", got=text)
    return value


def parse_share(text: str, name: str, path: str | Path, line: int) -> float:
    """Return ``text`` as a number from 0 to 1, or raise an :class:`InputError`."""
    value = parse_float(text, name, path, line)
    if value > 1:
        raise InputError(f"bad {name}", path=path, line=line, expected="a number from 0 to 1", got=text)
    return value


def parse_count(text: str, name: str, path: str | Path, line: int) -> int:
    """Return ``text`` as a whole number of at least 1, or raise an :class:`InputError`."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise InputError(f"bad {name}", path=path, line=line, expected="a whole number from 1", got=text)
    return int(text)


def read_wav_scp(path: str | Path) -> dict[str, str]:
    """Read ``<recording> <path or "command |">``."""
    return read_map(path, "recording path-or-command...")


def read_map(path: str | Path, columns: str) -> dict[str, str]:
    """Read a table of two columns, for example utt2spk with ``columns="utterance recording"``."""
    return {key: value for _, (key, value) in read_rows(path, columns)}


def read_sides(folder: str | Path) -> dict[str, str]:
    """Return the recordings by side (:mod:`ssdiar.timeline.sides`); empty if no recording of the folder has sides."""
    return read_if_there(lambda path: read_map(path, "side recording"), Path(folder) / SIDE2RECO, {})


def read_voices(folder: str | Path) -> dict[str, list[str]]:
    """Return the voices of each recording of a data directory; empty if it has no reco2voices.

    A voice has the same name in all recordings, as in simulated sets.
    """
    rows = read_if_there(lambda path: read_map(path, "recording voices..."), Path(folder) / "reco2voices", {})
    return {reco: names.split() for reco, names in rows.items()}


def read_counts(path: str | Path, columns: str, names: Names | None = None) -> dict[str, int]:
    """Read a table of id and whole number from 1: reco2num_spk, labels; with ``names``, recordings have any name."""
    rows = read_rows(path, columns, names)
    return {key: parse_count(text, "number", path, line) for line, (key, text) in rows}


def read_shares(path: str | Path, columns: str) -> dict[str, float]:
    """Read a table of id and number from 0 to 1."""
    return {key: parse_share(text, "number", path, line) for line, (key, text) in read_rows(path, columns)}


def read_durations(path: str | Path) -> dict[str, float]:
    """Read reco2dur: ``<recording> <seconds>``."""
    rows = read_rows(path, "recording seconds")
    return {key: parse_float(text, "duration", path, line) for line, (key, text) in rows}


def is_open(end: str) -> bool:
    """Return whether the end of a segment is -1, Kaldi's end of the recording."""
    return re.fullmatch(r"-1(\.0*)?", end) is not None


def recordings_with_open_end(path: str | Path) -> set[str]:
    """Return the recordings with a segment that ends where the recording does (-1)."""
    return {fields[1] for _, fields in read_rows(path, "segment recording start end") if is_open(fields[3])}


def read_segments(
    path: str | Path,
    recordings: Iterable[str] | None = None,
    durations: Mapping[str, float] | None = None,
    names: Names | None = None,
) -> list[Segment]:
    """Read ``<segment> <recording> <start> <end>`` in file order; an end of -1 (Kaldi) is the end of the recording.

    Args:
        path: The file.
        recordings: If given, every segment must belong to one of them.
        durations: If given, seconds by recording; a segment may end up to 0.05 s later, since sample counts of
            compressed audio are rarely exact.
        names: If given, the recording may have any of its names.

    Raises:
        InputError: A row is malformed, ends before it starts, or names an unknown recording or time.
    """
    known, durations = None if recordings is None else set(recordings), durations or {}
    segments = []
    for line, (key, reco, start_text, end_text) in read_rows(path, "segment recording start end"):
        reco = check_reco(reco, names, path, line)
        start, to_end = parse_float(start_text, "start", path, line), is_open(end_text)
        if to_end and reco not in durations:
            what = f"segment {key} ends where its recording does (-1), and its length is not known"
            raise InputError(what, path=path, line=line, expected=f"reco2dur with {reco}, or an end")
        end = durations[reco] if to_end else parse_float(end_text, "end", path, line)
        what, got = None, f"{end:g} s"
        if end <= start:
            what, expected = "has no length", f"an end after {start:g} s"
        elif known is not None and reco not in known:
            what, expected, got = "is of an unknown recording", "one of wav.scp", reco
        elif end > durations.get(reco, math.inf) + 0.05:
            what, expected = "ends after its recording", f"at most {durations[reco]:.3f} s"
        if what:
            raise InputError(f"segment {key} {what}", path=path, line=line, expected=expected, got=got)
        segments.append(Segment(key, reco, start, end))
    return segments


def read_subsegments(folder: str | Path) -> list[Segment]:
    """Read the segments file of a folder; with utt2region in the folder, segments have their speech region."""
    segments, path = read_segments(Path(folder) / "segments"), Path(folder) / UTT2REGION
    if not path.exists():
        return segments
    regions = read_map(path, "sub-segment region")
    check_same_ids(segments, regions, path, "region")
    return [replace(segment, region=regions[segment.id]) for segment in segments]


def read_if_there(read: Callable[[Path], _Table], path: str | Path, default: _Table) -> _Table:
    """Return the content of a file by its reader, or a default if there is no such file."""
    return read(Path(path)) if Path(path).exists() else default


def read_tsv(path: str | Path) -> list[dict[str, str]]:
    """Read a table with tabs between cells and a head line; no rows if there is no file."""
    if not Path(path).exists():
        return []
    rows = [(line, text.split("\t")) for line, text in read_lines(path)]
    names = rows[0][1] if rows else []
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            what, expected = "wrong number of cells", f"{len(names)}"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{len(cells)}")
    return [dict(zip(names, cells, strict=True)) for _, cells in rows[1:]]


def write_tsv(path: str | Path, names: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Write a table for :func:`read_tsv`, white space in cells as blanks; return whether the file changed."""
    lines = ["\t".join(re.sub(r"\s", " ", cell) for cell in row) for row in (names, *rows)]
    return publish_text(path, "".join(f"{line}\n" for line in lines))


def check_same_ids(subsegments: Sequence[Segment], rows: Mapping[str, object], path: str | Path, name: str) -> None:
    """Raise an InputError if a table of sub-segments has a row too many or too few; ``name`` is its value's name."""
    number = len(subsegments)
    hint = f"Are they of these sub-segments ({number})? If those have changed, run the stages in between again."
    if missing := [one.id for one in subsegments if one.id not in rows]:
        what = f"no {name} of sub-segment {missing[0]} ({len(missing)} of {number} sub-segments have none)"
        raise InputError(what, path=path, hint=hint)
    if unknown := sorted(rows.keys() - {one.id for one in subsegments}):
        what = f"{name} of an unknown sub-segment ({len(unknown)} of {len(rows)})"
        raise InputError(what, path=path, expected="one of the sub-segments", got=unknown[0], hint=hint)


def write_table(path: str | Path, rows: Mapping[str, object]) -> bool:
    """Write ``<key> <value>`` lines sorted by key; return whether the file changed."""
    return publish_text(path, "".join(f"{key} {rows[key]}\n" for key in sorted(rows)))


def write_or_remove(path: str | Path, rows: Mapping[str, object]) -> None:
    """Write a table (:func:`write_table`); without any row, remove an earlier one."""
    if rows:
        write_table(path, rows)
    else:
        Path(path).unlink(missing_ok=True)


def write_segments(folder: str | Path, segments: Iterable[Segment]) -> None:
    """Write segments, utt2spk and spk2utt, and utt2region if all segments have a region, into ``folder``."""
    folder, segments = Path(folder), sorted(segments, key=lambda segment: segment.id)
    write_segments_file(folder / "segments", segments)
    write_table(folder / "utt2spk", {s.id: s.reco for s in segments})
    write_table(folder / "spk2utt", {reco: " ".join(s.id for s in own) for reco, own in grouped(segments).items()})
    regions = {segment.id: segment.region for segment in segments}
    write_or_remove(folder / UTT2REGION, {} if None in regions.values() else regions)


def write_segments_file(path: str | Path, segments: Iterable[Segment]) -> bool:
    """Write one segments file, sorted by id, times with 3 decimals; return whether it changed."""
    return write_table(path, {s.id: f"{s.reco} {s.start:.3f} {s.end:.3f}" for s in segments})
