"""From a recording's x-vectors to its labels, by the system that a file of conf/systems describes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, SystemConfig
from ssdiar.clustering.neighbours import neighbour_average, neighbour_whitening
from ssdiar.clustering.ssl import Clustering, cluster_ssl
from ssdiar.clustering.vectors import Moments, length_normalise
from ssdiar.speech.segmentation import Segmentation


def cluster_recording(
    vectors: np.ndarray,
    num_spk: int | None,
    config: SystemConfig,
    reco: str,
    seed: int = 0,
    threshold: float | None = None,
    background: Moments | None = None,
    times: np.ndarray | None = None,
    segmentation: Segmentation | None = None,
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
        times: (S, 2) starts and ends in seconds, for systems that look at neighbours in time.
        segmentation: Output of the segmentation network for the recording, if there is one: where parts of the
            recording do not agree on two speakers, its local speakers may still show them (``count: agreement``).

    Returns:
        Labels of at most that many speakers, and a history with num_spk, seconds, finch_first (what was done on FINCH's
        clusters because there are too many sub-segments), and what the method adds.
    """
    started = time.monotonic()
    estimates = num_spk is None and threshold is None and config.count.method == "nme"
    vectors = np.asarray(vectors, np.float64)
    prepared, whiten = prepare(vectors, config.prepare, background, times)
    counted: dict[str, Any] = {}
    if threshold is not None:
        num_spk = Dendrogram(prepared, config.labels.linkage, most=config.labels.ahc_most).clusters_at(threshold)
    elif num_spk is None:
        num_spk, counted = _count(vectors, prepared, config, times, segmentation, random_generator(seed, reco))
    target = min(num_spk, len(vectors))
    if target == 1:
        result = Clustering(np.zeros(len(vectors), np.int64), {"stop_reason": "one speaker"})
    elif config.method == "ahc":
        labels = Dendrogram(prepared, config.labels.linkage, most=config.labels.ahc_most).cut(target)
        result = Clustering(labels, {"stop_reason": "number of clusters reached"})
    elif config.method == "nmesc":
        from ssdiar.clustering.nmesc import spectral_labels

        labels = spectral_labels(prepared, target, random_generator(seed, reco))
        result = Clustering(labels, {"stop_reason": "number of clusters reached"})
    elif config.method == "consensus":
        from ssdiar.clustering.consensus import vote

        share = config.consensus.share
        labels = vote(prepared, times, target, share, config.consensus, random_generator(seed, reco)).labels
        result = Clustering(labels, {"stop_reason": "number of clusters reached"}, (vectors, prepared))
    else:
        result = cluster_ssl(prepared, whiten, target, config, random_generator(seed, reco))
    result.history |= counted
    result.history |= {
        "num_spk": num_spk,
        "clusters": int(result.labels.max()) + 1,
        "finch_first": _finch_first(len(vectors), config, estimates),
        "seconds": round(time.monotonic() - started, 3),
    }
    if config.prepare.needs_fold and background is None:
        result.history["background"] = "of the recording itself, there being no other recordings"
    return result


def _finch_first(size: int, config: SystemConfig, estimates: bool) -> list[str]:
    """Return what FINCH's clusters stand for the sub-segments in, each with the bound that the recording exceeds."""
    from ssdiar.clustering.nmesc import MOST_NODES

    bounds = {"num_spk": MOST_NODES} if estimates else {}
    if config.method == "nmesc":
        bounds["nmesc"] = MOST_NODES
    elif config.method in ("ahc", "ssl"):
        bounds["ahc"] = config.labels.ahc_most
    return [f"{what} (more than {most} sub-segments)" for what, most in bounds.items() if size > most]


def prepare(
    vectors: np.ndarray,
    config: Preparation,
    background: Moments | None = None,
    times: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return x-vectors (S, D) centred and scaled as the system says, and the whitening transform (D, D).

    Raises:
        ValueError: The system looks at neighbours in time and ``times`` (S, 2) are not given.
    """
    if config.needs_times and times is None:
        raise ValueError("times are needed to know neighbours")
    own = Moments.of(vectors)
    other = own if background is None else background
    if config.centre != "none":
        vectors = vectors - (own if config.centre == "recording" else other).mean
    if config.whiten == "neighbours":
        vectors = length_normalise(vectors)
        whiten = neighbour_whitening(vectors, times, config.shrinkage)
    else:
        whiten = (own if config.whiten == "recording" else other).whitening(config.shrinkage)
    if config.whiten_input:
        vectors = vectors @ whiten
    if config.length_normalise:
        vectors = length_normalise(vectors)
    if config.average:
        vectors = length_normalise(neighbour_average(vectors, times, config.average))
    return vectors, whiten


def _count(
    vectors: np.ndarray,
    prepared: np.ndarray,
    config: SystemConfig,
    times: np.ndarray | None,
    segmentation: Segmentation | None,
    rng: np.random.Generator,
) -> tuple[int, dict[str, Any]]:
    """Return the estimated number of speakers, and what the history shall remember of how it came about."""
    if config.count.method == "nme":
        from ssdiar.clustering.nmesc import estimate_num_spk

        return estimate_num_spk(prepare(vectors, Preparation())[0]), {}
    from ssdiar.clustering import consensus
    from ssdiar.clustering.links import breach

    number, tried = consensus.estimate_num_spk(prepared, times, config.count, config.consensus, rng)
    remembered: dict[str, Any] = {
        "count_agreements": {clusters: agreement.mean for clusters, agreement in tried.items()},
        "count_least_agreements": {clusters: agreement.least for clusters, agreement in tried.items()},
    }
    if number == 1 and len(vectors) > 2 and segmentation is not None:
        labels = consensus.vote(prepared, times, 2, config.consensus.share, config.consensus, rng).labels
        links = breach(labels, times, segmentation)
        remembered["count_links"] = {name: round(value, 4) for name, value in links._asdict().items()}
        number = 2 if links.shows_speakers else 1
    return number, remembered


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
