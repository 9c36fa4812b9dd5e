#!/usr/bin/env python3
"""Fit the numbers of conf/systems/best.yaml by which `best` says how sure its turns are, and tell how true they are.

Each <set-dir>:<exp-dir> pair is a data directory with ref.rttm and what stages 1 to 4 of run.sh made of it with the
options of `best` (bench/count_model.sh makes such). Every recording is clustered twice, with the number of speakers
given and estimated, and made into turns as stage 6 does. What is right is told in two ways. Of the time of turns in
which somebody talks: that in which the reference speaker whom the DER maps the turn's speaker to does. Of the turns:
those in more than half of whose time that one talks. Turns in most of which nobody talks are noise that was taken for
speech: whether it is speech clustering cannot know, so they are counted and left out. A turn is as sure as its
sub-segments on average, and the logistic model of ssdiar/clustering/sure.py makes their probabilities; the likelihood
of what is right is maximised, half of it of the time and half of the turns, with a small penalty of squared weights.
How sure the second speaker of overlapped speech is comes out with them.

With --test, further pairs show how often turns are right by how sure they were: a table over all of them with bootstrap
intervals over recordings, the expected calibration error (ECE) of each, and what a threshold would mark. --figure draws
that table. --weights keep measures the numbers that best.yaml has and fits none.

e.g.: bench/sure.py --test data/other:exp/other --figure reliability.png data/train1:exp/train1 data/train2:exp/train2
      bench/sure.py --weights keep --test data/other:exp/other
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import stage

import numpy as np

import simulated
from ssdiar.clustering.config import Sure, SystemConfig, read_system
from ssdiar.clustering.recording import prepare
from ssdiar.clustering.sure import label_evidence, label_probabilities
from ssdiar.clustering.systems import cluster_recording
from ssdiar.errors import InputError
from ssdiar.scoring.der import PROTOCOLS, count_speakers, cut_cells
from ssdiar.timeline.regions import intersect, total
from ssdiar.timeline.sides import speaker_name
from ssdiar.timeline.spans import Turn
from ssdiar.timeline.turns import close_pauses, turns_of_labels

_GAP = 0.8  # seconds; what stage 2 decides for best
_PENALTY = 1e-5  # of the squared weights of standardised evidence; 1e-3 does as well in cross-validation
_EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
_RESAMPLINGS = 500
_GIVEN, _ESTIMATED = "given", "estimated"


class Clustered(NamedTuple):
    """One recording, clustered.

    Attributes:
        source: The recording.
        number: Whether the number of speakers was given or estimated.
        labels: (S,) from 0.
        evidence: (S, features) how sure they are is told from.
    """

    source: simulated.Simulated
    number: str
    labels: np.ndarray
    evidence: np.ndarray

    def turns(self, sure: np.ndarray, second: tuple[float, float]) -> list[Turn]:
        """Return the turns that stage 6 makes of it, given the probabilities (S,) of the labels."""
        ids = [piece.id for piece in self.source.pieces]
        labels = dict(zip(ids, (self.labels + 1).tolist(), strict=True))
        known = dict(zip(ids, sure.tolist(), strict=True))
        source = self.source
        return close_pauses(
            turns_of_labels(source.pieces, labels, source.short, source.overlap, True, known, second), _GAP
        )


class Judged(NamedTuple):
    """Turns of a recording, a set or several, (T,) each.

    Attributes:
        said: How sure they were.
        share: The share of their speech that is right; NaN where nobody talks.
        right: 1 for turns that are right; NaN where nobody talks.
        seconds: How long they are.
        reco: Of which recording they are.
    """

    said: np.ndarray
    share: np.ndarray
    right: np.ndarray
    seconds: np.ndarray
    reco: np.ndarray


def main() -> None:
    """Print the lines for best.yaml, and how true they are."""
    options = _parse()
    config = read_system(simulated.ROOT / "conf" / "systems" / "best.yaml")
    model = config.sure
    if options.weights == "fit":
        model = fit([one for pair in options.pairs for one in load(pair, config, options.model)])
        print(f"  weights: [{', '.join(f'{value:.2f}' for value in model.weights)}]")
        print(f"  second: [{', '.join(f'{value:.2f}' for value in model.second)}]")
    judged: dict[str, list[Judged]] = {_GIVEN: [], _ESTIMATED: []}
    for pair in options.test or ():
        clustered = load(pair, config, options.model)
        for number, found in judged.items():
            found.append(pooled([judge(one, model) for one in clustered if one.number == number]))
            print(f"# {pair}, number {number}: {_summary(found[-1])}")
    if options.test:
        everything = {number: pooled(found) for number, found in judged.items()}
        for number, found in everything.items():
            print(f"\nNumber of speakers {number}: {_summary(found)}\n\n{_table(found)}\n{_thresholds(found)}")
        if options.figure is not None:
            draw(everything, options.figure)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--test", action="append", help="a further pair, not fitted; may be repeated")
    parser.add_argument("--weights", choices=("fit", "keep"), default="fit", help="keep: those of best.yaml (fit)")
    parser.add_argument("--figure", type=Path, help="file to draw, png or svg")
    parser.add_argument("--model", default="campplus", help="x-vector model (campplus)")
    parser.add_argument("pairs", nargs="*", metavar="<set-dir>:<exp-dir>")
    options = parser.parse_args()
    if options.weights == "fit" and not options.pairs:
        raise InputError("nothing to fit", expected="pairs <set-dir>:<exp-dir>, or --weights keep")
    return options


def load(pair: str, config: SystemConfig, model: str) -> list[Clustered]:
    """Return the recordings of a pair, each clustered with the number of speakers given and estimated."""
    found = []
    for source in simulated.read_pair(pair, model):
        prepared = prepare(source.recording, config.prepare)
        for number, given in ((_GIVEN, count_speakers(source.reference)), (_ESTIMATED, None)):
            result = cluster_recording(replace(source.recording, num_spk=given), config)
            chance = result.history.get("num_spk_probabilities", {}).get(result.history["num_spk"], 1.0)
            support = np.ones(len(result.labels)) if result.support is None else result.support
            evidence = label_evidence(result.labels, support, prepared.vectors, prepared.times, chance)
            found.append(Clustered(source, number, result.labels, evidence))
    return found


def truths(one: Clustered, turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """Return of each turn the share of its speech that is right, and 1 or 0 for the turn; NaN where nobody talks."""
    reference = one.source.reference
    end = max((turn.end for turn in (*reference, *turns)), default=0.0)
    matches = cut_cells(reference, turns, [(0.0, end)], PROTOCOLS["full"]).matches
    regions = {name: [(turn.start, turn.end) for turn in own] for name, own in _by_speaker(reference).items()}
    everybody = [region for own in regions.values() for region in own]
    found = []
    for turn in turns:
        seconds = turn.end - turn.start
        right, spoken = (
            total(intersect([(turn.start, turn.end)], talk))
            for talk in (regions.get(matches.get(turn.speaker, ""), []), everybody)
        )
        found.append((right / spoken, float(2 * right > seconds)) if 2 * spoken > seconds else (np.nan, np.nan))
    return found


def _by_speaker(turns: Sequence[Turn]) -> dict[str, list[Turn]]:
    groups: dict[str, list[Turn]] = {}
    for turn in turns:
        groups.setdefault(turn.speaker, []).append(turn)
    return groups


def judge(one: Clustered, model: Sure) -> Judged:
    """Return the turns of a recording as a model has them; those that it says nothing about are left out."""
    turns = one.turns(label_probabilities(one.evidence, np.asarray(model.weights)), (model.second[0], model.second[1]))
    rows = [
        (turn.confidence, *truth, turn.end - turn.start)
        for turn, truth in zip(turns, truths(one, turns), strict=True)
        if turn.confidence is not None
    ]
    return Judged(*np.array(rows).reshape(-1, 4).T, np.full(len(rows), one.source.recording.reco, object))


def pooled(found: Sequence[Judged]) -> Judged:
    """Return the turns of several recordings or sets together."""
    return Judged(*(np.concatenate(values) for values in zip(*found, strict=True)))


def with_speech(found: Judged) -> Judged:
    """Return the turns in which somebody talks."""
    return Judged(*(values[~np.isnan(found.right)] for values in found))


def fit(recordings: Sequence[Clustered]) -> Sure:
    """Return the model that makes what is right of the turns of recordings most likely."""
    from scipy.optimize import minimize
    from scipy.sparse import csr_array

    evidence = np.concatenate([one.evidence for one in recordings])
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-9
    scaled = np.column_stack([np.ones(len(evidence)), (evidence - mean) / spread])
    rows, columns, shares, seconds, right, second = [], [], [], [], [], []
    first = 0
    for one in recordings:
        for turn, truth, pieces, part in _made_of(one):
            rows += [len(right)] * len(pieces)
            columns += [first + number for number, _ in pieces]
            shares += [share for _, share in pieces]
            second.append((part, 0.0) if one.labels.max() < 2 else (0.0, part))
            seconds.append(turn.end - turn.start)
            right.append(truth)
        first += len(one.labels)
    made_of = csr_array((shares, (rows, columns)), shape=(len(right), len(evidence)))
    parts = np.array(second)
    by_time, by_turn = np.array(seconds) / sum(seconds) / 2, 1 / len(seconds) / 2
    importance = by_time + by_turn
    share, whole = np.array(right).T
    truth = (by_time * share + by_turn * whole) / importance

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        chances, of_second = (1 / (1 + np.exp(-z)) for z in (scaled @ values[:-2], values[-2:]))
        said = np.clip(made_of @ chances + parts @ of_second, 1e-6, 1 - 1e-6)
        size = np.concatenate([[0.0], values[1:]])
        slope = importance * (said - truth) / (said * (1 - said))
        gradient = scaled.T @ ((made_of.T @ slope) * chances * (1 - chances))
        likelihood = truth * np.log(said) + (1 - truth) * np.log(1 - said)
        of_parts = (parts.T @ slope) * of_second * (1 - of_second)
        slopes = np.concatenate([gradient, of_parts]) + 2 * _PENALTY * size
        return -(importance @ likelihood) + _PENALTY * size @ size, slopes

    values = minimize(loss, np.zeros(scaled.shape[1] + 2), jac=True, method="L-BFGS-B").x
    constant = values[0] - (values[1:-2] * mean / spread).sum()
    weights = (float(constant), *(values[1:-2] / spread).tolist())
    return Sure(weights, tuple((1 / (1 + np.exp(-values[-2:]))).tolist()))


def _made_of(one: Clustered) -> list[tuple[Turn, tuple[float, float], list[tuple[int, float]], float]]:
    """Return of each turn: it, its truth, its pieces with their shares of it, the second speaker's share."""
    turns = one.turns(np.zeros(len(one.labels)), (1.0, 1.0))  # so that the confidence is the second speaker's share
    pieces = one.source.pieces
    middles = np.array([(piece.start + piece.end) / 2 for piece in pieces])
    lengths = np.array([piece.duration for piece in pieces])
    names = np.array([speaker_name(label + 1) for label in one.labels])
    found = []
    for turn, truth in zip(turns, truths(one, turns), strict=True):
        own = np.flatnonzero((names == turn.speaker) & (middles >= turn.start) & (middles < turn.end))
        part = turn.confidence or 0.0
        if not np.isnan(truth[0]) and (len(own) or part > 1 - 1e-6):
            shares = (1 - part) * lengths[own] / lengths[own].sum() if len(own) else []
            found.append((turn, truth, list(zip(own.tolist(), shares, strict=True)), part))
    return found


