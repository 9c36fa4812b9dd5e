"""Read audio of any format that PyAV decodes: mono float32 at any sample rate, as a whole or in part.

An *entry* is the second column of Kaldi's wav.scp: a path, or ``command |``, which writes audio to its standard output.
Headers are not trusted: a recording is as long as the samples that decode, and a difference from the header becomes a
*remark* of one line. Times are those of the file's clock: where a film has no packets of sound, there is silence.
Several audio tracks are read as a channel each. Memory grows only with the samples asked for. PyAV loads on first use.
"""

from __future__ import annotations

import functools
import logging
import mmap
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.resampling import resample as resample
from ssdiar.io.resampling import resample_blocks

_LOG = logging.getLogger(__name__)

_NAMES = """3g2 3gp aac ac3 aif aifc aiff amr au awb bwf caf flac gsm m4a m4b mka mkv mov mp2 mp3 mp4 mpga nist
    oga ogg opus rf64 snd sph w64 wav wave webm wma"""
#: Suffixes, in lower case, of the files that a folder of audio is searched for.
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

_BLOCK = 1 << 18  # samples per channel
_TOLERANCE = 0.1  # seconds between the header's and the decoded length; containers time packets, not samples
_TOO_LOUD = 4.0  # full scale is 1; lossy codecs overshoot it a little
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
MIN_RATE, MAX_RATE, _USUAL_CHANNELS = 1000, 1_000_000, 8
_MAX_LOST = 65536  # samples of a damaged packet
_UNKNOWN = 0x7FFF0000  # bytes; a WAV header that states more was written to a pipe (sox, ffmpeg, Kaldi)
_CLOCKED = ("matroska", "mov")  # of films (mkv, webm, mp4 ...), whose packets state when they are played
_LONGEST = 3600.0  # seconds; a longer jump of the clock is not a lack of packets but another clock, as of a live stream
_SCALES = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "flt": 1.0, "dbl": 1.0}
_GUESSED = ("aac", "ac3", "amr", "gsm", "mp3")  # demuxers that guess the length from the bit rate
# Samples of silence that encoders (LAME for MP3) put first, by demuxer and codec, if the file does not state them.
_DELAYS = {"aac aac": 1024, "mp3 mp3float": 1105, "wav mp3float": 1105}
# How files begin whose demuxers do not read on into another one that was joined to them (cat a.m4a b.m4a): WAV, FLAC,
# MP4 and 3GP, WMA, AIFF, CAF, W64, NIST sphere, AU, and MP3 with a frame that states how many follow.
_STARTS = (
    rb"RIFF....WAVE|fLaC\0\0\0\x22|\0\0..ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6|FORM....AIF[FC]|caff\0\x01\0\0"
    rb"|riff\x2e\x91\xcf\x11\xa5\xd6|NIST_1A\n|\.snd\0\0"
).split(b"|")
_MP3 = rb"ID3|\xff[\xe2-\xff]"
_MP3_LENGTH = re.compile(rb"\xff[\xe2-\xff]..(?:\0{9}|\0{17}|\0{32})(?:Xing|Info)", re.DOTALL)


@dataclass(frozen=True)
class AudioInfo:
    """Properties of a recording: seconds, samples per second, channels, coding, and a line for each oddity.

    The channels of a file with several audio tracks are its tracks, each mixed to mono.
    """

    duration: float
    rate: int
    channels: int
    coding: str = ""
    remarks: tuple[str, ...] = ()


def probe(entry: str | Path) -> AudioInfo:
    """Return what the header of an entry states, without decoding; an unknown duration is 0."""
    with _opened(entry) as file:
        return file.info(file.stated)


def listen(entry: str | Path, take: Callable[[np.ndarray, int], None] | None = None) -> AudioInfo:
    """Decode all of an entry; return its properties, with the true length and all remarks.

    Args:
        entry: A path, or ``command |``.
        take: Called with every block of samples, (n, channels) float32, and their rate.

    Raises:
        InputError: No such file, not audio, no samples, or a command that fails.
    """
    with _opened(entry) as file:
        for block in file.blocks():
            if take is not None:
                take(block, file.rate)
        return file.info(file.position / file.rate)


