"""Voices: folders of one person's recordings, cut at their pauses, and handed out in pieces of a wanted length.

Whatever is handed out starts and ends with speech energy (to 10 ms) and has no silence longer than
:data:`LONGEST_PAUSE` inside, so that a turn made of it is a turn in the reference from its first to its last sample.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, read_audio

RATE = 8000
FRAME = RATE // 100
LONGEST_PAUSE = 0.3
# Active speech is brought to this level, the nominal one of telephony (ITU-T P.56 method simplified; G.100 level).
SPEECH_LEVEL_DB = -26.0

# Shorter silences are often the closure of a stop inside a word.
_CUT_PAUSE = 0.12
_SHORTEST_PIECE = 0.1
_LOOK_AHEAD = 80  # waiting pieces among which the last of a stretch is chosen by its length
# Headerless telephony formats by file name: libsndfile subtype; all 8 kHz mono.
_HEADERLESS = {".gsm": "GSM610", ".ulaw": "ULAW", ".ul": "ULAW", ".pcmu": "ULAW", ".alaw": "ALAW", ".al": "ALAW"}
_HEADERLESS |= {".pcma": "ALAW", ".sln": "PCM_16"}
_GSM_FRAME = 33


@dataclass(frozen=True)
class Prompt:
    """One file's speech: ``samples`` (float32, 8 kHz) and its ``pieces``, (k, 2) first and past-last sample numbers.

    Pieces are separated by pauses, start and end with energy, and lie on a grid of 10 ms.
    """

    samples: np.ndarray
    pieces: np.ndarray


@dataclass(frozen=True)
class Voice:
    """One person's speech, ``id`` being the folder's name made fit for an RTTM."""

    id: str
    prompts: tuple[Prompt, ...]
    num_unreadable: int

    @property
    def seconds(self) -> float:
        """Amount of speech, pauses left out."""
        return sum(float(np.sum(prompt.pieces[:, 1] - prompt.pieces[:, 0])) for prompt in self.prompts) / RATE


def list_voices(folder: str | Path) -> dict[str, Path]:
    """Return the sub-folders of ``folder`` by voice id, ordered; names starting with a dot are left out.

    Raises:
        InputError: ``folder`` does not exist, has no sub-folders, or two of them give the same id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    voices: dict[str, Path] = {}
    found = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: os.fsencode(path.name))
    for path in found:
        if path.name.startswith("."):
            continue
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
    """Read a voice's files in random order until there is enough speech.

    Args:
        voice: Its id.
        folder: Its folder; audio is looked for in sub-folders as well.
        rng: Decides which files are read when there is more speech than ``max_speech``.
        min_speech: Least amount of speech, in seconds.
        max_speech: Reading stops when this amount is reached.

    Returns:
        The voice, and one line on each file that could not be read.

    Raises:
        InputError: The folder has no audio, or too little speech.
    """
    paths = _audio_files(folder)
    if not paths:
        raise InputError(
            f"voice {voice} has no audio files", path=folder, expected="wav, flac, gsm, ulaw, ogg, mp3 ..."
        )
    prompts, problems, seconds = [], [], 0.0
    for index in rng.permutation(len(paths)):
        try:
            prompt = cut_at_pauses(read_speech(paths[index]))
        except (InputError, OSError) as error:
            problems.append(str(error))
            continue
        if len(prompt.pieces):
            prompts.append(prompt)
            seconds += float(np.sum(prompt.pieces[:, 1] - prompt.pieces[:, 0])) / RATE
        if seconds >= max_speech:
            break
    if seconds < min_speech:
        raise InputError(
            f"voice {voice} has too little speech",
            path=folder,
            expected=f"at least {min_speech:g} s",
            got=f"{seconds:.1f} s in {len(paths) - len(problems)} readable files of {len(paths)}",
        )
    return Voice(voice, tuple(prompts), len(problems)), problems


def read_speech(path: Path) -> np.ndarray:
    """Return a file as float32 samples at 8 kHz, channels averaged.

    Headerless GSM 06.10, mu-law, A-law and 16-bit files are known by their names (.gsm .ulaw .alaw .sln); anything else
    is read by :func:`ssdiar.io.audio.read_audio`.

    Raises:
        InputError: The file cannot be read as audio, or holds numbers that are not finite.
    """
    subtype = _HEADERLESS.get(path.suffix.lower())
    if subtype is None:
        return read_audio(path, RATE)[0]
    import soundfile

    data = path.read_bytes()
    if not data or (subtype == "GSM610" and any(first >> 4 != 0xD for first in data[::_GSM_FRAME])):
        raise InputError("cannot be read as audio", path=path, expected=f"8 kHz {subtype} without a header")
    kind = {"endian": "LITTLE"} if subtype == "PCM_16" else {}
    samples, _ = soundfile.read(
        io.BytesIO(data), dtype="float32", format="RAW", subtype=subtype, samplerate=RATE, channels=1, **kind
    )
    return samples


