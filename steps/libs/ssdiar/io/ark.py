"""x-vectors in Kaldi's archives: xvector.scp names, per sub-segment, a place in an ark file.

Archives of any toolkit are read, binary or text, float or double, of any dimension. The formats are Kaldi's own
(kaldi-vector.cc, kaldi-io.cc): binary is ``\\0B``, ``FV `` or ``DV ``, ``\\4``, the dimension as int32 and the numbers,
little-endian; text is ``[ 1 0.5 ]`` on one line. kaldiio writes them; it does not read them here, because it unpickles
what a foreign archive holds and takes a truncated vector for a shorter one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.io.tables import read_map, read_rows, read_segments
from ssdiar.timeline.spans import Segment, by_recording

_NUMBERS = {b"FV ": np.dtype("<f4"), b"DV ": np.dtype("<f8")}
_OTHERS = {b"FM ": "a matrix", b"DM ": "a matrix", b"CM": "a compressed matrix"}
# Of a vector; more is a damaged header, or a file without line ends, and is not read into memory to find out.
_MOST_NUMBERS = 1 << 20
_LONGEST_LINE = 24 * _MOST_NUMBERS  # bytes


class XVectors:
    """The table xvector.scp, and the vectors that it points to.

    Args:
        path: The xvector.scp.

    Raises:
        InputError: The table is malformed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._places = {key: (line, place) for line, (key, place) in read_rows(path, "sub-segment ark:offset...")}

    def keys(self) -> Set[str]:
        """Return the ids that the table has."""
        return self._places.keys()

    def archives(self) -> set[str]:
        """Return the archives that the table points to, as it names them; commands are none."""
        return {self._split(place)[0] for _, place in self._places.values() if not place.endswith("|")}

    def __len__(self) -> int:
        return len(self._places)

    def load(self, keys: Sequence[str]) -> np.ndarray:
        """Return the vectors of ``keys``, (S, D) float32, in their order.

        Raises:
            InputError: A key is missing, its archive cannot be read, or a vector is a matrix, is not finite or has
                another dimension than the first one.
        """
        vectors: list[np.ndarray] = []
        with _OpenArchive() as archive:
            for key in keys:
                vectors.append(self._load_one(key, archive))
                if len(vectors[-1]) != len(vectors[0]):
                    expected = f"{len(vectors[0])}, as sub-segment {keys[0]}"
                    self._fail(key, "another dimension", expected, len(vectors[-1]))
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def _load_one(self, key: str, archive: _OpenArchive) -> np.ndarray:
        if key not in self._places:
            raise InputError(f"no x-vector of sub-segment {key}", path=self.path)
        place = self._places[key][1]
        if place.endswith("|") or place.startswith("|"):
            self._fail(key, "commands are not run here", "file:offset", place)
        name, offset = self._split(place)
        try:
            value = _read_vector(archive.stream(name), offset)
        except FileNotFoundError:
            self._fail(key, "no such archive", None, place)
        except OSError as error:
            self._fail(key, "cannot read the archive", None, f"{error.strerror} at {place}")
        except ValueError as error:
            self._fail(key, "unreadable archive entry", "a vector of floats", f"{error} at {place}")
        with np.errstate(over="ignore"):
            value = value.astype(np.float32)
        if not np.isfinite(value).all():
            self._fail(key, "vector is not finite", "numbers", f"{value[~np.isfinite(value)][0]}")
        return value

    @staticmethod
    def _split(place: str) -> tuple[str, int]:
        """Return (file, byte offset); a place without an offset is a file of one vector."""
        name, _, offset = place.rpartition(":")
        return (name, int(offset)) if name and re.fullmatch("[0-9]{1,18}", offset) else (place, 0)

    def _fail(self, key: str, what: str, expected: str | None, got: object) -> None:
        line = self._places[key][0]
        raise InputError(
            f"x-vector of sub-segment {key}: {what}", path=self.path, line=line, expected=expected, got=got
        )