def read_audio(
    entry: str | Path,
    sample_rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    warn: bool = True,
) -> tuple[np.ndarray, int]:
    """Return the samples of an entry as one channel, (n,) float32 with full scale at 1, and their rate.

    Args:
        entry: A path, or ``command |``.
        sample_rate: Resample to this rate; None: keep the rate.
        channel: Take this channel, from 1; None: average all channels.
        start: First second; None: the beginning. WAV, sphere and FLAC are sought, other files are decoded up to it.
        end: Last second, or the end of the recording if that is earlier.
        warn: Whether to log the remarks.

    Raises:
        InputError: See :func:`listen`; or no such channel, nothing between start and end, or a sample not finite.
    """
    samples = bytearray()
    with _opened(entry) as file:
        new_rate = sample_rate or file.rate
        for block in resample_blocks(file.mono(channel, start or 0.0, end), file.rate, new_rate):
            samples += block.tobytes()
        for remark in file.info(0.0).remarks if warn else ():
            _LOG.warning("%s: %s", file.name, remark)
        return np.frombuffer(samples, np.float32), new_rate


def is_command(entry: str | Path) -> bool:
    """Return whether an entry of wav.scp is a command (it ends in ``|``), not a path."""
    return str(entry).rstrip().endswith("|")


def is_quick_to_probe(entry: str | Path) -> bool:
    """Return whether any part of an entry can be read without decoding the audio before it."""
    return not is_command(entry) and Path(entry).suffix.lower() in (".wav", ".flac", ".sph", ".nist")


