#!/usr/bin/env python3
"""Fit the weights of conf/systems/best.yaml, of the number of speakers and of certainty, to simulated recordings.

bench/fit.py simulate exp/fit     recordings to fit to and to test on, stages 1 to 4; an hour on two cores
bench/fit.py count ... set ...    fit the model of the number of speakers, report
bench/fit.py sure ... set ...     fit the model of certainty, which depends on the one before, report

`simulate` prints the other two commands in full. They print weights as best.yaml has them, then a report on the sets of
--test. Without sets to fit to, they report on the weights of --system.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from msgspec import structs

import common
from common import ROOT, Source
from ssdiar.base.arguments import Parser, run, whole_number
from ssdiar.base.errors import InputError
from ssdiar.clustering import sure
from ssdiar.clustering.config import Count, SystemConfig, read_system
from ssdiar.clustering.counting import EVIDENCE, LINKS, Estimate, estimate_from_evidence, evidence_by_number
from ssdiar.clustering.recording import Clustering, Prepared, RecordingVectors, prepare
from ssdiar.clustering.systems import random_generator
from ssdiar.pipeline import times_of
from ssdiar.scoring.der import PROTOCOLS, cut_cells
from ssdiar.timeline.regions import intersect, merge, subtract, total
from ssdiar.timeline.sides import speaker_name
from ssdiar.timeline.spans import Turn

_GRID = "one:40x1x20-240 two:80x2x20-240 some:80x3-7x20-240 many:70x3-7x120-420 brief:40x1-2x15-60 long:18x1-3x240-900"
_SEEDS = {"": 11, "test_": 31}  # of the simulation by prefix of the set, one more for every further set
_PENALTIES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3)  # of the model of the number
_SURE_PENALTY = 1e-5  # of the model of certainty; 1e-3 does as well in cross-validation
_TEMPERATURES = np.arange(1.0, 3.01, 0.1)
_MIN_SPEECH = 4.0  # seconds of every speaker outside overlap, in recordings to count by
_FOLDS = 5
_ROUNDS = 8  # the least certain pair of clusters depends on the weights
_FOCUS = 0.3  # how fast the importance of a number of clusters falls with its distance from the true number
_EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
_RESAMPLINGS = 500


def main() -> None:
    """Run one step."""
    options = _parse()
    if options.step == "simulate":
        simulate(options)
        return
    sources = {name: common.load(name, options) for name in (*options.sets, *options.test.split())}
    (_count if options.step == "count" else _sure)(read_system(options.system), sources, options)


def _parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    steps = parser.add_subparsers(dest="step", required=True, prog=parser.prog)
    add = steps.add_parser("simulate", help="make recordings and run stages 1 to 4 on them").add_argument
    add("--voices", type=Path, help="a sub-folder of audio per voice (default: made by local/fetch_prompts.py)")
    add("--grid", default=_GRID, help=f"sets, as name:RECORDINGSxSPEAKERSxSECONDS ({_GRID})")
    add("--nj", type=whole_number(1), default=2, help="jobs")
    add("out_dir", type=Path)
    for step, text in (("count", "fit the model of the number of speakers"), ("sure", "fit the model of certainty")):
        fit = steps.add_parser(step, help=text)
        common.add_places(fit)
        fit.add_argument("--system", default="best", help="the system whose evidence is computed")
        fit.add_argument("--test", default="", help="names of further sets, for the report")
        fit.add_argument("sets", nargs="*", metavar="set", help="names of sets to fit to, as in run.sh")
    options = parser.parse_args()
    if options.step != "simulate" and not options.sets and not options.test:
        parser.error("nothing to fit to; expected names of sets, or --test")
    return options


def simulate(options: argparse.Namespace) -> None:
    """Make the sets of the grid, and test sets a quarter as large; finished sets stay as they are."""
    out = options.out_dir.resolve()
    voices = options.voices.resolve() if options.voices else out / "voices"
    if not voices.exists():
        _call("local/fetch_prompts.py", voices)
    common_options = ["--max-speech", 900]
    if (voices / "allison_en").exists():
        common_options += ["--same-person", "allison_en,allison_es"]
    places = ["--data-root", out / "data", "--exp-root", out / "exp"]  # of run.sh and of the other two commands
    names: dict[str, list[str]] = {prefix: [] for prefix in _SEEDS}
    for (prefix, seed), (index, item) in itertools.product(_SEEDS.items(), enumerate(options.grid.split())):
        name, _, shape = item.partition(":")
        size, speakers, seconds = shape.split("x")
        name, size = prefix + name, int(size) // (4 if prefix else 1)
        folder = out / "simulated" / name
        if not folder.exists():
            call = ["--num-calls", size, "--num-spk", speakers, "--duration", seconds, "--seed", seed + index]
            _call("local/simulate_calls.py", *common_options, *call, "--prefix", name, voices, folder)
        data = ["--audio", folder / "wav", "--rttm", folder / "ref.rttm", "--uem", folder / "all.uem"]
        stages = ["--systems", "best", "--stop-stage", 4, "--nj", options.nj, "--python", sys.executable]
        _call("run.sh", "--set", name, *data, *places, *stages)
        names[prefix].append(name)
    for step in ("count", "sure"):
        print("bench/fit.py", step, *places, "--test", f'"{" ".join(names["test_"])}"', *names[""])


def _call(program: str, *arguments: object) -> None:
    """Run a program of the repository; its output goes to stderr."""
    python = [sys.executable] if program.endswith(".py") else []
    command = [*python, str(ROOT / program), *map(str, arguments)]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode:
        raise InputError(f"{program} failed, see above")


def fit_logistic(
    rows: np.ndarray, truth: np.ndarray, importance: np.ndarray, penalty: float, mixture: Any = None
) -> np.ndarray:
    """Return the weights (F,) of a logistic model, by maximum likelihood with a penalty of squared weights.

    Args:
        rows: (R, F) standardised features, the constant first; its weight has no penalty.
        truth: (N,) observed frequencies, 0 to 1.
        importance: (N,) weights of the observations, of sum 1.
        penalty: Weight of the squared weights.
        mixture: (N, R) sparse shares: the probability of an observation is this mean over rows. None: N = R.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        chances = expit(rows @ weights)
        predicted = np.clip(chances if mixture is None else mixture @ chances, 1e-9, 1 - 1e-9)
        slope = importance * (predicted - truth) / (predicted * (1 - predicted))
        slope = (slope if mixture is None else mixture.T @ slope) * chances * (1 - chances)
        likelihood = importance @ (truth * np.log(predicted) + (1 - truth) * np.log(1 - predicted))
        size = np.concatenate([[0.0], weights[1:]])
        return -likelihood + penalty * size @ size, rows.T @ slope + 2 * penalty * size

    return minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x


