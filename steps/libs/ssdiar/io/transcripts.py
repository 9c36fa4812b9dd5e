"""Transcripts of recognisers: CTM, the JSON of Whisper and WhisperX, SubRip (SRT) and WebVTT.

Every reader returns words with times. If only phrases have times (SRT, WebVTT without inner timestamps, Whisper without
word timestamps), the words of a phrase share its time in proportion to their letters.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from ssdiar.base.errors import InputError
from ssdiar.io.tables import check_id, parse_float, parse_share, read_lines, tell_repeated

#: File name endings of the formats.
SUFFIXES = (".ctm", ".json", ".srt", ".vtt")

_NO_BLANKS = frozenset(("zh", "ja", "th", "lo", "my", "yue"))  # Whisper writes no blanks between words
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{3})"
_CUE = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?")
_INNER_TIME = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Word:
    """A word of a recording.

    Attributes:
        reco: The recording.
        text: The word with its punctuation.
        start: Seconds.
        end: Seconds, at least ``start``; recognisers also write words of no length.
        confidence: From 0 to 1; None if it is not known.
        phrase: Number of the word's phrase (segment, cue); None if the format has no phrases (CTM).
        glued: Whether the word follows the one before without a blank, as in Chinese.
        speaker: The speaker; None if not known.
    """

    reco: str
    text: str
    start: float
    end: float
    confidence: float | None = None
    phrase: int | None = None
    glued: bool = False
    speaker: str | None = None


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class _WhisperWord(msgspec.Struct):
    word: str
    start: _Seconds | None = None
    end: _Seconds | None = None
    probability: float | None = None  # Whisper
    score: float | None = None  # WhisperX


class _WhisperSegment(msgspec.Struct):
    start: _Seconds
    end: _Seconds
    text: str = ""
    words: list[_WhisperWord] | None = None


class _Whisper(msgspec.Struct):
    segments: list[_WhisperSegment]
    language: str | None = None


def read_transcript(path: str | Path, reco: str | None = None) -> list[Word]:
    """Read a transcript in the format of the file name's ending; words are in the order of the file.

    Args:
        path: The file.
        reco: The recording, by default the file name without its ending. A CTM names recordings itself.

    Raises:
        InputError: The file does not exist, has another ending or is malformed.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError("not a known transcript", path=path, expected=f"a name that ends in {' '.join(SUFFIXES)}")
    if suffix == ".ctm":
        return read_ctm(path)
    reader = read_whisper if suffix == ".json" else read_captions
    return reader(path, check_id(path.stem, path) if reco is None else reco)


