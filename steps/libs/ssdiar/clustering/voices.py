"""The same voice in several recordings: names from known voices, or links between speakers.

A speaker is the mean of the x-vectors of its sub-segments, less the mean of all speakers of the set. The cosine of two
speakers, and their seconds of speech, give the log odds that they are one voice, by a logistic model that is fitted to
simulated calls over different lines (bench/fit.py voices; conf/voices).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta
from msgspec.structs import astuple

from ssdiar.base.config import Config, Positive
from ssdiar.clustering.config import Weight
from ssdiar.clustering.vectors import length_normalise

_NEVER = -1e12  # log odds of speakers who cannot be one voice
_ROWS = 1000  # of the matrix of pairs at a time, since features take several times its memory
_MOST_SECONDS = 20.0  # most pairs of the fit have less speech on one side


class VoiceWeights(Config, frozen=True):
    """Weights of the model that two speakers are one voice; :func:`pair_evidence`."""

    constant: Weight
    cosine: Weight
    log_shorter: Weight
    log_longer: Weight
    cosine_log_shorter: Weight


class VoiceModel(Config, frozen=True):
    """One file of conf/voices, named after the x-vector model that it is fitted to.

    Attributes:
        weights: Of the log odds, if as many pairs are one voice as are two.
        prior: Probability that two speakers are one voice, before anything is known about them.
        min_seconds: Speakers with less speech get no name.
        background_weight: Number of speakers that the background counts as in the mean of a set.
        background: Mean (D,) of the speakers that the model is fitted to.
    """

    weights: VoiceWeights
    prior: Annotated[float, Meta(gt=0, lt=1)]
    min_seconds: Positive
    background_weight: Positive
    background: tuple[float, ...]


def log_odds(vectors: np.ndarray, seconds: np.ndarray, model: VoiceModel) -> np.ndarray:
    """Return the log odds that two speakers are one voice, (S, S), from mean x-vectors (S, D) and seconds (S,).

    Every voice counts once in the mean of the set, as far as a first round tells: an agent talks in many calls.
    """
    from scipy.special import expit, logit

    constant, *weights = astuple(model.weights)
    constant += logit(model.prior)
    size, shares, odds = model.background_weight, np.ones(len(seconds)), np.empty((len(seconds), len(seconds)))
    for _ in range(2):
        mean = (shares @ vectors + size * np.array(model.background)) / (shares.sum() + size)
        for rows in (slice(first, first + _ROWS) for first in range(0, len(seconds), _ROWS)):
            odds[rows] = constant + pair_evidence(vectors - mean, seconds, rows) @ np.array(weights)
        np.fill_diagonal(odds, -_NEVER)
        shares = 1 / expit(odds).sum(axis=1)
    few = seconds < model.min_seconds
    odds[few], odds[:, few] = _NEVER, _NEVER
    return odds


def pair_evidence(vectors: np.ndarray, seconds: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
    """Return features of pairs of centred speakers, (S, S, features), in the order of :class:`VoiceWeights`.

    Speech beyond what recordings of the fit have adds nothing. With ``rows``, only pairs of these speakers with all.
    """
    unit, logs = length_normalise(vectors), np.log(np.clip(seconds, 0.1, _MOST_SECONDS))
    cosine, shorter, longer = unit[rows] @ unit.T, *(of.outer(logs[rows], logs) for of in (np.minimum, np.maximum))
    return np.stack([cosine, shorter, longer, cosine * shorter], axis=-1)


def match_voices(odds: np.ndarray, recordings: np.ndarray, shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the known voice of each speaker, (S,) from 0 or -1 for none, and its probability (S,).

    The names of a recording have the largest sum of log odds. The probability of a voice is relative to all other
    voices and to none of them; a name needs a probability of a half.

    Args:
        odds: (S, K) log odds of speakers and known voices.
        recordings: (S,) the recording of each speaker.
        shared: Whether speakers of one recording may have one name.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.special import softmax

    size, known = odds.shape
    odds = np.column_stack([odds, np.zeros((size, 1))])  # the last column is no name
    voices, probabilities = odds.argmax(axis=1), softmax(odds, axis=1)
    for reco in () if shared else np.unique(recordings):
        own = np.flatnonzero(recordings == reco)
        several = np.repeat(np.arange(known + 1), [1] * known + [len(own)])  # all may have none
        voices[own] = several[linear_sum_assignment(odds[np.ix_(own, several)], maximize=True)[1]]
    probabilities = probabilities[np.arange(size), voices]
    return np.where((voices < known) & (probabilities >= 0.5), voices, -1), probabilities


def link_speakers(odds: np.ndarray, recordings: np.ndarray, shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the voice of each speaker who is in several recordings, (S,) from 0 or -1, and its probability (S,).

    Average linkage of the log odds (S, S) merges speakers as long as these are positive, speakers of one recording only
    if ``shared``. The probability is the one of a speaker's mean log odds with the others of the voice.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from scipy.special import expit

    odds = odds.copy() if shared else np.where(np.equal.outer(recordings, recordings), _NEVER, odds)
    np.fill_diagonal(odds, 0)
    voices, means, highest = np.full(len(odds), -1), np.zeros(len(odds)), max(odds.max(), 0.0)
    if len(odds) > 1:
        distances = squareform(highest - odds, checks=False)
        clusters = fcluster(linkage(distances, "average"), highest, "distance")
        for cluster in dict.fromkeys(clusters.tolist()):
            own = np.flatnonzero(clusters == cluster)
            if len(np.unique(recordings[own])) > 1:
                voices[own] = voices.max() + 1
                means[own] = odds[np.ix_(own, own)].sum(axis=1) / (len(own) - 1)
    return voices, expit(means)
