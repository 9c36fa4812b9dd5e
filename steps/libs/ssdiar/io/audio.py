"""Read audio of any format that PyAV decodes: mono float32 at any sample rate, as a whole or in part.

An *entry* is the second column of Kaldi's wav.scp: a path, or a shell command ending in ``|`` that writes audio to its
standard output. Headers are not trusted: a recording is as long as the samples that decode, and a difference from the
header becomes a *remark* of one line. Files are decoded in blocks, so memory grows only with the samples asked for.

PyAV (and SciPy for resampling) loads on first use.
"""

from __future__ import annotations

import functools
import logging
import mmap
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssdiar.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType

    import av

_LOG = logging.getLogger(__name__)

_NAMES = """3g2 3gp aac ac3 aif aifc aiff amr au awb bwf caf flac gsm m4a m4b mka mkv mov mp2 mp3 mp4 mpga nist oga ogg
    opus rf64 snd sph w64 wav wave webm wma"""
#: Suffixes, in lower case, of the files that a folder of audio is searched for.
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

_BLOCK = 1 << 18  # samples per channel
_TOLERANCE = 0.1  # seconds between a header's length and the decoded one; containers know when packets end, not samples
_TOO_LOUD = 4.0  # full scale is 1; lossy codecs overshoot it a little
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
_MIN_RATE, _MAX_RATE = 1000, 1_000_000
_USUAL_CHANNELS = 8
_MAX_ERRORS = 100  # of a demuxer, after which a file is given up
_MAX_JUMP = 0.2  # seconds between a file's clock and its samples
_MAX_PADDING = 4096  # samples of a packet
_UNKNOWN = 0x7FFF0000  # bytes; a larger size stands for a length that was not known yet (sox, ffmpeg, Kaldi)
_SCALES = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63, "flt": 1.0, "dbl": 1.0}

# How a file begins that its demuxer does not read beyond when another is joined to it (cat a.m4a b.m4a).
_STARTS = (
    rb"RIFF....WAVE",
    rb"fLaC\0\0\0\x22",
    rb"\0\0..ftyp",  # MP4, M4A, 3GP
    rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",  # WMA
    rb"FORM....AIF[FC]",
    rb"caff\0\x01\0\0",
    rb"riff\x2e\x91\xcf\x11\xa5\xd6",  # W64
    rb"NIST_1A\n",
    rb"\.snd\0\0",
)
_OGG = rb"OggS\0\x02"
_MP3 = rb"ID3|\xff[\xe2-\xff]"
_MP3_LENGTH = rb"\xff[\xe2-\xff]..(?:\0{9}|\0{17}|\0{32})(?:Xing|Info)"  # a frame that states how many follow
_ANY = re.compile(b"|".join((*_STARTS, _OGG, _MP3_LENGTH)), re.DOTALL)
_GUESSED = ("aac", "ac3", "amr", "gsm", "mp3")  # demuxers that guess the length from the bit rate
# Samples of silence that encoders (LAME for MP3) put first, by demuxer and codec, if nothing states their number.
_DELAYS = {"aac aac": 1024, "mp3 mp3float": 1105, "wav mp3float": 1105}


@dataclass(frozen=True)
class AudioInfo:
    """Properties of a recording: seconds, samples per second, channels, coding, and a line for each oddity."""

    duration: float
    rate: int
    channels: int
    coding: str = ""
    remarks: tuple[str, ...] = ()


def probe(entry: str | Path) -> AudioInfo:
    """Return the properties that an entry's header states, without decoding; an unknown duration is 0.

    Raises:
        InputError: No such file, not audio, or a command that fails.
    """
    with _open(entry) as file:
        return file.info(file.seconds or 0.0)


