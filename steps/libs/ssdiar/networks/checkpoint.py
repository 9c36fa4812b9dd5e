"""PyTorch checkpoints read without PyTorch: the tensors as NumPy arrays.

A checkpoint is a zip archive (since PyTorch 1.6, 2020): ``data.pkl`` pickles the containers, ``data/<key>`` holds the
numbers of each storage. Unpickling may run any code that a file names, so only tensors and plain containers are built.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
}


def read_checkpoint(path: str | Path) -> Any:
    """Return the content of a checkpoint, tensors as arrays.

    Raises:
        ValueError: It is not a zip archive of PyTorch, or one of its tensors is not inside its storage.
        Exception: Any error of pickle or zipfile about a damaged file.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("not a checkpoint of PyTorch 1.6 or later")
    with zipfile.ZipFile(path) as archive:
        pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if pickled is None:
            raise ValueError("a zip archive without data.pkl")
        with archive.open(pickled) as stream:
            return _Unpickler(stream, archive, pickled.removesuffix("data.pkl")).load()


class _Unknown:
    """Stands for any class or function that a checkpoint names and that weights do not need."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> _Unknown:
        return self

    def __setstate__(self, state: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Builds arrays and plain containers; anything else that the file names becomes :class:`_Unknown`, never code."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(stream)
        self._archive, self._folder = archive, folder
        self._read: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {("collections", "OrderedDict"): OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): _tensor}
        return known.get((module, name), _Unknown)

    def persistent_load(self, identity: tuple) -> np.ndarray:
        """Return a storage, (n,)."""
        _, number_type, key, *_ = identity
        if number_type not in _STORAGES.values():
            return np.empty(0, np.float32)
        if key not in self._read:
            # Storages are little-endian, as are the machines that train networks.
            data = self._archive.read(f"{self._folder}data/{key}")
            self._read[key] = np.frombuffer(data, np.dtype(number_type).newbyteorder("<"))
        return self._read[key]


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object):
    """Return a view of a storage (``torch._utils._rebuild_tensor_v2``)."""
    if math.prod(shape) == 0:
        return np.empty(shape, storage.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if offset < 0 or min(strides, default=0) < 0 or last >= len(storage):
        raise ValueError("a tensor that is not inside its storage")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
