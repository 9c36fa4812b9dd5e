#!/usr/bin/env python3
"""Fit the numbers of conf/systems/best.yaml by which `best` counts speakers, on simulated recordings.

Each <set-dir>:<exp-dir> pair is a data directory with ref.rttm and what stages 1 to 4 of run.sh made of it with the
options of `best`: <set-dir>_speech/segmentation, <exp-dir>/subsegments and <exp-dir>/xvectors_MODEL. The model is the
logistic one of ssdiar/clustering/counting.py, fitted to the most doubtful two clusters of every number of clusters:
they are two speakers if there are at least that many. How small the weights are held, and the temperature of the
probabilities, come from cross-validation over the recordings, every number of speakers being as likely. Recordings in
which somebody says less than --least-speech seconds alone are left out, since nobody could hear how many they are. With
--test, further pairs are counted with the numbers found: how many are right, and how often the number taken was right
by the probability that it was given.

bench/count_model.sh makes the recordings and calls this.
e.g.: bench/count_model.py --test data/other:exp/other data/train1:exp/train1 data/train2:exp/train2
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from typing import NamedTuple

import stage

import numpy as np

import simulated
from ssdiar.clustering.config import Count, SystemConfig, read_system
from ssdiar.clustering.counting import EVIDENCE, estimate_from_evidence, evidence_by_number
from ssdiar.clustering.recording import prepare
from ssdiar.clustering.systems import random_generator
from ssdiar.timeline.regions import merge, subtract, total
from ssdiar.timeline.spans import Turn

_PENALTIES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3)  # of the squared weights of standardised evidence
_TEMPERATURES = np.arange(1.0, 3.01, 0.1)
_FOLDS = 5
_ROUNDS = 8  # which two clusters are the most doubtful depends on the weights
_FOCUS = 0.3  # how fast numbers of clusters far from the true one count for less


class Counted(NamedTuple):
    """One recording: its number of speakers, and the evidence by number of clusters with and without links."""

    reco: str
    num_spk: int
    with_links: dict[int, np.ndarray]
    without: dict[int, np.ndarray]


def main() -> None:
    """Print the lines for best.yaml, and what they give."""
    options = _parse()
    config = read_system(simulated.ROOT / "conf" / "systems" / "best.yaml")
    sets = {pair: _load(pair, config, options) for pair in (*options.pairs, *(options.test or ()))}
    training = [found for pair in options.pairs for found in sets[pair]]
    without = [(found.num_spk, found.without) for found in training]
    with_links = [(found.num_spk, found.with_links) for found in training]
    (of_links, temperature), (of_none, _) = choose(with_links), choose(without)
    weights = {"weights": fit(without, of_none), "weights_with_links": fit(with_links, of_links)}
    for name, values in weights.items():
        print(f"  {name}: [{', '.join(f'{value:.3f}' for value in values)}]")
    print(f"  temperature: {temperature:.1f}")
    print(f"# {len(training)} recordings, penalties {of_none} and {of_links}")
    config = replace(config, count=replace(config.count, temperature=temperature))
    for pair, recordings in sets.items():
        for name, values in weights.items():
            chosen = [
                (found.num_spk, found.with_links if name.endswith("links") else found.without) for found in recordings
            ]
            print(f"# {pair} {name}: {_summary(chosen, values, config)}")


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--test", action="append", help="a further pair, not fitted; may be repeated")
    parser.add_argument("--least-speech", type=stage.number(0), default=4.0, help="seconds (4)")
    parser.add_argument("--model", default="campplus", help="x-vector model (campplus)")
    parser.add_argument("pairs", nargs="+", metavar="<set-dir>:<exp-dir>")
    return parser.parse_args()


def _load(pair: str, config: SystemConfig, options: argparse.Namespace) -> list[Counted]:
    found = []
    for one in simulated.read_pair(pair, options.model):
        recording = one.recording
        number = _audible_speakers(one.reference, options.least_speech)
        if number is None:
            continue
        prepared, rng = prepare(recording, config.prepare), random_generator(0, len(one.pieces))
        evidence = dict(evidence_by_number(prepared, config.consensus, config.count.most + 1, rng))
        without = {clusters: pairs[:, : len(EVIDENCE)] for clusters, pairs in evidence.items()}
        found.append(Counted(recording.reco, number, evidence, without))
    return found


def _audible_speakers(turns: list[Turn], least: float) -> int | None:
    """Return the number of speakers; None if one of them is not heard alone for ``least`` seconds."""
    speakers = {turn.speaker for turn in turns}
    for speaker in speakers:
        own = merge([(turn.start, turn.end) for turn in turns if turn.speaker == speaker])
        others = merge([(turn.start, turn.end) for turn in turns if turn.speaker != speaker])
        if total(subtract(own, others)) < least:
            return None
    return len(speakers)


def choose(recordings: list[tuple[int, dict[int, np.ndarray]]]) -> tuple[float, float]:
    """Return the penalty and the temperature with the least log loss of the true numbers in cross-validation."""
    fold = np.random.default_rng(0).permutation(len(recordings)) % _FOLDS
    losses = {penalty: np.zeros((len(_TEMPERATURES), len(recordings))) for penalty in _PENALTIES}
    for penalty, of_penalty in losses.items():
        for held_out in range(_FOLDS):
            weights = fit([recordings[i] for i in np.flatnonzero(fold != held_out)], penalty)
            for i in np.flatnonzero(fold == held_out):
                of_penalty[:, i] = [_log_loss(*recordings[i], weights, t) for t in _TEMPERATURES]
    losses = {penalty: of_penalty.mean(axis=1) for penalty, of_penalty in losses.items()}
    penalty = min(losses, key=lambda penalty: losses[penalty].min())
    return penalty, float(_TEMPERATURES[losses[penalty].argmin()])


def _log_loss(number: int, evidence: dict[int, np.ndarray], weights: np.ndarray, temperature: float) -> float:
    limits = (1, max(evidence, default=1))
    estimate = estimate_from_evidence(evidence, weights, Count("evidence", temperature=temperature), limits)
    return -float(np.log(max(estimate.probabilities.get(number, 0.0), 1e-4)))


def fit(recordings: list[tuple[int, dict[int, np.ndarray]]], penalty: float) -> np.ndarray:
    """Return the constant and the weights of the logistic model, (1 + features,).

    Args:
        recordings: Number of speakers, and the evidence of all pairs by number of clusters.
        penalty: Of the squared weights of standardised evidence.
    """
    from scipy.optimize import minimize

    everything = np.concatenate([pairs for _, evidence in recordings for pairs in evidence.values()])
    mean, spread = everything.mean(axis=0), everything.std(axis=0) + 1e-9
    weights = np.zeros(everything.shape[1] + 1)
    weights[1] = 1.0  # to begin with, the most doubtful two are those with the least separation
    for _ in range(_ROUNDS):
        rows, truth, focus = [], [], []
        for number, evidence in recordings:
            for clusters, pairs in evidence.items():
                scaled = np.column_stack([np.ones(len(pairs)), (pairs - mean) / spread])
                rows.append(scaled[(scaled @ weights).argmin()])
                truth.append(float(number >= clusters))
                focus.append(1 / (1 + _FOCUS * abs(number + 0.5 - clusters)))
        x, y, importance = np.array(rows), np.array(truth), np.array(focus) / np.mean(focus)

        def loss(w: np.ndarray, x: np.ndarray = x, y: np.ndarray = y, importance: np.ndarray = importance):
            z = x @ w
            slope = x.T @ (importance * (1 / (1 + np.exp(-z)) - y)) / len(y)
            size = np.concatenate([[0.0], w[1:]])
            value = np.mean(importance * (np.logaddexp(0, z) - y * z)) + penalty * size @ size
            return value, slope + 2 * penalty * size

        weights = minimize(loss, weights, jac=True, method="L-BFGS-B").x
    return np.concatenate([[weights[0] - (weights[1:] * mean / spread).sum()], weights[1:] / spread])


def _summary(recordings: list[tuple[int, dict[int, np.ndarray]]], weights: np.ndarray, config: SystemConfig) -> str:
    """Return how many are right, the mean absolute error, and the share right by the probability given."""
    limits = (1, config.count.most)
    estimates = [estimate_from_evidence(evidence, weights, config.count, limits) for _, evidence in recordings]
    right = np.array([e.number == number for e, (number, _) in zip(estimates, recordings, strict=True)])
    error = np.mean([abs(e.number - number) for e, (number, _) in zip(estimates, recordings, strict=True)])
    sure = np.array([estimate.probabilities[estimate.number] for estimate in estimates])
    edges = [0.0, 0.5, 0.7, 0.9, 1.01]
    bins = [(sure >= low) & (sure < high) for low, high in itertools.pairwise(edges)]
    calibration = ", ".join(
        f"said {sure[b].mean():.2f} right {right[b].mean():.2f} ({b.sum()})" for b in bins if b.any()
    )
    return f"{right.sum()} of {len(right)} right, mean absolute error {error:.2f}; {calibration}"


if __name__ == "__main__":
    stage.run(main)
