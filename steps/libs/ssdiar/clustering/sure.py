"""Probability that each label is right, from evidence that clustering has anyway.

Wrong labels lie between two clusters, have few of the votes, interrupt another speaker, or the number of clusters is
wrong. A logistic model turns the first three into a probability of the speaker given the right number, and a wrong
number spoils a share of all labels. Whether a noise is speech is the detector's matter. The model is fitted to whole
turns of simulated recordings (bench/fit.py sure): the probability of a turn is the mean of its sub-segments, and 90 %
of the turns with a probability of 0.9 are right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import astuple

from ssdiar.clustering.config import LabelWeights, Sure
from ssdiar.clustering.vectors import length_normalise, seconds_of

# These define the features. The weights of the model are fitted to the features: a change needs a new fit.
_MIN_MARGIN, _MAX_MARGIN = -0.5, 1.0
_MIN_STINT, _MAX_STINT = 0.3, 8.0  # seconds

#: Columns of :func:`label_evidence`.
EVIDENCE = LabelWeights.__struct_fields__[1:]


def label_probabilities(evidence: np.ndarray, model: Sure, number: float) -> np.ndarray:
    """Return the probability that each label is right, (S,).

    Args:
        evidence: (S, features), see :func:`label_evidence`.
        model: The system's.
        number: Probability of the number of clusters; 1 if it is given.
    """
    weights = np.array(astuple(model.weights))
    return (1 - model.doubt * (1 - number)) / (1 + np.exp(-(weights[0] + evidence @ weights[1:])))


def label_evidence(
    labels: np.ndarray, support: np.ndarray, views: Sequence[np.ndarray], times: np.ndarray
) -> np.ndarray:
    """Return features that separate right from wrong labels, (S, features), columns as in :data:`EVIDENCE`.

    Args:
        labels: (S,) from 0, every number in use.
        support: (S,) share of the votes for each label, 0 to 1.
        views: (S, D) prepared vectors of each view.
        times: (S, 2) seconds, in order, without overlap.
    """
    seconds = seconds_of(times)
    margin = np.mean([margins(labels, vectors, seconds) for vectors in views], axis=0)
    return np.column_stack([support, margin, np.log(_stints(labels, seconds))])


def margins(labels: np.ndarray, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the position of each vector between its cluster and the nearest other one, (S,).

    Positions are on the line through the means of the two clusters, weighted by seconds (S,): 0 halfway, 1 at its own
    cluster's mean, negative on the other's side. The own cluster's mean leaves out the vector itself; a vector that has
    a cluster to itself gets 0. In a single cluster every vector has the maximum.
    """
    clusters, rows = int(labels.max()) + 1, np.arange(len(labels))
    if clusters == 1:
        return np.full(len(labels), _MAX_MARGIN)
    member = np.eye(clusters)[labels] * seconds[:, None]
    total = member.sum(axis=0)
    means = member.T @ vectors / total[:, None]
    cosines = vectors @ length_normalise(means).T
    cosines[rows, labels] = -np.inf
    other = means[cosines.argmax(axis=1)]
    rest, single = total[labels] - seconds, np.bincount(labels)[labels] == 1
    own = (means[labels] * total[labels, None] - vectors * seconds[:, None]) / np.where(single, 1.0, rest)[:, None]
    axis = own - other
    along = ((vectors - (own + other) / 2) * axis).sum(axis=1)
    margin = np.clip(2 * along / np.maximum((axis**2).sum(axis=1), 1e-12), _MIN_MARGIN, _MAX_MARGIN)
    return np.where(single, 0.0, margin)


def _stints(labels: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the seconds of each vector's speaker around it without another speaker in between, (S,)."""
    stint = np.cumsum(np.diff(labels, prepend=labels[0]) != 0)
    return np.clip(np.bincount(stint, seconds)[stint], _MIN_STINT, _MAX_STINT)
