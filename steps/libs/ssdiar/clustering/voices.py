"""The same voice in several recordings: names from known voices, and links between speakers if there are none.

A speaker is the mean of the x-vectors of its sub-segments, less the mean of all speakers of the set. The cosine of two
speakers, and their seconds of speech, give the log odds that they are one voice, by a logistic model that is fitted to
simulated calls over different lines (bench/fit.py voices; conf/voices).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from ssdiar.base.config import Config, Positive
from ssdiar.clustering.config import Weight
from ssdiar.clustering.vectors import length_normalise

NEVER = -1e12  # log odds of speakers who cannot be one voice


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
        prior: Probability that two speakers of a set are one voice, before anything is known about them.
        min_seconds: Speakers with less speech get no name.
        background: Mean (D,) of the speakers that the model is fitted to.
        background_weight: Number of speakers of a set that the background counts as in the set's mean.
    """

    weights: VoiceWeights
    prior: Annotated[float, Meta(gt=0, lt=1)]
    min_seconds: Positive
    background: tuple[float, ...]
    background_weight: Positive


class Speakers(NamedTuple):
    """S speakers: their mean x-vectors (S, D), and their seconds of speech (S,)."""

    vectors: np.ndarray
    seconds: np.ndarray


class Match(NamedTuple):
    """The voice of a speaker, a number from 0, and its probability."""

    voice: int
    probability: float


def log_odds(speakers: Speakers, model: VoiceModel) -> np.ndarray:
    """Return the log odds that two speakers are one voice, (S, S).

    Every voice counts once in the mean of the set, as far as a first round tells: an agent talks in many calls.
    """
    from scipy.special import expit

    background, size = np.array(model.background), model.background_weight
    constant, *weights = msgspec.structs.astuple(model.weights)
    constant += np.log(model.prior / (1 - model.prior))
    shares = np.ones(len(speakers.seconds))
    for _ in range(2):
        mean = (shares @ speakers.vectors + size * background) / (shares.sum() + size)
        odds = constant + pair_evidence(speakers._replace(vectors=speakers.vectors - mean)) @ np.array(weights)
        np.fill_diagonal(odds, np.inf)
        shares = 1 / expit(odds).sum(axis=1)
    few = speakers.seconds < model.min_seconds
    odds[few], odds[:, few] = NEVER, NEVER
    return odds


def pair_evidence(speakers: Speakers) -> np.ndarray:
    """Return features of pairs of centred speakers, (S, S, features), in the order of :class:`VoiceWeights`."""
    unit, logs = length_normalise(speakers.vectors), np.log(np.maximum(speakers.seconds, 0.1))
    cosine, shorter, longer = unit @ unit.T, np.minimum.outer(logs, logs), np.maximum.outer(logs, logs)
    return np.stack([cosine, shorter, longer, cosine * shorter], axis=-1)


def match_voices(odds: np.ndarray, recordings: Sequence[str], shared: bool = False) -> list[Match | None]:
    """Return the known voice of each speaker, or None.

    Each recording takes the assignment with the largest sum of log odds. The probability of a voice competes with all
    other voices and with none of them; a name needs a probability of a half.

    Args:
        odds: (S, K) log odds of speakers and known voices.
        recordings: The recording of each speaker.
        shared: Whether speakers of one recording may have one voice.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.special import softmax

    with_none = np.column_stack([odds, np.zeros(len(odds))])
    probabilities = softmax(with_none, axis=1)
    matches: list[Match | None] = [None] * len(odds)
    for reco in set(recordings):
        own = np.flatnonzero(np.array(recordings) == reco)
        # A column of no name for each speaker.
        rows, columns = linear_sum_assignment(np.column_stack([odds[own], np.zeros((len(own),) * 2)]), maximize=True)
        if shared:
            rows, columns = np.arange(len(own)), with_none[own].argmax(axis=1)
        for speaker, voice in zip(own[rows], columns, strict=True):
            if voice < odds.shape[1] and probabilities[speaker, voice] >= 0.5:
                matches[speaker] = Match(int(voice), float(probabilities[speaker, voice]))
    return matches


def link_speakers(odds: np.ndarray, recordings: Sequence[str], shared: bool = False) -> list[Match | None]:
    """Return the voice of each speaker who is also in another recording, or None; voices by first occurrence.

    Average linkage of the log odds merges speakers while these are positive. Speakers of one recording are never merged
    unless they are ``shared``. The probability of a link is the one of the mean log odds with the others of the voice.

    Args:
        odds: (S, S) log odds of pairs of speakers.
        recordings: The recording of each speaker.
        shared: See :func:`match_voices`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from scipy.special import expit

    matches: list[Match | None] = [None] * len(odds)
    if len(odds) < 2:
        return matches
    apart = np.array(recordings)[:, None] != np.array(recordings)[None, :]
    odds = odds if shared else np.where(apart, odds, NEVER)
    highest = max(float(odds.max()), 0.0)
    distances = highest - odds
    np.fill_diagonal(distances, 0)
    labels = fcluster(linkage(squareform(distances, checks=False), "average"), highest, "distance")
    voice = 0
    for label in dict.fromkeys(labels.tolist()):
        own = np.flatnonzero(labels == label)
        if len({recordings[speaker] for speaker in own}) > 1:
            among = odds[np.ix_(own, own)]
            means = (among.sum(axis=1) - among.diagonal()) / (len(own) - 1)
            for speaker, mean in zip(own, means, strict=True):
                matches[speaker] = Match(voice, float(expit(mean)))
            voice += 1
    return matches
