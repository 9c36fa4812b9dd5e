"""Algorithm 1 of the paper: a recording trains its own network on its own pseudo-labels. Imports TensorFlow when run.

Symbols: X prepared x-vectors, theta^i weights, Y^i latent vectors, C^i pseudo-labels, L^i losses, N_c* num_spk.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.finch import finch
from ssdiar.clustering.losses import loss_of_labels
from ssdiar.clustering.pairs import Sampler
from ssdiar.clustering.recording import Clustering, Prepared

if TYPE_CHECKING:
    from ssdiar.clustering.config import Encoder, Labels, Loss, Stop, SystemConfig, Training
    from ssdiar.clustering.networks import Trainer


@functools.cache
def _trainer(dimension: int, encoder: Encoder, loss: Loss, train: Training) -> Trainer:
    """Return the process's trainer for such vectors: TensorFlow loads and traces once, not for every recording."""
    from ssdiar.clustering.networks import Trainer

    return Trainer(dimension, encoder, loss, train)


def warm_up(dimension: int, config: SystemConfig) -> None:
    """Load TensorFlow and trace the functions of :func:`cluster_ssl`, so that no recording's time includes it."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4, dimension)).astype(np.float32)
    trainer = _trainer(dimension, config.encoder, config.loss, config.train)
    trainer.start(vectors, np.eye(dimension), rng)
    draw = Sampler(np.array([0, 0, 1, 1]), config.loss, rng).draw()
    trainer.encode(vectors)
    trainer.step(vectors, draw)


def cluster_ssl(prepared: Prepared, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    """Cluster a prepared recording into at most ``num_spk`` speakers by Algorithm 1.

    Comments refer to its lines, as the paper numbers them. There is at least one pass, even if C^0 has N_c* clusters.
    If C^0 has no similar or no dissimilar pair, there is nothing to learn: the result is AHC of Y^0, and
    ``history["fallback"]`` has the reason.
    """
    vectors = prepared.vectors.astype(np.float32)  # 1: X
    trainer = _trainer(vectors.shape[1], config.encoder, config.loss, config.train)
    trainer.start(vectors, prepared.whiten, rng)  # 10: theta^0
    latent = trainer.encode(vectors)  # 11: Y^0
    if config.stop.max_iterations == 0:
        return Clustering(_ahc(latent, config.labels).cut(num_spk), {"stop_reason": "not trained"})
    labels, history = _first_labels(latent, num_spk, config.labels)  # 12: C^0 <- FINCH(Y^0)
    sampler = Sampler(labels, config.loss, rng)
    if not sampler.has_both_kinds:
        history["fallback"] = f"first labels have {labels.max() + 1} clusters, nothing to learn; AHC of Y^0 instead"
        history["stop_reason"] = "fallback"
        return Clustering(_ahc(latent, config.labels).cut(num_spk), history)
    first_loss = loss_of_labels(latent, labels, config.loss)  # 13: L^0
    history |= {"first_loss": round(first_loss, 6), "iterations": []}
    for number in range(1, config.stop.max_iterations + 1):  # 1) Repeat, a) i <- i + 1
        started = time.monotonic()
        losses, ended = _train(trainer, vectors, sampler, config)  # b) theta^i from theta^(i-1) by L^(i-1)
        latent = trainer.encode(vectors)  # c) Y^i <- theta^i(X)
        tree = _ahc(latent, config.labels)
        labels = tree.cut(_next_number(tree, int(labels.max()) + 1, num_spk, config.labels))  # d) C^i <- AHC(Y^i)
        sampler = Sampler(labels, config.loss, rng)
        new_loss = loss_of_labels(latent, labels, config.loss) if sampler.has_both_kinds else 0.0  # e) L^i
        ratio = _ratio(new_loss, first_loss) if config.stop.loss == "new_labels" else _ratio(losses[-1], losses[0])
        history["iterations"].append(
            {
                "iteration": number,
                "clusters": int(labels.max()) + 1,
                "epochs": len(losses) - 1,
                "ended": ended,
                "losses": [round(loss, 6) for loss in losses],
                "loss_of_new_labels": round(new_loss, 6),
                "loss_ratio": round(ratio, 6),
                "seconds": round(time.monotonic() - started, 3),
            }
        )
        reason = _stop_reason(labels.max() + 1 <= num_spk, ratio, sampler, config.stop)
        if reason is not None:  # 2) Until: C^i has N_c* clusters and the loss ratio is at most the threshold
            break
    history["stop_reason"] = reason or "max_iterations"
    if labels.max() + 1 > num_spk:
        labels = tree.cut(num_spk)
    return Clustering(labels, history)  # 5: C^i


def _ahc(latent: np.ndarray, config: Labels) -> Dendrogram:
    return Dendrogram(latent, max_leaves=config.ahc_most)


def _first_labels(latent: np.ndarray, num_spk: int, config: Labels) -> tuple[np.ndarray, dict[str, Any]]:
    """Return C^0 and its entries of the history."""
    if config.first == "finch":
        partitions = finch(latent)
        labels = partitions[min(config.finch_partition, len(partitions) - 1)]
        history = {"finch_partitions": [int(partition.max()) + 1 for partition in partitions]}
    else:
        tree, history = _ahc(latent, config), {}
        labels = tree.cut(max(num_spk, tree.clusters_at(config.first_similarity)))
    return labels, {"first_clusters": int(labels.max()) + 1} | history


def _next_number(tree: Dendrogram, clusters: int, num_spk: int, config: Labels) -> int:
    """Return the number of clusters of the next labels, after ``clusters``; never below ``num_spk``."""
    number = tree.leaves
    if config.decay is not None:
        number = min(int(np.ceil(config.decay * clusters)), clusters - 1)
    if config.similarity is not None:
        number = min(number, tree.clusters_at(config.similarity))
    return max(num_spk, number)


def _train(trainer: Trainer, vectors: np.ndarray, sampler: Sampler, config: SystemConfig) -> tuple[list[float], str]:
    """Train on one labelling and restore the best weights.

    Returns:
        The loss before each epoch and after the last, and the name of the option that ended training.
    """
    trainer.optimiser.reset()
    losses: list[float] = []
    best, best_weights, waited = np.inf, trainer.weights(), 0
    ended = None
    while ended is None:
        weights = trainer.weights()
        losses.append(trainer.step(vectors, sampler.draw()))
        waited = 0 if losses[-1] < best - config.train.min_delta else waited + 1
        if losses[-1] < best:
            best, best_weights = losses[-1], weights
        if config.stop.loss == "iteration" and _ratio(losses[-1], losses[0]) <= config.stop.threshold:
            ended = "threshold"
        elif waited >= config.train.patience:
            ended = "patience"
        elif len(losses) - 1 == config.train.max_epochs:
            ended = "max_epochs"
    trainer.set_weights(best_weights)
    return losses, ended


def _ratio(loss: float, first: float) -> float:
    """Return loss / first, or 1 + their relative change if ``first`` is not positive (a triplet loss may be negative).

    Both are 1 for no change and fall with the loss.
    """
    scale = max(abs(first), 1e-12)
    return loss / scale if first > 0 else 1 + (loss - first) / scale


def _stop_reason(has_number: bool, ratio: float, sampler: Sampler, config: Stop) -> str | None:
    """Return why iterating ends here, or None."""
    if has_number and config.rule == "clusters":
        return "number of clusters reached"
    if has_number and ratio <= config.threshold:
        return "number of clusters and loss ratio reached"
    return None if sampler.has_both_kinds else "nothing left to learn from"
