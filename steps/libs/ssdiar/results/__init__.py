"""``result.json``: how many speakers each recording of a system has, how long they talk, and how certain that is.

The turns themselves are in the RTTM. docs/reference.md explains the keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.results.names import SpeakerName
from ssdiar.timeline.regions import covered, merge, total
from ssdiar.timeline.spans import Turn

#: Format of the file; its number changes when a key changes its meaning or is removed.
SCHEMA = "ssdiar-result/1"


class _Named(TypedDict, total=False):
    """The probability of a name that name_speakers.sh found, and if it was asked for the mean x-vector."""

    name_probability: float
    vector: list[float]


class SpeakerTalk(_Named):
    """How much one speaker talks: seconds, share of all speakers' talk, number of turns."""

    name: str
    seconds: float
    share: float
    turns: int


class RecordingEntry(TypedDict):
    """One recording in result.json; None stands for a value that is not known.

    Seconds have 3 decimals, shares and probabilities 4. ``overlap`` is the time in which at least two speakers talk,
    ``confidence`` the mean confidence of the turns, weighted by their length. Speakers are ordered by talk.
    """

    recording: str
    file: str | None
    duration: float | None
    num_spk: int
    num_spk_probability: float | None
    confidence: float | None
    overlap: float
    speakers: list[SpeakerTalk]


class Origin(TypedDict, total=False):
    """The keys of meta.json that result.json repeats, and the kind of turns that it describes."""

    system: str | None
    seed: int | None
    speech_source: str | None
    num_spk_source: str | None
    xvector_model: str | None
    turn_kind: str | None


class Result(Origin):
    """The content of result.json."""

    schema: str
    recordings: list[RecordingEntry]


def recording_entry(
    reco: str,
    turns: Sequence[Turn],
    *,
    file: str | None = None,
    duration: float | None = None,
    probability: float | None = None,
    names: Iterable[SpeakerName] = (),
) -> RecordingEntry:
    """Return the entry of a recording from its turns, in any order.

    ``duration`` is in seconds, ``probability`` that of the number of speakers (None if the number was given). The turns
    have the ``names`` already.
    """
    talk: dict[str, list[tuple[float, float]]] = {}
    for turn in turns:
        talk.setdefault(turn.speaker, []).append((turn.start, turn.end))
    regions = {name: merge(own) for name, own in talk.items()}
    seconds = {name: total(own) for name, own in regions.items()}
    everyone = sum(seconds.values())
    more = {one.name or one.speaker: {"name_probability": one.probability, "vector": one.vector} for one in names}
    overlap = covered(np.concatenate([*regions.values(), np.empty((0, 2))]), 2)
    return {
        "recording": reco,
        "file": file,
        "duration": None if duration is None else round(duration, 3),
        "num_spk": len(talk),
        "num_spk_probability": None if probability is None else round(probability, 4),
        "confidence": _mean_confidence(turns),
        "overlap": round(total(overlap), 3),
        "speakers": [
            {
                "name": name,
                "seconds": round(seconds[name], 3),
                "share": round(seconds[name] / everyone, 4) if everyone else 0.0,
                "turns": len(talk[name]),
                **{key: value for key, value in more.get(name, {}).items() if value is not None},
            }
            for name in sorted(talk, key=lambda name: (-seconds[name], name))
        ],
    }


def result_content(meta: Mapping[str, Any], recordings: Iterable[RecordingEntry]) -> Result:
    """Return the content of result.json from meta.json of the system and an entry per recording."""
    entries = sorted(recordings, key=lambda entry: entry["recording"])
    return {"schema": SCHEMA, **{key: meta.get(key) for key in Origin.__annotations__}, "recordings": entries}


def result_text(content: Result) -> str:
    """Return the text of result.json."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def read_result(path: str | Path) -> Result:
    """Read a result.json.

    Raises:
        InputError: It is not one, or has another schema.
    """
    try:
        content = msgspec.json.decode(Path(path).read_bytes(), type=Result)
        what, expected, got = "result of another schema", SCHEMA, content["schema"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what, expected, got = "not a result", "the file that make_rttm.sh writes", str(error)
    if got != SCHEMA:
        raise InputError(what, path=path, expected=expected, got=got, hint="Run make_rttm.sh again.")
    return content


def number_found(history: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Return the number of speakers in a clustering history, and its probability if it was estimated."""
    probabilities = {int(number): sure for number, sure in history.get("num_spk_probabilities", {}).items()}
    return {"number": history["clusters"], "probability": probabilities.get(history["num_spk"])}


def count_probabilities(num_spk: Mapping[str, Mapping[str, Any]], sides: Mapping[str, str]) -> dict[str, float]:
    """Return the probability of each recording's number of speakers, if it was estimated; sides multiply theirs.

    ``num_spk`` has the ``number`` and ``probability`` of each recording or side, ``sides`` the recording of each side.
    """
    sure: dict[str, float] = {}
    for key, found in num_spk.items():
        if found.get("probability") is not None:
            reco = sides.get(key, key)
            sure[reco] = sure.get(reco, 1.0) * found["probability"]
    return sure


def _mean_confidence(turns: Sequence[Turn]) -> float | None:
    """Return the mean of the known confidences, weighted by the length of the turns."""
    known = [(turn.end - turn.start, turn.confidence) for turn in turns if turn.confidence is not None]
    seconds = sum(length for length, _ in known)
    return round(sum(length * sure for length, sure in known) / seconds, 4) if seconds else None
