"""Transcripts of recognisers: CTM, JSON (:mod:`ssdiar.io.recognisers`), SubRip (SRT) and WebVTT.

Every reader returns words with times. If only phrases have times (SRT, WebVTT without inner timestamps, Whisper without
word timestamps), the words of a phrase share its time in proportion to their letters. Words and phrases of JSON without
usable times share the time between their neighbours in the same way.
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.io.recognisers import Item, read_phrases
from ssdiar.io.tables import check_id, parse_float, parse_share, read_lines, tell_repeated

#: File name endings of the formats, those with most detail first.
SUFFIXES = (".ctm", ".json", ".vtt", ".srt")

_LOG = logging.getLogger(__name__)

_TIME = r"(-?)(?:(\d{1,4}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
_CUE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s+\w+:\S+)*\s*")  # settings may follow
_ODD_TIMES = re.compile(r"-->|(?<![<\d:])\d+:\d\d:\d\d[.,]\d{3}|^\s*\d+:\d\d[.,]\d{3}")  # no text of a cue
_INNER_TIME = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.,]+>|\{\\[^{}]*\}")  # the last ones are of SubStation Alpha
_LETTERS_A_SECOND = 15.0  # of English conversation, set by hand


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


def read_transcript(path: str | Path, reco: str | None = None) -> list[Word]:
    """Read a transcript in the format of the file name's ending; words are in the order of the file.

    Args:
        path: The file.
        reco: The recording, by default the file name without its ending. A CTM names recordings itself.

    Raises:
        InputError: The file does not exist, has another ending or is malformed.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if not path.exists():
        raise InputError(f"no such {'file' if suffix else 'folder'}", path=path)
    if suffix not in SUFFIXES:
        raise InputError("not a known transcript", path=path, expected=f"a name that ends in {' '.join(SUFFIXES)}")
    if suffix == ".ctm":
        return read_ctm(path)
    reader = read_json if suffix == ".json" else read_captions
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


def read_json(path: str | Path, reco: str) -> list[Word]:
    """Read the JSON of a recogniser (:mod:`ssdiar.io.recognisers`).

    Words and phrases without usable times take the time between their neighbours, and a warning names them.

    Raises:
        InputError: The file is not JSON of a known recogniser, or nothing in it has a time.
    """
    phrases, glued = read_phrases(path)
    timed = [(number, item) for number, phrase in enumerate(phrases, 1) for item in phrase.words or [phrase]]
    vague = [(number, item) for number, item in timed if item.text.strip() and None in (item.start, item.end)]
    if vague and all(time is None for item in (*phrases, *(item for _, item in timed)) for time in item[1:3]):
        raise InputError("no times", path=path, expected="start and end of words or phrases in seconds")
    if vague:
        number, item = vague[0]
        first = f"{json.dumps(item.text.strip()[:40])} in phrase {number} ({'start' if item.start is None else 'end'})"
        problem = "%s: %d words or phrases lack a usable start or end, the first is %s; they take the time "
        _LOG.warning(f"{problem}between their neighbours", path, len(vague), first)
    words = []
    for number, (phrase, (start, end)) in enumerate(zip(phrases, _placed(phrases, 0.0), strict=True)):
        tokens = list(phrase.text.strip()) if glued else phrase.text.split()
        items = phrase.words or [Item(token) for token in tokens]
        for item, times in zip(items, _placed(items, start, end), strict=True):
            if text := item.text.strip():
                words.append(Word(reco, text, *times, item.confidence, number, glued))
    return words


def read_captions(path: str | Path, reco: str) -> list[Word]:
    """Read SubRip or WebVTT; tags are left out, timestamps inside a WebVTT cue are times of its words.

    Raises:
        InputError: A line of times is malformed, or ends before it starts; or text stands before the first one.
    """
    words = []
    for number, (line, (start, end), text) in enumerate(_cues(path)):
        if end < start:
            expected = f"an end after {start:g} s"
            raise InputError("cue ends before it starts", path=path, line=line, expected=expected, got=f"{end:g} s")
        parts = _INNER_TIME.split(text)  # text, then the groups of a timestamp and text for each timestamp
        times = [start, *(_seconds(parts[at : at + 5]) for at in range(1, len(parts), 6)), end]
        for part, (first, last) in zip(parts[::6], pairwise(times), strict=True):
            items = [Item(token) for token in html.unescape(_TAG.sub("", part)).split()]
            first = min(max(first, start), end)
            bounds = _placed(items, first, min(max(last, first), end))
            words += [Word(reco, item.text, *own, phrase=number) for item, own in zip(items, bounds, strict=True)]
    return words