def cut_at_pauses(samples: np.ndarray) -> Prompt:
    """Find the speech of a file by its energy and bring it to the nominal level, both in the telephone band.

    A 10 ms frame is speech when its energy (300-3400 Hz) is within 30 dB of the file's loud frames (95th
    percentile) and clearly above that of its quiet ones; so an offset or a hum is no speech, and what is speech here is
    still heard behind any telephone line. Pauses under 0.12 s are bridged; what is left shorter than 0.1 s is a click
    and dropped.

    Args:
        samples: (n,) at 8 kHz.
    """
    frames = len(samples) // FRAME
    samples = samples[: frames * FRAME]
    none = Prompt(samples, np.zeros((0, 2), dtype=np.int64))
    if frames < _SHORTEST_PIECE * RATE / FRAME:
        return none
    samples = _band_passed(samples, 100.0, None)
    in_band = _band_passed(samples, 300.0, 3400.0)
    power = np.mean(np.square(in_band.reshape(frames, FRAME)), axis=1)
    decibels = 10 * np.log10(power + 1e-10)
    loud, quiet = np.percentile(decibels, 95), np.percentile(decibels, 10)
    if loud < -65:
        return none
    threshold = max(loud - 30, min(quiet + 8, loud - 15))
    runs = _runs(decibels > threshold)
    runs = _bridge(runs, round(_CUT_PAUSE * RATE / FRAME))
    runs = runs[runs[:, 1] - runs[:, 0] >= _SHORTEST_PIECE * RATE / FRAME]
    if not len(runs):
        return none
    level = 10 * np.log10(np.mean(power[decibels > threshold]))
    gain = 10 ** ((SPEECH_LEVEL_DB - level) / 20)
    return Prompt((samples * gain).astype(np.float32), runs * FRAME)


class Supply:
    """One voice's pieces of speech for one recording, in random order of prompts.

    Attributes:
        is_over: Whether there is nothing left to take.
        repeats: Whether something was said a second time.
    """

    def __init__(self, voice: Voice, rng: np.random.Generator, repeat: bool = False) -> None:
        """Start with every piece unsaid.

        Args:
            voice: Whose pieces.
            rng: Source of the order.
            repeat: Whether pieces come again, none before all but the last :data:`_LOOK_AHEAD` of the others have been
                used; otherwise each is handed out once, and whoever takes must look at ``is_over`` first.
        """
        self._prompts, self._rng, self._repeat = voice.prompts, rng, repeat
        # Waiting pieces as (prompt, number of the piece in it), the one handed out last, and all handed out.
        self._waiting: list[tuple[int, int]] = []
        self._last: tuple[int, int] | None = None
        self._said: set[tuple[int, int]] = set()
        self._rounds = 0
        self.repeats = False

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing left to take."""
        return self._ready(1) == 0

    def take(self, seconds: float, longest: float) -> np.ndarray:
        """Return speech of about ``seconds``, never longer than ``longest``, as float32 samples at 8 kHz.

        It goes on through a prompt with the prompt's own pauses, and from prompt to prompt with a pause of 0.1 to
        0.3 s. The last piece is the one among the next that fits best, so that words stay whole; only where all are
        far off is one cut, at a point of low energy. It is shorter when there is no more.
        """
        wanted, most = round(seconds * RATE), int(longest * RATE)
        parts: list[np.ndarray] = []
        self._last, length = None, 0
        while self._ready(1) and length + self._size(0) < wanted - 0.45 * RATE:
            parts += self._pop(0)
            length = sum(map(len, parts))
        if self._ready(1):
            parts += self._ending(wanted - length, most - length, bool(parts))
        return np.concatenate(parts)

    def _ending(self, wanted: int, most: int, may_be_nothing: bool) -> list[np.ndarray]:
        """Return [pause, piece], about ``wanted`` and at most ``most`` samples long together, or nothing."""
        sizes = np.array([self._size(index) for index in range(self._ready(_LOOK_AHEAD))])
        errors = np.abs(sizes - wanted).astype(float)
        errors[sizes > min(most, wanted + 0.1 * RATE)] = np.inf
        best = int(np.argmin(errors))
        if may_be_nothing and wanted <= min(errors[best], 0.5 * RATE):
            return []
        # Where even those under ``wanted`` are over ``most``, one of them is cut.
        too_long = wanted if (sizes > wanted).any() or np.isfinite(errors[best]) else most
        longer = np.flatnonzero(sizes > too_long)
        if errors[best] <= 0.25 * RATE or not len(longer):
            return self._pop(best)
        pause, piece = self._pop(longer[np.argmin(sizes[longer])])
        return [pause, _cut_at_low_energy(piece, min(wanted, most) - len(pause))]

    def _pop(self, index: int) -> list[np.ndarray]:
        """Hand out a waiting piece as [pause before it, piece]."""
        pause = self._pause(index)
        number, piece = self._last = self._waiting.pop(index)
        self.repeats = self.repeats or self._last in self._said
        self._said.add(self._last)
        first, end = self._prompts[number].pieces[piece]
        return [pause, _faded(self._prompts[number].samples[first:end])]

    def _ready(self, count: int) -> int:
        """Have up to ``count`` pieces wait, and return how many of them do."""
        while len(self._waiting) < count and (self._repeat or not self._rounds):
            self._rounds += 1
            for prompt in self._rng.permutation(len(self._prompts)):
                self._waiting += [(int(prompt), piece) for piece in range(len(self._prompts[prompt].pieces))]
        return min(count, len(self._waiting))

    def _size(self, index: int) -> int:
        """Return the samples of a waiting piece and the pause before it."""
        number, piece = self._waiting[index]
        first, end = self._prompts[number].pieces[piece]
        return int(end - first) + len(self._pause(index))

    def _pause(self, index: int) -> np.ndarray:
        """Return what comes before a waiting piece: nothing at the start, the prompt's own pause where it goes on."""
        number, piece = self._waiting[index]
        if self._last is None:
            return np.zeros(0, np.float32)
        if self._last == (number, piece - 1):
            prompt = self._prompts[number]
            start, end = prompt.pieces[piece - 1, 1], prompt.pieces[piece, 0]
            if end - start <= LONGEST_PAUSE * RATE:
                return prompt.samples[start:end]
        # Between 0.1 and 0.3 s, by the pieces' numbers: the same pause however often it is asked for.
        return np.zeros(FRAME * (10 + (7 * number + 3 * piece) % 21), np.float32)