def read_ctm(path: str | Path) -> list[Word]:
    """Read NIST's CTM: ``<recording> <channel> <start> <duration> <word> [<confidence> [<type> [<speaker>]]]``.

    Channels, speakers and words of the types ``non-lex`` and ``misc`` are left out. A repeated line counts once, and a
    warning is logged.

    Raises:
        InputError: A line has another number of fields, or a bad id, time (``*`` of alternatives, too) or confidence.
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
        if len(fields) > 6 and fields[6].lower() in ("non-lex", "misc"):
            continue
        reco = check_id(fields[0], path, line)
        start, duration = parse_float(fields[2], "start", path, line), parse_float(fields[3], "duration", path, line)
        is_known = len(fields) > 5 and fields[5].upper() not in ("NA", "<NA>")
        confidence = parse_share(fields[5], "confidence", path, line) if is_known else None
        repeated += tuple(fields) in words
        words[tuple(fields)] = Word(reco, fields[4], start, start + duration, confidence)
    tell_repeated(repeated, path)
    return list(words.values())


def read_whisper(path: str | Path, reco: str) -> list[Word]:
    """Read the JSON of Whisper or WhisperX: ``{"segments": [{"start", "end", "text", "words": [...]}]}``.

    A word has ``word``, ``start``, ``end``, and ``probability`` (Whisper) or ``score`` (WhisperX). Words without times
    (WhisperX does not align numbers) share the time between their neighbours.

    Raises:
        InputError: The file is not such JSON.
    """
    try:
        data = msgspec.convert(json.loads(Path(path).read_text(encoding="utf-8-sig")), _Whisper)
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (msgspec.ValidationError, OverflowError) as error:
        expected = "segments with start, end, text and possibly words"
        raise InputError("not a transcript of Whisper", path=path, expected=expected, got=str(error)) from None
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", path=path, line=getattr(error, "lineno", None)) from None
    glued = data.language in _NO_BLANKS
    return [
        word for number, segment in enumerate(data.segments) for word in _segment_words(reco, segment, number, glued)
    ]


def read_captions(path: str | Path, reco: str) -> list[Word]:
    """Read SubRip or WebVTT; tags are left out, timestamps inside a WebVTT cue are times of its words.

    Raises:
        InputError: A cue has no times, or ends before it starts.
    """
    words = []
    for number, (line, (start, end), text) in enumerate(_cues(path)):
        if end < start:
            expected = f"an end after {start:g} s"
            raise InputError("cue ends before it starts", path=path, line=line, expected=expected, got=f"{end:g} s")
        parts = _INNER_TIME.split(text)  # text, then four groups and text for each timestamp
        times = [start, *(_seconds(parts[at : at + 4]) for at in range(1, len(parts), 5)), end]
        for part, (first, last) in zip(parts[::5], pairwise(times), strict=True):
            tokens = html.unescape(_TAG.sub("", part)).split()
            first = min(max(first, start), end)
            words += _spread(reco, tokens, (first, min(max(last, first), end)), number)
    return words


def _cues(path: str | Path) -> Iterator[tuple[int, tuple[float, float], str]]:
    """Yield (line of the times, times, text) of each cue; WebVTT's head, notes and styles are passed over."""
    # read_lines leaves out empty lines, so lines of one block have consecutive numbers.
    for _, block in groupby(enumerate(read_lines(path)), key=lambda item: item[1][0] - item[0]):
        lines = [row for _, row in block]
        if lines[0][1].split()[0] in ("WEBVTT", "NOTE", "STYLE", "REGION"):
            continue
        # The cue's number or name may precede its times.
        for place, (line, text) in enumerate(lines[:2]):
            if match := _CUE.fullmatch(text):
                times = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
                yield line, times, " ".join(text for _, text in lines[place + 1 :])
                break
        else:
            line, text = lines[:2][-1]
            raise InputError("not a cue", path=path, line=line, expected="hh:mm:ss,mmm --> hh:mm:ss,mmm", got=text[:40])


def _segment_words(reco: str, segment: _WhisperSegment, number: int, glued: bool) -> list[Word]:
    """Return the words of a segment; words without times share the gap between their neighbours."""
    start, end = segment.start, max(segment.start, segment.end)
    if not segment.words:
        tokens = list(segment.text.strip()) if glued else segment.text.split()
        return _spread(reco, tokens, (start, end), number, glued)
    words: list[Word] = []
    waiting: list[str] = []
    before = start
    for item in segment.words:
        if not (text := item.word.strip()):
            continue
        if item.start is None or item.end is None:
            waiting.append(text)
            continue
        words += _spread(reco, waiting, (before, max(before, item.start)), number, glued)
        before = max(item.start, item.end)
        sure = item.score if item.probability is None else item.probability
        sure = None if sure is None else min(max(sure, 0.0), 1.0)
        words.append(Word(reco, text, item.start, before, sure, number, glued))
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
    places = [start + (end - start) * place / (ends[-1] or 1.0) for place in ends]
    bounds = zip(tokens, pairwise(places), strict=True)
    return [Word(reco, token, *own, phrase=phrase, glued=glued) for token, own in bounds]


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, milliseconds = (int(group or 0) for group in groups)
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