def _bins(found: Judged) -> list[tuple[float, float, np.ndarray]]:
    edges = list(itertools.pairwise(_EDGES))
    masks = [(low, high, (found.said >= low) & (found.said < high + (high == 1))) for low, high in edges]
    return [(low, high, mask) for low, high, mask in masks if mask.any()]


def _summary(found: Judged) -> str:
    spoken = with_speech(found)
    by_time = 100 * _calibration_error(spoken, spoken.share, spoken.seconds)
    by_turn = 100 * _calibration_error(spoken, spoken.right, np.ones(len(spoken.said)))
    said, right = (100 * np.average(values, weights=spoken.seconds) for values in (spoken.said, spoken.share))
    return (
        f"{len(spoken.said)} turns, {spoken.seconds.sum() / 60:.0f} min, said {said:.1f} %, right {right:.1f} % of the "
        f"time; ECE {by_time:.1f} % by time, {by_turn:.1f} % by turn; {len(found.said) - len(spoken.said)} more turns, "
        f"{(found.seconds.sum() - spoken.seconds.sum()) / 60:.1f} min, in which nobody talks"
    )


def _calibration_error(found: Judged, truth: np.ndarray, weights: np.ndarray) -> float:
    off = [
        weights[mask].sum() * abs(_mean(found.said, weights, mask) - _mean(truth, weights, mask))
        for _, _, mask in _bins(found)
    ]
    return sum(off) / weights.sum()


