"""Audio in: any sample rate, any number of channels, any format that the machine can decode, as mono float32.

An *entry* is what the second column of Kaldi's wav.scp holds: a path, or a shell command ending in ``|`` that writes
audio to its standard output. The length of a recording is what decodes, not what a header says: where the two differ,
what is there is read and the difference is a *remark*, one line that says so. Everything is read in blocks, so that
memory does not grow with the length of a file, but for the samples that are asked for.

Loads soundfile (and SciPy when it resamples) on first use, not on import.
"""

from __future__ import annotations

import logging
import mmap
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.decoders import (
    CannotDecode,
    FFmpeg,
    Format,
    SoundFile,
    has_ffmpeg,
    open_part,
    sph2pipe,
)
from ssdiar.io.layout import Part, find_parts

_LOG = logging.getLogger(__name__)

# Names of files that hold audio, in lower case; a folder of audio is searched for these.
# fmt: off
AUDIO_SUFFIXES = frozenset((
    ".wav", ".wave", ".flac", ".mp3", ".sph", ".nist", ".ogg",
    ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".au",
    ".snd", ".caf", ".w64", ".amr", ".gsm", ".wma", ".webm",
    ".3gp", ".3g2", ".mp4", ".mka", ".mkv", ".mov", ".mp2",
    ".aifc", ".rf64", ".bwf", ".awb", ".m4b", ".mpga", ".ac3",
))
# fmt: on

