"""Names for speakers: known voices from a folder of recordings, and the ones that fit the speakers of recordings."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from ssdiar.base.config import read_config
from ssdiar.base.errors import InputError
from ssdiar.clustering.voices import VoiceModel, link_speakers, log_odds, match_voices
from ssdiar.io.audio import AUDIO_SUFFIXES
from ssdiar.io.recordings import Recording, files_below
from ssdiar.pipeline import Speaker, mean_speakers, regions_of, speech_of, subsegments_of, vectors_of
from ssdiar.results.names import SpeakerName
from ssdiar.speech.source import SpeechSource
from ssdiar.work.digests import cores, identity
from ssdiar.xvectors.models import ModelConfig, load_model

_OURS = re.compile(r"(speaker|channel|voice)[0-9-]*")


def known_voices(folder: str | Path, sad: str, model: ModelConfig) -> dict[str, Speaker]:
    """Return the voices of a folder with a recording, or a folder of recordings, for each name.

    All speech of a recording is taken for that voice. Blanks in names become ``_``, because RTTM allows none. Voices
    stay in memory for the next call, as long as their files do not change.

    Args:
        folder: The folder; other files, and names that start with a dot, are ignored.
        sad: The speech detector, a choice of conf/sad.
        model: The x-vector model of the speakers to name.

    Raises:
        InputError: There is no voice, a name comes twice or is one that speakers have without a name, a recording
            cannot be read, or a voice has too little speech.
    """
    files, least, voices = _files(Path(folder)), read_voice_model(model.title).min_seconds, {}
    load_model(model)  # before several threads do
    with ThreadPoolExecutor(cores()) as pool:
        recordings = itertools.chain.from_iterable(files.values())
        enrolled = pool.map(lambda path: _enrol(path, identity(os.stat(path)), sad, model), recordings)
        for name, own in files.items():
            parts = list(itertools.islice(enrolled, len(own)))
            if (seconds := sum(part.seconds for part in parts)) < least:
                got = f"{seconds:.1f} s"
                raise InputError("too little speech", path=own[0], expected=f"at least {least:g} s", got=got)
            voices[name] = Speaker(sum(part.vector * part.seconds for part in parts) / seconds, seconds)
    return voices


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return the recordings of each name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        below = files_below(path) if path.is_dir() else [path]
        audio = [file for file in below if file.suffix.lower() in AUDIO_SUFFIXES]
        name = "_".join(unicodedata.normalize("NFC", path.name if path.is_dir() else path.stem).split())
        if audio and not name.startswith("."):
            if name in found or _OURS.fullmatch(name):
                problem = "two voices of one name" if name in found else "a name that speakers have without a name"
                raise InputError(problem, path=path, expected="another name", got=name)
            found[name] = audio
    if not found:
        expected = "a folder with a recording, or a folder of recordings, for each name"
        raise InputError("no known voices", path=folder, expected=expected)
    return found


@cache
def _enrol(path: Path, _: tuple[int, ...], sad: str, config: ModelConfig) -> Speaker:
    """Return the speaker of a recording in which only one talks."""
    recording, model = Recording(str(path)), load_model(config)
    segments = subsegments_of(*regions_of(speech_of(SpeechSource.of(sad, "keep"), "x", recording))).segments
    if not segments:
        return Speaker(np.zeros(model.dimension), 0.0)
    labels = {segment.id: 1 for segment in segments}
    [speaker] = mean_speakers({"x": segments}, labels, {"x": vectors_of(model, recording, segments)}).values()
    return speaker


def read_voice_model(xvector_model: str | None) -> VoiceModel:
    """Return the calibration of an x-vector model; raise InputError if there is none in conf/voices."""
    return read_config(VoiceModel, xvector_model or "unknown", "voices")


def names_of(
    speakers: Mapping[tuple[str, str], Speaker],
    model: VoiceModel,
    known: Mapping[str, Speaker] | None = None,
    shared: bool = False,
) -> list[SpeakerName]:
    """Return the name of each speaker: a known one, or ``voice1`` ... for one who is in several recordings.

    Args:
        speakers: Speakers by recording and name of the clustering.
        model: The calibration.
        known: Known voices by name; None: speakers of different recordings are linked.
        shared: Whether two speakers of one recording may have one name.

    Raises:
        InputError: The x-vectors are not of the model.
    """
    everyone = [*speakers.values(), *(known or {}).values()]
    if not everyone:
        return []
    vectors = np.array([one.vector for one in everyone], np.float64)
    if (got := vectors.shape[1]) != (wanted := len(model.background)):
        raise InputError("x-vectors of another dimension", expected=f"{wanted}", got=got)
    seconds = np.array([one.seconds for one in everyone])
    odds = log_odds(vectors, seconds, model)
    recordings = np.unique([reco for reco, _ in speakers], return_inverse=True)[1]
    if known is None:
        voices, probabilities = link_speakers(odds, recordings, shared)
    else:
        voices, probabilities = match_voices(odds[: len(speakers), len(speakers) :], recordings, shared)
    names = [f"voice{number + 1}" for number in range(len(speakers))] if known is None else list(known)
    return [
        SpeakerName(*key, *((names[voice], round(float(sure), 4)) if voice >= 0 else ()))
        for key, voice, sure in zip(speakers, voices, probabilities, strict=True)
    ]