def listen(entry: str | Path, take: Callable[[np.ndarray, int], None] | None = None) -> AudioInfo:
    """Decode all of an entry and return its properties: its true length and all remarks.

    Args:
        entry: A path, or ``command |``.
        take: Called with every block of samples, (n, channels) float32, and their rate.

    Raises:
        InputError: See :func:`probe`; or there are no samples.
    """
    with _open(entry) as file:
        count = 0
        for block in file.blocks():
            count += len(block)
            if take is not None:
                take(block, file.rate)
        return file.info(count / file.rate)


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
        sample_rate: Resample to this rate (polyphase, the same on every machine); None: keep the rate.
        channel: Take this channel, from 1; None: average all channels.
        start: First second; None: the beginning. Uncompressed audio and FLAC are sought, others are decoded up to it.
        end: Last second, or the end of the recording if that is earlier.
        tell: Whether remarks are logged as warnings.

    Returns:
        samples: (n,) float32, full scale at 1.
        rate: Samples per second.

    Raises:
        InputError: See :func:`listen`; or no such channel, nothing between start and end, or a sample not finite.
    """
    with _open(entry) as file:
        rate = file.rate
        if channel is not None and not 1 <= channel <= file.channels:
            raise InputError("no such channel", path=file.name, expected=f"1 to {file.channels}", got=channel)
        first = 0 if start is None else max(0, round(start * rate))
        last = None if end is None else round(end * rate)
        resampler, samples = _Resampler(rate, sample_rate or rate), bytearray()
        at = first
        for block in file.blocks(first, last):
            mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1) if not channel else block[:, channel - 1]
            if not np.isfinite(mono).all():
                bad = at + int(np.argmin(np.isfinite(mono)))
                raise InputError(f"sample {bad} is not a finite number", path=file.name)
            samples += resampler.push(mono).tobytes()
            at += len(mono)
        if at == first:
            total = file.position / rate
            what = f"no audio from {first / rate:.3f} s to {min(total, total if end is None else end):.3f} s"
            raise InputError(what, path=file.name, expected=f"a part of 0 to {total:.3f} s")
        samples += resampler.finish().tobytes()
        for remark in file.info(0.0).remarks if tell else ():
            _LOG.warning("WARNING: %s: %s", file.name, remark)
        return np.frombuffer(samples, np.float32), sample_rate or rate


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return (n,) float32 ``samples`` at ``new_rate`` instead of ``rate``: ceil(n * new_rate / rate) samples."""
    from scipy.signal import resample_poly

    common = gcd(rate, new_rate)
    return resample_poly(samples, new_rate // common, rate // common).astype(np.float32, copy=False)


def is_command(entry: str | Path) -> bool:
    """Tell whether an entry of wav.scp is a command (it ends in ``|``), not a path."""
    return str(entry).rstrip().endswith("|")


def is_quick_to_probe(entry: str | Path) -> bool:
    """Tell whether any part of an entry can be read without decoding the audio before it."""
    return not is_command(entry) and Path(entry).suffix.lower() in (".wav", ".flac", ".sph", ".nist")


class _Resampler:
    """:func:`resample` for a signal that arrives in blocks; the samples are the same."""

    def __init__(self, rate: int, new_rate: int) -> None:
        common = gcd(rate, new_rate)
        self._up, self._down = new_rate // common, rate // common
        self._rates = rate, new_rate
        # The filter of resample_poly reaches 10 periods of the lower rate to each side; rounded to multiples of down.
        reach = 10 * max(self._up, self._down) // self._up + 2
        self._reach = -(-reach // self._down) * self._down
        self._step = max(1, _BLOCK // self._down) * self._down
        self._held = np.empty(0, np.float32)
        self._before = 0  # held samples that only the filter still needs

    def push(self, block: np.ndarray) -> np.ndarray:
        """Return the output that is final after this block."""
        if self._up == self._down:
            return block
        self._held = np.concatenate([self._held, block])
        made = []
        while len(self._held) >= self._before + self._step + self._reach:
            made.append(self._make(self._before + self._step))
        return np.concatenate(made) if made else self._held[:0]

    def finish(self) -> np.ndarray:
        """Return the rest of the output."""
        if self._up == self._down:
            return self._held
        return resample(self._held, *self._rates)[self._before // self._down * self._up :]

    def _make(self, end: int) -> np.ndarray:
        values = resample(self._held[: end + self._reach], *self._rates)
        made = values[self._before // self._down * self._up : end // self._down * self._up]
        keep = max(0, end - self._reach)
        self._held, self._before = self._held[keep:], end - keep
        return made


class _File:
    """An open file: one part, or several if files were joined to make it.

    Attributes:
        name: The entry, for messages.
        rate, channels, coding: Properties of the first part, which the others must share.
        seconds: Length that the header states; None: unknown.
        position: Samples decoded or sought past so far.
        remarks: Oddities, a line each; complete when :meth:`blocks` has come to the end.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name, self.position, self.remarks = name, 0, []
        self._path, self._places = path, _joined(path, name)
        if len(self._places) > 1:
            self.remarks.append(f"holds {len(self._places)} joined files; all are read")
        self._first = first = _Part(path, *self._places[0], name, self.remarks)
        self.rate, self.channels, self.coding = first.rate, first.channels, first.coding
        self.seconds = None if first.seconds is None else first.seconds * len(self._places)
        if self.rate not in _RATES:
            self.remarks.append(f"a sample rate of {self.rate} Hz is unusual; its header may be wrong")
        if self.channels > _USUAL_CHANNELS:
            self.remarks.append(f"{self.channels} channels are unusual; its header may be wrong")

    def info(self, duration: float) -> AudioInfo:
        """Return the properties of the file, with this duration."""
        return AudioInfo(duration, self.rate, self.channels, self.coding, tuple(dict.fromkeys(self.remarks)))

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Yield (n, C) float32 of samples ``first`` to ``last``; raise InputError if the file has no samples."""
        held, size = [], 0
        for begin, block in self._frames(first):
            self.position = begin + len(block)
            block = block[max(0, first - begin) : None if last is None else max(0, last - begin)]
            held.append(block)
            size += len(block)
            if size >= _BLOCK:
                yield np.concatenate(held)
                held, size = [], 0
            if last is not None and self.position >= last:
                break
        if size:
            yield np.concatenate(held)
        if not self.position:
            raise InputError("no samples", path=self.name, expected="audio", got=" ".join(self.remarks) or None)

    def _frames(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first sample, (n, C) samples) from ``first`` or before it."""
        if len(self._places) == 1:
            yield from self._first.frames(first)
            return
        for place in self._places:
            origin = self.position
            try:
                part = _Part(self._path, *place, self.name, self.remarks)
            except InputError as error:
                self.remarks.append(f"one of its {len(self._places)} parts is left out: {error.got}")
                continue
            if (part.rate, part.channels) != (self.rate, self.channels):
                expected = f"{self.rate} Hz, {self.channels} channels as at its beginning"
                got = f"{part.rate} Hz, {part.channels}"
                raise InputError("its parts are not of one kind", path=self.name, expected=expected, got=got)
            for begin, block in part.frames(0):
                yield origin + begin, block


class _Part:
    """The bytes ``start`` to ``end`` of a file, open in PyAV; oddities are added to ``remarks``."""

    def __init__(self, path: Path, start: int, end: int, name: str, remarks: list[str]) -> None:
        self._remarks, self._said, self._lag, self._jumped, self._last = remarks, [], None, False, 0
        self._path, self._name, self._range = path, name, (start, end)
        with _mapped(path, name) as data:
            is_all = end - start == len(data)
            is_rifx, (to_the_end, odd) = data[start : start + 4] == b"RIFX", _wav(data, start, end)
            self._tagged = re.match(_MP3, data) and re.compile(_MP3_LENGTH, re.DOTALL).search(data, start, end)
        remarks += odd
        # The protocol is named, so that no colon in a path is taken for one.
        url = f"file:{path}" if is_all else f"subfile,,start,{start},end,{end},,:file:{path}"
        options = {
            "protocol_whitelist": "file,subfile",
            "ignore_length": str(int(to_the_end)),
            "max_size": "65536",
            "max_probe_packets": "1",
        }
        av = _av()
        try:
            with av.logging.Capture() as self._said:
                self._container = container = av.open(url, options=options, metadata_errors="replace")
                self._stream = stream = container.streams.audio[0]
                self.rate, self.channels, self._codec = stream.rate, stream.channels, stream.codec.name
                if is_rifx:  # read as if it were little-endian
                    raise IndexError
        except (av.FFmpegError, IndexError, AttributeError) as error:
            got = getattr(error, "strerror", "no audio that it decodes")
            raise InputError("cannot be decoded as audio", path=name, expected="a format of FFmpeg", got=got) from None
        if not _MIN_RATE <= self.rate <= _MAX_RATE:
            expected, got = f"{_MIN_RATE} to {_MAX_RATE} Hz", f"{self.rate} Hz"
            raise InputError("bad sample rate in its header", path=name, expected=expected, got=got)
        stream.thread_type = "NONE"
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._form = container.format.name.split(",")[0]
        self.coding = f"{self._form} {self._codec}"
        length = stream.duration * stream.time_base if stream.duration else (container.duration or 0) / 1_000_000
        guessed = to_the_end or (self._form in _GUESSED and not self._tagged)
        self.seconds = float(length) if length and not guessed else None
        if (tracks := len(container.streams.audio)) > 1:
            remarks.append(f"has {tracks} audio tracks; only the first is read")

    def frames(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first sample, (n, C) float32) from sample ``first``, or from some way before it."""
        at = 0 if first == 0 or not self._seek(first) else None
        skip = 0 if at is None or self._tagged else _DELAYS.get(self.coding, 0)
        # These codecs fill up their last packet; the header states where the sound ends.
        padded = self._codec.startswith(("aac", "adpcm", "gsm")) and self._form in ("mov", "wav")
        end = round(self.seconds * self.rate) if padded and self.seconds else None
        cut = 0
        for time, block in self._decoded():
            at = round(time * self.rate) if at is None else at
            self._check_clock(time, at / self.rate)
            block, skip = block[skip:], max(0, skip - len(block))
            sound = block if end is None else block[: max(0, end - at)]
            cut += len(block) - len(sound)
            if len(sound):
                yield at, sound
                at += len(sound)
        self._check_length((at or 0) / self.rate, cut / self.rate)

    def _seek(self, sample: int) -> bool:
        """Go to a sample, or to a packet before it; return whether that is possible to the sample."""
        stream = self._stream
        exact = self._codec == "flac" or (self._codec.startswith("pcm") and self._form in ("wav", "nistsphere"))
        if not exact or stream.time_base * self.rate != 1 or self.seconds is None or sample >= self.seconds * self.rate:
            return False
        try:
            self._container.seek(sample, stream=stream)
        except _av().FFmpegError:
            return False
        return True

    def _decoded(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (seconds on the file's clock, (n, C) float32), having dropped packets that do not decode."""
        av, left_out = _av(), 0
        with av.logging.Capture() as said:
            for packet in self._packets():
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    said.append((0, "", error.strerror))
                    continue
                for frame in frames:
                    if (frame.sample_rate, frame.layout.nb_channels) == (self.rate, self.channels):
                        yield float((frame.pts or 0) * frame.time_base), self._samples(frame)
                    else:
                        left_out += frame.samples
        self._said += said
        if left_out:
            self._remarks.append(f"{left_out} samples of another rate or number of channels are left out")

    def _packets(self) -> Iterator[av.Packet]:
        for _ in range(_MAX_ERRORS):
            try:
                for packet in self._container.demux(self._stream):
                    self._last = max(self._last, (packet.pos or 0) + packet.size)
                    yield packet
                return
            except _av().FFmpegError as error:
                self._said.append((0, "", error.strerror))

    def _samples(self, frame: av.AudioFrame) -> np.ndarray:
        values, form = frame.to_ndarray(), frame.format
        values = np.ascontiguousarray(values.T) if form.is_planar else values.reshape(-1, self.channels)
        if form.name.startswith("u8"):
            values = values.astype(np.float32) - 128
        values = values.astype(np.float32, copy=False)
        scale = _SCALES[form.name.rstrip("p")]
        values = values if scale == 1 else values * np.float32(scale)
        if np.abs(values).max(initial=0.0) > _TOO_LOUD:
            self._remarks.append("far louder than full scale: damaged, or not scaled to 1")
            if not self._codec.startswith("pcm"):  # a burst out of a damaged packet
                values = np.clip(values, -1.0, 1.0)
        return values

    def _check_clock(self, time: float, at: float) -> None:
        """Add a remark if the file's clock is ahead of the samples; that of ADPCM in WAV is never right."""
        lag, before = time - at, self._lag
        self._lag = lag
        if self._jumped or self._form == "wav":
            return
        if before is None and lag > _MAX_JUMP:
            self._jumped = True
            self._remarks.append(f"sound starts at {lag:.2f} s of its clock; times count from the first sample")
        elif before is not None and lag - before > _MAX_JUMP:
            self._jumped = True
            self._remarks.append(f"{lag - before:.2f} s are missing at {at:.2f} s; the rest follows without a gap")

    def _check_length(self, seconds: float, cut: float) -> None:
        """Add remarks if the decoder complained, or the header states another length."""
        said = " ".join(self._said[0][2].split()).rstrip(".!") if self._said else ""
        why = f" ({said})" if said else ""
        states = "" if self.seconds is None else f"its header states {self.seconds:.2f} s"
        exact = self.seconds is not None and self._form != "wav" and self._codec != "gsm"  # _wav checks WAV
        tolerance = 0.5 / self.rate if self._codec.startswith("pcm") else _TOLERANCE
        if exact and seconds < self.seconds - tolerance:
            self._remarks.append(f"cut off or damaged{why}: {states}, {seconds:.2f} s decode and are read")
        elif exact and seconds > self.seconds + tolerance:
            self._remarks.append(f"its header is wrong{why}: {states}, {seconds:.2f} s decode and are read")
        elif said:
            self._remarks.append(f"damaged{why}: {seconds:.2f} s decode and are read")
        with _mapped(self._path, self._name) as data:
            start, end = self._range
            if self._last and _ANY.search(data, start + self._last, end):
                self._remarks.append("another audio file begins within it, which is not read")
            page = data.rfind(b"OggS", start, end)
            if self._form == "ogg" and not (
                data[page + 5] & 4 and page + 27 + sum(data[page + 26 : page + 27 + data[page + 26]]) <= end
            ):
                self._remarks.append("cut off: its last page does not end it, or is not whole")
            if self._form == "mp3" and not re.match(rb"\0*(?:ID3|\xff[\xe2-\xff])", data):
                self._remarks.append("cut off at its beginning, or bytes there are not MP3")
        if cut > _MAX_PADDING / self.rate:
            self._remarks.append(f"{cut:.2f} s after the end that its header states are not read")


def _joined(path: Path, name: str) -> list[tuple[int, int]]:
    """Return the (start, end) in bytes of the files that were joined to make a file."""
    with _mapped(path, name) as data:
        is_mp3 = re.match(_MP3, data)
        start = _MP3_LENGTH if is_mp3 else next((start for start in _STARTS if re.match(start, data, re.DOTALL)), None)
        if start is None or (data[8:12] == b"WAVE" and not _wav(data, 0, len(data))[0]):
            return [(0, len(data))]
        starts = [0, *[found.start() for found in re.finditer(start, data, re.DOTALL)][1:]]
        if is_mp3:  # with the tag before it
            starts = [tag if (tag := data.rfind(b"ID3", max(0, at - 4096), at)) > 0 else at for at in starts]
        return list(zip(starts, [*starts[1:], len(data)], strict=True))


def _wav(data: bytes, start: int, end: int) -> tuple[bool, list[str]]:
    """Return whether a WAV file is read to its end, whatever length its header states; and the header's oddities."""
    if data[start : start + 4] not in (b"RIFF", b"RF64") or data[start + 8 : start + 12] != b"WAVE":
        return False, []
    large, odd = 0, []
    for name, body, size in _chunks(data, start + 12, end):
        if name == b"ds64":
            large = int.from_bytes(data[body + 8 : body + 16], "little")
        elif name == b"fmt " and size >= 16:
            tag, channels, rate, byte_rate, align, bits = struct.unpack("<HHIIHH", data[body : body + 16])
            if tag in (1, 3, 6, 7) and (align != channels * ((bits + 7) // 8) or byte_rate != rate * align):
                states = f"{rate} Hz, {channels} channels, {bits} bits, {byte_rate} bytes a second"
                odd.append(f"its header contradicts itself ({states}); it may sound too fast, slow or noisy")
        elif name == b"data":
            break
    else:
        return False, odd
    size = large if large and size == 0xFFFFFFFF else size
    there, after = end - body, body + size + size % 2
    for _, chunk, length in _chunks(data, after, end):
        after = chunk + length + length % 2
    if size == there or -1 <= end - after <= 2:
        return False, odd
    if size < _UNKNOWN:
        why = "cut off, or its header is wrong" if size > there else "its header is wrong"
        odd.append(f"{why}: it states {size} bytes of sound, {there} are there and are read")
    return True, odd


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, first byte, size) of the chunks of a WAV file."""
    while at + 8 <= end and re.match(rb"(?!RIFF)[ -~]{4}", data[at : at + 4]):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield bytes(data[at : at + 4]), at + 8, size
        at += 8 + size + size % 2


@functools.cache
def _av() -> ModuleType:
    """Return PyAV; its messages go to those who capture them, none to stderr."""
    import av

    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # they would be counted in another file's messages
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    return av


@contextmanager
def _open(entry: str | Path) -> Iterator[_File]:
    """Yield an entry as an open file."""
    name = str(entry).strip()
    with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
        path, decoded = Path(name), Path(folder) / "sphere.wav"
        if is_command(entry):
            path = Path(folder) / "audio"
            _run_command(name, path)
        try:
            file = _File(path, name)
        except InputError:
            if not _sph2pipe(path, decoded):
                raise
            file = _File(decoded, name)
        yield file


@contextmanager
def _mapped(path: Path, name: str) -> Iterator[bytes]:
    """Yield all of a file as a memory map."""
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except FileNotFoundError:
        raise InputError("no such file", path=name) from None
    except IsADirectoryError:
        raise InputError("is a folder", path=name, expected="an audio file") from None
    except PermissionError:
        raise InputError("no permission to read", path=name) from None
    except ValueError:  # of mmap
        raise InputError("empty file", path=name, expected="audio") from None


def _run_command(command: str, output: Path) -> None:
    """Run a ``command |`` of wav.scp in a shell as Kaldi does, with its standard output in a file."""
    shell_line = ["bash", "-o", "pipefail", "-c", command.removesuffix("|")]
    with open(output, "wb") as stream:
        result = subprocess.run(
            shell_line, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.PIPE, check=False
        )
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise InputError(f"command failed with exit code {result.returncode}", path=command, got=lines[-1].strip())


def _sph2pipe(path: Path, output: Path) -> bool:
    """Decode a NIST sphere file with sph2pipe to WAV; return whether that worked."""
    if not path.is_file() or not shutil.which("sph2pipe"):
        return False
    with open(path, "rb") as stream:
        if stream.read(7) != b"NIST_1A":
            return False
    command = ["sph2pipe", "-f", "wav", "-p", str(path.absolute()), str(output)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return result.returncode == 0 and output.is_file() and output.stat().st_size > 0
