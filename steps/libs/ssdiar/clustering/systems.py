"""From one recording to its labels, by the system that a file of conf/systems describes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.recording import Clustering, Prepared, Recording, prepare
from ssdiar.clustering.ssl import cluster_ssl
from ssdiar.clustering.vectors import cluster_means, fill_empty, length_normalise, relabel_by_time


def cluster_recording(
    recording: Recording,
    config: SystemConfig,
    seed: int = 0,
    threshold: float | None = None,
    limits: tuple[int, int | None] = (1, None),
    threads: int = 1,
) -> Clustering:
    """Cluster the x-vectors of one recording.

    The result depends on the arguments and on nothing that ran before; the recording's id decides nothing.

    Args:
        recording: The recording.
        config: The system.
        seed: Source of randomness.
        threshold: If given, the number of speakers is where AHC of the prepared x-vectors stops (no two clusters have a
            mean cosine above it), whatever number the recording comes with.
        limits: Least and largest number of speakers where it is estimated; None: that of the system.
        threads: How many may work on it at once.

    Returns:
        Labels of that many speakers, or of as many as there are sub-segments, and a history with num_spk, seconds,
        finch_first (what was done on FINCH's clusters because there are too many sub-segments), and what the method
        adds; from a system that knows it, how sure each label is.
    """
    started = time.monotonic()
    size, num_spk, counted = len(recording.vectors), recording.num_spk, {}
    estimates = num_spk is None and threshold is None
    prepared = prepare(recording, config.prepare, threads)
    if threshold is not None:
        num_spk = _dendrogram(prepared, config).clusters_at(threshold)
    elif num_spk is None:
        least = 1 if recording.is_side else limits[0]  # bounds are those of the whole call
        most = max(least, config.count.most) if limits[1] is None else limits[1]
        num_spk, counted = _COUNTS[config.count.method](prepared, config, (least, most), random_generator(seed, size))
    target = min(num_spk, size)
    if target == 1:
        result = Clustering(np.zeros(size, np.int64), {"stop_reason": "one speaker"})
    else:
        result = _METHODS[config.method](prepared, target, config, random_generator(seed, size))
        result.labels = _exactly(result.labels, prepared.vectors, target)
    if config.says_how_sure:
        _say_how_sure(result, prepared, config, counted.get("num_spk_probabilities", {}).get(num_spk, 1.0))
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


def _say_how_sure(result: Clustering, prepared: Prepared, config: SystemConfig, number: float) -> None:
    """Add the probability that each label is right, given that of the number of speakers."""
    from ssdiar.clustering.sure import label_evidence, label_probabilities

    support = np.ones(len(result.labels)) if result.support is None else result.support
    evidence = label_evidence(result.labels, support, prepared.vectors, prepared.times, number)
    result.sure = label_probabilities(evidence, np.asarray(config.sure.weights))
    result.history["sure"] = round(float(result.sure.mean()), 4)


def random_generator(seed: int, size: int) -> np.random.Generator:
    """Return a generator that depends on the seed and on the number of sub-segments, and not on a recording's name."""
    return np.random.default_rng([seed, size])


def _exactly(labels: np.ndarray, vectors: np.ndarray, clusters: int) -> np.ndarray:
    """Return labels (S,) by first occurrence, with as many clusters as were asked for, at most S.

    Where a method found fewer, those that fit their cluster least become one of their own.
    """
    labels = relabel_by_time(labels)
    if labels.max() + 1 < clusters:
        unit = length_normalise(vectors)
        scores = np.zeros((len(labels), clusters))
        scores[:, : labels.max() + 1] = unit @ length_normalise(cluster_means(unit, labels)).T
        labels = relabel_by_time(fill_empty(labels, scores, clusters))
    return labels


def _dendrogram(prepared: Prepared, config: SystemConfig) -> Dendrogram:
    return Dendrogram(prepared.vectors, config.labels.linkage, most=config.labels.ahc_most)


def _ahc(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    return Clustering(_dendrogram(prepared, config).cut(num_spk), {"stop_reason": "number of clusters reached"})


def _nmesc(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    from ssdiar.clustering.nmesc import spectral_labels

    labels = spectral_labels(prepared.vectors, num_spk, rng)
    return Clustering(labels, {"stop_reason": "number of clusters reached"})


def _consensus(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    from ssdiar.clustering.consensus import Parts

    vote = Parts(prepared.vectors, prepared.times, config.consensus, rng, prepared.threads).vote(num_spk)
    history = {"stop_reason": "number of clusters reached", "support": round(float(vote.support.mean()), 4)}
    latent = (np.asarray(prepared.recording.vectors, np.float64), prepared.vectors)
    return Clustering(vote.labels, history, latent, vote.support)


def _count_by_eigengaps(
    prepared: Prepared, config: SystemConfig, limits: tuple[int, int], rng: np.random.Generator
) -> tuple[int, dict[str, Any]]:
    from ssdiar.clustering.nmesc import estimate_num_spk

    if prepared.recording.is_side:  # eigengaps weigh no prior: a side is its party
        return limits[0], {}
    number = estimate_num_spk(prepare(prepared.recording, Preparation()).vectors, limits[1])
    return max(number, limits[0]), {}


def _count_by_evidence(
    prepared: Prepared, config: SystemConfig, limits: tuple[int, int], rng: np.random.Generator
) -> tuple[int, dict[str, Any]]:
    from ssdiar.clustering.counting import estimate_num_spk

    estimate = estimate_num_spk(prepared, config, limits, rng)
    return estimate.number, {"num_spk_probabilities": estimate.probabilities, "num_spk_odds": estimate.odds}


#: ``method`` of a system: (prepared recording, number of speakers from 2, system, randomness) -> result.
_METHODS: dict[str, Callable[[Prepared, int, SystemConfig, np.random.Generator], Clustering]] = {
    "ahc": _ahc,
    "nmesc": _nmesc,
    "consensus": _consensus,
    "ssl": cluster_ssl,
}
#: ``count.method`` of a system: -> the number of speakers, and what the history keeps of how it was found.
_COUNTS: dict[
    str, Callable[[Prepared, SystemConfig, tuple[int, int], np.random.Generator], tuple[int, dict[str, Any]]]
] = {
    "nme": _count_by_eigengaps,
    "evidence": _count_by_evidence,
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
