"""Kaldi's text tables: wav.scp, segments, utt2spk, spk2utt, reco2num_spk, reco2dur, labels, sure.

Every reader checks what it reads and raises :class:`InputError` with file and line; every writer sorts by key as Kaldi
does (``LC_ALL=C``, that is by byte) and publishes by rename. In diarization directories a "speaker" of utt2spk and
spk2utt is a recording, as in Kaldi.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.io.names import Names
from ssdiar.io.publish import publish_text
from ssdiar.timeline.spans import Segment, grouped

_LOG = logging.getLogger(__name__)

# Ids become file names and fields of text files. A leading '-' would be an option, a leading '.' a hidden file or '..'.
SIDE2RECO = "side2reco"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_id(text: str, path: str | Path, line: int | None = None) -> str:
    """Return ``text`` if it may be an id (letters, digits, ``_ . -``, not starting with ``.`` or ``-``).

    Raises:
        InputError: It may not.
    """
    if not _ID.fullmatch(text) or len(text) > 200:
        raise InputError(
            "bad id",
            path=path,
            line=line,
            expected="up to 200 letters, digits or '_.-', starting with a letter, a digit or '_'",
            got=text,
        )
    return text


def check_reco(text: str, names: Names | None, path: str | Path, line: int | None = None) -> str:
    """Return the id of the recording that ``text`` means, which without ``names`` is an id.

    Raises:
        InputError: It is no id, or may mean several recordings.
    """
    if names is None:
        return check_id(text, path, line)
    try:
        return names.find(text)
    except InputError as error:
        raise InputError(error.what, path=path, line=line, expected="a name of one recording") from None


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) for each non-empty line of a UTF-8 text file.

    A byte order mark at its beginning is no part of the text.

    Raises:
        InputError: There is no such file, or it is not UTF-8 text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except IsADirectoryError:
        raise InputError("is a folder", path=path, expected="a text file") from None
    # Text of ASCII letters in UTF-16 has a zero in every second byte.
    begin = data[:64]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or 3 * begin.count(b"\0") > len(begin):
        hint = "Save it as UTF-8, or: iconv -f UTF-16 -t UTF-8."
        raise InputError("is UTF-16 text", path=path, expected="UTF-8", hint=hint)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", path=path, line=line) from None
    for number, line_text in enumerate(text.split("\n"), 1):
        if line_text.strip():
            yield number, line_text.rstrip("\r")


def read_rows(
    path: str | Path, columns: str, names: Names | None = None, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of a table with a unique id in its first column.

    Lines that repeat an earlier one are counted once, and a warning is logged.

    Args:
        path: The file.
        columns: Names of the columns, for example ``"sub-segment recording start end"``; a row must have as many
            fields. A last name that ends in ``...`` takes the rest of the line, which must not be empty.
        names: If given, the first column names a recording by any of its names, and its id is yielded.
        strict: Whether lines that repeat an earlier one are errors, as for Kaldi's programs.

    Raises:
        InputError: A row has another number of fields, a bad id, or an id that an earlier, different row has.
    """
    titles = columns.split()
    takes_rest = titles[-1].endswith("...")
    seen: dict[str, tuple[int, list[str]]] = {}
    repeated = 0
    for line, text in read_lines(path):
        fields = text.split(None, len(titles) - 1) if takes_rest else text.split()
        if len(fields) != len(titles):
            raise InputError(
                "wrong number of fields",
                path=path,
                line=line,
                expected=f"{len(titles)} ({columns})",
                got=f"{len(fields)}",
            )
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
    """Warn of lines that repeat earlier ones, if there are any."""
    if number:
        _LOG.warning("WARNING: %s: %d lines repeat earlier ones and are counted once", path, number)


def parse_float(text: str, name: str, path: str | Path, line: int) -> float:
    """Return ``text`` as a finite number of at least 0.

    Raises:
        InputError: It is not.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or "_" in text:  # Python takes 1_0 for 10
        raise InputError(f"bad {name}", path=path, line=line, expected="a finite number of at least 0", got=text)
    return value


def parse_count(text: str, name: str, path: str | Path, line: int) -> int:
    """Return ``text`` as a whole number of at least 1.

    Raises:
        InputError: It is not.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise InputError(f"bad {name}", path=path, line=line, expected="a whole number from 1", got=text)
    return int(text)


def read_wav_scp(path: str | Path) -> dict[str, str]:
    """Read ``<recording> <path or "command |">``; the second column is the rest of the line."""
    return {key: rest for _, (key, rest) in read_rows(path, "recording path-or-command...")}


def read_map(path: str | Path, columns: str) -> dict[str, str]:
    """Read a table of two columns, for example utt2spk with ``columns="utterance recording"``."""
    return {key: value for _, (key, value) in read_rows(path, columns)}


def read_sides(folder: str | Path) -> dict[str, str]:
    """Return the recordings by side (:mod:`ssdiar.timeline.sides`); nothing if no recording of the folder has sides."""
    path = Path(folder) / SIDE2RECO
    return read_map(path, "side recording") if path.exists() else {}


