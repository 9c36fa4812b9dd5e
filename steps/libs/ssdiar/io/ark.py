"""x-vectors in Kaldi's archives: xvector.scp names, for each sub-segment, a place in an ark file.

Archives of any toolkit are read, binary or text, float or double, of any dimension. The formats are Kaldi's
(kaldi-vector.cc, kaldi-io.cc): binary is ``\\0B``, ``FV `` or ``DV ``, ``\\4``, the dimension as int32 and the numbers,
little-endian; text is ``[ 1 0.5 ]`` on one line. kaldiio writes archives but does not read them, because it unpickles
objects of a foreign archive and takes a truncated vector for a shorter one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.tables import read_map, read_rows, read_subsegments, write_table
from ssdiar.timeline.spans import Segment, by_recording

_NUMBERS = {b"FV ": np.dtype("<f4"), b"DV ": np.dtype("<f8")}
# A larger dimension, or a longer line (bytes), is a damaged header or no archive, and is not read into memory.
_MAX_DIMENSION = 1 << 20
_MAX_LINE = 24 * _MAX_DIMENSION


class XVectors:
    """The table xvector.scp, and the vectors that it points to.

    Raises:
        InputError: The table is malformed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._places = {key: (line, place) for line, (key, place) in read_rows(path, "sub-segment ark:offset...")}

    def keys(self) -> Set[str]:
        """Return the ids of the table."""
        return self._places.keys()

    def archives(self) -> set[str]:
        """Return the archives that the table points to, as it names them, without commands."""
        return {_split(place)[0] for _, place in self._places.values() if not place.endswith("|")}

    def load(self, keys: Sequence[str]) -> np.ndarray:
        """Return the vectors of ``keys``, (S, D) float32, in their order.

        Raises:
            InputError: A key is missing, its archive cannot be read, or a vector is a matrix, is not finite or has
                another dimension than the first one.
        """
        vectors: list[np.ndarray] = []
        for key in keys:
            vectors.append(self._load_one(key))
            if len(vectors[-1]) != len(vectors[0]):
                expected = f"{len(vectors[0])}, as sub-segment {keys[0]}"
                self._fail(key, "another dimension", expected, len(vectors[-1]))
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def _load_one(self, key: str) -> np.ndarray:
        if key not in self._places:
            raise InputError(f"no x-vector of sub-segment {key}", path=self.path)
        place = self._places[key][1]
        if place.endswith("|") or place.startswith("|"):
            self._fail(key, "commands are not run here", "file:offset", place)
        name, offset = _split(place)
        try:
            with open(name, "rb") as stream:
                value = _read_vector(stream, offset)
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

    def _fail(self, key: str, what: str, expected: str | None, got: object) -> NoReturn:
        what, line = f"x-vector of sub-segment {key}: {what}", self._places[key][0]
        raise InputError(what, path=self.path, line=line, expected=expected, got=got)


def _split(place: str) -> tuple[str, int]:
    """Return (file, byte offset); a place without an offset is a file of one vector."""
    name, _, offset = place.rpartition(":")
    return (name, int(offset)) if name and re.fullmatch("[0-9]{1,18}", offset) else (place, 0)


def _read_vector(stream: BinaryIO, offset: int) -> np.ndarray:
    """Return the vector (D,) at a byte offset; a ValueError names anything else that is there."""
    stream.seek(offset)
    if stream.read(2) != b"\0B":
        stream.seek(offset)
        return _parse_text(stream.readline(_MAX_LINE))
    kind = stream.read(3)
    if kind not in _NUMBERS:
        raise ValueError("a matrix" if kind[1:2] == b"M" else "another type")
    size, dimension = struct.unpack("<bi", stream.read(5).ljust(5))
    if size != 4 or not 1 <= dimension <= _MAX_DIMENSION:
        raise ValueError("a damaged header")
    data = stream.read(dimension * _NUMBERS[kind].itemsize)
    if len(data) < dimension * _NUMBERS[kind].itemsize:
        raise ValueError("a truncated vector")
    return np.frombuffer(data, _NUMBERS[kind])


def _parse_text(line: bytes) -> np.ndarray:
    if not line.strip():
        raise ValueError("nothing")
    match = re.fullmatch(rb"\s*\[([^\[\]]*)\]\s*", line)
    if match is None:
        is_open = line.lstrip().startswith(b"[")
        raise ValueError("a matrix or a truncated vector" if is_open else "neither a text nor a binary vector")
    if not match[1].split():
        raise ValueError("dimension 0")
    try:
        return np.array([float(number) for number in match[1].split()])
    except ValueError:
        raise ValueError("text that is no number") from None


def read_xvector_dir(folder: Path) -> tuple[dict[str, list[Segment]], list[Segment], XVectors]:
    """Return the sub-segments with an x-vector by recording, those without, and the x-vectors of a directory.

    It may be another toolkit's. Kaldi's extractor gives none to sub-segments that are too short for it.

    Raises:
        InputError: Its tables name different sub-segments or recordings, a file is missing or damaged, or there is no
            x-vector at all.
    """
    subsegments, segments, utt2spk = read_subsegments(folder), folder / "segments", folder / "utt2spk"
    xvectors = XVectors(folder / "xvector.scp")
    ids = xvectors.keys()
    if utt2spk.exists():
        recordings = read_map(utt2spk, "sub-segment recording")
        for one in subsegments:
            if one.id in ids and recordings.get(one.id) != one.reco:
                what, got = f"sub-segment {one.id} differs from {segments}", recordings.get(one.id, "no such line")
                raise InputError(what, path=utt2spk, expected=f"recording {one.reco}", got=got)
    if unknown := ids - {one.id for one in subsegments}:
        what = f"x-vector of a sub-segment that {segments} does not have ({len(unknown)} of {len(ids)})"
        raise InputError(what, path=xvectors.path, got=min(unknown))
    if subsegments and not ids:
        raise InputError(f"no x-vector of any of the {len(subsegments)} sub-segments", path=xvectors.path)
    without = [one for one in subsegments if one.id not in ids]
    return by_recording(one for one in subsegments if one.id in ids), without, xvectors


def write_xvectors(path: str | Path, vectors: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Write vectors as a binary ark of float32; return the byte offset of each, for xvector.scp."""
    import kaldiio

    offsets = {}
    with open(path, "wb") as stream:
        for key, vector in vectors.items():
            offsets[key] = stream.tell() + len(f"{key} ".encode())
            kaldiio.save_ark(stream, {key: np.asarray(vector, np.float32)})
    return offsets


def write_xvector_scp(path: str | Path, places: Mapping[str, tuple[Path, int]]) -> bool:
    """Write xvector.scp from (ark file, offset) per sub-segment, sorted by id; return whether it changed."""
    return write_table(path, {key: f"{ark}:{offset}" for key, (ark, offset) in places.items()})
