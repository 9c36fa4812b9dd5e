"""From a recording's x-vectors to its labels, by the system that a file of conf/systems describes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.ssl import Clustering, cluster_ssl
from ssdiar.clustering.vectors import Moments, length_normalise


def cluster_recording(
    vectors: np.ndarray,
    num_spk: int | None,
    config: SystemConfig,
    reco: str,
    seed: int = 0,
    threshold: float | None = None,
    background: Moments | None = None,
) -> Clustering:
    """Cluster the x-vectors of one recording.

    The result depends on the arguments and on nothing that ran before.

    Args:
        vectors: (S, D), in order of time, S at least 1.
        num_spk: Number of speakers; None to estimate it from the vectors.
        config: The system.
        reco: Id of the recording; with the seed it is where randomness comes from.
        seed: See ``reco``.
        threshold: If given, the number of speakers is instead where AHC of the prepared x-vectors stops: when no two
            clusters have a mean cosine above it.
        background: Moments of the x-vectors of other recordings, for systems that are centred or whitened by them;
            without it they make do with the recording's own.

    Returns:
        Labels of at most that many speakers, and a history with num_spk, seconds, and what the method adds.
    """
    started = time.monotonic()
    vectors = np.asarray(vectors, np.float64)
    prepared, whiten = prepare(vectors, config.prepare, background)
    if threshold is not None:
        num_spk = Dendrogram(prepared, config.labels.linkage).clusters_at(threshold)
    elif num_spk is None:
        from ssdiar.clustering.nmesc import estimate_num_spk

        num_spk = estimate_num_spk(prepare(vectors, Preparation())[0])
    target = min(num_spk, len(vectors))
    if target == 1:
        result = Clustering(np.zeros(len(vectors), np.int64), {"stop_reason": "one speaker"})
    elif config.method == "ahc":
        labels = Dendrogram(prepared, config.labels.linkage).cut(target)
        result = Clustering(labels, {"stop_reason": "number of clusters reached"})
    elif config.method == "nmesc":
        from ssdiar.clustering.nmesc import spectral_labels

        labels = spectral_labels(prepared, target, random_generator(seed, reco))
        result = Clustering(labels, {"stop_reason": "number of clusters reached"})
    else:
        result = cluster_ssl(prepared, whiten, target, config, random_generator(seed, reco))
    result.history |= {
        "num_spk": num_spk,
        "clusters": int(result.labels.max()) + 1,
        "seconds": round(time.monotonic() - started, 3),
    }
    if config.prepare.needs_fold and background is None:
        result.history["background"] = "of the recording itself, there being no other recordings"
    return result


def prepare(
    vectors: np.ndarray, config: Preparation, background: Moments | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return x-vectors (S, D) centred and scaled as the system says, and the whitening transform (D, D)."""
    own = Moments.of(vectors)
    other = own if background is None else background
    if config.centre != "none":
        vectors = vectors - (own if config.centre == "recording" else other).mean
    whiten = (own if config.whiten == "recording" else other).whitening(config.shrinkage)
    if config.whiten_input:
        vectors = vectors @ whiten
    return (length_normalise(vectors) if config.length_normalise else vectors), whiten


def fold_backgrounds(vectors: Mapping[str, np.ndarray]) -> dict[str, Moments]:
    """Return for every recording the moments of the x-vectors of the half of the set that it is not in.

    The halves are the recordings in order of id, alternately; a single recording has no background.

    Args:
        vectors: (S, D) x-vectors per recording.
    """
    names = sorted(vectors)
    halves = [names[0::2], names[1::2]]
    if not halves[1]:
        return {}
    moments = [Moments.of(np.concatenate([vectors[reco] for reco in half]).astype(np.float64)) for half in halves]
    return {reco: moments[1 - number] for number, half in enumerate(halves) for reco in half}


def random_generator(seed: int, reco: str) -> np.random.Generator:
    """Return a generator that depends on (seed, recording id) alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {reco}".encode()).digest()[:16], "little"))
