"""Input and output of clustering: the x-vectors of one recording, prepared, and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssdiar.clustering.config import Preparation
from ssdiar.clustering.neighbours import (
    mean_overlap,
    neighbour_average,
    neighbour_whitening,
    stretches,
    without_overlap,
)
from ssdiar.clustering.vectors import Moments, length_normalise
from ssdiar.timeline.segmentation import Segmentation


@dataclass(frozen=True)
class RecordingVectors:
    """The x-vectors of one recording, or of one side of it: the input of clustering."""

    reco: str  # its id, for messages
    vectors: np.ndarray  # (S, D) x-vectors of its sub-segments, in order of time, S at least 1
    times: np.ndarray | None = None  # (S, 2) starts and ends in seconds; systems that use neighbours in time need them
    num_spk: int | None = None  # N_c*; None to estimate it
    segmentation: Segmentation | None = None  # output of the segmentation network, evidence for the number of speakers
    # Moments of the x-vectors of other recordings, for systems that are centred or whitened by them; without it they
    # use the recording's own.
    background: Moments | None = None
    is_side: bool = False  # one side of a call with one party per channel, and so probably one speaker
    model: str | None = None  # name of the x-vector model, if it is known
    # (S,) names or numbers of the speech regions that sub-segments were cut from; without them, gaps in time tell.
    regions: np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """A recording whose x-vectors are ready to be clustered."""

    recording: RecordingVectors
    vectors: np.ndarray  # (S, D) X, the prepared x-vectors
    whiten: np.ndarray  # (D, D) the whitening transform, with which some networks start
    times: np.ndarray | None = None  # (S, 2) the seconds that each sub-segment stands for, without overlap
    stretch: np.ndarray | None = None  # (S,) number of the stretch of speech that each belongs to
    threads: int = 1  # does not affect the result


@dataclass
class Clustering:
    """The result for one recording."""

    labels: np.ndarray  # (S,) from 0, numbered by first occurrence
    history: dict[str, Any] = field(default_factory=dict)  # for JSON
    support: np.ndarray | None = None  # (S,) share of the votes for each label, from systems that vote
    sure: np.ndarray | None = None  # (S,) probability that each label is right, from systems that know it


def prepare(recording: RecordingVectors, config: Preparation, threads: int = 1) -> Prepared:
    """Rectify, centre, whiten, scale and average a recording's x-vectors.

    Raises:
        ValueError: The system uses neighbours in time and the recording has no times.
    """
    vectors, times = np.asarray(recording.vectors, np.float64), recording.times
    if times is None and (config.whiten == "neighbours" or config.average):
        raise ValueError("times are needed to know neighbours")
    stretch = None if times is None else stretches(times, recording.regions)
    if config.rectify:
        vectors = np.maximum(vectors, 0)
    own = Moments.of(vectors)
    other = own if recording.background is None else recording.background
    if config.centre != "none":
        vectors = vectors - (own if config.centre == "recording" else other).mean
    if config.whiten == "neighbours":
        vectors = length_normalise(vectors)
        whiten = neighbour_whitening(vectors, times, stretch, config.shrinkage)
    else:
        whiten = (own if config.whiten == "recording" else other).whitening(config.shrinkage)
    if config.whiten_input:
        vectors = vectors @ whiten
    if config.length_normalise:
        vectors = length_normalise(vectors)
    own_times = None if times is None else without_overlap(times)
    # Overlapping windows already average the audio that they share.
    decay = config.average - mean_overlap(times, stretch) / 2 if config.average else 0.0
    if decay > 0:
        vectors = length_normalise(neighbour_average(vectors, own_times, stretch, decay))
    return Prepared(recording, vectors, whiten, own_times, stretch, threads)


def fold_backgrounds(vectors: Mapping[str, np.ndarray]) -> dict[str, Moments]:
    """Return for every recording the moments of the x-vectors of the half of the set that it is not in.

    Recordings, in order of id, belong to the halves alternately. A single recording has no background.

    Args:
        vectors: (S, D) x-vectors per recording.
    """
    names = sorted(vectors)
    halves = [names[0::2], names[1::2]]
    if not halves[1]:
        return {}
    moments = [Moments.of(np.concatenate([vectors[reco] for reco in half]).astype(np.float64)) for half in halves]
    return {reco: moments[1 - number] for number, half in enumerate(halves) for reco in half}
