"""How sure every label is: the probability that its speaker talks there, from what clustering knows already.

Labels that are wrong lie between two clusters, got few of the votes, stand alone between those of others, or there are
too many or too few clusters. A logistic model makes a probability of these four. It says who talks where somebody
does: whether a noise is speech is the detector's matter. Its weights are fitted to whole turns of simulated recordings
(bench/sure.py): a turn is as sure as its sub-segments on average, and of turns that are 90 % sure 90 % are right.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import length_normalise

# These say what is measured. The weights of the model are fitted to what they give.
_FARTHEST, _NEAREST = -0.5, 1.0  # margins outside of which a label is no more wrong, and no more right
_SHORTEST_STINT, _LONGEST_STINT = 0.3, 8.0  # seconds between which the length of a stint says something

#: What :func:`label_evidence` measures, in order.
EVIDENCE = ("support", "margin", "log_stint", "number")


def label_probabilities(evidence: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probability that each label is right, (S,).

    Args:
        evidence: (S, features) of :func:`label_evidence`.
        weights: (1 + features,) of the logistic model, the constant first.
    """
    return 1 / (1 + np.exp(-(weights[0] + evidence @ weights[1:])))


def label_evidence(
    labels: np.ndarray, support: np.ndarray, vectors: np.ndarray, times: np.ndarray, number: float
) -> np.ndarray:
    """Return what tells whether labels are right, (S, features), columns as in :data:`EVIDENCE`.

    Args:
        labels: (S,) from 0, every number in use.
        support: (S,) share of the votes that each label got, 0 to 1.
        vectors: (S, D) prepared.
        times: (S, 2) seconds, in order; no second is in two.
        number: The probability of the number of clusters; 1 where it is given.
    """
    seconds = np.maximum(times[:, 1] - times[:, 0], 1e-3)
    columns = [
        support,
        margins(labels, vectors, seconds),
        np.log(_stints(labels, seconds)),
        np.full(len(labels), number),
    ]
    return np.column_stack(columns)


def margins(labels: np.ndarray, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return where each vector lies between its cluster and the nearest other one, (S,).

    On the line from the middle between the two clusters' means to that of its own, which is the unit: 0 in the middle,
    1 at its own cluster's mean, below 0 on the other's side; it depends on no scale. A vector has no part in its own
    cluster's mean; one that is alone in its cluster has 0. Of a single cluster every vector has the largest margin.

    Arguments are those of :func:`label_evidence`; ``seconds`` (S,) are what vectors count for in a mean.
    """
    clusters, rows = int(labels.max()) + 1, np.arange(len(labels))
    if clusters == 1:
        return np.full(len(labels), _NEAREST)
    member = np.eye(clusters)[labels] * seconds[:, None]
    total = member.sum(axis=0)
    means = member.T @ vectors / total[:, None]
    cosines = vectors @ length_normalise(means).T
    cosines[rows, labels] = -np.inf
    other = means[cosines.argmax(axis=1)]
    rest, alone = total[labels] - seconds, np.bincount(labels)[labels] == 1
    own = (means[labels] * total[labels, None] - vectors * seconds[:, None]) / np.where(alone, 1.0, rest)[:, None]
    axis = own - other
    along = ((vectors - (own + other) / 2) * axis).sum(axis=1)
    margin = np.clip(2 * along / np.maximum((axis**2).sum(axis=1), 1e-12), _FARTHEST, _NEAREST)
    return np.where(alone, 0.0, margin)


def _stints(labels: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return how long the speaker of each vector talks before and after it with nobody else in between, (S,)."""
    stint = np.cumsum(np.diff(labels, prepend=labels[0]) != 0)
    return np.clip(np.bincount(stint, seconds)[stint], _SHORTEST_STINT, _LONGEST_STINT)