class _File:
    """An open file: one part, or several if files were joined to make it.

    ``rate``, ``channels``, ``coding`` and ``stated`` (seconds by its header; 0: unknown) are those of the open part,
    ``position`` counts the samples decoded or sought past, ``remarks`` are complete when :meth:`blocks` is at the end.
    """

    def __init__(self, path: Path, name: str, track: int | None = None) -> None:
        """Open a file, or only one of its audio tracks, from 0."""
        self.name, self.position, self.remarks = name, 0, []
        self._path, self._data, self._track = path, _mapped(path, name), track
        self._open(0, len(self._data))
        if self.rate not in _RATES or self.channels > _USUAL_CHANNELS:
            self.remarks.append(f"{self.rate} Hz and {self.channels} channels are unusual; its header may be wrong")

    def info(self, duration: float) -> AudioInfo:
        """Return the properties of the file, with this duration."""
        return AudioInfo(duration, self.rate, self.channels, self.coding, tuple(dict.fromkeys(self.remarks)))

    def mono(self, channel: int | None, start: float, end: float | None) -> Iterator[np.ndarray]:
        """Yield (n,) float32 of one channel, or the mean of all, between two seconds."""
        if channel is not None and not 1 <= channel <= self.channels:
            raise InputError("no such channel", path=self.name, expected=f"1 to {self.channels}", got=channel)
        at = first = max(0, round(start * self.rate))
        for block in self.blocks(first, None if end is None else round(end * self.rate)):
            mono = block[:, channel - 1] if channel else block[:, 0] if self.channels == 1 else block.mean(axis=1)
            if not np.isfinite(mono).all():
                bad = at + int(np.argmin(np.isfinite(mono)))
                raise InputError(f"sample {bad} is not a finite number", path=self.name)
            at += len(mono)
            yield mono
        if at == first:
            total = self.position / self.rate
            what = f"no audio from {first / self.rate:.3f} s to {total if end is None else min(end, total):.3f} s"
            raise InputError(what, path=self.name, expected=f"a part of 0 to {total:.3f} s")

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Yield (n, C) float32 of samples ``first`` to ``last``; raise InputError if the file has no samples."""
        held, size = [], 0
        for begin, block in self._parts(first):
            self.position = begin + len(block)
            held.append(block[max(0, first - begin) : None if last is None else max(0, last - begin)])
            size += len(held[-1])
            if size >= _BLOCK:
                yield np.concatenate(held)
                held, size = [], 0
            if last is not None and self.position >= last:
                break
        if size:
            yield np.concatenate(held)
        if not self.position:
            raise InputError("no samples", path=self.name, expected="audio", got=" ".join(self.remarks) or None)

    def _parts(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first sample, (n, C) float32) from sample ``first``, or from some way before it."""
        if self._tracks:
            for block in _side_by_side([self._samples_of(track) for track in range(self.channels)]):
                yield self.position, block
            return
        places, kind = _joined(self._path, self._path.stat().st_mtime_ns), (self.rate, self.channels)
        if len(places) > 1:
            self.remarks, first = [f"holds {len(places)} joined files; all are read"], 0
        for place in places:
            origin = self.position
            if len(places) > 1:
                self._open(*place)
            if kind != (self.rate, self.channels):
                raise InputError("its joined files differ in sample rate or channels", path=self.name)
            for begin, block in self._part(first):
                yield origin + begin, block

    def _samples_of(self, track: int) -> Iterator[np.ndarray]:
        """Yield (n,) float32 of an audio track, mixed, at the rate of all; a track that cannot be read is silent."""
        try:
            file = _File(self._path, self.name, track)
            yield from resample_blocks(file.mono(None, 0.0, None), file.rate, self.rate)
            remarks = file.remarks
        except InputError as error:
            remarks = [str(error).removeprefix(f"{self.name}: ")]
        self.remarks += [f"track {track + 1}: {remark}" for remark in remarks]

    def _open(self, start: int, end: int) -> None:
        """Open the part between these bytes."""
        self._range, av, what = (start, end), _av(), "cannot be decoded as audio"
        if self._data[start : start + 4] == b"RIFX":  # PyAV takes its samples for little-endian
            raise InputError(what, path=self.name, expected="little-endian WAV", got="RIFX")
        if wrong := _wrong_wav_length(self._data, start, end):
            self.remarks.append(wrong)
        self._is_tagged = bool(re.match(_MP3, self._data) and _MP3_LENGTH.search(self._data, start, end))
        # The protocol is named, so that no colon in a path is taken for one.
        part = "" if (start, end) == (0, len(self._data)) else f"subfile,,start,{start},end,{end},,:"
        options = {"protocol_whitelist": "file,subfile", "ignore_length": str(int(bool(wrong)))}
        options |= {"max_size": "65536", "max_probe_packets": "1"}  # large packets of PCM, without a search for DTS
        try:
            with av.logging.Capture() as self._errors:
                file = av.open(f"{part}file:{self._path}", options=options, metadata_errors="replace")
                tracks = file.streams.audio
                self._tracks = tracks if self._track is None and len(tracks) > 1 else ()
                self._container, self._stream = file, max(self._tracks or [tracks[self._track or 0]], key=_rate_of)
                self.rate, self.channels = self._stream.rate, self._stream.channels
                self._form, self._codec = file.format.name.split(",")[0], self._stream.codec.name
                if not (self.channels and MIN_RATE <= (self.rate or 0) <= MAX_RATE) or "s64" in self._codec:
                    raise IndexError
        except (av.FFmpegError, IndexError, AttributeError) as error:
            got = getattr(error, "strerror", "no audio that it decodes")
            raise InputError(what, path=self.name, expected="a format of FFmpeg", got=got) from None
        self._stream.thread_type = "NONE"
        self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self.coding = f"{self._form} {self._codec}"
        self._set_length(wrong is not None)
        if self._tracks:
            self.coding, self.channels = f"{self.coding} in {len(tracks)} tracks", len(tracks)
            names = ", ".join(f"{number} {_name_of(track)}".rstrip() for number, track in enumerate(tracks, 1))
            self.remarks.append(f"has {len(tracks)} audio tracks ({names}); each is read as a channel")

    def _set_length(self, is_wrong: bool) -> None:
        """Set the stated length of the open part, which includes silence before its sound."""
        file, stream, is_clocked = self._container, self._stream, self._form in _CLOCKED
        length, begin = (float((ticks or 0) * stream.time_base) for ticks in (stream.duration, stream.start_time))
        if length and is_clocked and _TOLERANCE < begin <= _LONGEST:
            length += begin
        elif not length and (len(file.streams) == 1 or not is_clocked):  # else a film may be longer than its sound
            length = (file.duration or 0) / 1_000_000
        self.stated = 0.0 if is_wrong or (self._form in _GUESSED and not self._is_tagged) else length

    def _part(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the same of the open part, and add remarks on it."""
        at, skip = 0, 0 if self._is_tagged else _DELAYS.get(self.coding, 0)
        exact = self.coding == "flac flac" or (self._codec.startswith("pcm") and self._form in ("wav", "nistsphere"))
        if exact and 0 < first < (self.stated or 1e9) * self.rate:
            try:
                self._container.seek(first, stream=self._stream)  # whose time base is 1 / rate
                at = None  # the first frame's time is exact
            except _av().FFmpegError:  # FLAC, near its end
                self._open(*self._range)
        # These codecs pad their last packet; the header states the end of the sound.
        is_padded = self._codec.startswith(("aac", "adpcm", "gsm")) and self._form in ("mov", "wav")
        end = round(self.stated * self.rate) if is_padded else 0
        gaps, zero = [], 0.0  # the second by the file's clock at which it begins
        for time, block in self._decoded():
            at = round(time * self.rate) if at is None else at
            late = time - zero - at / self.rate if self._form in _CLOCKED else 0.0
            if late > _LONGEST:
                zero += late
            elif late > _TOLERANCE:
                gaps.append((at / self.rate, at / self.rate + late))
                for size in _sizes(round(late * self.rate)):
                    yield at, np.zeros((size, self.channels), np.float32)
                    at += size
            block, skip = block[skip:], max(0, skip - len(block))
            if at < end < at + len(block):
                block = block[: end - at]
            yield at, block
            at += len(block)
        if gaps:
            shown = ", ".join(f"{start:.2f} to {end:.2f}" for start, end in gaps[:5]) + (" ..." if gaps[5:] else "")
            seconds = sum(end - start for start, end in gaps)
            self.remarks.append(f"has no sound, which is read as silence, for {seconds:.2f} s: from {shown} s")
        self._check((at or 0) / self.rate)

    def _decoded(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (seconds by the file's clock, (n, C) float32); packets that do not decode become silence."""
        with _av().logging.Capture() as errors:
            packets = self._container.demux(self._stream)
            while True:
                packet, frames = None, []
                try:
                    packet = next(packets)
                    frames = packet.decode()
                except StopIteration:  # also after an error of the demuxer
                    break
                except _av().FFmpegError as problem:
                    errors.append((0, "", problem.strerror))
                    if packet and packet.duration:
                        lost = min(_MAX_LOST, round(packet.duration * packet.time_base * self.rate))
                        yield float((packet.pts or 0) * packet.time_base), np.zeros((lost, self.channels), np.float32)
                for frame in frames:
                    if (frame.sample_rate, frame.layout.nb_channels) == (self.rate, self.channels):
                        yield float((frame.pts or 0) * frame.time_base), self._samples(frame)
                    else:
                        errors.append((0, "", "parts of another rate or number of channels are left out"))
        self._errors += errors

    def _samples(self, frame: Any) -> np.ndarray:
        """Return the (n, C) float32 samples of PyAV's AudioFrame."""
        values, form = frame.to_ndarray(), frame.format
        values = np.ascontiguousarray(values.T) if form.is_planar else values.reshape(-1, self.channels)
        values = values.astype(np.float32) - (128 if form.name.startswith("u8") else 0)
        values *= np.float32(_SCALES[form.name.rstrip("p")])
        if np.abs(values).max(initial=0.0) > _TOO_LOUD:
            self.remarks.append("far louder than full scale: damaged, or not scaled to 1")
        return values

    def _check(self, seconds: float) -> None:
        """Add remarks on a part that decoded to its end, ``seconds`` long."""
        why = f" ({' '.join(self._errors[0][2].split()).rstrip('.!')})" if self._errors else ""
        # _wrong_wav_length checks WAV; AIFF states packets of GSM as if they were samples.
        lack = self.stated - seconds if self.stated and self._form != "wav" and self._codec != "gsm" else 0.0
        if abs(lack) > (0.5 / self.rate if self._codec.startswith("pcm") else _TOLERANCE):
            what = "cut off or damaged" if lack > 0 else "its header is wrong"
            self.remarks.append(f"{what}{why}: it states {self.stated:.2f} s, {seconds:.2f} s decode and are read")
        elif why:
            self.remarks.append(f"damaged{why}: {seconds:.2f} s decode and are read")
        if self._form == "mp3" and not re.match(rb"\0*(?:ID3|\xff[\xe2-\xff])", self._data):
            self.remarks.append("cut off at its beginning, or bytes there are not MP3")
        if self._form == "ogg" and not _has_last_page(self._data):
            self.remarks.append("cut off: its last page is missing")


def _side_by_side(tracks: list[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """Yield blocks (n, T) of T tracks, whose own blocks (m,) differ in length; the shorter ones end in silence."""
    held = [np.empty(0, np.float32)] * len(tracks)
    while True:
        for number, track in enumerate(tracks):
            while len(held[number]) < _BLOCK and (block := next(track, None)) is not None:
                held[number] = np.concatenate([held[number], block])
        size = min(_BLOCK, max(map(len, held)))
        if not size:
            return
        yield np.column_stack([np.pad(one[:size], (0, size - len(one[:size]))) for one in held])
        held = [one[size:] for one in held]


def _sizes(count: int) -> list[int]:
    """Return the sizes of the blocks that hold this many samples."""
    return [min(_BLOCK, count - start) for start in range(0, count, _BLOCK)]


def _rate_of(stream: Any) -> int:
    """Return the samples per second of an audio track; 0 if it has no decoder."""
    return getattr(stream, "rate", None) or 0


def _name_of(stream: Any) -> str:
    """Return the title or language of an audio track, as its file states them; may be empty."""
    name = stream.metadata.get("title") or stream.metadata.get("handler_name") or stream.language or ""
    return "" if name in ("und", "SoundHandler") else " ".join(name.split())


@functools.lru_cache(maxsize=64)
def _joined(path: Path, _modified: int) -> list[tuple[int, int]]:
    """Return the (start, end) in bytes of the files that were joined to make a file."""
    data = _mapped(path, str(path))
    head = next((re.compile(head, re.DOTALL) for head in _STARTS if re.match(head, data, re.DOTALL)), None)
    head = _MP3_LENGTH if re.match(_MP3, data) else head
    if head is None or (data[8:12] == b"WAVE" and not _wrong_wav_length(data, 0, len(data))):
        return [(0, len(data))]
    starts = [found.start() for found in head.finditer(data)][1:]
    if head is _MP3_LENGTH:  # with the tag before it
        starts = [tag if (tag := data.rfind(b"ID3", max(0, at - 4096), at)) > 0 else at for at in starts]
    return list(zip([0, *starts], [*starts, len(data)], strict=True))


def _has_last_page(data: bytes) -> bool:
    """Return whether the last page of an Ogg file is marked as such, and whole."""
    at = data.rfind(b"OggS")
    head = data[at : at + 282].ljust(27, b"\xff")
    return bool(head[5] & 4) and at + 27 + head[26] + sum(head[27 : 27 + head[26]]) <= len(data)


def _wrong_wav_length(data: bytes, start: int, end: int) -> str | None:
    """Return a remark on a WAV file whose header does not state the bytes of sound that are there; else None."""
    if not re.match(rb"(RIFF|RF64)....WAVE", data[start : start + 12], re.DOTALL):
        return None
    stated, there, large, at = _UNKNOWN, 0, 0, start + 12
    while at + 8 <= end and re.match(rb"(?!RIFF)[ -~]{4}", data[at : at + 4]):
        chunk, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if chunk == b"ds64":
            large = int.from_bytes(data[at + 16 : at + 24], "little")
        elif chunk == b"data" and not there:
            size = large if large and size == 0xFFFFFFFF else size
            stated, there = size, end - at - 8
        at += 8 + size + size % 2
    if stated == there or (stated >= _UNKNOWN and not large) or -1 <= end - at <= 2:
        return None
    what = "cut off, or its header is wrong" if stated > there else "its header is wrong"
    return f"{what}: it states {stated} bytes of sound, {there} are there and are read"


@functools.cache
def _av() -> ModuleType:
    """Return PyAV, whose messages go to those who capture them and never to stderr."""
    import av

    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # else one file's repeated messages turn up in the next
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    return av


@contextmanager
def _opened(entry: str | Path) -> Iterator[_File]:
    """Yield an entry as an open file."""
    name = str(entry).strip()
    with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
        path = Path(name)
        if is_command(entry):
            path = Path(folder, "audio")
            _run_command(name, path)
        try:
            file = _File(path, name)
        except InputError:
            if not (path.is_file() and path.open("rb").read(7) == b"NIST_1A" and shutil.which("sph2pipe")):
                raise
            decoded = Path(folder, "sphere.wav")
            _run_command(shlex.join(["sph2pipe", "-f", "wav", "-p", str(path.absolute()), str(decoded)]), os.devnull)
            file = _File(decoded, name)
        yield file


def _mapped(path: Path, name: str) -> mmap.mmap:
    """Return all of a file as a memory map."""
    try:
        with open(path, "rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        what = {FileNotFoundError: "no such file", IsADirectoryError: "is a folder"}.get(type(error), error.strerror)
        raise InputError(what, path=name) from None
    except ValueError:  # of mmap
        raise InputError("empty file", path=name, expected="audio") from None


def _run_command(command: str, output: str | Path) -> None:
    """Run a ``command |`` of wav.scp in a shell as Kaldi does, with its standard output in a file."""
    line = ["bash", "-o", "pipefail", "-c", command.removesuffix("|")]
    with open(output, "wb") as stream:
        result = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.PIPE, check=False)
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise InputError(f"command failed with exit code {result.returncode}", path=command, got=lines[-1].strip())
