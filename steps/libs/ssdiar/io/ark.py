"""x-vectors in Kaldi's archives: xvector.scp names, per sub-segment, a place in an ark file.

Archives of any toolkit are read, binary or text, float or double, of any dimension. This is the only module that knows
kaldiio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import kaldiio
import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.io.tables import read_rows


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

    def __len__(self) -> int:
        return len(self._places)

    def load(self, keys: Sequence[str]) -> np.ndarray:
        """Return the vectors of ``keys``, (S, D) float32, in their order.

        Raises:
            InputError: A key is missing, its archive cannot be read, or a vector is a matrix, is not finite or has
                another dimension than the first one.
        """
        vectors: list[np.ndarray] = []
        open_files: dict[str, object] = {}
        try:
            for key in keys:
                vectors.append(self._load_one(key, open_files))
                if len(vectors[-1]) != len(vectors[0]):
                    self._fail(
                        key, "another dimension", f"{len(vectors[0])}, as sub-segment {keys[0]}", len(vectors[-1])
                    )
        finally:
            for stream in open_files.values():
                stream.close()
        return np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 0), np.float32)

    def _load_one(self, key: str, open_files: dict[str, object]) -> np.ndarray:
        if key not in self._places:
            raise InputError(f"no x-vector of sub-segment {key}", path=self.path)
        place = self._places[key][1]
        if place.endswith("|") or place.startswith("|"):
            self._fail(key, "commands are not run here", "file:offset", place)
        try:
            value = kaldiio.load_mat(place, fd_dict=open_files)
        except FileNotFoundError:
            self._fail(key, "no such archive", None, place)
        except Exception as error:  # kaldiio raises whatever the bytes of a damaged archive happen to provoke
            self._fail(key, "unreadable archive entry", "a float vector", f"{type(error).__name__} at {place}")
        if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind != "f":
            self._fail(key, "not a vector", "a float vector", f"shape {getattr(value, 'shape', None)}")
        if not np.isfinite(value).all():
            self._fail(key, "vector is not finite", "numbers", f"{value[~np.isfinite(value)][0]}")
        return value

    def _fail(self, key: str, what: str, expected: str | None, got: object) -> None:
        line = self._places[key][0]
        raise InputError(
            f"x-vector of sub-segment {key}: {what}", path=self.path, line=line, expected=expected, got=got
        )


def write_xvectors(path: str | Path, vectors: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Write vectors as a binary ark of float32; return each one's byte offset, what stands after ``file:`` in a scp."""
    table = Path(path).with_suffix(".offsets")
    with kaldiio.WriteHelper(f"ark,scp:{path},{table}") as writer:
        for key, vector in vectors.items():
            writer(key, np.asarray(vector, np.float32))
    lines = table.read_text(encoding="utf-8").splitlines()
    table.unlink()
    return {line.split(None, 1)[0]: int(line.rpartition(":")[2]) for line in lines}


def write_xvector_scp(path: str | Path, places: Mapping[str, tuple[Path, int]]) -> bool:
    """Write xvector.scp from (ark file, offset) per sub-segment, sorted by id; return whether it changed."""
    return publish_text(path, "".join(f"{key} {places[key][0]}:{places[key][1]}\n" for key in sorted(places)))
