"""Who says each word: a transcript with times and turns with speakers become a transcript with speakers.

:func:`assign_words` has the rules. The writers take the words of a recording with their speakers and return the text of
a file: NIST's CTM and STM, the JSON of WhisperX, SubRip and WebVTT.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssdiar.exports import Cue, check_formats, srt_text, vtt_text
from ssdiar.io.publish import publish_text
from ssdiar.io.transcripts import Word
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Turn, grouped

#: By format: what a file is called; CTM and STM are one file of all recordings.
FILE_NAMES = {"ctm": "words.ctm", "stm": "words.stm", "json": "{reco}.json", "srt": "{reco}.srt", "vtt": "{reco}.vtt"}
#: Seconds from the nearest turn beyond which a word has no speaker.
FARTHEST = 1.0
#: A pause of a speaker, in seconds, that ends an utterance.
PAUSE = 0.8
#: An utterance is cut before it grows longer: two lines of captions of 42 letters, the common limit.
MOST_LETTERS = 84
#: What STM and CTM call a speaker who is not known (NIST, RT-09 evaluation plan).
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Utterance:
    """Words of one speaker without a long pause, ``speaker`` None where nobody is known."""

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
        """The words, with blanks between them unless they are glued."""
        return "".join(word.text if word.glued or at == 0 else f" {word.text}" for at, word in enumerate(self.words))


def assign_words(words: Iterable[Word], turns: Iterable[Turn], farthest: float = FARTHEST) -> list[Word]:
    """Return the words with their speakers, by recording and time.

    All comparisons are made in whole milliseconds.

    1. A word gets the speaker whose turns it overlaps most, turns of one speaker added up.
    2. A word in a gap (it overlaps no turn) gets the speaker of the nearest turn, or nobody if that is more than
       ``farthest`` away. The same goes for a word of no length.
    3. Ties are overlapped speech, or the middle of a gap. A speaker says one word at a time: of the speakers that tie,
       the one whose other words the word overlaps least has it. If they still tie, it is the one who said the word
       before, then the one whose turn began last, then the first by name. Words without a tie are given away first,
       the others follow in order of time.

    Args:
        words: Words of any recordings; a speaker that they already have is ignored.
        turns: Likewise.
        farthest: Seconds.
    """
    talk: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for turn in turns:
        talk.setdefault(turn.reco, {}).setdefault(turn.speaker, []).append((turn.start, turn.end))
    by_reco = grouped(sorted(words, key=lambda word: (word.reco, word.start, word.end)))
    return [
        replace(word, speaker=speaker)
        for reco, own in by_reco.items()
        for word, speaker in zip(own, _speakers(own, talk.get(reco, {}), farthest), strict=True)
    ]


def utterances(words: Iterable[Word], most_letters: int | None = MOST_LETTERS) -> list[Utterance]:
    """Return the words of one recording as utterances in order of time.

    An utterance ends where its speaker pauses for :data:`PAUSE` or more, where another speaker's word lies in the
    pause, where a phrase of the transcript ends, and before it has more than ``most_letters`` letters (None: never).
    """
    ordered = sorted(words, key=lambda word: (word.start, word.end))
    runs: dict[str | None, list[list[Word]]] = {}
    latest: Word | None = None
    for word in ordered:
        own = runs.setdefault(word.speaker, [])
        if own and _goes_on(own[-1], word, latest, most_letters):
            own[-1].append(word)
        else:
            own.append([word])
        latest = word
    found = [Utterance(speaker, tuple(run)) for speaker, own in runs.items() for run in own]
    return sorted(found, key=lambda one: (one.start, one.end, one.speaker or ""))


def write_words(words: Iterable[Word], folder: str | Path, formats: Sequence[str]) -> list[Path]:
    """Write words with their speakers into ``folder``, in each of ``formats`` (names of :data:`FILE_NAMES`).

    Returns the files.

    Raises:
        InputError: There is no such format.
    """
    check_formats(formats, FILE_NAMES)
    recordings = grouped(words)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    writers: Mapping[str, Callable[[Sequence[Word]], str]] = {
        "ctm": ctm_text,
        "stm": stm_text,
        "json": words_json_text,
        "srt": lambda own: srt_text(_cues(own)),
        "vtt": lambda own: vtt_text(_cues(own)),
    }
    files = []
    for name in formats:
        texts = {FILE_NAMES[name].format(reco=reco): "" for reco in recordings}
        for reco, own in sorted(recordings.items()):
            texts[FILE_NAMES[name].format(reco=reco)] += writers[name](own)
        for file, text in texts.items():
            publish_text(folder / file, text)
            files.append(folder / file)
    return files


def ctm_text(words: Sequence[Word]) -> str:
    """Return NIST's CTM with all 8 columns: recording, channel, start, duration, word, confidence, type, speaker."""
    lines = []
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        start, end = round(word.start, 3), round(word.end, 3)
        sure = "NA" if word.confidence is None else f"{word.confidence:.3f}"
        text = "_".join(word.text.split())  # fields are separated by blanks
        lines.append(f"{word.reco} 1 {start:.3f} {end - start:.3f} {text} {sure} lex {word.speaker or UNKNOWN}\n")
    return "".join(lines)


