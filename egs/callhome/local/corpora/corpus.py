"""Corpora as recipes need them: calls with audio and reference turns, and the reasons why others cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.io.tables import check_id, read_lines
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Segment, Turn

# A call may have audio in several forms; the first that can be decoded is used: as published, lossless, lossy.
AUDIO_FORMS = (".sph", ".flac", ".wav", ".mp3")

_MOST_MALFORMED = 0.05  # share of the lines of a usable transcript; set by hand

#: End of the reason why a usable call is not in the subset ``two-speaker``.
NOT_TWO = ", so not of --subset two-speaker"


@dataclass(frozen=True)
class Call:
    """One recording of a corpus."""

    reco: str
    audio: tuple[Path, ...]  # in the order of AUDIO_FORMS
    turns: tuple[Turn, ...]  # the reference; turns of one speaker are disjoint (join_turns)
    parts: frozenset[str] = frozenset()  # parts of the corpus that it belongs to, such as train
    num_spk: int | None = None  # by the corpus; None: the number of speakers with turns
    segments: tuple[Segment, ...] = ()  # speech regions by the corpus
    remarks: tuple[str, ...] = ()  # corrected oddities, such as "2 turns of no length left out"
    duration: float = 0.0  # seconds of audio, once it has been checked
    offset: float = 0.0  # second of the corpus's audio from which times count

    @property
    def speakers(self) -> list[str]:
        """The speakers with turns, in order of name."""
        return sorted({turn.speaker for turn in self.turns})

    @property
    def extent(self) -> tuple[float, float]:
        """Start of the first turn and end of the last one."""
        return min(turn.start for turn in self.turns), max(turn.end for turn in self.turns)


@dataclass
class Corpus:
    """A corpus folder: its name, its licence in one line, all annotation files, calls and reasons by id."""

    name: str
    licence: str
    sources: Sequence[Path]
    calls: dict[str, Call] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Keep a call, unless it has no audio or no turns."""
        if not call.audio:
            self.left_out[call.reco] = "no audio file"
        elif not call.turns:
            self.left_out[call.reco] = "no turns in its annotation"
        else:
            self.calls[call.reco] = call


def audio_by_stem(files: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Return the audio files by lower-case name without extension, in the order of :data:`AUDIO_FORMS`."""
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in AUDIO_FORMS:
            found.setdefault(path.stem.lower(), []).append(path)
    rank = {suffix: place for place, suffix in enumerate(AUDIO_FORMS)}
    return {stem: tuple(sorted(paths, key=lambda p: (rank[p.suffix.lower()], p))) for stem, paths in found.items()}


def remark_on_skipped(errors: Sequence[InputError], lines: int) -> list[str]:
    """Return a remark on the lines of a transcript that are malformed and skipped, if any.

    Raises:
        InputError: They are more than 5 % of its ``lines`` with turns.
    """
    if not errors:
        return []
    numbers = ", ".join(str(error.line) for error in errors)
    text = f"{len(errors)} of {lines} lines malformed ({numbers}), the first: {errors[0]}"
    if len(errors) > _MOST_MALFORMED * lines:
        raise InputError(text)
    return [f"{text}; skipped"]


def join_turns(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Return the turns in order of time; overlapping or touching turns of one speaker of one recording are joined.

    Gaps are not closed. Both sides of a call are in one list: the reference of its mono mix.
    """
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in turns:
        groups.setdefault((turn.reco, turn.speaker), []).append((turn.start, turn.end))
    joined = [Turn(*who, float(start), float(end)) for who, own in groups.items() for start, end in covered(own)]
    return tuple(sorted(joined, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)))


def select(corpus: Corpus, subset: str) -> tuple[Corpus, int | None]:
    """Return a subset of a corpus, in order of ids, and the maximum number of calls to take from it.

    Args:
        corpus: The corpus.
        subset: ``all``; a number N: the first N usable calls; ``two-speaker``: calls with exactly two speakers in the
            annotation, the others with a reason; a part of the corpus; or a file with ids of recordings in its first
            column (with or without ``en_`` in front, ``#`` begins a comment).

    Raises:
        InputError: It is none of these, or no recording is in it.
    """
    parts = sorted({part for call in corpus.calls.values() for part in call.parts})
    calls, left_out, limit = corpus.calls, dict(corpus.left_out), None
    if re.fullmatch("[1-9][0-9]{0,6}", subset):
        limit = int(subset)
    elif Path(subset).is_file():
        calls, left_out = _listed(corpus, Path(subset))
    elif subset == "two-speaker":
        calls = {reco: call for reco, call in corpus.calls.items() if len(call.speakers) == 2}
        for reco in corpus.calls.keys() - calls.keys():
            speakers = corpus.calls[reco].speakers
            left_out[reco] = f"{len(speakers)} speakers ({' '.join(speakers)}){NOT_TWO}"
    elif subset in parts:
        calls = {reco: call for reco, call in corpus.calls.items() if subset in call.parts}
    elif subset != "all":
        expected = ", ".join(["all", "two-speaker", *parts, "a number or a file that lists recordings"])
        raise InputError("--subset: no such subset or file", expected=expected, got=subset)
    if not calls:
        raise InputError(f"--subset: no usable recording of {corpus.name} is in {subset}")
    return replace(corpus, calls=dict(sorted(calls.items())), left_out=dict(sorted(left_out.items()))), limit


def _listed(corpus: Corpus, path: Path) -> tuple[dict[str, Call], dict[str, str]]:
    names = [check_id(text.split()[0], path, line) for line, text in read_lines(path) if not text.startswith("#")]
    known = {reco.removeprefix("en_"): reco for reco in (*corpus.calls, *corpus.left_out)}
    found = {name: known.get(name.removeprefix("en_")) for name in names}
    calls = {reco: corpus.calls[reco] for reco in found.values() if reco in corpus.calls}
    if not calls:
        got = f"for example {names[0]}" if names else "none"
        raise InputError("lists no usable recording", path=path, expected=f"ids such as {min(corpus.calls)}", got=got)
    missing = {name: "not in the corpus, but in the list" for name, reco in found.items() if reco is None}
    return calls, missing | {reco: corpus.left_out[reco] for reco in found.values() if reco in corpus.left_out}