def _band_passed(samples: np.ndarray, low: float, high: float | None) -> np.ndarray:
    """Filter (n,) without delay to ``low`` Hz and above, and below ``high`` Hz if given."""
    from scipy.signal import sosfiltfilt

    return sosfiltfilt(_band_filter(low, high), samples)


@lru_cache
def _band_filter(low: float, high: float | None) -> np.ndarray:
    from scipy.signal import butter

    edges, kind = (low, "highpass") if high is None else ((low, high), "bandpass")
    return butter(2, edges, kind, fs=RATE, output="sos")


def _audio_files(folder: Path) -> list[Path]:
    """Return the audio files below ``folder`` in an order that does not depend on the file system."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        wanted = (name for name in names if Path(name).suffix.lower() in _HEADERLESS.keys() | AUDIO_SUFFIXES)
        found += [Path(place, name) for name in wanted if not name.startswith(".")]
    return sorted(found, key=lambda path: os.fsencode(path.relative_to(folder)))


def _runs(active: np.ndarray) -> np.ndarray:
    """Return the runs of True in ``active`` (n,) as (k, 2) first and past-last indices."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def _bridge(runs: np.ndarray, gap: int) -> np.ndarray:
    """Join runs that are less than ``gap`` apart."""
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    return np.stack([runs[np.concatenate([[True], apart]), 0], runs[np.concatenate([apart, [True]]), 1]], axis=1)


def _faded(samples: np.ndarray) -> np.ndarray:
    """Return a copy with 3 ms of fade at both ends, short enough to leave the energy of the end frames."""
    ramp = np.linspace(0, 1, 3 * RATE // 1000, dtype=np.float32)
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def _cut_at_low_energy(samples: np.ndarray, most: int) -> np.ndarray:
    """Return the start of ``samples``, 60 to 100 % of ``most`` samples, ending where the energy has its minimum.

    Frames without energy before the cut are taken off as well.
    """
    frames = max(most // FRAME, 1)
    power = np.mean(np.square(samples[: frames * FRAME].reshape(-1, FRAME), dtype=np.float64), axis=1)
    first = int(0.6 * len(power))
    end = first + int(np.argmin(power[first:]))
    enough = np.flatnonzero(power[: max(end, 1)] > 10 ** ((SPEECH_LEVEL_DB - 30) / 10))
    end = int(enough[-1]) + 1 if len(enough) else max(end, 1)
    return _faded(samples[: end * FRAME])