def _scale(features: np.ndarray) -> np.ndarray:
    """Return the map (1 + F, 1 + F) that standardises features (N, 1 + F) with a leading 1: ``features @ map``."""
    mean, spread = features[:, 1:].mean(axis=0), features[:, 1:].std(axis=0) + 1e-9
    scale = np.diag([1.0, *(1 / spread)])
    scale[0, 1:] = -mean / spread
    return scale


def _mapping(weights: np.ndarray, names: Sequence[str], decimals: int) -> dict[str, float]:
    return {name: round(float(value), decimals) for name, value in zip(("constant", *names), weights, strict=True)}


# The number of speakers: the weakest pair of K clusters is two speakers if the recording has K or more.

_MODELS = {"weights": EVIDENCE, "weights_with_links": EVIDENCE + LINKS}


class Counted(NamedTuple):
    """The number of speakers of a recording, and the evidence (pairs, features) by number of clusters."""

    number: int
    evidence: dict[int, np.ndarray]

    def estimate(self, weights: np.ndarray, count: Count, limit: int) -> Estimate:
        """Return the estimate of a model of all features, or of the first ones."""
        evidence = {clusters: pairs[:, : len(weights) - 1] for clusters, pairs in self.evidence.items()}
        return estimate_from_evidence(evidence, weights, count, (1, limit))


def _count(config: SystemConfig, sources: Mapping[str, Sequence[Source]], options: argparse.Namespace) -> None:
    evidence = {name: count_evidence(own, config) for name, own in sources.items()}
    models, count = {name: np.array(structs.astuple(getattr(config.count, name))) for name in _MODELS}, config.count
    if options.sets:
        training = [one for name in options.sets for one in evidence[name]]
        for name, features in _MODELS.items():
            penalty, temperature = choose(training, len(features))
            models[name] = fit_count(training, len(features), penalty)
            print(f"# {name}: {len(training)} recordings, penalty {penalty}")
        count = structs.replace(count, temperature=round(temperature, 1))  # of the model with links
        found = {name: _mapping(models[name], features, 3) for name, features in _MODELS.items()}
        print(yaml.safe_dump({"count": found | {"temperature": count.temperature}}, sort_keys=False))
    for (name, own), model in itertools.product(evidence.items(), models):
        print(f"# {name}, {model}: {_count_report(own, models[model], count)}")


