"""Voices: folders of one person's recordings, cut at their pauses, and drawn from in stretches of a wanted length.

Each stretch starts and ends with speech energy (to 10 ms) and contains no silence longer than :data:`LONGEST_PAUSE`, so
that it is one turn of the reference from its first to its last sample.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, read_audio
from ssdiar.io.recordings import files_below
from ssdiar.timeline.regions import drop_short, merge

RATE = 8000
FRAME = RATE // 100
LONGEST_PAUSE = 0.3
# Level of active speech: the nominal one of telephony (ITU-T P.56 simplified; level of G.100).
SPEECH_LEVEL_DB = -26.0

_CUT_PAUSE = 12  # frames; shorter silences are often the closure of a stop inside a word
_SHORTEST_PIECE = 10  # frames
_LOOK_AHEAD = 80  # number of waiting pieces among which the last one of a stretch is chosen by length
# Headerless telephony formats by file name: libsndfile subtype; all 8 kHz mono.
_HEADERLESS = {".gsm": "GSM610", ".ulaw": "ULAW", ".alaw": "ALAW", ".sln": "PCM_16"}
_GSM_FRAME = 33


@dataclass(frozen=True)
class Prompt:
    """One file's speech: ``samples`` (float32, 8 kHz) and its ``pieces``, (k, 2) first and past-last sample numbers.

    Pieces are separated by pauses, start and end with energy, and lie on a grid of 10 ms.
    """

    samples: np.ndarray
    pieces: np.ndarray

    @property
    def seconds(self) -> float:
        """Amount of speech without pauses."""
        return float(np.sum(self.pieces[:, 1] - self.pieces[:, 0])) / RATE


@dataclass(frozen=True)
class Voice:
    """One person's speech; ``id`` is the folder's name made fit for an RTTM."""

    id: str
    prompts: tuple[Prompt, ...]

    @property
    def seconds(self) -> float:
        """Amount of speech without pauses."""
        return sum(prompt.seconds for prompt in self.prompts)


def list_voices(folder: str | Path) -> dict[str, Path]:
    """Return the sub-folders of ``folder`` by voice id, in order; names that start with a dot are ignored.

    Raises:
        InputError: ``folder`` does not exist, has no sub-folders, or two of them give the same id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    voices: dict[str, Path] = {}
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for path in sorted(found, key=os.fsencode):
        voice = re.sub(r"[^A-Za-z0-9_.-]", "_", path.name)
        voice = voice if voice[0].isalnum() else f"v{voice}"
        if voice in voices:
            raise InputError(f"gives the same speaker name as {voices[voice].name}: {voice}", path=path)
        voices[voice] = path
    if not voices:
        raise InputError("no voices", path=folder, expected="a sub-folder per voice, with audio inside")
    return voices


def load_voice(
    voice: str, folder: Path, rng: np.random.Generator, min_speech: float, max_speech: float
) -> tuple[Voice, list[str]]:
    """Read a voice's files, also those in sub-folders, in random order until there are ``max_speech`` seconds.

    Returns the voice, and a line about each file that could not be read.

    Raises:
        InputError: The folder has no audio, or less than ``min_speech`` seconds of speech.
    """
    suffixes = _HEADERLESS.keys() | AUDIO_SUFFIXES
    # In an order that does not depend on the file system.
    paths = sorted((path for path in files_below(folder) if path.suffix.lower() in suffixes), key=os.fsencode)
    if not paths:
        expected = "wav, flac, gsm, ulaw, ogg, mp3 ..."
        raise InputError(f"voice {voice} has no audio files", path=folder, expected=expected)
    prompts, problems, seconds = [], [], 0.0
    for index in rng.permutation(len(paths)):
        try:
            prompt = cut_at_pauses(read_speech(paths[index]))
        except (InputError, OSError) as error:
            problems.append(str(error))
            continue
        if len(prompt.pieces):
            prompts.append(prompt)
            seconds += prompt.seconds
        if seconds >= max_speech:
            break
    if seconds < min_speech:
        got = f"{seconds:.1f} s in {len(paths) - len(problems)} readable files of {len(paths)}"
        what = f"voice {voice} has too little speech"
        raise InputError(what, path=folder, expected=f"at least {min_speech:g} s", got=got)
    return Voice(voice, tuple(prompts)), problems