def _mean(values: np.ndarray, weights: np.ndarray, mask: np.ndarray) -> float:
    return float(np.average(values[mask], weights=weights[mask]))


def _intervals(found: Judged) -> list[tuple[float, float]]:
    """Return for every bin 95 % of what is right of its time when recordings are drawn anew."""
    rng = np.random.default_rng(0)
    names, owner = np.unique(found.reco, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLINGS)
    result = []
    for _, _, mask in _bins(found):
        seconds = np.bincount(owner[mask], found.seconds[mask], len(names))
        right = np.bincount(owner[mask], (found.seconds * found.share)[mask], len(names))
        drawn = counts @ seconds
        low, high = np.percentile((counts @ right)[drawn > 0] / drawn[drawn > 0], [2.5, 97.5])
        result.append((float(low), float(high)))
    return result


def _table(found: Judged) -> str:
    found = with_speech(found)
    lines = ["| sure, % | turns | minutes | said, % | right, % of time | right, % of turns |"]
    lines.append("| --- |" + " ---: |" * 5)
    for (low, high, mask), (least, most) in zip(_bins(found), _intervals(found), strict=True):
        said, right = (100 * _mean(values, found.seconds, mask) for values in (found.said, found.share))
        lines.append(
            f"| {100 * low:.0f}-{100 * high:.0f} | {mask.sum()} | {found.seconds[mask].sum() / 60:.0f} | {said:.0f} | "
            f"{right:.0f} ({100 * least:.0f}-{100 * most:.0f}) | {100 * found.right[mask].mean():.0f} |"
        )
    return "\n".join(lines) + "\n"


