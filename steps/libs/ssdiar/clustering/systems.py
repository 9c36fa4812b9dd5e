"""From a recording's x-vectors to its labels, by the system that a file of conf/systems describes."""

from __future__ import annotations

import hashlib
import time

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.ssl import Clustering, cluster_ssl
from ssdiar.clustering.vectors import length_normalise


def cluster_recording(
    vectors: np.ndarray, num_spk: int | None, config: SystemConfig, reco: str, seed: int = 0
) -> Clustering:
    """Cluster the x-vectors of one recording.

    The result depends on the vectors, the system, the seed and the recording's id, and on nothing that ran before.

    Args:
        vectors: (S, D), in order of time, S at least 1.
        num_spk: Number of speakers; None to estimate it from the vectors.
        config: The system.
        reco: Id of the recording; with the seed it is where randomness comes from.
        seed: See ``reco``.

    Returns:
        Labels of at most ``num_spk`` speakers, and a history with num_spk, seconds, and what the method adds.
    """
    started = time.monotonic()
    prepared = prepare(vectors, config.prepare)
    if num_spk is None:
        from ssdiar.clustering.nmesc import estimate_num_spk

        num_spk = estimate_num_spk(prepare(vectors, Preparation()))
    target = min(num_spk, len(vectors))
    if target == 1:
        result = Clustering(np.zeros(len(vectors), np.int64), {"stop_reason": "one speaker"})
    elif config.method == "ahc":
        labels = Dendrogram(prepared, config.labels.linkage).cut(target)
        result = Clustering(labels, {"stop_reason": "number of clusters reached"})
    else:
        result = cluster_ssl(prepared, target, config, random_generator(seed, reco))
    result.history |= {
        "num_spk": num_spk,
        "clusters": int(result.labels.max()) + 1,
        "seconds": round(time.monotonic() - started, 3),
    }
    return result


def prepare(vectors: np.ndarray, config: Preparation) -> np.ndarray:
    """Return x-vectors (S, D) as float64, centred and scaled as the system says."""
    vectors = np.asarray(vectors, np.float64)
    if config.centre:
        vectors = vectors - vectors.mean(axis=0)
    return length_normalise(vectors) if config.length_normalise else vectors


def random_generator(seed: int, reco: str) -> np.random.Generator:
    """Return a generator that depends on (seed, recording id) alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {reco}".encode()).digest()[:16], "little"))
