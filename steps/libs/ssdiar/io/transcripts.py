"""Transcripts that recognisers write: CTM, the JSON of Whisper and WhisperX, SubRip (SRT) and WebVTT.

Every reader returns words with times. Where a transcript has times of phrases alone (SRT, WebVTT without inner
timestamps, Whisper without word timestamps), the words of a phrase share its time in proportion to their letters.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ssdiar.errors import InputError
from ssdiar.io.tables import check_id, parse_float, read_lines, tell_repeated

#: File name endings of the formats.
SUFFIXES = (".ctm", ".json", ".srt", ".vtt")

# Languages that Whisper writes without blanks between words.
_NO_BLANKS = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{3})"
_CUE = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?")
_INNER_TIME = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Word:
    """A word of a recording.

    Args:
        reco: The recording.
        text: The word, with its punctuation.
        start: Seconds.
        end: Seconds, not before ``start``; recognisers also write words of no length.
        confidence: From 0 to 1, None where the recogniser does not say.
        phrase: Number of the phrase (segment, cue) that the word is part of, None where words have no phrases (CTM).
        glued: Whether the word follows the one before without a blank, as in Chinese.
        speaker: Who says it; None: nobody is known.
    """

    reco: str
    text: str
    start: float
    end: float
    confidence: float | None = None
    phrase: int | None = None
    glued: bool = False
    speaker: str | None = None


def read_transcript(path: str | Path, reco: str | None = None) -> list[Word]:
    """Read a transcript, its format told by the file name's ending; words stand in the order of the file.

    Args:
        path: The file.
        reco: The recording that it is of; by default the file name without its ending. A CTM names recordings itself.

    Raises:
        InputError: There is no such file, it has another ending, or it is malformed.
    """
    path = Path(path)
    readers = {".ctm": read_ctm, ".json": read_whisper, ".srt": read_captions, ".vtt": read_captions}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError("not a known transcript", path=path, expected=f"a name that ends in {' '.join(SUFFIXES)}")
    if reader is read_ctm:
        return read_ctm(path)
    return reader(path, check_id(path.stem, path) if reco is None else reco)


def read_ctm(path: str | Path) -> list[Word]:
    """Read NIST's CTM: ``<recording> <channel> <start> <duration> <word> [<confidence> [<type> [<speaker>]]]``.

    Channels and speakers are not kept. Words of a type that is no speech (``non-lex``, ``misc``) are left out. Lines
    that repeat an earlier one are counted once, and a warning is logged.

    Raises:
        InputError: A line has another number of fields, a bad id, time or confidence, or opens alternatives.
    """
    words: dict[tuple[str, ...], Word] = {}
    repeated = 0
    for line, text in read_lines(path):
        fields = text.split()
        if text.startswith(";;"):
            continue
        if not 5 <= len(fields) <= 8:
            expected = "5 to 8 (recording channel start duration word [confidence [type [speaker]]])"
            raise InputError("wrong number of fields", path=path, line=line, expected=expected, got=f"{len(fields)}")
        if "*" in fields[2:4]:
            raise InputError("alternatives are not supported", path=path, line=line, expected="one word at a time")
        if len(fields) > 6 and fields[6].lower() in ("non-lex", "misc"):
            continue
        reco = check_id(fields[0], path, line)
        start, duration = parse_float(fields[2], "start", path, line), parse_float(fields[3], "duration", path, line)
        confidence = None if len(fields) < 6 or fields[5].upper() in ("NA", "<NA>") else _share(fields[5], path, line)
        repeated += tuple(fields) in words
        words[tuple(fields)] = Word(reco, fields[4], start, start + duration, confidence)
    tell_repeated(repeated, path)
    return list(words.values())


def read_whisper(path: str | Path, reco: str) -> list[Word]:
    """Read the JSON of Whisper or WhisperX: ``{"segments": [{"start", "end", "text", "words": [...]}]}``.

    A word has ``word``, ``start``, ``end``, and ``probability`` (Whisper) or ``score`` (WhisperX). Words without times
    (WhisperX does not align numbers) share the time between their neighbours.

    Raises:
        InputError: The file is no such JSON.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", path=path, line=getattr(error, "lineno", None)) from None
    words: list[Word] = []
    try:
        glued = data.get("language") in _NO_BLANKS
        for number, segment in enumerate(data["segments"]):
            words += _of_segment(reco, segment, number, glued)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        expected = '"segments" with "start", "end", "text" and maybe "words", as Whisper and WhisperX write them'
        got = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError("not a transcript of Whisper", path=path, expected=expected, got=got) from None
    return words


