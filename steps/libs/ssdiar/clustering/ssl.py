"""Algorithm 1 of the paper: a recording trains its own network on its own pseudo-labels. Imports TensorFlow when run.

Symbols: X prepared x-vectors, theta^i weights, Y^i latent vectors, C^i pseudo-labels, L^i losses, N_c* num_spk.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.finch import finch
from ssdiar.clustering.pairs import PairSampler
from ssdiar.clustering.vectors import relabel_by_time

if TYPE_CHECKING:
    from ssdiar.clustering.config import Encoder, Labels, Loss, SystemConfig, Training
    from ssdiar.clustering.networks import Trainer


@dataclass
class Clustering:
    """What clustering one recording gives.

    Attributes:
        labels: (S,) from 0, numbered by first occurrence.
        history: What happened, as JSON can hold it.
    """

    labels: np.ndarray
    history: dict[str, Any] = field(default_factory=dict)


@functools.cache
def _trainer(dimension: int, encoder: Encoder, loss: Loss, train: Training) -> Trainer:
    """Return the process's trainer for such vectors: TensorFlow is loaded and traces once, not once per recording."""
    from ssdiar.clustering.networks import Trainer

    return Trainer(dimension, encoder, loss, train)


def cluster_ssl(vectors: np.ndarray, num_spk: int, config: SystemConfig, rng: np.random.Generator) -> Clustering:
    """Cluster prepared x-vectors (S, D) into at most ``num_spk`` speakers by Algorithm 1.

    Where there is nothing to learn from (hardly any sub-segments, or first labels with no two clusters or no two
    sub-segments in one), AHC of Y^0 is the result and ``history["fallback"]`` says why.
    """
    trainer = _trainer(vectors.shape[1], config.encoder, config.loss, config.train)
    vectors = vectors.astype(np.float32)
    trainer.start(vectors, rng)
    latent = trainer.encode(vectors)
    labels, history = _first_labels(latent, num_spk, config.labels)
    sampler = PairSampler(labels, config.loss.pairs, config.loss.positive_share, rng)
    if labels.max() + 1 <= num_spk or not sampler.has_both_kinds:
        history["fallback"] = f"first labels have {labels.max() + 1} clusters, nothing to learn; AHC of Y^0 instead"
        history["stop_reason"] = "fallback"
        return Clustering(Dendrogram(latent, config.labels.linkage).cut(num_spk), history)
    history["iterations"] = iterations = []
    first_loss = _loss(latent, labels, config, rng)
    for number in range(1, config.stop.max_iterations + 1):
        started = time.monotonic()
        losses = _train(trainer, vectors, sampler, config)
        latent = trainer.encode(vectors)
        tree = Dendrogram(latent, config.labels.linkage)
        labels = tree.cut(_next_number(tree, int(labels.max()) + 1, num_spk, config.labels))
        new_loss = _loss(latent, labels, config, rng)
        ratio = new_loss / first_loss if config.stop.loss == "new_labels" else losses[-1] / losses[0]
        iterations.append(
            {
                "iteration": number,
                "clusters": int(labels.max()) + 1,
                "epochs": len(losses) - 1,
                "losses": [round(loss, 6) for loss in losses],
                "loss_of_new_labels": round(new_loss, 6),
                "loss_ratio": round(ratio, 6),
                "seconds": round(time.monotonic() - started, 3),
            }
        )
        if labels.max() + 1 <= num_spk and ratio <= config.stop.threshold:
            history["stop_reason"] = "number of clusters and loss ratio reached"
            break
        sampler = PairSampler(labels, config.loss.pairs, config.loss.positive_share, rng)
        if not sampler.has_both_kinds:
            history["stop_reason"] = "nothing left to learn from"
            break
    else:
        history["stop_reason"] = "max_iterations"
        labels = tree.cut(num_spk)
    return Clustering(relabel_by_time(labels), history)


def _first_labels(latent: np.ndarray, num_spk: int, config: Labels) -> tuple[np.ndarray, dict[str, Any]]:
    """Return C^0 and what to remember of it."""
    if config.first == "finch":
        partitions = finch(latent)
        labels = partitions[min(config.finch_partition, len(partitions) - 1)]
        sizes = [int(partition.max()) + 1 for partition in partitions]
        return labels, {"first_clusters": int(labels.max()) + 1, "finch_partitions": sizes}
    tree = Dendrogram(latent, config.linkage)
    labels = tree.cut(max(num_spk, tree.clusters_at(config.first_similarity)))
    return labels, {"first_clusters": int(labels.max()) + 1}


def _next_number(tree: Dendrogram, clusters: int, num_spk: int, config: Labels) -> int:
    """Return how many clusters the next labels have: fewer than ``clusters``, never below ``num_spk``."""
    number = min(int(np.ceil(config.decay * clusters)), clusters - 1)
    if config.similarity is not None:
        number = min(number, tree.clusters_at(config.similarity))
    return max(num_spk, number)


def _train(trainer: Trainer, vectors: np.ndarray, sampler: PairSampler, config: SystemConfig) -> list[float]:
    """Train on one set of labels; return the loss before each epoch and after the last one."""
    trainer.reset_optimiser()
    done = _stopper(config)
    losses: list[float] = []
    best, best_weights = np.inf, None
    for _ in range(config.train.max_epochs + 1):
        before = trainer.weights()
        losses.append(trainer.step(vectors, sampler.draw()))
        if losses[-1] < best:
            best, best_weights = losses[-1], before
        if done(losses):
            break
    trainer.set_weights(best_weights)
    return losses


def _stopper(config: SystemConfig) -> Callable[[list[float]], bool]:
    """Return the test that ends an outer iteration's training."""
    best, waited = np.inf, 0

    def done(losses: list[float]) -> bool:
        nonlocal best, waited
        if config.stop.loss == "iteration" and losses[-1] <= config.stop.threshold * losses[0]:
            return True
        waited = 0 if losses[-1] < best - config.train.min_delta else waited + 1
        best = min(best, losses[-1])
        return waited >= config.train.patience

    return done


def _loss(latent: np.ndarray, labels: np.ndarray, config: SystemConfig, rng: np.random.Generator) -> float:
    """Return equation 2 of latent vectors under labels, on pairs as training draws them."""
    pairs = PairSampler(labels, config.loss.pairs, config.loss.positive_share, rng)
    if not pairs.has_both_kinds:
        return 0.0
    draw = pairs.draw()
    distance = np.linalg.norm(latent[draw.left] - latent[draw.right], axis=1)
    hinge = np.maximum(config.loss.margin - distance, 0)
    return float(np.sum(draw.weight * np.where(draw.different > 0, hinge**2, distance**2)))
