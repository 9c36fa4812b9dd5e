"""Descriptions of x-vector models (conf/xvector/*.yaml), and the way from one to a model that embeds audio."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from ssdiar.config import Range, read_config
from ssdiar.errors import InputError


@dataclass(frozen=True)
class ModelConfig:
    """One file of conf/xvector.

    Attributes:
        name: Name of the model, as it stands in every result.
        loader: Module of this package that loads it.
        source: Where its weights are: a package (campplus) or a hub repository (speechbrain).
        sample_rate: What its audio is resampled to, in Hz.
        dimension: Length of a vector.
        min_duration: Shorter sub-segments are widened to so many seconds around their centre.
        batch_size: Sub-segments per call of the network.
    """

    name: str
    loader: Literal["campplus", "speechbrain"]
    source: str
    sample_rate: Annotated[int, Range(8000)]
    dimension: Annotated[int, Range(1)]
    min_duration: Annotated[float, Range(0.1)]
    batch_size: Annotated[int, Range(1)]


class XVectorModel(ABC):
    """A pretrained network that turns stretches of one recording into vectors.

    Attributes:
        config: The description that it was loaded from.
        weights_sha256: Digest of its weights, so that a result names the very model that made it.
        source: Where the weights were really found.
    """

    config: ModelConfig
    weights_sha256: str
    source: str

    @abstractmethod
    def embed(self, samples: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return one vector per stretch of a recording.

        Args:
            samples: (N,) float32 in [-1, 1] at the model's sample rate: the whole recording, one channel.
            starts: (S,) start times in seconds.
            ends: (S,) end times in seconds.

        Returns:
            (S, D) float32.
        """


def read_model_config(path: str | Path) -> ModelConfig:
    """Read a model description; errors as of :func:`ssdiar.config.read_config`."""
    return read_config(ModelConfig, path)


def local_files(config: ModelConfig, source: str | None = None) -> list[Path]:
    """Return the files on this machine that a model is made of; nothing for a model of the hub.

    Args:
        config: The model's description.
        source: A folder that holds the model, instead of the description's own source.
    """
    if source is not None:
        shown = (path for path in Path(source).rglob("[!.]*") if not path.relative_to(source).parts[0].startswith("."))
        return sorted(path for path in shown if path.is_file())
    spec = importlib.util.find_spec(config.source) if config.source.isidentifier() else None
    folders = [] if spec is None else spec.submodule_search_locations or []
    return sorted(path for folder in folders for path in Path(folder).rglob("*.p[yt]") if path.is_file())


def load_model(config: ModelConfig, source: str | None = None) -> XVectorModel:
    """Load a model (this imports torch).

    Args:
        config: The model's description.
        source: A folder that holds the model, instead of the description's own source.

    Raises:
        InputError: The model or what it needs is not there, is damaged, or is not what the description says; the
            message says what to install or to give.
    """
    loader = importlib.import_module(f"ssdiar.xvectors.{config.loader}")
    try:
        return loader.load(config, source)
    except InputError:
        raise
    except Exception as error:  # torch, yaml and speechbrain raise whatever damaged or foreign files provoke
        raise InputError(
            f"cannot load the model {config.name}", path=source or config.source, got=reason(error)
        ) from error


def reason(error: Exception) -> str:
    """Return an exception's kind and the first line of what it says."""
    if isinstance(error, FileNotFoundError) and error.filename:  # often below a temporary folder
        return f"no file {Path(error.filename).name}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def equal_length_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Group items of equal length into batches, so that no network ever sees padding.

    Args:
        lengths: (S,) lengths in frames or samples.
        batch_size: At most so many items per batch.

    Returns:
        Index arrays that partition 0..S-1, in an order that depends on ``lengths`` alone.
    """
    order = np.argsort(lengths, kind="stable")
    changes = np.flatnonzero(np.diff(lengths[order])) + 1
    groups = np.split(order, changes) if len(order) else []
    return [group[i : i + batch_size] for group in groups for i in range(0, len(group), batch_size)]


def window_in_frames(
    starts: np.ndarray, ends: np.ndarray, rate: float, total: int, shortest: int, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Convert times to whole frames (or samples) that lie inside the recording.

    Args:
        starts: (S,) seconds.
        ends: (S,) seconds.
        rate: Frames per second.
        total: Number of frames of the recording.
        shortest: Shorter stretches are widened to so many frames around their centre.
        step: Lengths are rounded to multiples of this, so that more stretches share a batch.

    Returns:
        (S,) first frames and (S,) lengths, both int64; shorter than ``shortest`` only if the recording itself is.
    """
    centres = (starts + ends) / 2 * rate
    lengths = np.maximum(np.rint((ends - starts) * rate / step).astype(np.int64) * step, shortest)
    lengths = np.minimum(lengths, total)
    first = np.rint(centres - lengths / 2).astype(np.int64)
    return np.clip(first, 0, total - lengths), lengths
