"""Known voices: a folder with a recording, or a folder of recordings, for each name; all speech in them is that voice.

:func:`known_voices` turns the folder into speakers, and :func:`names_of` finds them among the speakers of recordings.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np

from ssdiar.base.config import read_config
from ssdiar.base.errors import InputError
from ssdiar.clustering.voices import Speakers, VoiceModel, link_speakers, log_odds, match_voices
from ssdiar.io.audio import AUDIO_SUFFIXES
from ssdiar.io.recordings import Recording, files_below
from ssdiar.pipeline import Speaker, mean_speakers, regions_of, speech_of, subsegments_of, vectors_of
from ssdiar.results.names import SpeakerName
from ssdiar.speech.source import SpeechSource
from ssdiar.work.digests import cores, identity
from ssdiar.xvectors.models import ModelConfig, load_model

_OURS = re.compile(r"(speaker|channel|voice)[0-9-]*|<NA>")


def read_voice_model(xvector_model: str | None) -> VoiceModel:
    """Return the calibration of an x-vector model; raise InputError if it has none."""
    return read_config(VoiceModel, xvector_model or "unknown", "voices")


def known_voices(folder: str | Path, sad: str, model: ModelConfig) -> dict[str, Speaker]:
    """Return the known voices of a folder by name; blanks in names become ``_``, because RTTM allows none.

    Speakers stay in memory for the next call, as long as their files do not change.

    Args:
        folder: The folder; files of other kinds, and names that start with a dot, are passed over.
        sad: The speech detector, a choice of conf/sad.
        model: The x-vector model of the speakers to name.

    Raises:
        InputError: There is no voice, two have one name, a name is one that we give ourselves, a recording cannot be
            read, or a voice has too little speech.
    """
    files, least = voice_files(Path(folder)), read_voice_model(model.title).min_seconds
    load_model(model)  # once, before threads do
    with ThreadPoolExecutor(cores()) as pool:
        paths = [path for own in files.values() for path in own]
        keys = [identity(os.stat(path)) for path in paths]
        parts = dict(zip(paths, pool.map(_enrol, paths, keys, repeat(sad), repeat(model)), strict=True))
    voices = {name: _pooled([parts[path] for path in own]) for name, own in files.items()}
    for name, voice in voices.items():
        if voice.seconds < least:
            expected = f"at least {least:g} s"
            raise InputError("too little speech", path=files[name][0], expected=expected, got=f"{voice.seconds:.1f} s")
    return voices


def voice_files(folder: Path) -> dict[str, list[Path]]:
    """Return the recordings of each known voice by name; for errors see :func:`known_voices`."""
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        below = files_below(path) if path.is_dir() else [path]
        audio = [file for file in below if file.suffix.lower() in AUDIO_SUFFIXES]
        if path.name.startswith(".") or not audio:
            continue
        name = "_".join(unicodedata.normalize("NFC", path.name if path.is_dir() else path.stem).split())
        if name in found or _OURS.fullmatch(name):
            problem = "a second voice of this name" if name in found else "a name that speakers have without a name"
            raise InputError(problem, path=path, expected="another name", got=name)
        found[name] = audio
    if not found:
        expected = "a recording, or a folder of recordings, for each name"
        raise InputError("no known voices", path=folder, expected=expected)
    return found


@cache
def _enrol(path: Path, _: tuple[int, ...], sad: str, config: ModelConfig) -> Speaker:
    """Return the speaker of a recording in which only one talks."""
    recording, model, source = Recording(str(path)), load_model(config), SpeechSource.of(sad, "keep")
    segments = subsegments_of(*regions_of(speech_of(source, "voice", recording))).segments
    if not segments:
        return Speaker(np.zeros(model.dimension), 0.0)
    vectors = {"voice": vectors_of(model, recording, segments)}
    return mean_speakers({"voice": segments}, {segment.id: 1 for segment in segments}, vectors)["voice", "speaker1"]


def _pooled(parts: Sequence[Speaker]) -> Speaker:
    """Return the mean of speakers who are one voice, weighted by seconds."""
    seconds = sum(part.seconds for part in parts)
    return Speaker(sum(part.vector * part.seconds for part in parts) / max(seconds, 1e-9), seconds)


def names_of(
    speakers: Mapping[tuple[str, str], Speaker],
    model: VoiceModel,
    known: Mapping[str, Speaker] | None = None,
    shared: bool = False,
) -> dict[tuple[str, str], SpeakerName]:
    """Return the name of each speaker, a known one, or ``voice1``, ``voice2`` ... for links between recordings.

    Args:
        speakers: Speakers by recording and name of the clustering.
        model: The calibration.
        known: Known voices by name; None: speakers of different recordings are linked.
        shared: Whether two speakers of one recording may have one name.
    """
    everyone, recordings = [*speakers.values(), *(known or {}).values()], [reco for reco, _ in speakers]
    if not everyone:
        return {}
    size, names = len(speakers), list(known or {})
    vectors = np.array([one.vector for one in everyone], np.float64)
    if vectors.shape[1] != len(model.background):
        raise InputError("x-vectors of another dimension", expected=f"{len(model.background)}", got=vectors.shape[1])
    odds = log_odds(Speakers(vectors, np.array([one.seconds for one in everyone])), model)
    if known is None:
        matches = link_speakers(odds, recordings, shared)
        names = [f"voice{number + 1}" for number in range(size)]
    else:
        matches = match_voices(odds[:size, size:], recordings, shared)
    return {
        key: SpeakerName(None, None) if match is None else SpeakerName(names[match.voice], match.probability)
        for key, match in zip(speakers, matches, strict=True)
    }