def _cues(path: str | Path) -> Iterator[tuple[int, tuple[float, float], str]]:
    """Yield (line of the times, times, text) of each cue; WebVTT's head, notes and styles are passed over.

    A line of times begins a cue wherever it stands. The line above it is the cue's number, or in WebVTT its name, if
    there is a blank line, head or note above it. A number needs none if the cue before has one, or if it counts right.
    """
    rows = list(read_lines(path))  # without blank lines, so that numbers of lines have gaps there
    is_vtt = Path(path).suffix.lower() == ".vtt" or (bool(rows) and _is_block(rows[0][1]))
    numbered, aside = False, False  # whether the cue before has a number; whether this is a head or note
    cue: tuple[int, tuple[float, float], list[str]] | None = None
    count = 0
    for at, (line, text) in enumerate(rows):
        after_blank = at == 0 or rows[at - 1][0] < line - 1
        below, line_below = (rows[at + 1][1], rows[at + 1][0]) if at + 1 < len(rows) else ("", 0)
        digits = re.fullmatch(r"\s*([0-9]{1,9})\s*", text)
        is_next = digits is not None and int(digits[1]) == count + 1
        aside &= not after_blank
        if times := _CUE.fullmatch(text):
            if cue is not None:
                yield *cue[:2], " ".join(cue[2])
            cue, aside = (line, (_seconds(times.groups()[:5]), _seconds(times.groups()[5:])), []), False
            count += 1
        elif _CUE.fullmatch(below) and (
            (line_below == line + 1 and (after_blank or aside) and (digits or is_vtt))
            or (digits and (line_below == line + 1 or after_blank) and (numbered or is_next))
        ):
            numbered = digits is not None
        elif (aside and not _ODD_TIMES.search(text)) or (is_vtt and after_blank and _is_block(text)):
            aside = True
        elif cue is None or _ODD_TIMES.search(text) or (after_blank and is_next):
            if digits and below:  # the number is right, but not the line of times
                line, text = line_below, below
            raise InputError("not a cue", path=path, line=line, expected="hh:mm:ss,mmm --> hh:mm:ss,mmm", got=text[:40])
        else:
            cue[2].append(text)
    if cue is not None:
        yield *cue[:2], " ".join(cue[2])


def _is_block(text: str) -> bool:
    """Return whether a line begins a block of WebVTT that is no cue."""
    word = text.split()[0]
    return word in ("NOTE", "STYLE", "REGION") or word.upper() == "WEBVTT"


def _seconds(groups: Sequence[str | None]) -> float:
    """Return the seconds of the groups of a timestamp; a negative one counts as 0."""
    sign, hours, minutes, seconds = groups[0], *(int(group or 0) for group in groups[1:4])
    return 0.0 if sign else 3600 * hours + 60 * minutes + seconds + int((groups[4] or "").ljust(3, "0")) / 1000


def _placed(items: Sequence[Item], start: float, end: float | None = None) -> list[tuple[float, float]]:
    """Return start and end of each item in seconds.

    Items between which no time is known share the time in proportion to their letters (and the blank after each).

    Args:
        items: Words of a phrase, or phrases of a transcript, in order.
        start: Start of the first one, if it is not known.
        end: End of the last one, if it is not known; None: by the usual rate of speech.
    """
    placed: list[tuple[float, float]] = []
    group: list[Item] = []
    for item, following in zip_longest(items, items[1:]):
        group.append(item)
        last = item.last if item.last is not None or following is None else following.first
        if last is None and following is not None:
            continue
        first = group[0].first
        if first is None:
            first = placed[-1][1] if placed else start
        ends = list(accumulate(one.letters + 1 for one in group))
        if last is None:
            last = first + ends[-1] / _LETTERS_A_SECOND if end is None else end
        length = max(0.0, last - first)
        placed += pairwise([first, *(first + length * place / ends[-1] for place in ends[:-1]), first + length])
        group = []
    return placed
