"""Descriptions of x-vector models (conf/xvector/*.yaml), and the way from one to a model that embeds audio."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from ssdiar.config import AtLeastOne, Config, read_config
from ssdiar.errors import InputError

_GPU_BATCHES = 16  # batches of a CPU in one of a GPU


class ModelConfig(Config, frozen=True):
    """One file of conf/xvector.

    Attributes:
        name: Name of the model, as it stands in every result.
        loader: Module of this package that loads it.
        source: Where its weights are: a package (campplus) or a hub repository (speechbrain).
        sample_rate: What its audio is resampled to, in Hz.
        dimension: Length of a vector.
        min_duration: Seconds; shorter sub-segments are widened to it, around their centre if nothing is in the way.
        batch_size: Sub-segments per call of the network on a CPU.
    """

    name: str
    loader: Literal["campplus", "speechbrain"]
    source: str
    sample_rate: Annotated[int, Meta(ge=8000)]
    dimension: AtLeastOne
    min_duration: Annotated[float, Meta(ge=0.1)]
    batch_size: AtLeastOne


class XVectorModel(ABC):
    """A pretrained network that turns stretches of one recording into vectors.

    Attributes:
        config: The description that it was loaded from.
        weights_sha256: Digest of its weights, so that a result names exactly the model that made it.
        source: Where the weights were found.
    """

    config: ModelConfig
    weights_sha256: str
    source: str

    @abstractmethod
    def embed(
        self,
        samples: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        bounds: np.ndarray | None = None,
        origin: int = 0,
    ) -> np.ndarray:
        """Return one vector per stretch of a recording.

        Args:
            samples: (N,) float32 in [-1, 1] at the model's sample rate, one channel: the recording from ``origin`` on,
                as far as it is needed.
            starts: (S,) start times in seconds.
            ends: (S,) end times in seconds.
            bounds: (S, 2) seconds that a stretch which is widened stays within (:func:`free_of`); by default the
                recording.
            origin: Second of the recording with which samples begin.

        Returns:
            (S, D) float32.
        """


def read_model_config(choice: str | Path) -> ModelConfig:
    """Read a model's description, of its name or file and changes; for errors see :func:`ssdiar.config.read_config`."""
    return read_config(ModelConfig, choice, "xvector")


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


def load_model(config: ModelConfig, source: str | None = None, device: str = "cpu") -> XVectorModel:
    """Load a model.

    Args:
        config: The model's description.
        source: A folder that holds the model, instead of the description's own source.
        device: Where it runs: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: The model or what it needs is not there, is damaged, or is not what the description says; the
            message says what to install or to give.
    """
    loader = importlib.import_module(f"ssdiar.xvectors.{config.loader}")
    try:
        return loader.load(config, source, device)
    except InputError:
        raise
    except Exception as error:  # torch, yaml and speechbrain raise whatever damaged or foreign files provoke
        raise InputError(
            f"cannot load the model {config.name}", path=source or config.source, got=reason(error)
        ) from error


def batch_size(config: ModelConfig, device: str) -> int:
    """Return how many sub-segments a model embeds at once on a device: a GPU takes many more than a CPU's cache."""
    return config.batch_size * (1 if device == "cpu" else _GPU_BATCHES)


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
        batch_size: The largest number of items in a batch.

    Returns:
        Index arrays that partition 0..S-1, in an order that depends on ``lengths`` alone.
    """
    order = np.argsort(lengths, kind="stable")
    changes = np.flatnonzero(np.diff(lengths[order])) + 1
    groups = np.split(order, changes) if len(order) else []
    return [group[i : i + batch_size] for group in groups for i in range(0, len(group), batch_size)]


def window_in_frames(
    starts: np.ndarray,
    ends: np.ndarray,
    rate: float,
    total: int,
    shortest: int,
    step: int = 1,
    bounds: np.ndarray | None = None,
    origin: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Convert times to whole frames (or samples) that lie inside a recording or a part of it.

    Times are rounded before what lies ahead of the part is taken off: a part's frames are those of the whole.

    Args:
        starts: (S,) seconds.
        ends: (S,) seconds.
        rate: Frames per second.
        total: Number of frames of the recording, or of its part.
        shortest: Frames; shorter stretches are widened to it around their centre.
        step: Lengths are rounded to multiples of this, so that more stretches share a batch.
        bounds: (S, 2) seconds that stretches which are widened stay within, off their centre if need be.
        origin: Second with which the part begins.

    Returns:
        (S,) first frames, counted in the part, and (S,) lengths, both int64; shorter than ``shortest`` only if the
        recording itself is, or what is within bounds.
    """
    centres = (starts + ends) / 2 * rate
    own = np.rint((ends - starts) * rate / step).astype(np.int64) * step
    low, high = np.zeros(len(own), np.int64), np.full(len(own), total, np.int64)
    if bounds is not None:
        within = np.clip((bounds - origin) * rate, 0, total)
        low = np.where(own < shortest, np.ceil(within[:, 0] - 1e-6), low).astype(np.int64)
        high = np.where(own < shortest, np.floor(within[:, 1] + 1e-6), high).astype(np.int64)
    room = np.where(high - low < total, np.maximum((high - low) // step * step, 1), total)
    lengths = np.minimum(np.maximum(own, shortest), np.minimum(room, total))
    first = np.rint(centres - lengths / 2).astype(np.int64) - round(origin * rate)
    first = np.clip(first, low, np.maximum(high - lengths, low))
    return np.clip(first, 0, total - lengths), lengths


def free_of(starts: np.ndarray, ends: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return (S, 2) how far each stretch may be widened without reaching into what is taken, seconds.

    Args:
        starts: (S,) seconds.
        ends: (S,) seconds.
        taken: (m, 2) regions in seconds, disjoint and in order, such as discarded overlap.
    """
    edges = np.concatenate([[[-np.inf, -np.inf]], np.asarray(taken, np.float64).reshape(-1, 2), [[np.inf, np.inf]]])
    middles = (starts + ends) / 2
    after = np.searchsorted(edges[:, 0], middles, side="right")
    return np.column_stack([np.minimum(edges[after - 1, 1], starts), np.maximum(edges[after, 0], ends)])
