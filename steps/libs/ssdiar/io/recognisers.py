"""The JSON of recognisers: words and phrases, with the times that they have.

- Whisper and its kin (faster-whisper, WhisperX, whisper-timestamped) and OpenAI's verbose_json: ``segments``, with
  ``words`` in them or beside them; ``start`` and ``end`` in seconds.
- whisper.cpp: ``transcription``; ``offsets`` in milliseconds; in full JSON, ``tokens``.
- Transformers: ``chunks``; ``timestamp``, a pair of seconds.
- Vosk: ``result``, a list of words; vosk-transcriber: ``monologues`` with ``terms``.

A list of such objects, or one after the other, as Vosk prints them, is one transcript.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.base.errors import InputError
from ssdiar.io.tables import read_text

# Languages in which Whisper writes no blanks between words; OpenAI names them in English.
_NO_BLANKS = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
_NO_BLANKS |= {"chinese", "japanese", "thai", "lao", "myanmar", "cantonese"}
_PHRASES = ("segments", "transcription", "chunks", "monologues")
_WORDS = ("words", "tokens", "terms", "result")
_CONFIDENCE = ("probability", "score", "confidence", "conf", "p")
_BLANKS = re.compile(r"\s*")
_SPECIAL = re.compile(r"\[_.*\]|<\|.*\|>")  # tokens that are no text
_EARLY = 0.5  # seconds before 0 that count as 0; aligners write -0.02
_EXPECTED = "segments, words, chunks, transcription or result, whose items have text and times"


class Item(NamedTuple):
    """A word or phrase as a recogniser wrote it; times in seconds, None if missing or unusable."""

    text: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    words: Sequence[Item] = ()

    @property
    def first(self) -> float | None:
        """The start, or else that of the first word."""
        return self.words[0].start if self.start is None and self.words else self.start

    @property
    def last(self) -> float | None:
        """The end, or else that of the last word."""
        return self.words[-1].end if self.end is None and self.words else self.end

    @property
    def letters(self) -> int:
        """The length of the text, or else of the words."""
        return len(self.text.strip()) or sum(word.letters + 1 for word in self.words)


class _UnknownShape(ValueError):
    """JSON that is no transcript; the text names it."""


def read_phrases(path: str | Path) -> tuple[list[Item], bool]:
    """Return the phrases of a transcript, and whether its words follow each other without blanks, as in Chinese.

    Raises:
        InputError: The file is not JSON, or of no known recogniser.
    """
    values = _read_values(Path(path))
    phrases: list[Item] = []
    try:
        glued = any(_language(value) in _NO_BLANKS for value in values)
        for value in values:
            phrases += _phrases(value, glued)
    except (_UnknownShape, RecursionError) as error:
        raise InputError("not a known transcript", path=path, expected=_EXPECTED, got=str(error)) from None
    if len(phrases) > 1 and not any(one.words or len(one.text.split()) > 1 for one in phrases):
        return [Item("", words=phrases)], glued  # a word each
    return phrases, glued


def _read_values(path: Path) -> list[Any]:
    """Return the values of a file: one, several one after the other, or those of a list."""
    text, values, decoder = read_text(path), [], json.JSONDecoder()
    try:
        at = _BLANKS.match(text).end()
        while at < len(text) or not values:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = _BLANKS.match(text, at).end()
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", path=path, line=getattr(error, "lineno", None)) from None
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _language(value: Any) -> str | None:
    """Return the language that a transcript names."""
    places = (value, value.get("result")) if isinstance(value, dict) else ()  # the second is whisper.cpp's
    named = [place["language"] for place in places if isinstance(place, dict) and "language" in place]
    return str(named[0]).lower() if named else None


def _phrases(value: Any, glued: bool) -> list[Item]:
    """Return the phrases of one object.

    Raises:
        _UnknownShape: It is no transcript.
    """
    value = _object(value)
    if isinstance(alternatives := value.get("alternatives"), list) and alternatives:
        value = _object(alternatives[0])  # of Vosk, the best one first
    words = _list(value, ("words", "result"))
    if not any("word" in _object(word) for word in words):
        words = []  # of a service with other units
    phrases = [_item(item, glued) for item in _list(value, _PHRASES)]
    if phrases:
        if words and not any(one.words for one in phrases):
            return _shared_out([_item(word, glued) for word in words], phrases)
        is_split = "transcription" in value and not any(one.words or len(one.text.split()) > 1 for one in phrases)
        return _joined(phrases, glued) if is_split else phrases
    if words or value.keys() & {"start", "timestamp", "offsets"}:
        return [_item(value, glued)]
    content = [own for key, own in value.items() if key in (*_PHRASES, *_WORDS, "text", "partial")]
    if content and not any(own.strip() if isinstance(own, str) else own for own in content):
        return []  # of silence
    raise _UnknownShape(f"an object of {', '.join(list(value)[:6]) or 'nothing'}")


def _shared_out(words: Sequence[Item], phrases: Sequence[Item]) -> list[Item]:
    """Return phrases with words instead of text: each with those whose middle is before the next phrase begins."""
    starts = [one.start or 0.0 for one in phrases]
    owned: list[list[Item]] = [[] for _ in phrases]
    at = 0
    for word in words:
        if word.start is not None:
            middle = (word.start + (word.start if word.end is None else word.end)) / 2
            at = max(bisect_right(starts, middle) - 1, 0)
        owned[at].append(word)
    return [one._replace(text="", words=own) for one, own in zip(phrases, owned, strict=True)]


def _item(value: Any, glued: bool) -> Item:
    """Return a word or phrase.

    Raises:
        _UnknownShape: It has no text.
    """
    value = _object(value)
    words = _list(value, _WORDS)
    text = value.get("word", value.get("text"))
    if text is None and words:
        text = ""
    if not isinstance(text, str):
        raise _UnknownShape(f"an item without text, {json.dumps(value)[:60]}")
    offsets, pair = value.get("offsets"), value.get("timestamp")
    if isinstance(offsets, dict):
        start, end = (_number(offsets.get(key), 1000) for key in ("from", "to"))
    elif isinstance(pair, list) and len(pair) == 2:
        start, end = map(_number, pair)
    else:
        start, end = (_number(value.get(key)) for key in ("start", "end"))
    sure = next((_number(value[key]) for key in _CONFIDENCE if key in value), None)
    items = [_item(word, glued) for word in words]
    if words and words is value.get("tokens"):
        items = _joined([one for one in items if not _SPECIAL.fullmatch(one.text)], glued)
    items = [one for one in items if one.text.strip()]
    return Item(text, start, end, None if sure is None else min(sure, 1.0), items)


def _joined(tokens: Sequence[Item], glued: bool) -> list[Item]:
    """Return the words of whisper.cpp's tokens: one without a blank before it continues the word before."""
    words: list[Item] = []
    for token in tokens:
        if words and not glued and not token.text.startswith(" "):
            words[-1] = words[-1]._replace(text=words[-1].text + token.text, end=token.end)
        else:
            words.append(token)
    return words


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnknownShape(json.dumps(value)[:60])
    return value


def _list(value: dict[str, Any], keys: Sequence[str]) -> list[Any]:
    """Return the first list of objects; [] if there is none (Whisper's own ``tokens`` are numbers)."""
    lists = (value[key] for key in keys if isinstance(value.get(key), list))
    return next((own for own in lists if any(isinstance(one, dict) for one in own)), [])


def _number(value: Any, unit: float = 1.0) -> float | None:
    """Return a number of at least 0 in ``unit``; None if there is no usable one."""
    try:
        number = float(value) / unit
    except (TypeError, ValueError, OverflowError):
        return None
    return max(number, 0.0) if -_EARLY <= number <= 1e9 else None