def stm_text(words: Sequence[Word]) -> str:
    """Return NIST's STM: recording, channel, speaker, start, end, text; a line per utterance, however long it is."""
    return "".join(
        f"{one.words[0].reco} 1 {one.speaker or UNKNOWN} {one.start:.3f} {one.end:.3f} {one.text}\n"
        for one in utterances(words, most_letters=None)
    )


def words_json_text(words: Sequence[Word]) -> str:
    """Return JSON in the form of WhisperX: segments (utterances) with their words; unknown speakers are left out."""

    def entry(times: Word | Utterance, **rest: object) -> dict[str, object]:
        speaker = {} if times.speaker is None else {"speaker": times.speaker}
        return {"start": round(times.start, 3), "end": round(times.end, 3), **rest, **speaker}

    def of_word(word: Word) -> dict[str, object]:
        sure = {} if word.confidence is None else {"score": round(word.confidence, 3)}
        return entry(word, word=word.text, **sure)

    segments = [entry(one, text=one.text, words=[of_word(word) for word in one.words]) for one in utterances(words)]
    return json.dumps({"segments": segments}, ensure_ascii=False, indent=1) + "\n"


def _cues(words: Sequence[Word]) -> list[Cue]:
    return [Cue(one.start, one.end, one.speaker, one.text) for one in utterances(words)]


def _goes_on(run: Sequence[Word], word: Word, latest: Word | None, most_letters: int | None) -> bool:
    """Tell whether ``word`` still belongs to the utterance ``run``; ``latest`` is the last word of any speaker."""
    last = run[-1]
    letters = sum(len(one.text) + 1 for one in run) + len(word.text)
    taken_over = latest is not None and latest.speaker != word.speaker and latest.start >= last.end
    return (
        word.phrase == last.phrase
        and round(word.start - last.end, 3) < PAUSE
        and not taken_over
        and (most_letters is None or letters <= most_letters)
    )


class _Talk:
    """When one speaker talks, in milliseconds; regions are disjoint and in order."""

    def __init__(self, regions: Sequence[tuple[float, float]]) -> None:
        self._bounds = np.round(1000 * covered(regions)).astype(int)
        self._starts, self._ends = (self._bounds[:, side].tolist() for side in (0, 1))

    def common(self, start: int, end: int) -> int:
        """Return how long the speaker talks between two times."""
        near = self._bounds[bisect_right(self._ends, start) : bisect_left(self._starts, end)]
        return int((np.minimum(near[:, 1], end) - np.maximum(near[:, 0], start)).sum())

    def distance(self, start: int, end: int) -> int:
        """Return the time between a stretch and the nearest turn."""
        after = bisect_left(self._starts, start)
        distances = [
            max(self._starts[at] - end, start - self._ends[at], 0)
            for at in (after - 1, after)
            if 0 <= at < len(self._starts)
        ]
        return min(distances)

    def began(self, time: int) -> int:
        """Return when the turn began that lasts at a time, or the last before it; -1 if there is none."""
        before = bisect_right(self._starts, time)
        return self._starts[before - 1] if before else -1


def _speakers(
    words: Sequence[Word], talk: Mapping[str, Sequence[tuple[float, float]]], farthest: float
) -> list[str | None]:
    """Return the speaker of each word of one recording; words are in order of time."""
    speakers = {name: _Talk(regions) for name, regions in sorted(talk.items())}
    times = [(round(1000 * word.start), round(1000 * word.end)) for word in words]
    found: list[str | None] = [None] * len(words)
    ties: list[tuple[int, list[str]]] = []
    for at, (start, end) in enumerate(times):
        best = _candidates(speakers, start, end, round(1000 * farthest))
        if len(best) == 1:
            found[at] = best[0]
        elif best:
            ties.append((at, best))
    longest = max((end - start for start, end in times), default=0)
    starts = [start for start, _ in times]
    for at, best in ties:
        start, end = times[at]
        near = range(bisect_left(starts, start - longest), bisect_left(starts, end))
        taken = dict.fromkeys(best, 0)
        for other in near:
            if other != at and found[other] in taken:
                taken[found[other]] += max(0, min(times[other][1], end) - max(times[other][0], start))
        before = found[at - 1] if at else None
        found[at] = min(best, key=lambda name: (taken[name], name != before, -speakers[name].began(start), name))
    return found


def _candidates(speakers: Mapping[str, _Talk], start: int, end: int, farthest: int) -> list[str]:
    """Return who talks most from ``start`` to ``end``; if nobody does, who talks nearest, if that is near enough."""
    common = {name: own.common(start, end) for name, own in speakers.items()}
    most = max(common.values(), default=0)
    if most > 0:
        return [name for name, amount in common.items() if amount == most]
    distances = {name: own.distance(start, end) for name, own in speakers.items()}
    least = min(distances.values(), default=farthest + 1)
    return [name for name, distance in distances.items() if distance == least <= farthest]
