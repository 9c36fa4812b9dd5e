"""What a corpus on disk is to a recipe: calls with audio and reference turns, and what is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.io.tables import check_id, read_lines
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Segment, Turn

# Where a call is there in more than one form, the earliest of these that can be decoded is taken: as published first,
# lossless before lossy.
AUDIO_FORMS = (".sph", ".flac", ".wav", ".mp3")

#: How the reason ends why a usable call is left out of the subset ``two-speaker``.
NOT_TWO = ", so not of --subset two-speaker"


@dataclass(frozen=True)
class Call:
    """One recording of a corpus.

    Args:
        reco: Its id.
        audio: Its audio in the order of :data:`AUDIO_FORMS`; the first that can be decoded counts.
        turns: Who speaks when, the turns of one speaker disjoint (:func:`join_turns`).
        parts: The parts of the corpus that it belongs to, such as ``train``.
        num_spk: Number of speakers that the corpus states; None: as many as the turns name.
        segments: Speech regions that the corpus states.
        remarks: What is odd about it and was mended, such as ``2 turns of no length left out``.
    """

    reco: str
    audio: tuple[Path, ...]
    turns: tuple[Turn, ...]
    parts: frozenset[str] = frozenset()
    num_spk: int | None = None
    segments: tuple[Segment, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """What was found in a corpus folder.

    Args:
        name: ``callhome_english``, ``cabank`` or ``sre2000``.
        licence: What the user must own, one line.
        calls: The usable calls by id, in order.
        left_out: Why other recordings are not among them, by id.
        sources: Every annotation file that was read.
        folds: Names of two parts that are each other's held-out data, if the corpus has such.
    """

    name: str
    licence: str
    calls: Mapping[str, Call]
    left_out: Mapping[str, str]
    sources: tuple[Path, ...]
    folds: tuple[str, str] | None = None


@dataclass
class Collector:
    """Gathers calls and what is wrong with others while a corpus is read."""

    calls: dict[str, Call] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Keep a call, unless it has no audio or nobody speaks in it."""
        if not call.audio:
            self.left_out[call.reco] = "no audio file"
        elif not call.turns:
            self.left_out[call.reco] = "no turns in its annotation"
        else:
            self.calls[call.reco] = call

    def corpus(self, name: str, licence: str, sources: Iterable[Path], folds: tuple[str, str] | None = None) -> Corpus:
        """Return what was gathered, by id in order."""
        calls, left_out = dict(sorted(self.calls.items())), dict(sorted(self.left_out.items()))
        return Corpus(name, licence, calls, left_out, tuple(sources), folds)


def audio_by_stem(files: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Return the audio files by lower-case name without extension, in the order of :data:`AUDIO_FORMS`."""
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in AUDIO_FORMS:
            found.setdefault(path.stem.lower(), []).append(path)
    order = {suffix: place for place, suffix in enumerate(AUDIO_FORMS)}
    return {stem: tuple(sorted(paths, key=lambda p: (order[p.suffix.lower()], p))) for stem, paths in found.items()}


def join_turns(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Return the turns in order of time, those of one speaker of one recording that overlap or touch as one.

    No gap is closed, however short. Both sides of a call are one list: the reference of its mono mix.
    """
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in turns:
        groups.setdefault((turn.reco, turn.speaker), []).append((turn.start, turn.end))
    joined = [
        Turn(reco, speaker, float(start), float(end))
        for (reco, speaker), regions in groups.items()
        for start, end in covered(regions)
    ]
    return tuple(sorted(joined, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)))


@dataclass(frozen=True)
class Selection:
    """A subset of a corpus: its calls, why others that belong to it are left out, and at most how many are taken."""

    calls: Mapping[str, Call]
    left_out: Mapping[str, str]
    limit: int | None = None


def select(corpus: Corpus, subset: str) -> Selection:
    """Return a subset of a corpus.

    Args:
        corpus: The corpus.
        subset: ``all``; a number N: the first N usable calls; ``two-speaker``: those with exactly two speakers in
            the annotation, the others being left out by name; a part of the corpus; or a file with ids of recordings in
            its first column (an ``en_`` in front may be missing or too much, ``#`` begins a comment).

    Raises:
        InputError: It is none of these, or no recording is in it.
    """
    parts = sorted({part for call in corpus.calls.values() for part in call.parts})
    if subset == "all":
        return Selection(corpus.calls, corpus.left_out)
    if re.fullmatch("[1-9][0-9]{0,6}", subset):
        return Selection(corpus.calls, corpus.left_out, int(subset))
    if Path(subset).is_file():
        return _listed(corpus, Path(subset))
    left_out = dict(corpus.left_out)
    if subset == "two-speaker":
        speakers = {reco: sorted({turn.speaker for turn in call.turns}) for reco, call in corpus.calls.items()}
        chosen = {reco: call for reco, call in corpus.calls.items() if len(speakers[reco]) == 2}
        for reco in corpus.calls.keys() - chosen.keys():
            left_out[reco] = f"{len(speakers[reco])} speakers ({' '.join(speakers[reco])}){NOT_TWO}"
    elif subset in parts:
        chosen = {reco: call for reco, call in corpus.calls.items() if subset in call.parts}
    else:
        expected = ", ".join(["all", "two-speaker", *parts, "a number or a file that lists recordings"])
        raise InputError("--subset: no such subset or file", expected=expected, got=subset)
    if not chosen:
        raise InputError(f"--subset: no usable recording of {corpus.name} is in {subset}")
    return Selection(chosen, dict(sorted(left_out.items())))


def _listed(corpus: Corpus, path: Path) -> Selection:
    names = [check_id(text.split()[0], path, line) for line, text in read_lines(path) if not text.startswith("#")]
    known = {reco.removeprefix("en_"): reco for reco in (*corpus.calls, *corpus.left_out)}
    found = {name: known.get(name.removeprefix("en_")) for name in names}
    calls = {reco: corpus.calls[reco] for reco in sorted(filter(None, found.values())) if reco in corpus.calls}
    if not calls:
        got = f"for example {names[0]}" if names else "none"
        raise InputError("lists no usable recording", path=path, expected=f"ids such as {min(corpus.calls)}", got=got)
    missing = {name: "not in the corpus, but in the list" for name, reco in found.items() if reco is None}
    unusable = {reco: corpus.left_out[reco] for reco in found.values() if reco in corpus.left_out}
    return Selection(calls, dict(sorted({**missing, **unusable}.items())))
