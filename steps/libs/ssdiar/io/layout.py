"""Where the sound is in the bytes of an audio file, whatever its header says about length.

Headers are wrong about length where a recorder crashed or wrote to a pipe, where a copy was cut off, and where files
were appended to each other. :func:`find_parts` walks through the structure that a format has (chunks, pages, frames)
and returns the *parts* of a file: stretches that each are one whole file once their header is mended. What the header
says and the bytes do not hold is told in remarks, one line each.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ssdiar.io.mpeg import find_frames, info_frame

#: Bytes of a file: what supports ``len``, slices, ``find`` and ``rfind`` (bytes, mmap).
Data = bytes


@dataclass(frozen=True)
class Part:
    """One sound within a file.

    Attributes:
        start: First byte.
        end: Byte after the last.
        header: What stands before these bytes instead of the file's own header; empty: the bytes have their own.
        skip: Frames at the beginning that are the codec's delay and no sound.
        frames: How many are sound, where the last block of the codec is filled up; None: all.
    """

    start: int
    end: int
    header: bytes = b""
    skip: int = 0
    frames: int | None = None


@dataclass
class Layout:
    """The parts of a file.

    Attributes:
        kind: Name of the format, for messages.
        parts: In order.
        remarks: What the header says and the content contradicts.
        exact: Whether libsndfile finds every sample of a part by its number (so that it may seek).
    """

    kind: str
    parts: list[Part]
    remarks: list[str] = field(default_factory=list)
    exact: bool = False


def find_parts(data: Data) -> Layout:
    """Return the layout of a file; of an unknown format, one part that is all of it.

    Args:
        data: All of the file (a memory map reads only what is looked at).
    """
    kind, find = _recognise(data)
    layout = find(data, kind)
    if kind in _SELF_CONTAINED and any(data.find(magic, 1) > 0 for magic in _STARTS):
        layout.remarks.append("another audio file begins within it, which is not read")
    return layout


def _recognise(data: Data) -> tuple[str, Callable[[Data, str], Layout]]:
    head = bytes(data[:64])
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "WAV", _wave
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF", _aiff
    for magic, kind, find in _FORMATS:
        if head.startswith(magic):
            return kind, find
    if head[4:8] == b"ftyp":
        return "MP4", _mp4
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "MP3", _mp3
    if head[:4] != b"RIFF" and _holds_frames(data):
        return "MP3", _mp3
    return "unknown", _whole


def _holds_frames(data: Data) -> bool:
    """Tell whether frames of MP3 begin within the first bytes, zeros not counted: its beginning is missing or damaged.

    Four frames in a row are no chance.
    """
    begin = re.compile(rb"[^\0]").search(data)
    start = begin.start() if begin else 0
    runs = find_frames(data, start, min(len(data), start + (1 << 14))).runs
    return bool(runs) and runs[0].start < start + 4096 and runs[0].frames >= 4


def _whole(data: Data, kind: str) -> Layout:
    return Layout(kind, [Part(0, len(data))])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _joined(parts: list[Part]) -> list[str]:
    return [f"holds {len(parts)} files joined to one; all are read"] if len(parts) > 1 else []


def _split(data: Data, magic: bytes) -> list[tuple[int, int]]:
    """Return (start, end) of the files that a file was made of by appending, told by the bytes they begin with."""
    starts = [0]
    while (found := data.find(magic, starts[-1] + len(magic))) >= 0:
        starts.append(found)
    return list(zip(starts, [*starts[1:], len(data)], strict=True))


def _by_magic(magic: bytes) -> Callable[[Data, str], Layout]:
    def find(data: Data, kind: str) -> Layout:
        parts = [Part(start, end) for start, end in _split(data, magic)]
        return Layout(kind, parts, _joined(parts))

    return find


# Chunks: WAV, AIFF, CAF, W64


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    size_at: int  # where its size stands
    body: int
    size: int  # of the body


@dataclass(frozen=True)
class _Chunks:
    """How a format writes chunks: name, size (its struct format), what the size counts, what bodies are aligned to."""

    first: int
    name_length: int
    size_format: str
    counts_header: bool
    align: int

    def walk(self, data: Data, start: int, end: int) -> Iterator[_Chunk]:
        at, width = start + self.first, struct.calcsize(self.size_format)
        header = self.name_length + width
        while at + header <= end:
            name = bytes(data[at : at + self.name_length])
            size = struct.unpack(self.size_format, data[at + self.name_length : at + header])[0]
            size -= header if self.counts_header else 0
            yield _Chunk(name, at + self.name_length, at + header, size)
            if size < 0:
                return
            at += header + size + -size % self.align

    def fills(self, data: Data, start: int, end: int) -> bool:
        """Tell whether nothing but chunks lies between ``start`` and ``end`` (a byte of padding may)."""
        at = start
        for chunk in self.walk(data, start - self.first, end):
            if not re.fullmatch(rb"[ -~]{4}", chunk.name[:4]) or chunk.size < 0 or chunk.body + chunk.size > end:
                return False
            at = chunk.body + chunk.size + -chunk.size % self.align
        return end - at <= self.align

    def pack(self, chunk: _Chunk, size: int) -> bytes:
        size += chunk.body - chunk.size_at + self.name_length if self.counts_header else 0
        most = 256 ** struct.calcsize(self.size_format) - 1
        return struct.pack(self.size_format, min(size, most))


def _chunk_part(
    data: Data, chunks: _Chunks, chunk: _Chunk, start: int, end: int, unknown: Callable[[int], bool]
) -> tuple[Part, list[str], bool]:
    """Return the part of a file with its sample data in ``chunk``: as it is, or with the chunk's size mended.

    Args:
        data: The file.
        chunks: How it writes chunks.
        chunk: That of the samples.
        start: First byte of this file within ``data``.
        end: The byte after its last.
        unknown: Tells whether a size is the format's way to say that the length is not known.

    Returns:
        The part, remarks, and whether the size had to be mended.
    """
    there = end - chunk.body
    after = chunk.body + chunk.size + -chunk.size % chunks.align
    whole = Part(start, end)
    if chunk.size == there or (0 < chunk.size < there and chunks.fills(data, after, end)):
        return whole, [], False
    header = bytearray(data[start : chunk.body])
    size = chunks.pack(chunk, there)
    header[chunk.size_at - start : chunk.size_at - start + len(size)] = size
    said = [] if unknown(chunk.size) else [_size_remark(chunk.size, there)]
    return Part(chunk.body, end, bytes(header)), said, True


def _size_remark(said: int, there: int) -> str:
    if said > there:
        return f"cut off, or its header is wrong: it says {said} bytes of sound, {there} are there and are read"
    return f"its header is wrong: it says {max(0, said)} bytes of sound, {there} are there and are read"


_RIFF = _Chunks(12, 4, "<I", False, 2)
_RIFX = _Chunks(12, 4, ">I", False, 2)
_AIFF = _Chunks(12, 4, ">I", False, 2)
_CAF = _Chunks(8, 4, ">q", False, 1)
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64 = _Chunks(40, 16, "<Q", True, 8)


def _wave(data: Data, kind: str) -> Layout:
    layout = Layout(kind, [], exact=True)
    at = 0
    while at < len(data):
        magic = bytes(data[at : at + 4])
        chunks = _RIFX if magic == b"RIFX" else _RIFF
        # Files that were appended begin like this one.
        ends = (data.find(magic + size + b"WAVE", at + 12) for size in _sizes_at(data, magic, at + 12))
        end = min((found for found in ends if found > 0), default=len(data))
        layout.parts += _wave_part(data, chunks, at, end, layout)
        at = end
    layout.remarks[:0] = _joined(layout.parts)
    return layout


def _sizes_at(data: Data, magic: bytes, after: int) -> Iterator[bytes]:
    """Yield the four bytes between ``magic`` and ``WAVEfmt`` of the next file in a file, if there is one."""
    at = data.find(b"WAVEfmt ", after)
    while at >= 0:
        if data[at - 8 : at - 4] == magic:
            yield bytes(data[at - 4 : at])
            return
        at = data.find(b"WAVEfmt ", at + 8)


def _wave_part(data: Data, chunks: _Chunks, start: int, end: int, layout: Layout) -> list[Part]:
    form, large, fact = b"", None, None
    for chunk in chunks.walk(data, start, end):
        if chunk.name == b"ds64" and chunk.size >= 16:
            large = struct.unpack("<Q", data[chunk.body + 8 : chunk.body + 16])[0]
        elif chunk.name == b"fmt ":
            form = bytes(data[chunk.body : chunk.body + min(chunk.size, 40)])
        elif chunk.name == b"fact":
            fact = int.from_bytes(data[chunk.body : chunk.body + 4], "little" if chunks is _RIFF else "big")
        elif chunk.name == b"data":
            break
    else:
        return [Part(start, end)]
    if large is not None and chunk.size == 0xFFFFFFFF:
        chunk = _Chunk(chunk.name, chunk.size_at, chunk.body, large)
    order = chunks.size_format[0]
    if len(form) < 16:
        return [Part(start, end)]
    tag, channels, rate, byte_rate, align, bits = struct.unpack(f"{order}HHIIHH", form[:16])
    if tag == 0xFFFE and len(form) >= 26:
        tag = struct.unpack(f"{order}H", form[24:26])[0]
    if tag in (1, 3, 6, 7) and (align != channels * ((bits + 7) // 8) or byte_rate != rate * align):
        said = f"{rate} Hz, {_count(channels, 'channel')}, {bits} bits, {byte_rate} bytes a second"
        layout.remarks.append(f"its header contradicts itself ({said}); it may sound too fast, slow or noisy")
    if tag in (0x55, 0x50):
        inner = _mp3(data, "MP3", chunk.body, min(end, chunk.body + chunk.size) if chunk.size else end)
        layout.kind, layout.exact = "MP3 in WAV", False
        layout.remarks += inner.remarks
        if chunk.size > end - chunk.body and not _unknown_wave(chunk.size):
            layout.remarks.append(_size_remark(chunk.size, end - chunk.body))
        return inner.parts
    part, said, mended = _chunk_part(data, chunks, chunk, start, end, _unknown_wave)
    layout.remarks += said
    if mended and (tag in (1, 3, 6, 7) or fact is None):
        part = _wave_with_size(data, part, chunk, start, form, order)
    if fact and tag in _IN_BLOCKS and align and len(form) >= 20:
        blocks = -(-min(chunk.size, end - chunk.body) // align)
        of_block = struct.unpack(f"{order}H", form[18:20])[0]
        if (blocks - 1) * of_block < fact <= blocks * of_block:
            part = replace(part, frames=fact)
    return [part]


_IN_BLOCKS = (0x02, 0x11, 0x31)  # ADPCM of Microsoft and IMA, GSM 06.10


def _unknown_wave(size: int) -> bool:
    """Tell whether a size means that a program wrote to a pipe (sox near 2 GiB; ffmpeg, Kaldi 0xffffffff)."""
    return size >= 0x7FFF0000


def _wave_with_size(data: Data, part: Part, chunk: _Chunk, start: int, form: bytes, order: str) -> Part:
    """Return a part with a new header: fmt and data with the size that is there, as RF64 where it is above 4 GiB."""
    size = part.end - part.start
    fmt = b"fmt " + struct.pack(f"{order}I", len(form)) + form
    if size + len(fmt) + 20 < 0xFFFFFFFF:
        magic = b"RIFX" if order == ">" else b"RIFF"
        head = magic + struct.pack(f"{order}I", 4 + len(fmt) + 8 + size) + b"WAVE" + fmt
        return Part(part.start, part.end, head + b"data" + struct.pack(f"{order}I", size))
    total = 4 + 36 + len(fmt) + 8 + size
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, total, size, 0, 0)
    head = b"RF64" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + ds64 + fmt
    return Part(part.start, part.end, head + b"data" + struct.pack("<I", 0xFFFFFFFF))


def _aiff(data: Data, kind: str) -> Layout:
    layout = Layout(kind, [], exact=True)
    for start, end in _split_forms(data):
        comm = next((c for c in _AIFF.walk(data, start, end) if c.name == b"COMM"), None)
        sound = next((c for c in _AIFF.walk(data, start, end) if c.name == b"SSND"), None)
        if comm is None or sound is None or comm.size < 18:
            layout.parts.append(Part(start, end))
            continue
        part, said, mended = _chunk_part(data, _AIFF, sound, start, end, lambda size: False)
        channels, frames, bits = struct.unpack(">HIH", data[comm.body : comm.body + 8])
        coding = bytes(data[comm.body + 18 : comm.body + 22]) if data[start + 8 : start + 12] == b"AIFC" else b"NONE"
        width = channels * ((bits + 7) // 8)
        if coding in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64", b"FL64") and width:
            there = ((part.end - part.start) if mended else sound.size) - 8
            if mended and comm.body < sound.body:
                header = bytearray(part.header)
                header[comm.body - start + 2 : comm.body - start + 6] = struct.pack(">I", max(0, there // width))
                header[4:8] = struct.pack(">I", len(header) - 8 + part.end - part.start)
                part = Part(part.start, part.end, bytes(header))
            elif frames * width + (offset := int.from_bytes(data[sound.body : sound.body + 4], "big")) != there:
                told = f"{frames} frames of {width} bytes from byte {offset} of {there}"
                said.append(f"its header contradicts itself ({told}); it may be noise")
        layout.remarks += said
        layout.parts.append(part)
    layout.remarks[:0] = _joined(layout.parts)
    return layout


def _split_forms(data: Data) -> list[tuple[int, int]]:
    starts, kind = [0], bytes(data[8:12])
    at = data.find(kind, 12)
    while at >= 0:
        if data[at - 8 : at - 4] == b"FORM":
            starts.append(at - 8)
        at = data.find(kind, at + 4)
    return list(zip(starts, [*starts[1:], len(data)], strict=True))


def _chunked(chunks: _Chunks, magic: bytes, name: bytes) -> Callable[[Data, str], Layout]:
    def find(data: Data, kind: str) -> Layout:
        layout = Layout(kind, [], exact=True)
        for start, end in _split(data, magic):
            sound = next((c for c in chunks.walk(data, start, end) if c.name.startswith(name)), None)
            if sound is None:
                layout.parts.append(Part(start, end))
                continue
            part, said, _ = _chunk_part(data, chunks, sound, start, end, lambda size: size == -1)
            layout.parts.append(part)
            layout.remarks += said
        layout.remarks[:0] = _joined(layout.parts)
        return layout

    return find


# Plain headers: AU, NIST sphere, FLAC


def _au(data: Data, kind: str) -> Layout:
    layout = Layout(kind, [], exact=True)
    order = ">" if data[:4] == b".snd" else "<"
    for start, end in _split(data, bytes(data[:8])):  # the offset of the samples is the same in a file of the same make
        offset, size = struct.unpack(f"{order}II", data[start + 4 : start + 12].ljust(8, b"\0"))
        there = end - start - offset
        if size in (there, 0xFFFFFFFF) or offset < 24 or there < 0:
            layout.parts.append(Part(start, end))
            continue
        header = bytearray(data[start : start + offset])
        header[8:12] = struct.pack(f"{order}I", min(there, 0xFFFFFFFF))
        layout.parts.append(Part(start + offset, end, bytes(header)))
        layout.remarks.append(_size_remark(size, there))
    layout.remarks[:0] = _joined(layout.parts)
    return layout


def _sphere(data: Data, kind: str) -> Layout:
    """Find the parts of NIST sphere files (NIST SPHERE 2.6)."""
    layout = Layout(kind, [], exact=True)
    for start, end in _split(data, b"NIST_1A\n"):
        head = bytes(data[start : start + 1024])
        fields = dict(re.findall(r"^(\w+) -\S+ (\S+)", head.decode("latin-1"), re.MULTILINE))
        size = re.match(rb"NIST_1A\n\s*(\d{1,6})\n", head)
        numbers = [fields.get(name, "") for name in ("sample_n_bytes", "channel_count", "sample_count")]
        coding = fields.get("sample_coding", "pcm")
        part = Part(start, end)
        if (not size or int(size[1]) % 1024 or not size[1].strip(b"0")) and end - start > 1024:
            layout.remarks.append("its header does not say how long it is; it is taken to be 1024 bytes, as usual")
            part = Part(start + 16, end, b"NIST_1A\n   1024\n")
        elif size and all(re.fullmatch(r"\d{1,12}", number) for number in numbers) and "," not in coding:
            width, offset = int(numbers[0]) * int(numbers[1]), int(size[1])
            said, there = width * int(numbers[2]), end - start - offset
            if said != there and width and there > 0:
                layout.remarks.append(_size_remark(said, there))
                line = re.compile(rb"^(sample_count -i )\d+\n", re.MULTILINE)
                header = line.sub(rb"\g<1>%d\n" % (there // width), bytes(data[start : start + offset]))
                part = Part(start + offset, end, header.ljust(offset, b" ")[:offset])
        layout.parts.append(part)
    layout.remarks[:0] = _joined(layout.parts)
    return layout


_FLAC_START = b"fLaC\x00\x00\x00\x22"


def _flac(data: Data, kind: str) -> Layout:
    layout = Layout(kind, [], exact=True)
    for start, end in _split(data, _FLAC_START) if data[:8] == _FLAC_START else [(0, len(data))]:
        part = Part(start, end)
        if data[start : start + 8] == _FLAC_START and end - start > 42:
            said = int.from_bytes(data[start + 18 : start + 26], "big")
            rate, samples = said >> 44, said & ((1 << 36) - 1)
            held = _flac_samples(data, start, end)
            if held is not None and samples != held:
                header = bytearray(data[start : start + 26])
                header[18:26] = (said >> 36 << 36 | held).to_bytes(8, "big")
                part = Part(start + 26, end, bytes(header))
                if samples:  # 0 is the format's "unknown"
                    layout.remarks.append(_length_remark(samples / max(1, rate), held / max(1, rate)))
        layout.parts.append(part)
    layout.remarks[:0] = _joined(layout.parts)
    return layout


def _length_remark(said: float, there: float) -> str:
    start = "cut off, or its header is wrong" if said > there else "its header is wrong"
    return f"{start}: it says {said:.2f} s, {there:.2f} s are there and are read"


def _flac_samples(data: Data, start: int, end: int) -> int | None:
    """Return how many samples a FLAC stream has by its last frame's header (RFC 9639, 9.1); None: none is found."""
    at = end
    lowest = max(start, end - (1 << 20))
    while (at := data.rfind(b"\xff", lowest, at)) >= 0:
        head = bytes(data[at : min(at + 16, end)])
        if len(head) > 6 and head[1] in (0xF8, 0xF9) and (found := _flac_frame_end(head, data, start)) is not None:
            return found
    return None