# Sample counts in headers of compressed audio are seldom exact; less than this may be missing at the end.
_TOLERANCE = 0.05  # seconds
_FFMPEG_TOLERANCE = 0.1  # containers say when the last packet ends, not the last sample
_TOO_LOUD = 4.0  # full scale is 1; lossy codecs overshoot it by little
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
_USUAL_CHANNELS = 8
_LEAST_RATE, _MOST_RATE = 1000, 1_000_000


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is: seconds, samples per second, channels, coding, and what is odd about it, a line each."""

    duration: float
    rate: int
    channels: int
    coding: str = ""
    remarks: tuple[str, ...] = ()


def probe(entry: str | Path, listen: Callable[[np.ndarray, int], None] | None = None) -> AudioInfo:
    """Return length, sample rate and number of channels of an entry, having decoded all of it.

    Args:
        entry: A path, or ``command |``.
        listen: Is called with every block of samples, (n, channels) float32, and their rate.

    Raises:
        InputError: No such file, not audio, no samples, or a command that fails.
    """
    with _open(entry) as sound:
        count = 0
        for block in sound.blocks():
            count += len(block)
            if listen is not None:
                listen(block, sound.format.rate)
        remarks = tuple(dict.fromkeys(sound.remarks))
        return AudioInfo(
            count / sound.format.rate, sound.format.rate, sound.format.channels, sound.format.coding, remarks
        )


def read_audio(
    entry: str | Path,
    sample_rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    tell: bool = True,
) -> tuple[np.ndarray, int]:
    """Return the samples of an entry as one channel, and their rate.

    Args:
        entry: A path, or ``command |``.
        sample_rate: Resample to this many samples per second (polyphase, so the same on every machine); by default
            the rate stays what it is.
        channel: Take this channel (from 1); by default all channels are mixed by their mean.
        start: Begin here, in seconds (by default at the beginning). Files of uncompressed audio and FLAC are read from
            there; others are decoded from their beginning.
        end: Stop here, in seconds; at the recording's end if that comes first.
        tell: Whether remarks are logged as warnings.

    Returns:
        samples: (n,) float32, full scale at 1.
        rate: Samples per second.

    Raises:
        InputError: As for :func:`probe`, or there is no such channel, nothing between start and end, or a sample that
            is not a finite number.
    """
    name = _name(entry)
    with _open(entry) as sound:
        rate, channels = sound.format.rate, sound.format.channels
        if channel is not None and not 1 <= channel <= channels:
            raise InputError("no such channel", path=name, expected=f"1 to {channels}", got=channel)
        new_rate = rate if sample_rate is None else sample_rate
        resampler = _Resampler(rate, new_rate)
        first = 0 if start is None else max(0, round(start * rate))
        last = None if end is None else round(end * rate)
        known = sound.seconds if last is None else last / rate
        samples = _Growing(0 if known is None else max(0, round((known - first / rate + 0.1) * new_rate)))
        at = first
        for block in sound.blocks(first, last):
            mono = (
                block[:, channel - 1] if channel is not None else block[:, 0] if channels == 1 else block.mean(axis=1)
            )
            if not np.isfinite(mono).all():
                bad = int(np.argmin(np.isfinite(mono)))
                raise InputError(f"sample {at + bad} is not a finite number", path=name)
            samples.append(resampler.push(mono))
            at += len(mono)
        if at == first:
            total = sound.length
            raise InputError(
                f"no audio from {first / rate:.3f} s to {min(total, last or total) / rate:.3f} s",
                path=name,
                expected=f"a part of 0 to {total / rate:.3f} s",
            )
        samples.append(resampler.finish())
        for remark in dict.fromkeys(sound.remarks if tell else ()):
            _LOG.warning("WARNING: %s: %s", name, remark)
        return samples.array(), new_rate


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return (n,) float32 ``samples`` at ``new_rate`` instead of ``rate``: ceil(n * new_rate / rate) samples."""
    from scipy.signal import resample_poly

    common = gcd(rate, new_rate)
    return resample_poly(samples, new_rate // common, rate // common).astype(np.float32, copy=False)


def is_command(entry: str | Path) -> bool:
    """Tell whether an entry of wav.scp is a command (ends in ``|``) and not a path."""
    return str(entry).rstrip().endswith("|")


def is_quick_to_probe(entry: str | Path) -> bool:
    """Tell whether an entry's length, and any part of it, can be read without decoding what comes before."""
    return not is_command(entry) and Path(entry).suffix.lower() in (".wav", ".flac", ".sph", ".nist")


def is_plain(path: str | Path) -> bool:
    """Tell whether a file is one sound with a header that says how long it is, as far as its bytes tell."""
    with _mapped(Path(path), str(path)) as data:
        layout = find_parts(data)
        return len(layout.parts) == 1 and layout.parts[0] == Part(0, len(data)) and not layout.remarks


class _Growing:
    """A float32 array that is appended to; of the size that is expected, so that it is seldom made anew."""

    def __init__(self, expected: int) -> None:
        self._values, self._filled = np.empty(expected, np.float32), 0

    def append(self, values: np.ndarray) -> None:
        end = self._filled + len(values)
        if end > len(self._values):
            self._values.resize(max(end, len(self._values) * 5 // 4), refcheck=False)
        self._values[self._filled : end] = values
        self._filled = end

    def array(self) -> np.ndarray:
        self._values.resize(self._filled, refcheck=False)
        return self._values


class _Resampler:
    """:func:`resample` of a signal that comes in blocks, to the same samples."""

    def __init__(self, rate: int, new_rate: int) -> None:
        common = gcd(rate, new_rate)
        self._up, self._down = new_rate // common, rate // common
        self._rates = rate, new_rate
        # The filter of resample_poly reaches 10 periods of the lower rate to each side; in whole multiples of down.
        reach = 10 * max(self._up, self._down) // self._up + 2
        self._reach = -(-reach // self._down) * self._down
        self._step = max(1, (1 << 18) // self._down) * self._down
        self._held = np.empty(0, np.float32)
        self._before = 0  # of the held samples, those that are there for the filter only

    def push(self, block: np.ndarray) -> np.ndarray:
        """Return what can be made by now."""
        if self._up == self._down:
            return block
        self._held = np.concatenate([self._held, block])
        made = []
        while len(self._held) >= self._before + self._step + self._reach:
            made.append(self._make(self._before + self._step))
        return np.concatenate(made) if made else self._held[:0]

    def finish(self) -> np.ndarray:
        """Return the rest."""
        if self._up == self._down:
            return self._held
        return resample(self._held, *self._rates)[self._before // self._down * self._up :]

    def _make(self, end: int) -> np.ndarray:
        values = resample(self._held[: end + self._reach], *self._rates)
        made = values[self._before // self._down * self._up : end // self._down * self._up]
        keep = max(0, end - self._reach)
        self._held, self._before = self._held[keep:], end - keep
        return made


def _name(entry: str | Path) -> str:
    return str(entry).strip()


class _Sound:
    """An open file: its parts one after the other, and what is odd about them.

    Attributes:
        format: Of the first part, which all parts must have.
        seconds: What the file seems to hold; None: not known.
        remarks: What is odd; complete when :meth:`blocks` has come to the end.
        length: Frames read so far, those that were passed over included.
    """

    def __init__(self, path: Path, data: bytes, name: str) -> None:
        self._path, self._data, self._name = path, data, name
        self._layout = find_parts(data)
        self.remarks = list(self._layout.remarks)
        self.length = 0
        self._first = self._open_part(self._layout.parts[0])
        self.format: Format = self._first.format
        if not _LEAST_RATE <= self.format.rate <= _MOST_RATE:
            expected = f"{_LEAST_RATE} to {_MOST_RATE} Hz"
            raise InputError(
                "bad sample rate in its header", path=name, expected=expected, got=f"{self.format.rate} Hz"
            )
        if self.format.rate not in _RATES:
            self.remarks.append(f"a sample rate of {self.format.rate} Hz is unusual; its header may be wrong")
        if self.format.channels > _USUAL_CHANNELS:
            self.remarks.append(f"{self.format.channels} channels are unusual; its header may be wrong")
        known = self.format.seconds
        self.seconds = None if known is None else min(known, 1e6) * len(self._layout.parts)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Yield (n, C) float32 of frames ``first`` to ``last``.

        Raises:
            InputError: There are no samples, or the parts have different rates or numbers of channels.
        """
        self.length = 0
        seeks = self._layout.exact and len(self._layout.parts) == 1 and isinstance(self._first, SoundFile)
        if seeks and first and self.format.seconds is not None and self._first.seekable:
            self.length = min(first, round(self.format.seconds * self.format.rate))
        for block in self._all_blocks(self.length):
            begin, self.length = self.length, self.length + len(block)
            if self.length > first:
                yield block[max(0, first - begin) : None if last is None else max(0, last - begin)]
            if last is not None and self.length >= last:
                return
        if not self.length:
            raise InputError("no samples", path=self._name, expected="audio")

    def _all_blocks(self, first: int) -> Iterator[np.ndarray]:
        for number, part in enumerate(self._layout.parts):
            try:
                decoder = self._open_part(part) if number else self._first
            except InputError as error:
                self.remarks.append(
                    f"one of its {len(self._layout.parts)} parts is left out: {error.what} ({error.got})"
                )
                continue
            if decoder.format[:2] != self.format[:2]:
                got = f"{decoder.format.rate} Hz, {decoder.format.channels}"
                expected = f"{self.format.rate} Hz, {self.format.channels} channels as at its beginning"
                raise InputError("its parts are not of one kind", path=self._name, expected=expected, got=got)
            for block in self._part_blocks(decoder, part, first):
                if np.abs(block).max(initial=0.0) > _TOO_LOUD:
                    self.remarks.append("far louder than full scale: damaged, or not scaled to 1")
                    if isinstance(decoder, FFmpeg):  # a burst that a damaged packet became
                        block = np.clip(block, -1.0, 1.0)
                yield block

    def _part_blocks(self, decoder: SoundFile | FFmpeg, part: Part, first: int) -> Iterator[np.ndarray]:
        """Yield a part's blocks; where libsndfile stops too early, ffmpeg goes on if it can."""
        rate, count = self.format.rate, first
        for block in decoder.blocks(first):
            count += len(block)
            yield block
        expected = decoder.format.seconds
        tolerance = _TOLERANCE if isinstance(decoder, SoundFile) else _FFMPEG_TOLERANCE
        short = expected is not None and count / rate < expected - tolerance
        if not (short or decoder.problem):
            if expected is not None and count / rate > expected + tolerance:
                self.remarks.append(f"its header says {expected:.2f} s, {count / rate:.2f} s are there and are read")
            return
        stopped = count
        if isinstance(decoder, SoundFile) and has_ffmpeg() and not decoder.whole:
            try:
                for block in FFmpeg(self._path, part).blocks(count):
                    count += len(block)
                    yield block
            except CannotDecode:
                pass
        told = f" ({decoder.problem})" if decoder.problem else ""
        if short and count == stopped:
            said = f"its header says {expected:.2f} s, {count / rate:.2f} s decode and are read"
            self.remarks.append(f"cut off or damaged{told}: {said}")
        else:
            self.remarks.append(f"damaged{told}: {count / rate:.2f} s decode and are read")

    def _open_part(self, part: Part) -> SoundFile | FFmpeg:
        return open_part(self._data, self._path, part, self._layout.kind, self._name)


@contextmanager
def _open(entry: str | Path) -> Iterator[_Sound]:
    """Yield an entry as an open sound."""
    with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
        path, name = Path(_name(entry)), _name(entry)
        if is_command(entry):
            path = Path(folder) / "audio"
            _run_command(name, path)
        with _mapped(path, name) as data:
            try:
                yield _Sound(path, data, name)
                return
            except InputError:
                output = Path(folder) / "sphere.wav"
                if data[:7] != b"NIST_1A" or not sph2pipe(path, output):
                    raise
            with _mapped(output, name) as decoded:
                yield _Sound(output, decoded, name)


@contextmanager
def _mapped(path: Path, name: str) -> Iterator[bytes]:
    """Yield all of a file as a memory map."""
    try:
        stream = open(path, "rb")  # noqa: SIM115 (closed below; the errors of opening are ours)
    except FileNotFoundError:
        raise InputError("no such file", path=name) from None
    except IsADirectoryError:
        raise InputError("is a folder", path=name, expected="an audio file") from None
    except PermissionError:
        raise InputError("no permission to read", path=name) from None
    with stream:
        if not os.fstat(stream.fileno()).st_size:
            raise InputError("empty file", path=name, expected="audio")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _run_command(command: str, output: Path) -> None:
    """Run a ``command |`` of wav.scp as Kaldi does, in a shell, its standard output going to a file."""
    shell_line = command.rstrip().removesuffix("|")
    with open(output, "wb") as stream:
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", shell_line],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    if result.returncode != 0:
        got = _last_line(result.stderr) or "no message"
        raise InputError(f"command failed with exit code {result.returncode}", path=command, got=got)


def _last_line(data: bytes) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
