"""Audio in: any sample rate, any number of channels, any format that the machine can decode, as mono float32.

An *entry* is what the second column of Kaldi's wav.scp holds: a path, or a shell command ending in ``|`` that writes
audio to its standard output. Files are decoded by libsndfile (wav, flac, mp3, ogg, NIST sphere as PCM or mu-law),
and where that does not know the format by ffmpeg or sph2pipe, whichever is installed. Audio that ends before its own
header says is an error, not a shorter recording: a broken copy would otherwise be scored as a system's fault.

Loads soundfile (and SciPy when it resamples) on first use, not on import.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ssdiar.errors import InputError

if TYPE_CHECKING:
    import soundfile

# Names of files that hold audio, in lower case; a folder of audio is searched for these.
# fmt: off
AUDIO_SUFFIXES = frozenset((
    ".wav", ".wave", ".flac", ".mp3", ".sph", ".nist", ".ogg",
    ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".au",
    ".snd", ".caf", ".w64", ".amr", ".gsm", ".wma", ".webm",
))
# fmt: on

# Sample counts in headers of compressed audio are seldom exact; less than this may be missing at the end.
_TOLERANCE = 0.05  # seconds
_BLOCK = 1 << 20  # frames read at once, so that a long file of many channels never is in memory as a whole


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says: length in seconds, samples per second, number of channels."""

    duration: float
    rate: int
    channels: int


def probe(entry: str | Path) -> AudioInfo:
    """Return length, sample rate and number of channels of an entry, having looked for its last sample.

    A file that libsndfile knows and can seek in is not decoded for it; anything else is.

    Raises:
        InputError: No such file, not audio, no samples, truncated, or a command that fails.
    """
    with _open(entry) as sound:
        return AudioInfo(sound.frames / sound.samplerate, sound.samplerate, sound.channels)