class _OpenArchive:
    """The archive that was asked for last, kept open: vectors of a recording mostly lie in one."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _OpenArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stream(self, name: str) -> BinaryIO:
        """Return an archive, open for reading; the one before is closed."""
        if name != self._name:
            self._stack.close()
            self._name = None
            self._stream = self._stack.enter_context(open(name, "rb"))  # noqa: SIM115, the stack closes it
            self._name = name
        return self._stream


def _read_vector(stream: BinaryIO, offset: int) -> np.ndarray:
    """Return the vector (D,) at a byte offset; a ValueError says what is there instead."""
    stream.seek(offset)
    if stream.read(2) != b"\0B":
        stream.seek(offset)
        return _read_text_vector(stream)
    kind = stream.read(3)
    if kind not in _NUMBERS:
        raise ValueError(_OTHERS.get(kind) or _OTHERS.get(kind[:2]) or "another type")
    head = stream.read(5)
    if len(head) < 5 or head[0] != 4:
        raise ValueError("a damaged header")
    size = struct.unpack("<xi", head)[0]
    if not 1 <= size <= _MOST_NUMBERS:
        raise ValueError(f"dimension {size}")
    data = stream.read(size * _NUMBERS[kind].itemsize)
    if len(data) < size * _NUMBERS[kind].itemsize:
        raise ValueError("a truncated vector")
    return np.frombuffer(data, _NUMBERS[kind])


def _read_text_vector(stream: BinaryIO) -> np.ndarray:
    line = stream.readline(_LONGEST_LINE)
    if not line.strip():
        raise ValueError("nothing")
    match = re.fullmatch(rb"\s*\[([^\[\]]*)\]\s*", line)
    if match is None:
        opened = line.lstrip().startswith(b"[")
        raise ValueError("a matrix or a truncated vector" if opened else "neither a text nor a binary vector")
    numbers = match[1].split()
    if not numbers:
        raise ValueError("dimension 0")
    try:
        return np.array([float(number) for number in numbers])
    except ValueError:
        raise ValueError("text that is no number") from None


def read_xvector_dir(folder: Path) -> tuple[dict[str, list[Segment]], XVectors]:
    """Return the sub-segments by recording, and their x-vectors, of a directory that may be another toolkit's.

    Raises:
        InputError: Its tables name different sub-segments or recordings, or a file is missing or damaged.
    """
    pieces = read_segments(folder / "segments")
    xvectors = XVectors(folder / "xvector.scp")
    if (folder / "utt2spk").exists():
        recordings = read_map(folder / "utt2spk", "sub-segment recording")
        for piece in pieces:
            if recordings.get(piece.id) != piece.reco:
                raise InputError(
                    f"sub-segment {piece.id} differs from {folder / 'segments'}",
                    path=folder / "utt2spk",
                    expected=f"recording {piece.reco}",
                    got=recordings.get(piece.id, "no such line"),
                )
    unknown = xvectors.keys() - {piece.id for piece in pieces}
    if unknown:
        what = f"x-vector of a sub-segment that {folder / 'segments'} does not have ({len(unknown)} of {len(xvectors)})"
        raise InputError(what, path=xvectors.path, got=min(unknown))
    return by_recording(pieces), xvectors


def write_xvectors(path: str | Path, vectors: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Write vectors as a binary ark of float32; return each one's byte offset, what stands after ``file:`` in a scp."""
    import kaldiio

    offsets = {}
    with open(path, "wb") as stream:
        for key, vector in vectors.items():
            offsets[key] = stream.tell() + len(f"{key} ".encode())
            kaldiio.save_ark(stream, {key: np.asarray(vector, np.float32)})
    return offsets


def write_xvector_scp(path: str | Path, places: Mapping[str, tuple[Path, int]]) -> bool:
    """Write xvector.scp from (ark file, offset) per sub-segment, sorted by id; return whether it changed."""
    return publish_text(path, "".join(f"{key} {places[key][0]}:{places[key][1]}\n" for key in sorted(places)))
