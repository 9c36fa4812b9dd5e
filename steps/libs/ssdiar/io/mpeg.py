"""The frames of MPEG audio layer 3 (ISO 11172-3, 13818-3): how many there really are, where files were joined or cut.

MP3 has no header of its own: its length is the number of its frames. Encoders write a first frame without sound that
says it (Xing, Info), if they can go back to the beginning when they are done; a file from a pipe has none, and decoders
then guess from the bit rate of the first frames.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_BIT_RATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)


@dataclass
class Run:
    """Frames that follow each other without a gap, of one rate.

    Attributes:
        start: First byte, that of the frame with the tag where there is one.
        first_sound: First byte of the first frame with sound.
        end: The byte after the last.
        head: The four bytes of the first frame's header, as a number.
        rate: Frames (samples) per second.
        samples: Samples per frame of the format.
        frames: Number of frames with sound.
        tag_frames: What the tag says that it is; 0 without a tag.
        after_gap: Whether something is missing before it, so that it is no file of its own.
    """

    start: int
    first_sound: int
    end: int
    head: int
    rate: int
    samples: int
    frames: int = 0
    tag_frames: int = 0
    after_gap: bool = False

    @property
    def tag_is_right(self) -> bool:
        """Whether the tag says how many frames there are."""
        return self.tag_frames > 0 and self.tag_frames == self.frames


@dataclass
class Frames:
    """The runs of a file, and what is wrong with it."""

    runs: list[Run] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def parse_header(head: int) -> tuple[int, int, int, bool, bool] | None:
    """Return (bytes, rate, samples, is MPEG-1, is mono) of a layer 3 frame by its four bytes; None: it is not one."""
    version, code, rate = head >> 19 & 3, head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or head >> 17 & 3 != 1 or code in (0, 15) or rate == 3 or head & 3 == 2:
        return None
    first = version == 3
    hertz = _RATES[rate] >> (0 if first else 1 if version == 2 else 2)
    bits = _BIT_RATES[1 if first else 2][code] * 1000
    return (
        (144 if first else 72) * bits // hertz + (head >> 9 & 1),
        hertz,
        1152 if first else 576,
        first,
        head >> 6 & 3 == 3,
    )


def find_frames(data: bytes, start: int, end: int) -> Frames:
    """Walk from frame to frame between two bytes of a file."""
    found, at, run, gap = Frames(), start, None, False
    while at + 4 <= end:
        head = int.from_bytes(data[at : at + 4], "big")
        frame = parse_header(head)
        if frame is not None and at + frame[0] <= end and (run is not None or _goes_on(data, at, frame, end)):
            tag = _tag_frames(data, at, frame)
            if run is None or tag or frame[1] != run.rate:
                run = Run(at, at, at, head, frame[1], frame[2], after_gap=gap and bool(found.runs) and not tag)
                found.runs.append(run)
            if tag:
                run.tag_frames, run.first_sound = tag, at + frame[0]
            else:
                run.frames += 1
            at += frame[0]
            run.end = at
        elif length := _foreign(data, at, end):
            at, run, gap = at + length, None, False
        else:
            following = data.find(b"\xff", at + 1, end)
            at, run, gap = (end if following < 0 else following), None, True
    found.runs = [run for run in found.runs if run.frames]
    _remark(found, data, start, end)
    return found


def _remark(found: Frames, data: bytes, start: int, end: int) -> None:
    gaps = sum(run.after_gap for run in found.runs)
    if found.runs and _begins_within(data, start, found.runs[0]):
        found.runs[0].after_gap = True
        found.remarks.append("cut off at its beginning, or bytes there are no MP3; what decodes is read")
    if gaps:
        found.remarks.append(f"damaged: bytes that are no MP3 in {gaps} places; what decodes around them is read")
    for run in found.runs:
        if run.tag_frames and not run.tag_is_right:
            said, there = (count * run.samples / run.rate for count in (run.tag_frames, run.frames))
            start = "cut off, or its header is wrong" if said > there else "its header is wrong"
            told = f"{said:.2f} s" if said > 0 else "nothing"
            found.remarks.append(f"{start}: it says {told}, {there:.2f} s are there and are read")
    if len({run.rate for run in found.runs}) > 1:
        found.remarks.append("its frames have more than one sample rate")
    if found.runs:
        last = found.runs[-1].end
        rest = bytes(data[last : min(end, last + 4096)])
        if rest.strip(b"\0") and not _foreign(data, last, end):
            found.remarks.append("cut off within a frame, or bytes at its end are no MP3; what decodes is read")


def _begins_within(data: bytes, start: int, run: Run) -> bool:
    """Tell whether the first run seems to go on from something that is not there.

    Either bytes that are neither zeros nor a tag come before it, or its first frame has sound that begins in an earlier
    frame (main_data_begin; ISO 11172-3, 2.4.1.7).
    """
    at = start
    while at < run.start and (length := _foreign(data, at, run.start)):
        at += length
    if bytes(data[at : run.start]).strip(b"\0"):
        return True
    place = run.first_sound + (4 if data[run.first_sound + 1] & 1 else 6)  # behind the header and its checksum
    return bool(data[place]) or (run.samples == 1152 and bool(data[place + 1] & 0x80))


def _goes_on(data: bytes, at: int, frame: tuple[int, int, int, bool, bool], end: int) -> bool:
    """Tell whether another frame of the same rate follows, so that two bytes by chance are no frame."""
    following = at + frame[0]
    if following == end:
        return True
    other = parse_header(int.from_bytes(data[following : following + 4], "big"))
    return other is not None and other[1:3] == frame[1:3]


def _tag_at(first: bool, mono: bool) -> int:
    """Return where a Xing or Info tag stands in a frame: after the header and the side information."""
    return 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def _tag_frames(data: bytes, at: int, frame: tuple[int, int, int, bool, bool]) -> int:
    """Return the number of frames that the tag of a frame says; 0: it has no tag."""
    place = at + _tag_at(*frame[3:])
    if data[place : place + 4] in (b"Xing", b"Info"):
        flags, frames = struct.unpack(">II", bytes(data[place + 4 : place + 12]).ljust(8, b"\0"))
        # Decoders do not see a tag behind anything but zeros, and take off the delay and padding that LAME writes.
        delays = bytes(data[place + 141 : place + 144]) if flags & 15 == 15 else b""
        most = 2 * frame[2] + 576
        sane = len(delays) < 3 or max(delays[0] << 4 | delays[1] >> 4, (delays[1] & 15) << 8 | delays[2]) <= most
        return frames if flags & 1 and frames and sane and not any(data[at + 4 : place]) else -1
    if data[at + 36 : at + 40] == b"VBRI":
        return int.from_bytes(data[at + 50 : at + 54], "big") or -1
    return 0


def _foreign(data: bytes, at: int, end: int) -> int:
    """Return the length of a tag of another kind (ID3v2, ID3v1, APE) that begins here; 0: none does."""
    if data[at : at + 3] == b"ID3" and at + 10 <= end:
        size = data[at + 6] << 21 | data[at + 7] << 14 | data[at + 8] << 7 | data[at + 9]
        return min(10 + size, end - at)
    if data[at : at + 3] == b"TAG" and end - at >= 128:
        return 128
    if data[at : at + 8] == b"APETAGEX" and at + 32 <= end:
        size = int.from_bytes(data[at + 12 : at + 16], "little")
        return min(32 + size, end - at)
    return 0


def info_frame(run: Run, size: int) -> bytes:
    """Return a frame with a tag that says how many frames a run has, to be put before it.

    Args:
        run: The run.
        size: Bytes of its frames.
    """
    for code in range(1, 15):
        head = run.head & ~0xF200 | code << 12 | 1 << 16  # no checksum, no padding
        length, _, _, first, mono = parse_header(head)
        place = _tag_at(first, mono)
        if length >= place + 16:
            break
    tag = b"Xing" + struct.pack(">III", 3, run.frames, size + length)
    return (head.to_bytes(4, "big") + bytes(place - 4) + tag).ljust(length, b"\0")