def count_evidence(sources: Sequence[Source], config: SystemConfig) -> list[Counted]:
    """Return the evidence of the recordings in which every speaker has enough speech outside overlap."""
    found = []
    for one in sources:
        if one.segmentation is None:
            raise InputError(f"no segmentation of {one.reco}", hint="Run stage 2 with --sad pyannote.")
        if one.cut.segments and _min_speech(one.reference) >= _MIN_SPEECH:
            rng = random_generator(0, len(one.cut.segments))
            evidence = evidence_by_number(_prepared(one, config), config.consensus, config.count.most + 1, rng)
            found.append(Counted(one.num_spk, dict(evidence)))
    return found


def _prepared(one: Source, config: SystemConfig) -> Prepared:
    regions = [segment.region for segment in one.cut.segments]
    known = {"segmentation": one.segmentation, "regions": None if None in regions else np.array(regions)}
    return prepare(RecordingVectors(one.reco, one.vectors, times_of(one.cut.segments), **known), config.prepare)


def _min_speech(turns: Sequence[Turn]) -> float:
    """Return the minimum over speakers of their seconds of speech outside overlap."""
    spans = _by_speaker(turns)
    others = {name: [span for other in spans if other != name for span in spans[other]] for name in spans}
    return min((total(subtract(merge(own), merge(others[name]))) for name, own in spans.items()), default=0.0)


def choose(recordings: Sequence[Counted], size: int) -> tuple[float, float]:
    """Return the penalty and the temperature with the lowest log loss of the number in cross-validation."""
    fold = np.random.default_rng(0).permutation(len(recordings)) % _FOLDS
    counts = [Count(temperature=float(temperature)) for temperature in _TEMPERATURES]
    losses = np.zeros((len(_PENALTIES), len(counts)))
    for at, penalty in enumerate(_PENALTIES):
        for held_out in range(_FOLDS):
            weights = fit_count([recordings[i] for i in np.flatnonzero(fold != held_out)], size, penalty)
            for one in (recordings[i] for i in np.flatnonzero(fold == held_out)):
                estimates = [one.estimate(weights, count, max(one.evidence, default=1)) for count in counts]
                losses[at] -= [np.log(max(e.probabilities.get(one.number, 0.0), 1e-4)) for e in estimates]
    at, best = np.unravel_index(losses.argmin(), losses.shape)
    return _PENALTIES[at], float(_TEMPERATURES[best])


def fit_count(recordings: Sequence[Counted], size: int, penalty: float) -> np.ndarray:
    """Return the constant and the weights of a model of the first features, (1 + size,)."""
    numbers, clusters = np.array([(one.number, k) for one in recordings for k in one.evidence]).T
    evidence = [np.insert(pairs[:, :size], 0, 1.0, axis=1) for one in recordings for pairs in one.evidence.values()]
    scale = _scale(np.concatenate(evidence))
    importance = 1 / (1 + _FOCUS * abs(numbers + 0.5 - clusters))
    weights = np.eye(1 + size)[1]  # the first weakest pair is the one with the smallest separation
    for _ in range(_ROUNDS):
        rows = np.array([pairs[(pairs @ weights).argmin()] for pairs in evidence])
        truth = (numbers >= clusters).astype(float)
        weights = scale @ fit_logistic(rows @ scale, truth, importance / importance.sum(), penalty)
    return weights


def _count_report(recordings: Sequence[Counted], weights: np.ndarray, count: Count) -> str:
    estimates = [one.estimate(weights, count, count.most) for one in recordings]
    off = np.array([estimate.number - one.number for estimate, one in zip(estimates, recordings, strict=True)])
    predicted = np.array([estimate.probabilities[estimate.number] for estimate in estimates])
    bins = [
        f"predicted {predicted[mask].mean():.2f} right {(off[mask] == 0).mean():.2f} ({mask.sum()})"
        for _, _, mask in _bins(predicted)
    ]
    return f"{(off == 0).sum()} of {len(off)} right, mean absolute error {abs(off).mean():.2f}; {', '.join(bins)}"


# Certainty: the mean over a turn's sub-segments of the probability that their labels are right.


