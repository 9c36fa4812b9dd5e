"""From one recording to its labels, by the system that a file of conf/systems describes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.recording import Clustering, Prepared, Recording, prepare
from ssdiar.clustering.ssl import cluster_ssl


def cluster_recording(
    recording: Recording, config: SystemConfig, seed: int = 0, threshold: float | None = None
) -> Clustering:
    """Cluster the x-vectors of one recording.

    The result depends on the arguments and on nothing that ran before.

    Args:
        recording: The recording.
        config: The system.
        seed: Source of randomness, together with the recording's id.
        threshold: If given, the number of speakers is where AHC of the prepared x-vectors stops (no two clusters have a
            mean cosine above it), whatever number the recording comes with.

    Returns:
        Labels of at most that many speakers, and a history with num_spk, seconds, finch_first (what was done on FINCH's
        clusters because there are too many sub-segments), and what the method adds.
    """
    started = time.monotonic()
    size, num_spk, counted = len(recording.vectors), recording.num_spk, {}
    estimates = num_spk is None and threshold is None
    prepared = prepare(recording, config.prepare)
    if threshold is not None:
        num_spk = _dendrogram(prepared, config).clusters_at(threshold)
    elif num_spk is None:
        num_spk, counted = _COUNTS[config.count.method](prepared, config, random_generator(seed, recording.reco))
    target = min(num_spk, size)
    if target == 1:
        result = Clustering(np.zeros(size, np.int64), {"stop_reason": "one speaker"})
    else:
        result = _METHODS[config.method](prepared, target, config, random_generator(seed, recording.reco))
    result.history |= counted
    result.history |= {
        "num_spk": num_spk,
        "clusters": int(result.labels.max()) + 1,
        "finch_first": _finch_first(size, config, estimates),
        "seconds": round(time.monotonic() - started, 3),
    }
    if config.prepare.needs_fold and recording.background is None:
        result.history["background"] = "of the recording itself, there being no other recordings"
    return result


def random_generator(seed: int, reco: str) -> np.random.Generator:
    """Return a generator that depends on (seed, recording id) alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {reco}".encode()).digest()[:16], "little"))


def _dendrogram(prepared: Prepared, config: SystemConfig) -> Dendrogram:
    return Dendrogram(prepared.vectors, config.labels.linkage, most=config.labels.ahc_most)


def _ahc(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    return Clustering(_dendrogram(prepared, config).cut(num_spk), {"stop_reason": "number of clusters reached"})


def _nmesc(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    from ssdiar.clustering.nmesc import spectral_labels

    labels = spectral_labels(prepared.vectors, num_spk, rng)
    return Clustering(labels, {"stop_reason": "number of clusters reached"})


def _consensus(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    from ssdiar.clustering.consensus import vote

    recording = prepared.recording
    labels = vote(prepared.vectors, recording.times, num_spk, config.consensus.share, config.consensus, rng).labels
    latent = (np.asarray(recording.vectors, np.float64), prepared.vectors)
    return Clustering(labels, {"stop_reason": "number of clusters reached"}, latent)


def _count_by_eigengaps(
    prepared: Prepared, config: SystemConfig, rng: np.random.Generator
) -> tuple[int, dict[str, Any]]:
    from ssdiar.clustering.nmesc import estimate_num_spk

    return estimate_num_spk(prepare(prepared.recording, Preparation()).vectors), {}


def _count_by_agreement(
    prepared: Prepared, config: SystemConfig, rng: np.random.Generator
) -> tuple[int, dict[str, Any]]:
    from ssdiar.clustering import consensus
    from ssdiar.clustering.links import breach

    vectors, times, heard = prepared.vectors, prepared.recording.times, prepared.recording.heard
    number, tried = consensus.estimate_num_spk(vectors, times, config.count, config.consensus, rng)
    remembered: dict[str, Any] = {
        "count_agreements": {clusters: agreement.mean for clusters, agreement in tried.items()},
        "count_least_agreements": {clusters: agreement.least for clusters, agreement in tried.items()},
    }
    if number == 1 and len(vectors) > 2 and heard is not None:
        labels = consensus.vote(vectors, times, 2, config.consensus.share, config.consensus, rng).labels
        links = breach(labels, times, heard)
        remembered["count_links"] = {name: round(value, 4) for name, value in links._asdict().items()}
        number = 2 if links.shows_speakers else 1
    return number, remembered


#: ``method`` of a system: (prepared recording, number of speakers from 2, system, randomness) -> result.
_METHODS: dict[str, Callable[[Prepared, int, SystemConfig, np.random.Generator], Clustering]] = {
    "ahc": _ahc,
    "nmesc": _nmesc,
    "consensus": _consensus,
    "ssl": cluster_ssl,
}
#: ``count.method`` of a system: -> the number of speakers, and what the history keeps of how it was found.
_COUNTS: dict[str, Callable[[Prepared, SystemConfig, np.random.Generator], tuple[int, dict[str, Any]]]] = {
    "nme": _count_by_eigengaps,
    "agreement": _count_by_agreement,
}


def _finch_first(size: int, config: SystemConfig, estimates: bool) -> list[str]:
    """Return the steps that FINCH's clusters stood for the sub-segments in, each with the bound that was exceeded."""
    from ssdiar.clustering.nmesc import MOST_NODES

    bounds = {"num_spk": MOST_NODES} if estimates and config.count.method == "nme" else {}
    if config.method == "nmesc":
        bounds["nmesc"] = MOST_NODES
    elif config.method in ("ahc", "ssl"):
        bounds["ahc"] = config.labels.ahc_most
    return [f"{what} (more than {most} sub-segments)" for what, most in bounds.items() if size > most]
