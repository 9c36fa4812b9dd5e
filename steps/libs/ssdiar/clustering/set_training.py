"""One linear map for the x-vectors of a whole set, trained on the labels of a clustering. Imports TensorFlow.

A recording alone has too few sub-segments to learn from; those of a set together are enough for a linear map. The map
starts as whitening by the neighbours in time of all recordings. It is trained by a prototypical loss (Snell, Swersky &
Zemel, NeurIPS 2017): the mean vectors that the speakers have in a random half of a recording's blocks of time must tell
whose the sub-segments of its other half are. A label that is wrong in one half is of no use in the other, so the
map learns what the parts of recordings agree on. Speakers are compared inside a recording only: a voice that is in two
recordings does no harm.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ssdiar.clustering.consensus import Parts
from ssdiar.clustering.neighbours import common_whitening, neighbour_average, neighbour_pairs, without_overlap
from ssdiar.clustering.networks import Adam, tf, unit
from ssdiar.clustering.recording import Prepared, Recording, prepare
from ssdiar.clustering.systems import random_generator
from ssdiar.clustering.vectors import fill_empty, length_normalise, relabel_by_time

if TYPE_CHECKING:
    from ssdiar.clustering.config import SystemConfig

# Chosen on 160 simulated recordings of 1 to 8 speakers (RESULTS.md, "Training on a set"), from few values each.
_SHRINKAGE = 0.3  # of the covariance that the map starts with
_SCALE = 10.0  # of cosines in the softmax
_LEARNING_RATE = 1.2e-4  # where the map has the norm of the identity
_AVERAGE = 0.5  # seconds; as in best.yaml, since that is how vectors are clustered
_BLOCK = 8.0  # seconds, as in best.yaml: a block is in one half as a whole
_MOST = 2000  # sub-segments of a recording in one step; more are drawn from
_PARTS = 8  # of a recording that vote on the map, at most; training makes them agree
_NEVER = -1e9  # logit of a speaker whom a half does not have


@dataclass(frozen=True)
class Lesson:
    """One recording with the labels that it is learnt from.

    Attributes:
        vectors: (S, D) x-vectors.
        times: (S, 2) seconds.
        labels: (S,) from 0, every number in use.
        trust: (S,) how much each label counts, 0 to 1; None: all alike.
    """

    vectors: np.ndarray
    times: np.ndarray
    labels: np.ndarray
    trust: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray:
        """How much each sub-segment counts, (S,): its seconds, times the trust in its label."""
        own_times = without_overlap(self.times)
        seconds = np.maximum(own_times[:, 1] - own_times[:, 0], 1e-3)
        return seconds if self.trust is None else seconds * self.trust

    @property
    def members(self) -> np.ndarray:
        """The labels as (S, K), 1 where a sub-segment has a label."""
        return np.eye(self.labels.max() + 1)[self.labels]


class Trained(NamedTuple):
    """What :func:`train_map` gives.

    Attributes:
        matrix: (D, D), for x-vectors of length 1 from the left.
        losses: Mean loss of each epoch.
        recordings: How many recordings had two speakers or more, and so were learnt from.
    """

    matrix: np.ndarray
    losses: list[float]
    recordings: int


def train_map(lessons: Sequence[Lesson], epochs: int, seed: int = 0) -> Trained:
    """Train a map on the recordings of a set; one step of Adam per recording and epoch.

    The result depends on the recordings, not on their order.

    Args:
        lessons: The recordings, at least one.
        epochs: How often each recording is seen; 0: the map stays whitening.
        seed: Source of the order of steps and of the halves.
    """
    lessons = sorted(lessons, key=lambda lesson: (len(lesson.vectors), lesson.vectors.tobytes()))
    pairs = [(length_normalise(lesson.vectors.astype(np.float64)), lesson.times) for lesson in lessons]
    start = common_whitening(pairs, _SHRINKAGE)
    trainer = _trainer(len(start))
    trainer.start(start * np.sqrt(len(start)) / np.linalg.norm(start))
    taught = [_Material(lesson) for lesson in lessons if lesson.labels.max() > 0]
    rng, losses = np.random.default_rng(seed), []
    for _ in range(epochs if taught else 0):
        order = rng.permutation(len(taught))
        losses.append(float(np.mean([trainer.step(*taught[number].draw(rng)) for number in order])))
    return Trained(trainer.matrix(), losses, len(taught))


def move_labels(lesson: Lesson, matrix: np.ndarray, config: SystemConfig) -> np.ndarray:
    """Return each sub-segment's speaker by the trained map, (S,) from 0 by first occurrence, as many as before.

    It is the one, as labelled before, whose mean vector the sub-segment is closest to.

    Args:
        lesson: One recording, of those that the map was trained on or another.
        matrix: (D, D) of :func:`train_map`.
        config: The system whose labels they are, for how it prepares x-vectors.
    """
    vectors = _prepared(lesson, matrix, config).vectors
    means = length_normalise(lesson.members.T @ (vectors * lesson.weights[:, None]))
    scores = vectors @ means.T
    return relabel_by_time(fill_empty(scores.argmax(axis=1), scores, scores.shape[1]))


def vote_anew(lesson: Lesson, matrix: np.ndarray, config: SystemConfig, seed: int = 0) -> np.ndarray:
    """Return labels as :func:`move_labels` does, but those that parts of the recording vote for on the map.

    Where these separate more neighbours in time than the labels before did, they are no better by the one thing that is
    known without a reference; the labels are then moved only.

    Args:
        lesson, matrix: As there.
        config: The system whose labels they are: how it prepares x-vectors, and how parts vote.
        seed: Which parts there are.
    """
    prepared = _prepared(lesson, matrix, config)
    parts = replace(config.consensus, parts=min(config.consensus.parts, _PARTS))
    rng = random_generator(seed, len(prepared.vectors))
    labels = Parts(prepared.vectors, prepared.times, parts, rng).vote(int(lesson.labels.max()) + 1).labels
    pairs = neighbour_pairs(lesson.times)
    separated, before = ((found[pairs[:, 0]] != found[pairs[:, 1]]).sum() for found in (labels, lesson.labels))
    return move_labels(lesson, matrix, config) if separated > before else relabel_by_time(labels)


def _prepared(lesson: Lesson, matrix: np.ndarray, config: SystemConfig) -> Prepared:
    vectors = length_normalise(lesson.vectors.astype(np.float64)) @ matrix
    return prepare(Recording("", vectors, lesson.times), config.prepare)


class _Material:
    """A recording as the steps of training take it."""

    def __init__(self, lesson: Lesson) -> None:
        own_times = without_overlap(lesson.times)
        unit_vectors = length_normalise(lesson.vectors.astype(np.float64))
        self.vectors = neighbour_average(unit_vectors, own_times, _AVERAGE).astype(np.float32)
        self.members, self.weights = lesson.members.astype(np.float32), lesson.weights.astype(np.float32)
        _, self.blocks = np.unique((own_times.mean(axis=1) // _BLOCK).astype(int), return_inverse=True)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return vectors, members and weights of a step, and which sub-segments are in the first half (S,)."""
        number = int(self.blocks.max()) + 1
        first = np.isin(self.blocks, rng.permutation(number)[: max(1, number // 2)]).astype(np.float32)
        chosen = slice(None)
        if len(first) > _MOST:
            chosen = np.sort(rng.choice(len(first), _MOST, replace=False))
        return self.vectors[chosen], self.members[chosen], self.weights[chosen], first[chosen]


@functools.cache
def _trainer(dimension: int) -> _Trainer:
    """Return the process's trainer for such vectors."""
    return _Trainer(dimension)


class _Trainer:
    """The map with its optimiser; TensorFlow traces a step once, for recordings of any size.

    Args:
        dimension: Length D of the x-vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._map = tf.Variable(tf.eye(dimension))
        self._optimiser = Adam([self._map], _LEARNING_RATE)
        matrix, numbers = tf.TensorSpec((None, None), tf.float32), tf.TensorSpec((None,), tf.float32)
        vectors = tf.TensorSpec((None, dimension), tf.float32)
        signature = [vectors, matrix, numbers, numbers]
        self._step = tf.function(self._train_step, input_signature=signature, autograph=False)

    def start(self, matrix: np.ndarray) -> None:
        """Begin anew with a map (D, D)."""
        self._map.assign(matrix.astype(np.float32))
        self._optimiser.reset()

    def matrix(self) -> np.ndarray:
        """Return the map, (D, D) float64."""
        return self._map.numpy().astype(np.float64)

    def step(self, vectors: np.ndarray, members: np.ndarray, weights: np.ndarray, first: np.ndarray) -> float:
        """Take one step on one recording; return the loss before it."""
        return float(self._step(vectors, members, weights, first))

    def _train_step(self, vectors: tf.Tensor, members: tf.Tensor, weights: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            latent = unit(tf.matmul(vectors, self._map))
            loss = sum(prototypical_loss(latent, members, weights, half) for half in (first, 1 - first)) / 2
        self._optimiser.apply(tape.gradient(loss, [self._map]))
        return loss


def prototypical_loss(latent: tf.Tensor, members: tf.Tensor, weights: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Return the mean cross-entropy of the labels of one half, given the speakers' mean vectors in the other.

    Args:
        latent: (S, d) unit vectors.
        members: (S, K) 1 where a sub-segment has a label.
        weights: (S,) how much each counts.
        known: (S,) 1 in the half that the means are taken of. What is said by a speaker whom that half does not have
            counts for nothing.
    """
    shares = members * (weights * known)[:, None]
    is_there = tf.cast(tf.reduce_sum(shares, axis=0) > 0, tf.float32)
    means = unit(tf.matmul(shares, latent, transpose_a=True))
    logits = _SCALE * tf.matmul(latent, means, transpose_b=True) + _NEVER * (1 - is_there)
    each = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_sum(members * logits, axis=1)
    asked = weights * (1 - known) * tf.linalg.matvec(members, is_there)
    return tf.reduce_sum(tf.where(asked > 0, asked * each, 0.0)) / tf.maximum(tf.reduce_sum(asked), 1e-6)