def _flac_frame_end(head: bytes, data: Data, start: int) -> int | None:
    """Return the number of the sample after a frame, from the frame's header; None: it is not one."""
    ones = 8 - (head[4] ^ 0xFF).bit_length()
    length = max(1, ones)
    if ones in (1, 8) or len(head) < 8 + length:
        return None
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    at, code = 4 + length, head[2] >> 4
    if code == 0:
        return None
    sizes = {1: 192, 6: head[at] + 1, 7: (head[at] << 8 | head[at + 1]) + 1}
    block = sizes.get(code) or (576 << code - 2 if code < 6 else 256 << code - 8)
    at += {6: 1, 7: 2}.get(code, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    if head[1] == 0xF9:
        return number + block
    fixed = int.from_bytes(data[start + 8 : start + 10], "big")
    return number * fixed + block


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


# Streams: Ogg, MPEG, MP4


def _ogg(data: Data, kind: str) -> Layout:
    """Find the chains of an Ogg file (RFC 3533): streams one after the other, each with a beginning of its own."""
    layout = Layout(kind, [])
    starts, lost, at, opening = [0], 0, 0, True
    while at + 27 <= len(data):
        if data[at : at + 4] != b"OggS":
            found = data.find(b"OggS", at + 1)
            at, lost = (len(data) if found < 0 else found), lost + 1
            continue
        begins = data[at + 5] & 2
        if begins and not opening:
            starts.append(at)
        opening = bool(begins)
        segments = data[at + 27 : at + 27 + data[at + 26]]
        size = 27 + len(segments) + sum(segments)
        if at + size > len(data) or not _ogg_page_is_whole(bytes(data[at : at + size])):
            lost += 1
        at += size
    if lost or at < len(data):
        layout.remarks.append("damaged or cut off: a part of its pages is not whole; what decodes is read")
    layout.parts = [Part(a, b) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    layout.remarks[:0] = _joined(layout.parts)
    return layout


_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def _ogg_page_is_whole(page: bytes) -> bool:
    """Tell whether a page has the checksum that it says: zlib's CRC-32 with the bits of every byte the other way."""
    import zlib

    blank = page[:22] + bytes(4) + page[26:]
    value = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")


def _mp3(data: Data, kind: str, start: int = 0, end: int | None = None) -> Layout:
    found = find_frames(data, start, len(data) if end is None else end)
    if not found.runs:
        return Layout(kind, [Part(start, len(data) if end is None else end)], found.remarks)
    parts = []
    for run in found.runs:
        if run.tag_is_right:
            parts.append(Part(run.start, run.end))
        else:
            first = run.start if not run.tag_frames else run.first_sound
            # 576 frames are what LAME puts before the sound, and so what most files have that do not say it.
            skip = 0 if run.after_gap else 576
            parts.append(Part(first, run.end, info_frame(run, run.end - first), skip))
    remarks = _joined([run for run in found.runs if not run.after_gap])
    return Layout(kind, parts, remarks + found.remarks)


def _mp4(data: Data, kind: str) -> Layout:
    """Find the parts of an MP4 or 3GP file: boxes one after the other; a file appended begins with its own ftyp."""
    starts, at, remarks = [0], 0, []
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1 and at + 16 <= len(data):
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if at and data[at + 4 : at + 8] == b"ftyp":
            starts.append(at)
        if size < 8:
            break
        at += size
    if at > len(data):
        remarks.append(f"cut off: {at - len(data)} bytes at its end are missing; what decodes is read")
    parts = [Part(a, b) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    return Layout(kind, parts, _joined(parts) + remarks)


_EBML, _SEGMENT, _VOID = b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\xec"


def _matroska(data: Data, kind: str) -> Layout:
    """Find the parts of a WebM or Matroska file (RFC 8794, RFC 9559): a header and a segment each."""
    layout = _by_magic(_EBML)(data, kind)
    for part in layout.parts:
        at = part.start
        while at < part.end and (
            name := next((n for n in (_EBML, _SEGMENT, _VOID) if data[at : at + len(n)] == n), b"")
        ):
            at += len(name)
            first = data[at] if at < part.end else 0
            length = 9 - first.bit_length()
            size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
            if not first or size == (1 << 7 * length) - 1:  # not known: to the end
                at = part.end
                break
            at += length + size
        if at < part.end:
            layout.remarks.append(f"{part.end - at} bytes after its end are no {kind}, and are not read")
    return layout


# Formats whose decoders stop at the end of what they know, and how files of others begin.
_SELF_CONTAINED = ("FLAC", "MP4", "WebM or Matroska", "WMA (ASF)", "AMR")
_STARTS = (b"WAVEfmt ", b"OggS\x00\x02", b"NIST_1A\n   1024\n", b"AIFFCOMM", b"caff\x00\x01\x00\x00", _W64_RIFF)
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FORMATS: tuple[tuple[bytes, str, Callable[[Data, str], Layout]], ...] = (
    (b"fLaC", "FLAC", _flac),
    (b"OggS", "Ogg", _ogg),
    (b".snd", "AU", _au),
    (b"dns.", "AU", _au),
    (b"NIST_1A", "NIST sphere", _sphere),
    (b"caff", "CAF", _chunked(_CAF, b"caff\x00\x01", b"data")),
    (_W64_RIFF, "W64", _chunked(_W64, _W64_RIFF, b"data")),
    (b"#!AMR", "AMR", _by_magic(b"#!AMR")),
    (_EBML, "WebM or Matroska", _matroska),
    (_ASF, "WMA (ASF)", _by_magic(_ASF)),
)