def read_speech(path: Path) -> np.ndarray:
    """Return a file as float32 samples at 8 kHz, channels averaged.

    Headerless GSM 06.10, mu-law, A-law and 16-bit files are recognised by name (.gsm .ulaw .alaw .sln).

    Raises:
        InputError: The file cannot be read as audio.
    """
    subtype = _HEADERLESS.get(path.suffix.lower())
    if subtype is None:
        return read_audio(path, RATE)[0]
    import soundfile

    data = path.read_bytes()
    if not data or (subtype == "GSM610" and any(first >> 4 != 0xD for first in data[::_GSM_FRAME])):
        raise InputError("cannot be read as audio", path=path, expected=f"8 kHz {subtype} without a header")
    endian = "LITTLE" if subtype == "PCM_16" else "FILE"
    samples, _ = soundfile.read(
        io.BytesIO(data), dtype="float32", format="RAW", subtype=subtype, samplerate=RATE, channels=1, endian=endian
    )
    return samples


def cut_at_pauses(samples: np.ndarray) -> Prompt:
    """Find the speech in samples (n,) at 8 kHz by its energy, and bring it to the nominal level.

    A 10 ms frame is speech if its energy in the telephone band (300-3400 Hz) is within 30 dB of the loud frames (95th
    percentile) and clearly above the quiet ones. So offset and hum are no speech, and speech remains audible on any
    telephone line. Pauses under 0.12 s are bridged; runs under 0.1 s are clicks and dropped.
    """
    frames = len(samples) // FRAME
    samples = samples[: frames * FRAME]
    none = Prompt(samples, np.zeros((0, 2), dtype=np.int64))
    if frames < _SHORTEST_PIECE:
        return none
    samples = _filtered(samples, 100.0, "highpass")
    in_band = _filtered(samples, (300.0, 3400.0), "bandpass")
    power = np.mean(np.square(in_band.reshape(frames, FRAME)), axis=1)
    decibels = 10 * np.log10(power + 1e-10)
    loud, quiet = np.percentile(decibels, 95), np.percentile(decibels, 10)
    if loud < -65:
        return none
    speech = decibels > max(loud - 30, min(quiet + 8, loud - 15))
    runs = np.flatnonzero(np.diff(speech, prepend=False, append=False)).reshape(-1, 2)
    pieces = drop_short(merge(runs, _CUT_PAUSE), _SHORTEST_PIECE).astype(np.int64)
    if not len(pieces):
        return none
    level = 10 * np.log10(np.mean(power[speech]))
    gain = 10 ** ((SPEECH_LEVEL_DB - level) / 20)
    return Prompt((samples * gain).astype(np.float32), pieces * FRAME)