def read_audio(
    entry: str | Path,
    sample_rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Return the samples of an entry as one channel, and their rate.

    Args:
        entry: A path, or ``command |``.
        sample_rate: Resample to this many samples per second (polyphase, so the same on every machine); by default
            the rate stays what it is.
        channel: Take this channel (from 1); by default all channels are mixed by their mean.
        start: Begin here, in seconds (by default at the beginning). Only the part asked for is read from files that
            libsndfile can seek in; commands and other formats are decoded as a whole each time.
        end: Stop here, in seconds; at the recording's end if that comes first.

    Returns:
        samples: (n,) float32, full scale at 1.
        rate: Samples per second.

    Raises:
        InputError: As for :func:`probe`, or there is no such channel, nothing between start and end, or a sample that
            is not a finite number.
    """
    with _open(entry) as sound:
        rate, name = sound.samplerate, _name(entry)
        if channel is not None and not 1 <= channel <= sound.channels:
            raise InputError("no such channel", path=name, expected=f"1 to {sound.channels}", got=channel)
        first = 0 if start is None else max(0, round(start * rate))
        last = sound.frames if end is None else min(sound.frames, round(end * rate))
        if first >= last:
            raise InputError(
                f"no audio from {first / rate:.3f} s to {last / rate:.3f} s",
                path=name,
                expected=f"a part of 0 to {sound.frames / rate:.3f} s",
            )
        samples = _read_mono(sound, first, last, channel, name)
    if not np.isfinite(samples).all():
        bad = int(np.argmin(np.isfinite(samples)))
        raise InputError(f"sample {first + bad} is not a finite number", path=name)
    if sample_rate is not None and sample_rate != rate:
        return resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return (n,) float32 ``samples`` at ``new_rate`` instead of ``rate``: ceil(n * new_rate / rate) samples."""
    from scipy.signal import resample_poly

    common = gcd(rate, new_rate)
    return resample_poly(samples, new_rate // common, rate // common).astype(np.float32, copy=False)


def is_command(entry: str | Path) -> bool:
    """Tell whether an entry of wav.scp is a command (ends in ``|``) and not a path."""
    return str(entry).rstrip().endswith("|")


def _name(entry: str | Path) -> str:
    return str(entry).strip()


def _read_mono(sound: soundfile.SoundFile, first: int, last: int, channel: int | None, name: str) -> np.ndarray:
    """Return frames ``first`` to ``last`` as (n,) float32, of one channel or the mean of all."""
    from soundfile import LibsndfileError

    samples = np.empty(last - first, np.float32)
    filled = 0
    try:
        sound.seek(first)
        while filled < len(samples):
            block = sound.read(min(_BLOCK, len(samples) - filled), dtype="float32", always_2d=True)
            if not len(block):
                break
            mono = block[:, channel - 1] if channel is not None else block[:, 0] if block.shape[1] == 1 else None
            samples[filled : filled + len(block)] = block.mean(axis=1) if mono is None else mono
            filled += len(block)
    except LibsndfileError as error:
        raise _truncated(name, last / sound.samplerate, f"a decoding error ({_reason(error)})") from None
    if len(samples) - filled > _TOLERANCE * sound.samplerate:
        raise _truncated(name, last / sound.samplerate, f"{(first + filled) / sound.samplerate:.3f} s")
    return samples[:filled]


@contextmanager
def _open(entry: str | Path) -> Iterator[soundfile.SoundFile]:
    """Yield an entry as an open sound file that is known to be whole and not empty."""
    if is_command(entry):
        with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
            output = Path(folder) / "audio"
            _run_command(_name(entry), output)
            with _open_file(output, _name(entry)) as sound:
                yield sound
    else:
        with _open_file(Path(entry), _name(entry)) as sound:
            yield sound


@contextmanager
def _open_file(path: Path, name: str) -> Iterator[soundfile.SoundFile]:
    try:
        with open(path, "rb") as stream:
            _check_size(stream, name)
    except FileNotFoundError:
        raise InputError("no such file", path=name) from None
    except IsADirectoryError:
        raise InputError("is a folder", path=name, expected="an audio file") from None
    except PermissionError:
        raise InputError("no permission to read", path=name) from None
    import soundfile

    with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
        try:
            sound = soundfile.SoundFile(str(path))
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name ending in .raw
            sound = soundfile.SoundFile(str(_decode(path, Path(folder) / "audio.wav", name, _reason(error))))
        if not sound.seekable():
            with sound:
                sound = soundfile.SoundFile(str(_copy_seekable(sound, Path(folder) / "seekable.wav", name)))
        with sound:
            _check_end(sound, name)
            yield sound


def _copy_seekable(sound: soundfile.SoundFile, output: Path, name: str) -> Path:
    """Decode what libsndfile reads only from start to end (GSM 06.10 in wav, VOX, G.72x) into a file; return it."""
    import soundfile

    copied = 0
    try:
        with soundfile.SoundFile(str(output), "w", sound.samplerate, sound.channels, "FLOAT", format="RF64") as copy:
            while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                copy.write(block)
                copied += len(block)
    except soundfile.LibsndfileError as error:
        raise _truncated(name, sound.frames / sound.samplerate, f"a decoding error ({_reason(error)})") from None
    if sound.frames - copied > _TOLERANCE * sound.samplerate:
        raise _truncated(name, sound.frames / sound.samplerate, f"{copied / sound.samplerate:.3f} s")
    return output


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")


def _check_end(sound: soundfile.SoundFile, name: str) -> None:
    """Raise InputError if there are no samples, or if the last one is not where the header says."""
    from soundfile import LibsndfileError

    if sound.frames < 1:
        raise InputError("no samples", path=name, expected="audio")
    near_end = max(0, sound.frames - 1 - int(_TOLERANCE * sound.samplerate))
    try:
        sound.seek(near_end)
        whole = len(sound.read(1)) == 1
    except LibsndfileError:
        whole = False
    if not whole:
        raise _truncated(name, sound.frames / sound.samplerate, "less")


def _truncated(name: str, seconds: float, got: str) -> InputError:
    return InputError("truncated audio", path=name, expected=f"{seconds:.3f} s as its header says", got=got)


def _check_size(stream: BinaryIO, name: str) -> None:
    """Raise InputError if a RIFF/WAVE or NIST sphere file is empty or holds fewer bytes than its header declares.

    libsndfile reads such a file to its end without a word.
    """
    head = stream.read(1024)
    size = stream.seek(0, 2)
    if not size:
        raise InputError("empty file", path=name, expected="audio")
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        declared = _wave_size(stream)
    elif head.startswith(b"NIST_1A"):
        declared = _sphere_size(head)
    else:
        declared = None
    if declared is not None and size < declared:
        raise InputError("truncated audio", path=name, expected=f"{declared} bytes as its header says", got=f"{size}")


def _wave_size(stream: BinaryIO) -> int | None:
    """Return where a wav file's sample data must end, or None if its header does not say.

    Programs that write wav to a pipe cannot know the length and put 0 or a number near 2 or 4 GiB (sox 0x7ffff000 and
    the rest, ffmpeg and Kaldi 0xffffffff).
    """
    stream.seek(12)
    large_size = None
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"ds64":
            large_size = struct.unpack("<8xQ", stream.read(16))[0]
            length -= 16
        elif kind == b"data":
            if length == 0xFFFFFFFF and large_size is not None:
                length = large_size
            elif length == 0 or length >= 0x7FFF0000:
                return None
            return stream.tell() + length
        stream.seek(length + length % 2, 1)
    return None


def _sphere_size(head: bytes) -> int | None:
    """Return how many bytes an uncompressed sphere file has by its header (NIST SPHERE 2.6), or None if unknown."""
    fields = {}
    for line in head.decode("latin-1").split("\n"):
        if line.strip() == "end_head":
            break
        name, _, value = line.partition(" ")
        fields[name] = value.partition(" ")[2].strip()
    try:
        if "," in fields.get("sample_coding", "pcm"):  # "pcm,embedded-shorten-v2.00"
            return None
        header_size = int(head.split(b"\n", 2)[1])
        sample_size = int(fields["sample_n_bytes"]) * int(fields["channel_count"])
        return header_size + int(fields["sample_count"]) * sample_size
    except (KeyError, ValueError, IndexError):
        return None


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


def _decode(path: Path, output: Path, name: str, reason: str) -> Path:
    """Decode to a wav file with a program that knows more formats than libsndfile, without a shell; return the file."""
    with open(path, "rb") as stream:
        head = stream.read(8)
    decoders = {
        # "file:" keeps ffmpeg from reading a protocol into a colon or an option into a dash.
        "ffmpeg": ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-c:a", "pcm_f32le", "-rf64", "auto"],
        "sph2pipe": ["sph2pipe", "-f", "wav", "-p", str(path.absolute())] if head.startswith(b"NIST_1A") else [],
    }
    installed = [program for program in decoders if shutil.which(program)]
    for program in installed:
        if not decoders[program]:
            continue
        output.unlink(missing_ok=True)
        result = subprocess.run(
            [*decoders[program], str(output)], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if result.returncode == 0 and output.is_file() and output.stat().st_size:
            return output
        reason = _last_line(result.stderr).replace(f"file:{path}: ", "") or reason
    tried = ", ".join(["libsndfile", *installed])
    hint = None if "ffmpeg" in installed else "If it is audio, installing ffmpeg may help (sph2pipe for NIST sphere)."
    raise InputError("cannot be decoded as audio", path=name, expected=f"a format of {tried}", got=reason, hint=hint)


def _last_line(data: bytes) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