class Labelled(NamedTuple):
    """A clustered recording, whether its number of speakers was given, and the evidence (S, features) of its labels."""

    source: Source
    given: bool
    result: Clustering
    evidence: np.ndarray

    def turns(self, certainty: np.ndarray, second: tuple[float, float]) -> list[Turn]:
        """Return the turns, given the certainty (S,) of the labels and of second speakers."""
        return self.source.turns(replace(self.result, sure=certainty), second)


def _sure(config: SystemConfig, sources: Mapping[str, Sequence[Source]], options: argparse.Namespace) -> None:
    labelled = {name: label(own, config) for name, own in sources.items()}
    weights, second = np.array(structs.astuple(config.sure.weights)), config.sure.second
    if options.sets:
        weights, second = fit_sure([one for name in options.sets for one in labelled[name]])
        found = {"weights": _mapping(weights, sure.EVIDENCE, 2), "second": [round(share, 2) for share in second]}
        print(yaml.safe_dump({"sure": found}, sort_keys=False))
    tests = [one for name in options.test.split() for one in labelled[name]]
    for given in (True, False) if tests else ():
        way = f"Number of speakers {'given' if given else 'estimated'}"
        turns = [judge(one, weights, second) for one in tests if one.given == given]
        print(f"{way}: {_sure_report(turns)}")


def label(sources: Sequence[Source], config: SystemConfig) -> list[Labelled]:
    """Return the recordings of a set, each clustered with its number of speakers given and estimated."""
    found = []
    for one, given in itertools.product(sources, (True, False)):
        if one.cut.segments:
            result, prepared = one.cluster(config, given), _prepared(one, config)
            chance = result.history.get("num_spk_probabilities", {}).get(result.history["num_spk"], 1.0)
            support = np.ones(len(result.labels)) if result.support is None else result.support
            evidence = sure.label_evidence(result.labels, support, prepared.vectors, prepared.times, chance)
            found.append(Labelled(one, given, result, evidence))
    return found


def truths(reference: Sequence[Turn], turns: Sequence[Turn]) -> np.ndarray:
    """Return the share of each turn's speech that is right, and whether the turn is, 1 or 0; (T, 2).

    Speech is right while the reference speaker to whom the DER maps the turn's speaker talks; a turn is right if that
    one talks for more than half of it. Turns that are mostly non-speech are errors of the detector: both are NaN.
    """
    end = max((turn.end for turn in (*reference, *turns)), default=0.0)
    matches = cut_cells(reference, turns, [(0.0, end)], PROTOCOLS["full"]).matches
    spans = _by_speaker(reference)
    speech = [span for own in spans.values() for span in own]
    found = np.full((len(turns), 2), np.nan)
    for row, turn in zip(found, turns, strict=True):
        talk = (spans.get(matches.get(turn.speaker, ""), []), speech)
        right, spoken = (total(intersect([(turn.start, turn.end)], own)) for own in talk)
        if 2 * spoken > turn.end - turn.start:
            row[:] = right / spoken, 2 * right > turn.end - turn.start
    return found


def _by_speaker(turns: Sequence[Turn]) -> dict[str, list[tuple[float, float]]]:
    spans: dict[str, list[tuple[float, float]]] = {}
    for turn in turns:
        spans.setdefault(turn.speaker, []).append((turn.start, turn.end))
    return spans


