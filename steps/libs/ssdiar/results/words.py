"""Words and their speakers: a transcript with times and turns with speakers become a transcript with speakers.

:func:`assign_words` has the rules. The writers return the text of a file: NIST's CTM and STM, the JSON of WhisperX,
SubRip and WebVTT.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssdiar.io.transcripts import Word
from ssdiar.results.exports import Cue, srt_text, vtt_text, write_files
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Turn, grouped

#: File names by format; CTM and STM are one file of all recordings.
FILE_NAMES = {"ctm": "words.ctm", "stm": "words.stm", "json": "{reco}.json", "srt": "{reco}.srt", "vtt": "{reco}.vtt"}
#: Seconds from the nearest turn beyond which a word has no speaker.
FARTHEST = 1.0
#: A pause of a speaker, in seconds, that ends an utterance.
PAUSE = 0.8
#: The longest utterance: two lines of captions of 42 letters, the common limit.
MAX_LETTERS = 84
#: The name of an unknown speaker in STM and CTM (NIST, RT-09 evaluation plan).
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Utterance:
    """Words of one speaker without a long pause; ``speaker`` is None if it is not known."""

    speaker: str | None
    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """Start of the first word in seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """End of the last word in seconds."""
        return max(word.end for word in self.words)

    @property
    def text(self) -> str:
        """The words, separated by blanks unless they are glued."""
        return "".join(word.text if word.glued or at == 0 else f" {word.text}" for at, word in enumerate(self.words))


def assign_words(words: Iterable[Word], turns: Iterable[Turn], farthest: float = FARTHEST) -> list[Word]:
    """Return the words with their speakers, by recording and time.

    Times are compared in whole milliseconds.

    1. A word gets the speaker whose turns it overlaps longest.
    2. A word that overlaps no turn, or has no length, gets the speaker of the nearest turn, or none if that turn is
       more than ``farthest`` seconds away.
    3. Ties come from overlapped speech and from the middle of a gap. Since a speaker says one word at a time, the word
       goes to the speaker whose other words it overlaps least; then to the speaker of the word before, the speaker
       whose turn began last, the first by name. Words without a tie are assigned first, the others in order of time.

    Speakers that the words already have are ignored.
    """
    talk: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for turn in turns:
        if turn.end > turn.start:
            talk.setdefault(turn.reco, {}).setdefault(turn.speaker, []).append((turn.start, turn.end))
    by_reco = grouped(sorted(words, key=lambda word: (word.reco, word.start, word.end)))
    return [
        replace(word, speaker=speaker)
        for reco, own in by_reco.items()
        for word, speaker in zip(own, _speakers(own, talk.get(reco, {}), farthest), strict=True)
    ]


def utterances(words: Iterable[Word], max_letters: int | None = MAX_LETTERS) -> list[Utterance]:
    """Return the words of one recording as utterances in order of time.

    An utterance ends at a pause of :data:`PAUSE`, at a pause in which another speaker starts a word, at the end of a
    phrase of the transcript, and before it exceeds ``max_letters`` (None: no limit).
    """
    runs: dict[str | None, list[list[Word]]] = {}
    latest: Word | None = None
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        own = runs.setdefault(word.speaker, [])
        if own and _continues(own[-1], word, latest, max_letters):
            own[-1].append(word)
        else:
            own.append([word])
        latest = word
    found = [Utterance(speaker, tuple(run)) for speaker, own in runs.items() for run in own]
    return sorted(found, key=lambda one: (one.start, one.end, one.speaker or ""))


def write_words(
    words: Iterable[Word], folder: str | Path, formats: Sequence[str], overwrite: bool = False
) -> list[Path]:
    """Write words with their speakers into ``folder`` in each of ``formats`` (:data:`FILE_NAMES`); return the files.

    Raises:
        InputError: See :func:`ssdiar.results.exports.export`.
    """
    writers = {
        "ctm": ctm_text,
        "stm": stm_text,
        "json": words_json_text,
        "srt": lambda own: srt_text(_cues(own)),
        "vtt": lambda own: vtt_text(_cues(own)),
    }
    return write_files(words, folder, formats, FILE_NAMES, lambda name, _, own: writers[name](own), (), overwrite)


def ctm_text(words: Sequence[Word]) -> str:
    """Return NIST's CTM with all 8 columns: recording, channel, start, duration, word, confidence, type, speaker."""
    lines = []
    for word in sorted(words, key=lambda word: (word.reco, word.start, word.end)):
        start, end = round(word.start, 3), round(word.end, 3)
        sure = "NA" if word.confidence is None else f"{word.confidence:.3f}"
        text = "_".join(word.text.split())  # fields are separated by blanks
        lines.append(f"{word.reco} 1 {start:.3f} {end - start:.3f} {text} {sure} lex {word.speaker or UNKNOWN}\n")
    return "".join(lines)


