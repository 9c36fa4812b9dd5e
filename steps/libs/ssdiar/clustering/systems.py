"""From the x-vectors of one recording to labels, by a system of conf/systems."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.consensus import Views
from ssdiar.clustering.recording import Clustering, Prepared, RecordingVectors, prepare
from ssdiar.clustering.ssl import cluster_ssl
from ssdiar.clustering.vectors import cluster_means, fill_empty, length_normalise, relabel_by_time


def cluster_recording(
    recording: RecordingVectors,
    config: SystemConfig,
    seed: int = 0,
    threshold: float | None = None,
    limits: tuple[int, int | None] = (1, None),
    threads: int = 1,
) -> Clustering:
    """Cluster the x-vectors of one recording.

    The result depends on the arguments only, and not on the recording's id or on ``threads``.

    Args:
        recording: The recording.
        config: The system.
        seed: Of random numbers.
        threshold: If given, it overrides the recording's number of speakers: AHC of the prepared x-vectors stops when
            no two clusters have a mean cosine above it.
        limits: Minimum and maximum of an estimated number of speakers; None: the system's maximum.
        threads: Number of threads.

    Returns:
        Labels of that many speakers, or of as many as there are sub-segments, and the history: num_spk, clusters,
        seconds, finch_first (steps for which FINCH's clusters stood for too many sub-segments), and the method's own.
    """
    started = time.monotonic()
    size, num_spk, counted = len(recording.vectors), recording.num_spk, {}
    estimates = num_spk is None and threshold is None
    views = [prepare(recording, preparation, threads) for preparation in config.preparations]
    prepared, rng = views[0], random_generator(seed, size)
    uses_votes = config.method == "consensus" or (estimates and config.count.method == "evidence")
    voters = Views(views, config.consensus, rng) if uses_votes else None
    if threshold is not None:
        num_spk = _dendrogram(prepared, config).clusters_at(threshold)
    elif num_spk is None:
        low = 1 if recording.is_side else limits[0]  # limits are of the whole call
        high = limits[1] or max(low, config.count.most)
        num_spk, counted = _estimate(prepared, voters, config, (low, high))
    target = min(num_spk, size)
    if target == 1:
        result = Clustering(np.zeros(size, np.int64), {"stop_reason": "one speaker"})
    else:
        result = _cluster(prepared, voters, target, config, rng)
        result.labels = _exactly(result.labels, prepared.vectors, target)
    if config.says_how_sure:
        _add_probabilities(result, views, config, counted.get("num_spk_probabilities", {}).get(num_spk, 1.0))
    result.history |= counted
    result.history |= {
        "num_spk": num_spk,
        "clusters": int(result.labels.max()) + 1,
        "finch_first": _finch_first(size, config, estimates),
        "seconds": round(time.monotonic() - started, 3),
    }
    if config.prepare.needs_fold and recording.background is None:
        result.history["background"] = "the recording itself, since there are no other recordings"
    return result


def random_generator(seed: int, size: int) -> np.random.Generator:
    """Return a generator that depends on the seed and the number of sub-segments, and not on a recording's name."""
    return np.random.default_rng([seed, size])


def _add_probabilities(result: Clustering, views: Sequence[Prepared], config: SystemConfig, number: float) -> None:
    """Add the probability that each label is right, given the one of the number of speakers."""
    from ssdiar.clustering.sure import label_evidence, label_probabilities

    support = np.ones(len(result.labels)) if result.support is None else result.support
    vectors = [view.vectors for view in views]
    evidence = label_evidence(result.labels, support, vectors, views[0].times)
    result.sure = label_probabilities(evidence, config.sure, number)
    result.history["sure"] = round(float(result.sure.mean()), 4)


def _exactly(labels: np.ndarray, vectors: np.ndarray, clusters: int) -> np.ndarray:
    """Return labels (S,) of exactly ``clusters`` clusters, at most S, by first occurrence.

    If a method found fewer, the vectors that fit their clusters worst become clusters.
    """
    labels = relabel_by_time(labels)
    if labels.max() + 1 < clusters:
        unit = length_normalise(vectors)
        scores = np.zeros((len(labels), clusters))
        scores[:, : labels.max() + 1] = unit @ length_normalise(cluster_means(unit, labels)).T
        labels = relabel_by_time(fill_empty(labels, scores, clusters))
    return labels


def _estimate(
    prepared: Prepared, voters: Views | None, config: SystemConfig, limits: tuple[int, int]
) -> tuple[int, dict[str, Any]]:
    """Return the estimated number of speakers, and entries of the history."""
    if config.count.method == "evidence":
        from ssdiar.clustering import counting

        estimate = counting.estimate_num_spk(voters, config, limits)
        return estimate.number, {"num_spk_probabilities": estimate.probabilities, "num_spk_odds": estimate.odds}
    if prepared.recording.is_side:  # eigengaps have no prior, so a side is one speaker
        return limits[0], {}
    from ssdiar.clustering import nmesc

    number = nmesc.estimate_num_spk(prepare(prepared.recording, Preparation()).vectors, limits[1])
    return max(number, limits[0]), {}


def _cluster(
    prepared: Prepared, voters: Views | None, num_spk: int, config: SystemConfig, rng: np.random.Generator
) -> Clustering:
    """Cluster into at most ``num_spk`` speakers, two or more, by the system's method."""
    if config.method == "ssl":
        return cluster_ssl(prepared, num_spk, config, rng)
    history = {"stop_reason": "number of clusters reached"}
    if config.method == "ahc":
        return Clustering(_dendrogram(prepared, config).cut(num_spk), history)
    if config.method == "nmesc":
        from ssdiar.clustering.nmesc import spectral_labels

        return Clustering(spectral_labels(prepared.vectors, num_spk, rng), history)
    vote = voters.vote(num_spk)
    return Clustering(vote.labels, history | {"support": round(float(vote.support.mean()), 4)}, vote.support)


def _dendrogram(prepared: Prepared, config: SystemConfig) -> Dendrogram:
    return Dendrogram(prepared.vectors, max_leaves=config.labels.ahc_most)


def _finch_first(size: int, config: SystemConfig, estimates: bool) -> list[str]:
    """Return the steps for which FINCH's clusters stood for the sub-segments, each with the bound that was exceeded."""
    from ssdiar.clustering.nmesc import MAX_NODES

    bounds = {"num_spk": MAX_NODES} if estimates and config.count.method == "nme" else {}
    if config.method == "nmesc":
        bounds["nmesc"] = MAX_NODES
    elif config.method in ("ahc", "ssl"):
        bounds["ahc"] = config.labels.ahc_most
    return [f"{step} (more than {bound} sub-segments)" for step, bound in bounds.items() if size > bound]