class Supply:
    """One voice's pieces for one recording, in random order of prompts.

    With ``repeat``, a piece may come again once all but the last :data:`_LOOK_AHEAD` others have been used. Otherwise
    each piece is used once, and :meth:`take` may be called only until ``is_over``.

    Attributes:
        repeats: Whether a piece has been used a second time.
    """

    def __init__(self, voice: Voice, rng: np.random.Generator, repeat: bool = False) -> None:
        self._prompts, self._rng, self._repeat = voice.prompts, rng, repeat
        # Pieces as (prompt, number in the prompt): waiting, last used, all used.
        self._waiting: list[tuple[int, int]] = []
        self._last: tuple[int, int] | None = None
        self._used: set[tuple[int, int]] = set()
        self.repeats = False
        self._fill()

    @property
    def is_over(self) -> bool:
        """Whether no piece is left."""
        return not self._waiting

    def take(self, seconds: float, longest: float) -> np.ndarray:
        """Return speech of about ``seconds`` and at most ``longest``, as float32 samples at 8 kHz.

        Pieces of a prompt follow each other with their own pauses, prompts with pauses of 0.1 to 0.3 s. The last piece
        is the one among the next that fits best, so that words stay whole; if none fits, one is cut where its energy is
        low. The result is shorter if no more speech is left.
        """
        wanted, maximum = round(seconds * RATE), int(longest * RATE)
        parts: list[np.ndarray] = []
        self._last, length = None, 0
        while self._waiting and length + self._size(0) < wanted - 0.45 * RATE:
            parts += self._pop(0)
            length = sum(map(len, parts))
        if self._waiting:
            parts += self._ending(wanted - length, maximum - length, bool(parts))
        return np.concatenate(parts)

    def _ending(self, wanted: int, maximum: int, may_be_empty: bool) -> list[np.ndarray]:
        """Return [pause, piece], together about ``wanted`` and at most ``maximum`` samples long, or nothing."""
        sizes = np.array([self._size(index) for index in range(len(self._waiting[:_LOOK_AHEAD]))])
        errors = np.abs(sizes - wanted).astype(float)
        errors[sizes > min(maximum, wanted + 0.1 * RATE)] = np.inf
        best = int(np.argmin(errors))
        if may_be_empty and wanted <= min(errors[best], 0.5 * RATE):
            return []
        # If no piece is longer than ``wanted`` and none fits, a piece longer than ``maximum`` is cut.
        too_long = wanted if (sizes > wanted).any() or np.isfinite(errors[best]) else maximum
        longer = np.flatnonzero(sizes > too_long)
        if errors[best] <= 0.25 * RATE or not len(longer):
            return self._pop(best)
        pause, piece = self._pop(longer[np.argmin(sizes[longer])])
        return [pause, _cut_at_low_energy(piece, min(wanted, maximum) - len(pause))]

    def _pop(self, index: int) -> list[np.ndarray]:
        """Remove a waiting piece and return [pause before it, piece]."""
        pause, speech = self._peek(index)
        self._last = self._waiting.pop(index)
        self.repeats |= self._last in self._used
        self._used.add(self._last)
        if self._repeat:
            self._fill()
        return [pause, _faded(speech)]

    def _peek(self, index: int) -> list[np.ndarray]:
        """Return [pause before it, piece] of a waiting piece.

        There is no pause at the start; inside a prompt it is the prompt's own.
        """
        number, piece = self._waiting[index]
        prompt = self._prompts[number]
        first, end = prompt.pieces[piece]
        # 0.1 to 0.3 s, computed from the piece's numbers so that repeated calls give the same pause.
        pause = np.zeros(FRAME * (10 + (7 * number + 3 * piece) % 21), np.float32)
        if self._last is None:
            pause = pause[:0]
        elif self._last == (number, piece - 1) and first - prompt.pieces[piece - 1, 1] <= LONGEST_PAUSE * RATE:
            pause = prompt.samples[prompt.pieces[piece - 1, 1] : first]
        return [pause, prompt.samples[first:end]]

    def _size(self, index: int) -> int:
        """Return the number of samples of a waiting piece and the pause before it."""
        return sum(map(len, self._peek(index)))

    def _fill(self) -> None:
        """Let all pieces wait, in random order of prompts; again if they repeat and are few."""
        while len(self._waiting) < (_LOOK_AHEAD if self._repeat else 1):
            for prompt in self._rng.permutation(len(self._prompts)).tolist():
                self._waiting += [(prompt, piece) for piece in range(len(self._prompts[prompt].pieces))]


def _filtered(samples: np.ndarray, edges: float | tuple[float, float], kind: str) -> np.ndarray:
    """Filter (n,) without delay; ``edges`` are in Hz."""
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(2, edges, kind, fs=RATE, output="sos"), samples)


def _faded(samples: np.ndarray) -> np.ndarray:
    """Return a copy with 3 ms of fade at both ends, short enough to keep the energy of the end frames."""
    ramp = np.linspace(0, 1, 3 * RATE // 1000, dtype=np.float32)
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def _cut_at_low_energy(samples: np.ndarray, maximum: int) -> np.ndarray:
    """Return the first 60 to 100 % of ``maximum`` samples, cut at the minimum of energy and then at the last sound."""
    frames = max(maximum // FRAME, 1)
    power = np.mean(np.square(samples[: frames * FRAME].reshape(-1, FRAME), dtype=np.float64), axis=1)
    first = int(0.6 * len(power))
    end = max(first + int(np.argmin(power[first:])), 1)
    loud = np.flatnonzero(power[:end] > 10 ** ((SPEECH_LEVEL_DB - 30) / 10))
    end = int(loud[-1]) + 1 if len(loud) else end
    return _faded(samples[: end * FRAME])