def _thresholds(found: Judged) -> str:
    """Return what would be marked as unsure, how much of it is wrong, and how much of all that is wrong it holds."""
    found = with_speech(found)
    wrong, lost = 1 - found.right, (1 - found.share) * found.seconds
    lines = []
    for threshold in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        marked = found.said < threshold
        if marked.any() and wrong.any() and lost.any():
            lines.append(
                f"# below {threshold:.2f}: {100 * marked.mean():.0f} % of turns, {100 * wrong[marked].mean():.0f} % of "
                f"these wrong, {100 * wrong[marked].sum() / wrong.sum():.0f} % of all wrong turns; of the time "
                f"{100 * found.seconds[marked].sum() / found.seconds.sum():.0f} %, "
                f"{100 * lost[marked].sum() / found.seconds[marked].sum():.0f} %, "
                f"{100 * lost[marked].sum() / lost.sum():.0f} %"
            )
    return "\n".join(lines) + "\n"


def draw(everything: dict[str, Judged], path: Path) -> None:
    """Draw how much is right by how sure it was, a panel for each way to know the number of speakers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(1, len(everything), figsize=(8, 3.6), layout="constrained", sharey=True)
    for axes, (number, found) in zip(all_axes, everything.items(), strict=True):
        found = with_speech(found)
        bins = _bins(found)
        said, right = (
            np.array([100 * _mean(values, found.seconds, mask) for _, _, mask in bins])
            for values in (found.said, found.share)
        )
        by_turn = [(100 * found.said[mask].mean(), 100 * found.right[mask].mean()) for _, _, mask in bins]
        limits = 100 * np.array(_intervals(found)).T
        axes.plot([0, 100], [0, 100], color="#8d949e", linewidth=1, linestyle="--")
        axes.vlines(said, *limits, color="#3273b8", alpha=0.5, linewidth=3)
        axes.plot(said, right, "o-", color="#3273b8", label="of their time")
        axes.plot(*zip(*by_turn, strict=True), "s:", color="#b5679b", markersize=4, label="of the turns")
        axes.set(title=f"number of speakers {number}", xlabel="turns said to be sure, %", xlim=(0, 102), ylim=(0, 102))
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].set_ylabel("right, %")
    all_axes[0].legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    stage.run(main)
