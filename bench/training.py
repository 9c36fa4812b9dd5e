#!/usr/bin/env python3
"""Ways to train on the labels of best, without a reference, against best untrained; RESULTS.md, "Training on a set".

A set is <data-dir>:<exp-dir> with ref.rttm and reco2num_spk in the one and subsegments and xvectors_MODEL, made by
stages 1 to 4 with the options of best, in the other. The number of speakers is given. For every way, mean of the seeds:
forgiving DER through the RTTM, the difference to best with its paired bootstrap interval over recordings, and seconds
of processor time per recording, those of best included.
e.g.: bench/training.py data/mini:exp/mini
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import measure
import stage
from ablation import Set
from measure import ROOT
from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.clustering.recording import Recording
from ssdiar.clustering.set_training import Lesson, move_labels, train_map, vote_anew
from ssdiar.clustering.systems import cluster_recording
from ssdiar.clustering.vectors import length_normalise
from ssdiar.errors import InputError
from ssdiar.scoring.bootstrap import paired_difference

_EPOCHS = 8  # as train_on_set.sh
_AXES = 40  # of the discriminant analysis; chosen among 20, 40 and 80 on 160 recordings (RESULTS.md)
_SHRINKAGE = 0.5  # of its covariance within speakers

Way = Callable[[list[Lesson], SystemConfig, int], list[np.ndarray]]


def main() -> None:
    """Print one row per way and set."""
    options = _parse()
    config = read_system(ROOT / "conf" / "systems" / "best.yaml")
    print("set", "way", "forgiving", "difference", "low", "high", "s", sep="\t")
    for pair in options.sets:
        data, colon, exp = pair.partition(":")
        if not colon:
            raise InputError("bad set", expected="<data-dir>:<exp-dir>", got=pair)
        found = Set(Path(data), Path(exp) / "subsegments", Path(exp) / f"xvectors_{options.model}")
        rows: dict[str, list[tuple[np.ndarray, float]]] = {name: [] for name in ("best", *WAYS)}
        for seed in range(options.seeds):
            started = time.process_time()
            lessons, labels = _first(found, config, seed)
            first = time.process_time() - started
            rows["best"].append((found.errors(labels)[0], first))
            for name, way in WAYS.items():
                started = time.process_time()
                after = way(lessons, config, seed)
                spent = first + time.process_time() - started
                rows[name].append((found.errors(dict(zip(labels, after, strict=True)))[0], spent))
        _write(Path(data).name, rows)


def _parse() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument("--seeds", type=stage.whole_number(1), default=3)
    parser.add_argument("--model", default="campplus", help="x-vector model (campplus)")
    parser.add_argument("sets", nargs="+", metavar="<data-dir>:<exp-dir>")
    return parser.parse_args()


def _write(name: str, rows: dict[str, list[tuple[np.ndarray, float]]]) -> None:
    baseline = np.mean([errors for errors, _ in rows["best"]], axis=0)
    for way, runs in rows.items():
        errors, seconds = np.mean([run[0] for run in runs], axis=0), np.mean([run[1] for run in runs])
        difference = paired_difference(errors[:, 0], baseline[:, 0], baseline[:, 1])
        numbers = [errors[:, 0].sum() / errors[:, 1].sum(), difference.value, difference.low, difference.high]
        row = [f"{100 * number:.2f}" for number in numbers]
        print(name, way, *row, f"{seconds / len(errors):.3f}", sep="\t", flush=True)


def _first(found: Set, config: SystemConfig, seed: int) -> tuple[list[Lesson], dict[str, np.ndarray]]:
    """Return what best says of every recording, as lessons and as labels."""
    lessons, labels = [], {}
    for reco, pieces in found.pieces.items():
        times = np.array([(piece.start, piece.end) for piece in pieces])
        result = cluster_recording(Recording(reco, found.vectors[reco], times, found.counts[reco]), config, seed)
        trust = None if result.sure is None else result.sure**2
        lessons.append(Lesson(found.vectors[reco], times, result.labels, trust))
        labels[reco] = result.labels
    return lessons, labels


def move(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """The way of train_on_set.sh."""
    return _moved(lessons, train_map(lessons, _EPOCHS, seed).matrix, config)


def vote(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """The way of train_on_set.sh --vote true."""
    matrix = train_map(lessons, _EPOCHS, seed).matrix
    return [vote_anew(one, matrix, config, seed) if one.labels.max() else one.labels for one in lessons]


def vote_without_guard(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """The same map; what the parts vote for is always taken."""
    return _voted(lessons, train_map(lessons, _EPOCHS, seed).matrix, config, seed)


def labels_alike(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """As train_on_set.sh, but every label counts alike, however sure."""
    return move([replace(lesson, trust=None) for lesson in lessons], config, seed)


def no_map(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """No training: each sub-segment goes to the closest mean on the vectors of best, as a control."""
    return _moved(lessons, np.eye(lessons[0].vectors.shape[1]), config)


def neighbours_move(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """No labels in training: the map where it starts, by the set's neighbours in time alone."""
    return _moved(lessons, train_map(lessons, 0, seed).matrix, config)


def neighbours_vote(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """The same, clustered anew."""
    return _voted(lessons, train_map(lessons, 0, seed).matrix, config, seed)


def each_alone(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """Every recording trains a map of its own."""
    return [_moved([lesson], train_map([lesson], _EPOCHS, seed).matrix, config)[0] for lesson in lessons]


def _moved(lessons: list[Lesson], matrix: np.ndarray, config: SystemConfig) -> list[np.ndarray]:
    return [move_labels(one, matrix, config) if one.labels.max() else one.labels for one in lessons]


def _voted(lessons: list[Lesson], matrix: np.ndarray, config: SystemConfig, seed: int) -> list[np.ndarray]:
    """Return labels of best, its number of speakers given, on mapped x-vectors."""
    found = []
    for lesson in lessons:
        vectors = length_normalise(lesson.vectors.astype(np.float64)) @ matrix
        number = int(lesson.labels.max()) + 1
        found.append(cluster_recording(Recording("", vectors, lesson.times, number), config, seed).labels)
    return found


def discriminant(lessons: list[Lesson], config: SystemConfig, seed: int) -> list[np.ndarray]:
    """Linear discriminant analysis of the set's labels, in closed form."""
    return _voted(lessons, _discriminant_axes(lessons), config, seed)


def _discriminant_axes(lessons: list[Lesson]) -> np.ndarray:
    """Return the axes (D, D), all but the first set to zero, that tell speakers of one recording apart."""
    from scipy.linalg import eigh

    dimension = lessons[0].vectors.shape[1]
    within, between = np.zeros((dimension, dimension)), np.zeros((dimension, dimension))
    for lesson in lessons:
        vectors = length_normalise(lesson.vectors.astype(np.float64))
        means = (lesson.members / lesson.members.sum(axis=0)).T @ vectors
        rest, apart = vectors - means[lesson.labels], means - means.mean(axis=0)
        within += rest.T @ rest
        between += apart.T @ apart
    within /= np.trace(within) / dimension
    shrunk = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.eye(dimension)
    _, axes = eigh(between, shrunk)
    axes[:, :-_AXES] = 0
    return axes


WAYS: dict[str, Way] = {
    "train_on_set.sh": move,
    "every label alike": labels_alike,
    "no map": no_map,
    "neighbours of the set": neighbours_move,
    "each recording a map of its own": each_alone,
    "train_on_set.sh --vote true": vote,
    "vote, always taken": vote_without_guard,
    "neighbours of the set, vote": neighbours_vote,
    "discriminant analysis, vote": discriminant,
}


if __name__ == "__main__":
    stage.run(main)