def read_captions(path: str | Path, reco: str) -> list[Word]:
    """Read SubRip or WebVTT; tags are left out, timestamps inside a WebVTT cue are times of its words.

    Raises:
        InputError: A cue has no times, or ends before it starts.
    """
    words = []
    for number, (line, times, text) in enumerate(_cues(path)):
        start, end = times
        if end < start:
            expected = f"an end after {start:g} s"
            raise InputError("cue ends before it starts", path=path, line=line, expected=expected, got=f"{end:g} s")
        pieces = _INNER_TIME.split(text)  # text, then four groups and text for each timestamp
        marks = [start, *(_seconds(pieces[at : at + 4]) for at in range(1, len(pieces), 5)), end]
        for at, piece in enumerate(pieces[::5]):
            tokens = html.unescape(_TAG.sub("", piece)).split()
            first = min(max(marks[at], start), end)
            words += _spread(reco, tokens, (first, min(max(marks[at + 1], first), end)), number)
    return words


def _cues(path: str | Path) -> Iterator[tuple[int, tuple[float, float], str]]:
    """Yield (line of the times, times, text) of each cue; WebVTT's head, notes and styles are passed over."""
    # Lines of one block have consecutive numbers, for readers of lines leave out the empty ones.
    for _, block in groupby(enumerate(read_lines(path)), key=lambda item: item[1][0] - item[0]):
        yield from _cue(path, [(line, text.lstrip("\ufeff")) for _, (line, text) in block])


def _cue(path: str | Path, block: Sequence[tuple[int, str]]) -> Iterator[tuple[int, tuple[float, float], str]]:
    if block[0][1].split()[0] in ("WEBVTT", "NOTE", "STYLE", "REGION"):
        return
    # An optional line before the times is the cue's number or name.
    for place, (line, text) in enumerate(block[:2]):
        if match := _CUE.fullmatch(text):
            times = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
            yield line, times, " ".join(text for _, text in block[place + 1 :])
            return
    line, text = block[min(1, len(block) - 1)]
    raise InputError("not a cue", path=path, line=line, expected="hh:mm:ss,mmm --> hh:mm:ss,mmm", got=text[:40])


def _of_segment(reco: str, segment: Any, number: int, glued: bool) -> list[Word]:
    """Return the words of a segment of Whisper's; words without times get those of the gap that they stand in."""
    start, end = _time(segment["start"]), _time(segment["end"])
    end = max(start, end)
    if not segment.get("words"):
        tokens = list(segment["text"].strip()) if glued else segment["text"].split()
        return _spread(reco, tokens, (start, end), number, glued)
    words: list[Word] = []
    waiting: list[str] = []
    before = start
    for item in segment["words"]:
        text = item["word"].strip()
        if not text:
            continue
        if item.get("start") is None or item.get("end") is None:
            waiting.append(text)
            continue
        first = _time(item["start"])
        words += _spread(reco, waiting, (before, max(before, first)), number, glued)
        before = max(first, _time(item["end"]))
        sure = item.get("probability", item.get("score"))
        sure = None if sure is None else min(max(float(sure), 0.0), 1.0)
        words.append(Word(reco, text, first, before, sure, number, glued))
        waiting = []
    return words + _spread(reco, waiting, (before, max(before, end)), number, glued)


def _spread(
    reco: str, tokens: Sequence[str], times: tuple[float, float], phrase: int, glued: bool = False
) -> list[Word]:
    """Return words that share ``times`` in proportion to their letters (and the blank after each)."""
    start, end = times
    ends = [0.0]
    for token in tokens:
        ends.append(ends[-1] + len(token) + 1)
    places = [start + (end - start) * place / ends[-1] for place in ends] if tokens else []
    return [
        Word(reco, token, places[at], places[at + 1], phrase=phrase, glued=glued) for at, token in enumerate(tokens)
    ]


def _time(value: Any) -> float:
    """Return seconds of a JSON number.

    Raises:
        ValueError: It is not a finite number of at least 0.
    """
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"time {value}")
    return seconds


def _share(text: str, path: str | Path, line: int) -> float:
    value = parse_float(text, "confidence", path, line)
    if value > 1:
        raise InputError("bad confidence", path=path, line=line, expected="a number from 0 to 1", got=text)
    return value


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, milliseconds = (int(group or 0) for group in groups)
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