def read_counts(path: str | Path, columns: str, names: Names | None = None) -> dict[str, int]:
    """Read a table of id and whole number from 1: reco2num_spk, labels; with ``names`` of recordings by any name."""
    rows = read_rows(path, columns, names)
    return {key: parse_count(text, "number", path, line) for line, (key, text) in rows}


def read_shares(path: str | Path, columns: str) -> dict[str, float]:
    """Read a table of id and number from 0 to 1."""
    shares = {}
    for line, (key, text) in read_rows(path, columns):
        shares[key] = parse_float(text, "number", path, line)
        if shares[key] > 1:
            raise InputError("bad number", path=path, line=line, expected="at most 1", got=text)
    return shares


def read_durations(path: str | Path) -> dict[str, float]:
    """Read reco2dur: ``<recording> <seconds>``."""
    rows = read_rows(path, "recording seconds")
    return {key: parse_float(text, "duration", path, line) for line, (key, text) in rows}


def read_segments(
    path: str | Path,
    recordings: Iterable[str] | None = None,
    durations: Mapping[str, float] | None = None,
    names: Names | None = None,
) -> list[Segment]:
    """Read ``<segment> <recording> <start> <end>`` in file order; an end of -1 is Kaldi's for that of the recording.

    Args:
        path: The file.
        recordings: If given, every segment must belong to one of them.
        durations: If given, seconds per recording; a segment may end at most 0.05 s after its recording does (sample
            counts of compressed audio are seldom exact).
        names: If given, the recording goes by any of its names.

    Raises:
        InputError: A row is malformed, ends before it starts, or names an unknown recording or time.
    """
    known = None if recordings is None else set(recordings)
    segments = []
    for line, (key, reco, start_text, end_text) in read_rows(path, "segment recording start end"):
        reco = check_reco(reco, names, path, line)
        start = parse_float(start_text, "start", path, line)
        if end_text in ("-1", "-1.0") and (durations is None or reco not in durations):
            what = f"segment {key} ends where its recording does (-1), and its length is not known"
            raise InputError(what, path=path, line=line, expected=f"reco2dur with {reco}, or an end")
        end = durations[reco] if end_text in ("-1", "-1.0") else parse_float(end_text, "end", path, line)
        if end <= start:
            what, expected = f"segment {key} has no length", f"an end after {start:g} s"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{end:g} s")
        if known is not None and reco not in known:
            raise InputError(
                f"segment {key} is of an unknown recording", path=path, line=line, expected="one of wav.scp", got=reco
            )
        if durations is not None and reco in durations and end > durations[reco] + 0.05:
            what, expected = f"segment {key} ends after its recording", f"at most {durations[reco]:.3f} s"
            raise InputError(what, path=path, line=line, expected=expected, got=f"{end:g} s")
        segments.append(Segment(key, reco, start, end))
    return segments


def read_tsv(path: str | Path) -> list[dict[str, str]]:
    """Read a table for people: cells between tabs, their names in the first line; no rows where there is no file.

    Raises:
        InputError: A row has another number of cells than the first line.
    """
    if not Path(path).exists():
        return []
    rows = [(line, text.split("\t")) for line, text in read_lines(path)]
    names = rows[0][1] if rows else []
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            raise InputError(
                "wrong number of cells", path=path, line=line, expected=f"{len(names)}", got=f"{len(cells)}"
            )
    return [dict(zip(names, cells, strict=True)) for _, cells in rows[1:]]


def write_tsv(path: str | Path, names: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Write a table that :func:`read_tsv` reads, blanks for tabs and line ends in cells; return whether it changed."""
    lines = ["\t".join(re.sub(r"\s", " ", cell) for cell in row) for row in (names, *rows)]
    return publish_text(path, "".join(f"{line}\n" for line in lines))


def check_same_ids(pieces: Sequence[Segment], rows: Mapping[str, float], path: str | Path, name: str) -> None:
    """Refuse a table of pieces with a row too many or too few; ``name`` is what a row says."""
    hint = f"Are they of these pieces ({len(pieces)})? If the pieces were made anew, run the stages in between again."
    missing = [piece.id for piece in pieces if piece.id not in rows]
    if missing:
        what = f"no {name} of piece {missing[0]} ({len(missing)} of {len(pieces)} pieces have none)"
        raise InputError(what, path=path, hint=hint)
    unknown = sorted(rows.keys() - {piece.id for piece in pieces})
    if unknown:
        what = f"{name} of a piece that is not there ({len(unknown)} of {len(rows)})"
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
    """Write segments, utt2spk and spk2utt of ``segments`` into ``folder``, each sorted by id, times with 3 decimals."""
    folder = Path(folder)
    ordered = sorted(segments, key=lambda segment: segment.id)
    write_segments_file(folder / "segments", ordered)
    write_table(folder / "utt2spk", {segment.id: segment.reco for segment in ordered})
    pieces = grouped(ordered)
    write_table(folder / "spk2utt", {reco: " ".join(piece.id for piece in pieces[reco]) for reco in pieces})


def write_segments_file(path: str | Path, segments: Iterable[Segment]) -> bool:
    """Write one segments file, sorted by id, times with 3 decimals; return whether it changed."""
    return write_table(path, {s.id: f"{s.reco} {s.start:.3f} {s.end:.3f}" for s in segments})