def fit_sure(recordings: Sequence[Labelled]) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the weights, constant first, and the probability of second speakers among two speakers and among more.

    They maximise the likelihood of the truth of the recordings' turns, half of it by time and half by turn.
    """
    from scipy.sparse import csr_array
    from scipy.special import expit

    evidence = np.insert(np.concatenate([one.evidence for one in recordings]), 0, 1.0, axis=1)
    scale, size = _scale(evidence), len(evidence)
    # The last two rows stand for second speakers, among two speakers and among more, each with a weight of its own.
    rows = np.zeros((size + 2, evidence.shape[1] + 2))
    rows[:size, :-2], rows[size:, -2:] = evidence @ scale, np.eye(2)
    shares, places, seconds, right, first = [], [], [], [], 0
    for one in recordings:
        for turn, truth, own, parts, second in _composition(one):
            shares += [*parts, second]
            places += [(len(right), column) for column in (*(first + own), size + (one.result.labels.max() > 1))]
            seconds.append(turn.end - turn.start)
            right.append(truth)
        first += len(one.evidence)
    mixture = csr_array((shares, tuple(np.array(places).T)), shape=(len(right), size + 2))
    by_time, by_turn = np.array(seconds) / sum(seconds) / 2, 1 / len(seconds) / 2
    share, whole = np.array(right).T
    truth = (by_time * share + by_turn * whole) / (by_time + by_turn)
    weights = fit_logistic(rows, truth, by_time + by_turn, _SURE_PENALTY, mixture)
    return scale @ weights[:-2], tuple(expit(weights[-2:]).tolist())


def _composition(one: Labelled) -> Iterator[tuple[Turn, np.ndarray, np.ndarray, np.ndarray, float]]:
    """Yield every turn, its truth, its sub-segments, their shares of its time, and the share of second speakers."""
    turns = one.turns(np.zeros(len(one.evidence)), (1.0, 1.0))  # their confidence is the share of second speakers
    times = times_of(one.source.cut.segments)
    middles, lengths = times.mean(axis=1), times[:, 1] - times[:, 0]
    names = np.array([speaker_name(label + 1) for label in one.result.labels])
    for turn, truth in zip(turns, truths(one.source.reference, turns), strict=True):
        own = np.flatnonzero((names == turn.speaker) & (middles >= turn.start) & (middles < turn.end))
        second = turn.confidence or 0.0
        if not np.isnan(truth[0]) and (len(own) or second > 1 - 1e-6):
            yield turn, truth, own, (1 - second) * lengths[own] / lengths[own].sum(), second


def judge(one: Labelled, weights: np.ndarray, second: tuple[float, float]) -> np.ndarray:
    """Return certainty, truth (:func:`truths`) and seconds of the turns that have a certainty, (T, 4)."""
    turns = one.turns(sure.label_probabilities(one.evidence, weights), second)
    known = [(np.nan if turn.confidence is None else turn.confidence, turn.end - turn.start) for turn in turns]
    certainty, seconds = np.array(known).reshape(-1, 2).T
    found = np.column_stack([certainty, truths(one.source.reference, turns), seconds])
    return found[~np.isnan(certainty)]


def _bins(predicted: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """Return the low edge, the high edge and the mask (N,) of every bin that is not empty."""
    pairs = itertools.pairwise(_EDGES)
    masks = [(low, high, (predicted >= low) & ((predicted < high) | (high == 1))) for low, high in pairs]
    return [(low, high, mask) for low, high, mask in masks if mask.any()]


def _sure_report(judged: Sequence[np.ndarray]) -> str:
    """Return how much of the turns of recordings (:func:`judge`) is right, in all and by certainty.

    ECE is the expected calibration error: the mean over bins of predicted minus right. In brackets is the 95 % interval
    of the bootstrap over recordings.
    """
    turns, owner = np.concatenate(judged), np.repeat(np.arange(len(judged)), [len(own) for own in judged])
    is_speech, size = ~np.isnan(turns[:, 1]), len(judged)
    rest, owner, (predicted, share, right, seconds) = turns[~is_speech], owner[is_speech], turns[is_speech].T
    bins = _bins(predicted)
    by_time = sum(abs((seconds * (predicted - share))[mask].sum()) for _, _, mask in bins) / seconds.sum()
    by_turn = sum(abs((predicted - right)[mask].sum()) for _, _, mask in bins) / len(right)
    means = (100 * np.average(values, weights=seconds) for values in (predicted, share))
    lines = [
        "{} turns, {:.0f} min, predicted {:.1f} %, right {:.1f} % of the time; ECE {:.1f} % by time, {:.1f} % by turn; "
        "{} more turns, {:.1f} min, are mostly non-speech\n".format(
            len(right), seconds.sum() / 60, *means, 100 * by_time, 100 * by_turn, len(rest), rest[:, 3].sum() / 60
        ),
        "| certainty, % | turns | minutes | predicted, % | right, % of time | right, % of turns |",
        "| --- |" + " ---: |" * 5,
    ]
    draws = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), _RESAMPLINGS)
    for low, high, mask in bins:
        drawn, good = (draws @ np.bincount(owner[mask], v[mask], size) for v in (seconds, seconds * share))
        bounds = np.percentile(100 * good[drawn > 0] / drawn[drawn > 0], [2.5, 97.5])
        means = [100 * np.average(values[mask], weights=seconds[mask]) for values in (predicted, share)]
        cells = f"{mask.sum()} | {seconds[mask].sum() / 60:.0f} | {means[0]:.0f} | {means[1]:.0f}"
        interval = f"({bounds[0]:.0f}-{bounds[1]:.0f}) | {100 * right[mask].mean():.0f}"
        lines.append(f"| {100 * low:.0f}-{100 * high:.0f} | {cells} {interval} |")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    run(main)
