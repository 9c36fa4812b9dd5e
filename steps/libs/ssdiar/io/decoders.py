"""Samples from one part of a file: by libsndfile, and where that cannot by ffmpeg or sph2pipe, in blocks.

libsndfile comes first, so that results do not depend on what else is installed. ffmpeg is the second opinion: it
decodes what libsndfile does not know, and goes on where libsndfile stops before the end.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.layout import Part

BLOCK = 1 << 18  # frames at once

#: What to do about a file that only ffmpeg decodes.
INSTALL_FFMPEG = (
    "Install ffmpeg, which decodes it if it is audio: apt-get install ffmpeg, brew install ffmpeg, "
    "or conda install -c conda-forge ffmpeg."
)


class Format(NamedTuple):
    """What a decoder says of a sound: samples per second, channels, coding, and seconds where it knows them."""

    rate: int
    channels: int
    coding: str
    seconds: float | None = None


class CannotDecode(Exception):
    """A decoder does not know a format, or finds no sound in it; the text says what it told."""


class _Window(io.RawIOBase):
    """A header and a stretch of a file, read as if they were a file."""

    def __init__(self, data: bytes, part: Part) -> None:
        self._data, self._part, self._at = data, part, 0
        self._size = len(part.header) + part.end - part.start

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = self._size - self._at if size < 0 else min(size, self._size - self._at)
        if size <= 0:
            return b""
        length = len(self._part.header)
        first = self._part.header[self._at : self._at + size]
        start = self._part.start + max(0, self._at - length)
        rest = self._data[start : start + size - len(first)]
        self._at += size
        return first + bytes(rest)

    def readinto(self, buffer: memoryview) -> int:
        got = self.read(len(buffer))
        memoryview(buffer).cast("B")[: len(got)] = got
        return len(got)

    def write(self, data: bytes) -> int:
        raise io.UnsupportedOperation


class _Complaints:
    """What libmpg123 says of damage, which it writes to the process's stderr and tells in no other way.

    A block takes the place of stderr, in one thread at a time.
    """

    _turn = threading.Lock()

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the decoder)
        self._stderr: int | None = None

    def __enter__(self) -> None:
        self._turn.acquire()
        with suppress(OSError):  # there is no stderr
            self._stderr = os.dup(2)
            os.dup2(self._file.fileno(), 2)

    def __exit__(self, *_: object) -> None:
        if self._stderr is not None:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
            self._stderr = None
        self._turn.release()

    def first(self) -> str | None:
        """Return the first; None: there are none."""
        self._file.seek(0)
        found = re.search(rb"error: (.*)", self._file.read(1 << 16))
        return found and found[1].decode(errors="replace").strip(" !.")


@cache
def _straight_on() -> type:
    """Return soundfile's SoundFile, but for its seek to where it is after each block.

    Codecs whose frames lean on earlier ones (MP3, Opus) give other samples after that.
    """
    import soundfile

    class StraightOn(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return StraightOn


class SoundFile:
    """A part of a file, open in libsndfile.

    Attributes:
        format: What it is.
        seekable: Whether :meth:`blocks` can begin anywhere at no cost.
        problem: Why :meth:`blocks` ended early, or what is wrong with what it gave; None: nothing.
        whole: Whether it gave all that there is even so.

    Raises:
        CannotDecode: libsndfile does not know it.
    """

    def __init__(self, data: bytes, part: Part) -> None:
        import soundfile

        self._error = soundfile.LibsndfileError
        window, self._complaints = _Window(data, part), _Complaints()
        try:
            with self._complaints:
                self._sound = sound = _straight_on()(window)
        except (soundfile.LibsndfileError, TypeError, RuntimeError, ValueError) as error:
            raise CannotDecode(reason(error)) from None
        known = sound.frames < 1 << 50
        frames = sound.frames if part.frames is None else min(part.frames, sound.frames)
        seconds = max(0, frames - part.skip) / sound.samplerate if known and sound.samplerate else None
        self.format = Format(sound.samplerate, sound.channels, f"{sound.format} {sound.subtype}", seconds)
        self.seekable = super(type(sound), sound).seekable()
        self.problem: str | None = None
        self.whole = False
        self._skip, self._frames = part.skip, part.frames
        self._listens = sound.format == "MP3"
        self._digest = None if part.header or sound.format != "FLAC" else _FlacDigest.of(data, part)

    def blocks(self, first: int = 0) -> Iterator[np.ndarray]:
        """Yield (n, C) float32 from frame ``first`` on."""
        digest = None if first else self._digest
        skip, size = self._skip, BLOCK
        try:
            if first:
                self._sound.seek(first)
            while True:
                try:
                    with self._complaints if self._listens else nullcontext():
                        block = self._sound.read(size, dtype="float32", always_2d=True)
                except self._error as error:
                    # What was decoded before the error is lost with the block: read up to it in small ones.
                    if size == BLOCK and self.seekable:
                        size = 64
                        self._sound.seek(first)
                        continue
                    self.problem = reason(error)
                    return
                if self._frames is not None:
                    block = block[: max(0, self._frames - first)]
                if not len(block):
                    break
                first += len(block)
                if digest is not None:
                    digest.update(block)
                yield block[min(skip, len(block)) :]
                skip = max(0, skip - len(block))
        except self._error as error:  # of seeking
            self.problem = reason(error)
            return
        finally:
            self._sound.close()
        if digest is not None and not digest.is_right():
            self.problem, self.whole = "its checksum is not that of its samples", True
        elif self._listens and (complaint := self._complaints.first()):
            self.problem, self.whole = complaint, True


class _FlacDigest:
    """The MD5 checksum that a FLAC file has of its samples."""

    def __init__(self, expected: bytes, bits: int) -> None:
        self._expected, self._bits, self._digest = expected, bits, hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, data: bytes, part: Part) -> _FlacDigest | None:
        """Return that of a part; None: it has none, or an unusual number of bits."""
        if bytes(data[part.start : part.start + 4]) != b"fLaC":
            return None
        bits = (int.from_bytes(data[part.start + 18 : part.start + 26], "big") >> 36 & 31) + 1
        expected = bytes(data[part.start + 26 : part.start + 42])
        return cls(expected, bits) if bits in (8, 16, 24) and any(expected) else None

    def update(self, block: np.ndarray) -> None:
        whole = np.rint(block * float(1 << self._bits - 1)).astype("<i4")
        self._digest.update(whole.view(np.uint8).reshape(-1, 4)[:, : self._bits // 8].tobytes())

    def is_right(self) -> bool:
        return self._digest.digest() == self._expected


def reason(error: Exception) -> str:
    """Return what libsndfile says, in one line."""
    text = str(getattr(error, "error_string", error)).rstrip(".")
    return " ".join(text.split())


#: Formats of which ffmpeg guesses the length from the bit rate.
_ASK = ("-show_entries", "stream=codec_name,sample_rate,channels,duration:format=duration,format_name")
_GUESSED = ("mp3", "aac", "amr", "amrnb", "amrwb", "g722", "gsm")


class FFmpeg:
    """A part of a file, open in ffmpeg, which is known to be installed.

    Args:
        path: The file.
        part: All of it, or a stretch.

    Raises:
        CannotDecode: ffmpeg finds no sound in it.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self._path, self._part = path, part
        with self._file() as file:
            result = subprocess.run(
                ["ffprobe", "-v", "error", "-select_streams", "a:0", "-of", "json", *_ASK, f"file:{file}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            said = result.stderr.decode(errors="replace").replace(f"file:{file}: ", "").strip()
        try:
            found = json.loads(result.stdout or b"{}")
            stream = found["streams"][0]
            rate, channels, codec = int(stream["sample_rate"]), int(stream["channels"]), stream["codec_name"]
        except (ValueError, KeyError, IndexError):
            raise CannotDecode(said.splitlines()[-1] if said else "no sound in it") from None
        if rate < 1 or channels < 1:
            raise CannotDecode("no sound in it")
        container = found.get("format", {})
        seconds = stream.get("duration") or container.get("duration")
        form = container.get("format_name", "")
        guessed = form in _GUESSED or (form, codec) == ("caf", "alac")  # whose last packet counts as a whole one
        self.format = Format(rate, channels, codec, None if guessed or seconds is None else float(seconds))
        self._skip = 1024 if form == "aac" else 0  # the codec's delay, which only containers can say
        # MP4 says to the sample how long its sound is; the last packet is filled up.
        exact = form.startswith("mov,mp4") and codec == "aac" and self.format.seconds is not None
        self._end = round(self.format.seconds * rate) if exact else None
        self.problem: str | None = None

    def blocks(self, first: int = 0) -> Iterator[np.ndarray]:
        """Yield (n, C) float32 from frame ``first`` on; what comes before is decoded and dropped."""
        blocks = self._all_blocks(first)
        return blocks if self._end is None else _without_padding(blocks, max(0, self._end - first))

    def _all_blocks(self, first: int) -> Iterator[np.ndarray]:
        rate, channels = self.format.rate, self.format.channels
        size = 4 * channels
        with self._file() as file, tempfile.TemporaryFile() as messages:
            # "file:" keeps ffmpeg from reading a protocol into a colon or an option into a dash.
            command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{file}", "-map", "0:a:0", "-f", "f32le"]
            command += ["-c:a", "pcm_f32le", "-ar", str(rate), "-ac", str(channels), "-"]
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
            ) as process:
                try:
                    skip = (first + self._skip) * size
                    while got := process.stdout.read(BLOCK * size):
                        got, skip = got[skip:], max(0, skip - len(got))
                        if len(got) >= size:
                            yield np.frombuffer(got[: len(got) // size * size], "<f4").reshape(-1, channels)
                finally:
                    process.stdout.close()  # ends ffmpeg where not everything was wanted
            if process.returncode < 0:  # what it gave may be a part
                what = f"ffmpeg was ended by signal {-process.returncode}"
                raise InputError(what, path=self._path, hint="Did memory run out? Try again with fewer jobs (--nj).")
            messages.seek(0)
            self.problem = _told(messages.read().decode(errors="replace"), file)

    @contextmanager
    def _file(self) -> Iterator[Path]:
        """Yield a file of this part alone."""
        if not self._part.header and self._part.start == 0 and self._part.end == self._path.stat().st_size:
            yield self._path
            return
        with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
            copy = Path(folder) / f"part{self._path.suffix}"
            with open(self._path, "rb") as stream, open(copy, "wb") as output:
                output.write(self._part.header)
                stream.seek(self._part.start)
                left = self._part.end - self._part.start
                while left > 0 and (block := stream.read(min(left, 1 << 20))):
                    output.write(block)
                    left -= len(block)
            yield copy


def _without_padding(blocks: Iterator[np.ndarray], end: int) -> Iterator[np.ndarray]:
    """Yield blocks up to frame ``end``; and what comes after it, unless that is less than two packets of AAC."""
    count, rest = 0, []
    for block in blocks:
        inside = block[: max(0, end - count)]
        count += len(block)
        if len(inside):
            yield inside
        if len(inside) < len(block):
            rest.append(block[len(inside) :])
        if count - end > 2048:
            yield from rest
            rest = []


def _told(text: str, file: Path) -> str | None:
    """Return the first thing that ffmpeg complains of that is about sound; None: nothing."""
    for line in text.replace(f"file:{file}: ", "").splitlines():
        line = re.sub(r"^\[[^]]* @ 0x[0-9a-f]+\] ", "", line.strip())
        if line and "non monotonically increasing dts" not in line:
            return line
    return None


def has_ffmpeg() -> bool:
    """Tell whether ffmpeg is there, with its ffprobe."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def sph2pipe(path: Path, output: Path) -> bool:
    """Decode a NIST sphere file with sph2pipe into a wav file; tell whether that could be done."""
    if not shutil.which("sph2pipe"):
        return False
    command = ["sph2pipe", "-f", "wav", "-p", str(path.absolute()), str(output)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return result.returncode == 0 and output.is_file() and output.stat().st_size > 0


def open_part(data: bytes, path: Path, part: Part, kind: str, name: str) -> SoundFile | FFmpeg:
    """Return a part of a file in the first decoder that knows it.

    Raises:
        InputError: None does; it says what to install where that may help.
    """
    try:
        return SoundFile(data, part)
    except CannotDecode as error:
        told = str(error)
    if not has_ffmpeg():
        what = "cannot be decoded as audio"
        raise InputError(
            what, path=name, expected="a format of libsndfile", got=f"{kind} ({told})", hint=INSTALL_FFMPEG
        )
    try:
        return FFmpeg(path, part)
    except CannotDecode as error:
        what = "cannot be decoded as audio"
        raise InputError(what, path=name, expected="a format of libsndfile, ffmpeg", got=f"{error}") from None