def stm_text(words: Sequence[Word]) -> str:
    """Return NIST's STM: recording, channel, speaker, start, end, text; one line per utterance of any length."""
    return "".join(
        f"{reco} 1 {one.speaker or UNKNOWN} {one.start:.3f} {one.end:.3f} {one.text}\n"
        for reco, own in grouped(words).items()
        for one in utterances(own, max_letters=None)
    )


def words_json_text(words: Sequence[Word]) -> str:
    """Return the words of a recording as JSON of WhisperX: segments (utterances) with words; no unknown speakers."""

    def entry(one: Word | Utterance, **rest: object) -> dict[str, object]:
        known = {"start": round(one.start, 3), "end": round(one.end, 3), **rest, "speaker": one.speaker}
        return {key: value for key, value in known.items() if value is not None}

    def of_word(word: Word) -> dict[str, object]:
        return entry(word, word=word.text, score=None if word.confidence is None else round(word.confidence, 3))

    segments = [entry(one, text=one.text, words=[of_word(word) for word in one.words]) for one in utterances(words)]
    return json.dumps({"segments": segments}, ensure_ascii=False, indent=1) + "\n"


def _cues(words: Sequence[Word]) -> list[Cue]:
    return [Cue(one.start, one.end, one.speaker, one.text) for one in utterances(words)]


def _continues(run: Sequence[Word], word: Word, latest: Word | None, max_letters: int | None) -> bool:
    """Return whether ``word`` belongs to the utterance ``run``; ``latest`` is the last word of any speaker."""
    last = run[-1]
    letters = sum(len(one.text) + 1 for one in run) + len(word.text)
    taken_over = latest is not None and latest.speaker != word.speaker and latest.start >= last.end
    return (
        word.phrase == last.phrase
        and round(word.start - last.end, 3) < PAUSE
        and not taken_over
        and (max_letters is None or letters <= max_letters)
    )


def _speakers(
    words: Sequence[Word], talk: Mapping[str, Sequence[tuple[float, float]]], farthest: float
) -> list[str | None]:
    """Return the speaker of each word of one recording; words are in order of time, W in number."""
    found: list[str | None] = [None] * len(words)
    if not words or not talk:
        return found
    names = sorted(talk)  # N of them
    times = np.array([(round(1000 * word.start), round(1000 * word.end)) for word in words])  # (W, 2)
    common, distance, began = np.stack([_compare(times, talk[name]) for name in names], axis=1)  # (N, W) each
    nearest = (distance == distance.min(axis=0)) & (distance <= round(1000 * farthest))
    candidates = np.where(common.max(axis=0) > 0, common == common.max(axis=0), nearest)  # (N, W)
    for at in np.flatnonzero(candidates.sum(axis=0) == 1):
        found[at] = names[candidates[:, at].argmax()]
    starts, longest = times[:, 0], (times[:, 1] - times[:, 0]).max()
    for at in np.flatnonzero(candidates.sum(axis=0) > 1):
        start, end = times[at]
        tied = {names[number]: began[number, at] for number in np.flatnonzero(candidates[:, at])}
        taken = dict.fromkeys(tied, 0)  # overlap with the other words of each speaker
        for other in range(*np.searchsorted(starts, (start - longest, end))):
            if other != at and found[other] in taken:
                taken[found[other]] += max(0, min(times[other, 1], end) - max(times[other, 0], start))
        before = found[at - 1] if at else None
        found[at] = min(tied, key=lambda name: (taken[name], name != before, -tied[name], name))
    return found


def _compare(times: np.ndarray, regions: Sequence[tuple[float, float]]) -> np.ndarray:
    """Compare words, (W, 2) milliseconds, with the regions in which one speaker talks, in seconds (at least one).

    Returns:
        (3, W) milliseconds: how long the speaker talks during the word; the distance of the nearest region; the start
        of the last region that begins by the start of the word, -1 if there is none.
    """
    bounds = np.round(1000 * covered(regions)).astype(np.int64)
    lengths = np.diff(bounds, axis=1)
    talked = np.cumsum(np.hstack([np.zeros_like(lengths), lengths]).ravel())  # until each bound
    common = np.diff(np.interp(times, bounds.ravel(), talked), axis=1)[:, 0]
    starts, ends = np.array([(-np.inf, -np.inf), *bounds, (np.inf, np.inf)]).T
    after = np.searchsorted(starts, times[:, 0])  # the first region that does not begin before the word
    nearby = np.stack([after - 1, after])  # (2, W)
    distance = np.maximum(starts[nearby] - times[:, 1], times[:, 0] - ends[nearby]).clip(0).min(axis=0)
    began = starts[np.searchsorted(starts, times[:, 0], "right") - 1]
    return np.stack([common, distance, np.maximum(began, -1)])
