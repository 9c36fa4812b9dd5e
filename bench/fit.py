#!/usr/bin/env python3
"""Fit the weights of conf/systems/best.yaml (number of speakers, certainty) and of conf/voices.

bench/fit.py simulate exp/fit     recordings to fit to and to test on, stages 1 to 4; an hour on two cores
bench/fit.py count ... set ...    fit the model of the number of speakers, report
bench/fit.py sure ... set ...     fit the model of certainty, which depends on the one before, report
bench/fit.py voices ... set ...   fit the model that two speakers are one voice, report

`simulate` prints the other commands in full. They print weights as the files of conf/ have them, then a report on the
sets of --test. Without sets to fit to, they report on the weights of conf/.
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

import common
from common import ROOT, Source

import numpy as np
import yaml
from msgspec import structs, to_builtins

from ssdiar.base.arguments import Parser, run, whole_number
from ssdiar.base.errors import InputError
from ssdiar.clustering import sure
from ssdiar.clustering.config import Count, LabelWeights, Sure, SystemConfig, read_system
from ssdiar.clustering.consensus import Views
from ssdiar.clustering.counting import EVIDENCE, LIKENESS, LINKS, Estimate, estimate_from_evidence, evidence_by_number
from ssdiar.clustering.recording import Clustering, Prepared, RecordingVectors, prepare
from ssdiar.clustering.systems import random_generator
from ssdiar.clustering.vectors import length_normalise
from ssdiar.clustering.voices import VoiceModel, VoiceWeights, log_odds, pair_evidence
from ssdiar.enrolment import names_of, read_voice_model
from ssdiar.pipeline import Speaker, labels_by_id, mean_speakers, times_of
from ssdiar.scoring.der import PROTOCOLS, cut_cells
from ssdiar.timeline.regions import intersect, merge, subtract, total
from ssdiar.timeline.sides import speaker_name
from ssdiar.timeline.spans import Turn
from ssdiar.xvectors.models import XVectorModel, load_model, read_model_config

sys.path.insert(0, str(ROOT / "local"))

from simulation.voices import RATE, load_voice

_PENALTIES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3)  # of the model of the number
_SURE_PENALTY = 1e-5  # of the model of certainty; 1e-3 does as well in cross-validation
_DOUBTS = np.arange(0.0, 1.01, 0.1)
_TEMPERATURES = np.arange(1.0, 3.01, 0.1)
_MIN_SPEECH = 2.0  # seconds outside overlap of a speaker who is to be counted
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
    {"count": _count, "sure": _sure, "voices": _voices}[options.step](read_system(options.system), sources, options)


def _parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    steps = parser.add_subparsers(dest="step", required=True, prog=parser.prog)
    add = steps.add_parser("simulate", help="make recordings and run stages 1 to 4 on them").add_argument
    add("--readers", metavar="url|dir", help="source of local/fetch_readers.py, if not GitHub")
    add("--nj", type=whole_number(1), default=2, help="jobs")
    add("out_dir", type=Path)
    add("sets", nargs="*", metavar="set", help="names of sets (all)")
    texts = {"count": "of the number of speakers", "sure": "of certainty", "voices": "that two speakers are one voice"}
    for step, text in texts.items():
        fit = steps.add_parser(step, help=f"fit the model {text}")
        common.add_places(fit)
        fit.add_argument("--system", default="best", help="the system whose evidence is computed")
        fit.add_argument("--test", default="", help="names of further sets, for the report")
        fit.add_argument("sets", nargs="*", metavar="set", help="names of sets to fit to, as in run.sh")
    options = parser.parse_args()
    names = {*options.sets, *getattr(options, "test", "").split()}
    if options.step in ("simulate", "voices") and not {name.removeprefix("test_") for name in names} <= {*_SETS}:
        parser.error(f"no such set; expected some of {' '.join(_SETS)}")
    if options.step != "simulate" and not names:
        parser.error("nothing to fit to; expected names of sets, or --test")
    return options


class _Set(NamedTuple):
    """A set of simulated recordings."""

    seed: int
    size: int
    speakers: str  # as simulate_calls.py takes them
    seconds: str
    prompts: bool = False  # whether to use only the voices of prompts, which have enough speech for long recordings
    alike: bool = False  # whether the two voices are among the pairs that are most alike
    half: int = 0  # 1 or 2: that half of every reader's files, for the same voice in different recordings


_SETS = {
    "one": _Set(11, 90, "1", "20-240"),
    "monologue": _Set(12, 20, "1", "240-720", prompts=True),
    "two": _Set(14, 80, "2", "20-240"),
    "dialogue": _Set(15, 12, "2", "240-600", prompts=True),
    "alike": _Set(16, 44, "2", "60-180", alike=True),
    "some": _Set(17, 60, "3-7", "20-240"),
    "many": _Set(18, 40, "3-7", "120-300"),
    "brief": _Set(19, 60, "1-2", "15-60"),
    "known": _Set(31, 100, "1", "8-120", half=1),
    "first": _Set(32, 100, "2", "8-200", half=1),
    "second": _Set(33, 100, "2", "8-200", half=2),
}
_PREFIXES = ("", "test_")
_TEST_SHARE, _TEST_SEED = 0.35, 20  # size and seed of a test set, by those of the set to fit to
_HELD_OUT = ("armelle_fr", "july_es", "paola_it")  # and every fourth reader: voices of the test sets
_ONE_PERSON = "allison_en,allison_es"


def simulate(options: argparse.Namespace) -> None:
    """Make the sets to fit to and to test on, of different voices; finished sets stay as they are."""
    out = options.out_dir.resolve()
    out.mkdir(parents=True, exist_ok=True)
    _call("local/fetch_readers.py", *(["--source", options.readers] if options.readers else []), out / "readers")
    _call("local/fetch_prompts.py", out / "prompts")
    places = ["--data-root", out / "data", "--exp-root", out / "exp"]  # of run.sh and of the other two commands
    readers, prompts = (sorted((out / kind).iterdir()) for kind in ("readers", "prompts"))
    held_out = {*readers[::4], *(voice for voice in prompts if voice.name in _HELD_OUT)}
    sets = {name: shape for name, shape in _SETS.items() if not options.sets or name in options.sets}
    for prefix in _PREFIXES:
        for kind, voices in (("voices", readers + prompts), ("prompts", prompts)):
            own = [voice for voice in voices if (voice in held_out) == (prefix == "test_")]
            _link(own, out / "cast" / (prefix + kind))
        for half in (1, 2):  # every second reader, and every second file
            for reader in readers[::2] if prefix else readers[1::2]:
                files = sorted(reader.iterdir())[half - 1 :: 2]
                _link(files, out / "cast" / f"{prefix}half{half}" / reader.name)
        for name, shape in sets.items():
            kind = f"half{shape.half}" if shape.half else "prompts" if shape.prompts else "voices"
            voices = out / "cast" / (prefix + kind)
            data = _simulate_set(prefix + name, shape, voices, out)
            stages = ["--systems", "best", "--stop-stage", 4, "--nj", options.nj, "--python", sys.executable]
            _call("run.sh", "--set", prefix + name, *data, *places, *stages)
    for step in ("count", "sure", "voices"):
        own = [name for name, shape in sets.items() if (step == "voices") == bool(shape.half)]
        names = {prefix: " ".join(prefix + name for name in own) for prefix in _PREFIXES}
        if own:
            print("bench/fit.py", step, *places, "--test", f'"{names["test_"]}"', names[""])


def _link(folders: Sequence[Path], into: Path) -> None:
    """Make a folder of links to folders, unless it is there."""
    if not into.exists():
        into.mkdir(parents=True)
        for folder in folders:
            (into / folder.name).symlink_to(folder)


def _simulate_set(name: str, shape: _Set, voices: Path, out: Path) -> list[object]:
    """Simulate a set, unless it is there; return the options by which run.sh reads it."""
    folder, size, seed = out / "simulated" / name, shape.size, shape.seed
    if name.startswith("test_"):
        size, seed = size if shape.half else round(size * _TEST_SHARE), seed + _TEST_SEED
    if not folder.exists():
        call = ["--num-calls", size, "--duration", shape.seconds, "--seed", seed, "--prefix", name]
        if shape.alike:
            pairs = enumerate(_alike(voices, size), 1)
            lines = [f"{name}-{number:04d} {first} {second}\n" for number, (first, second) in pairs]
            (out / f"{name}.pairs").write_text("".join(lines))
            call += ["--pairs", out / f"{name}.pairs"]
        else:
            call += ["--num-spk", shape.speakers, *(["--min-speech", 5] if shape.half else [])]
            call += ["--same-person", _ONE_PERSON] if (voices / _ONE_PERSON.partition(",")[0]).exists() else []
        _call("local/simulate_calls.py", *call, "--max-speech", 900, voices, folder)
    return ["--audio", folder / "wav", "--rttm", folder / "ref.rttm", "--uem", folder / "all.uem"]


def _alike(folder: Path, size: int) -> list[tuple[str, str]]:
    """Return the pairs of voices that are most alike, each voice in at most two."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in _ONE_PERSON.split(","))
    model = load_model(read_model_config("campplus"))
    means = np.array([_mean_vector(model, folder / name) for name in names])
    means = length_normalise(means - means.mean(axis=0))
    likeness = np.triu(means @ means.T, 1)
    found, used = [], dict.fromkeys(names, 0)
    for index in np.argsort(-likeness, axis=None):
        pair = tuple(names[i] for i in np.unravel_index(index, likeness.shape))
        if len(found) < size and max(used[name] for name in pair) < 2:
            found.append(pair)
            used |= {name: used[name] + 1 for name in pair}
    return found


def _mean_vector(model: XVectorModel, folder: Path) -> np.ndarray:
    """Return the mean x-vector of half a minute of a voice."""
    from scipy.signal import resample_poly

    voice, _ = load_voice(folder.name, folder, np.random.default_rng(0), 5, 30)
    samples = np.concatenate([prompt.samples[first:last] for prompt in voice.prompts for first, last in prompt.pieces])
    starts = np.arange(0, len(samples) / RATE - 0.75, 0.75)
    wide = resample_poly(samples, model.config.sample_rate, RATE).astype(np.float32)
    return model.embed(wide, np.column_stack([starts, starts + 0.75])).mean(axis=0)


def _call(program: str, *arguments: object) -> None:
    """Run a program of the repository; its output goes to stderr."""
    python = [sys.executable] if program.endswith(".py") else []
    command = [*python, str(ROOT / program), *map(str, arguments)]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode:
        raise InputError(f"{program} failed, see above")


def fit_logistic(
    rows: np.ndarray, truth: np.ndarray, importance: np.ndarray, penalty: float, mixture: Any = None
) -> tuple[np.ndarray, float]:
    """Return the weights (F,) of a logistic model with the maximum likelihood less a penalty of squares, and the loss.

    Args:
        rows: (R, F) standardised features, the constant first; its weight has no penalty.
        truth: (N,) observed frequencies, 0 to 1.
        importance: (N,) weights of the observations, of sum 1.
        penalty: Weight of the squared weights.
        mixture: (N, R) sparse shares: the probability of an observation is this sum over rows. None: N = R.
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

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    return found.x, float(found.fun)


def _scale(features: np.ndarray) -> np.ndarray:
    """Return the map (1 + F, 1 + F) that standardises features (N, 1 + F) with a leading 1: ``features @ map``."""
    mean, spread = features[:, 1:].mean(axis=0), features[:, 1:].std(axis=0) + 1e-9
    scale = np.diag([1.0, *(1 / spread)])
    scale[0, 1:] = -mean / spread
    return scale


def _mapping(weights: np.ndarray, names: Sequence[str], decimals: int) -> dict[str, float]:
    return {name: round(float(value), decimals) for name, value in zip(("constant", *names), weights, strict=True)}


# The number of speakers: the weakest pair of K clusters is two speakers if the recording has K or more.

_MODELS = {
    "weights": EVIDENCE,
    "weights_with_links": EVIDENCE + LINKS,
    "weights_with_likeness": EVIDENCE + LINKS + LIKENESS,
}


class Counted(NamedTuple):
    """The number of speakers of a recording, and the evidence (pairs, features) by number of clusters."""

    number: int
    evidence: dict[int, np.ndarray]

    def estimate(self, weights: np.ndarray, count: Count, limit: int) -> Estimate:
        """Return the estimate of a model of all features, or of the first ones."""
        evidence = {clusters: pairs[:, : len(weights) - 1] for clusters, pairs in self.evidence.items()}
        return estimate_from_evidence(evidence, weights, count, (1, limit))


def _count(config: SystemConfig, sources: Mapping[str, Sequence[Source]], options: argparse.Namespace) -> None:
    for own in sources.values():
        if other := next((one for one in own if one.model != config.count.likeness_of), None):
            problem = f"recording {other.reco} has x-vectors of another model"
            raise InputError(problem, expected=config.count.likeness_of, got=other.model)
    evidence = {name: count_evidence(own, config) for name, own in sources.items()}
    models, count = {name: np.array(structs.astuple(getattr(config.count, name))) for name in _MODELS}, config.count
    if options.sets:
        training = [one for name in options.sets for one in evidence[name]]
        for name, features in _MODELS.items():
            penalty, temperature = choose(training, len(features))
            models[name] = fit_count(training, len(features), penalty)
            print(f"# {name}: {len(training)} recordings, penalty {penalty}")
        count = structs.replace(count, temperature=round(temperature, 1))  # of the last model
        found = {name: _mapping(models[name], features, 3) for name, features in _MODELS.items()}
        print(yaml.safe_dump({"count": found | {"temperature": count.temperature}}, sort_keys=False))
    if options.test:
        evidence["all of --test"] = [one for name in options.test.split() for one in evidence[name]]
    for (name, own), model in itertools.product(evidence.items(), models):
        print(f"# {name}, {model}: {_count_report(own, models[model], count)}")


def count_evidence(sources: Sequence[Source], config: SystemConfig) -> list[Counted]:
    """Return the evidence of recordings, and how many speakers with enough speech each has."""
    found = []
    for one in sources:
        if one.segmentation is None:
            raise InputError(f"no segmentation of {one.reco}", hint="Run stage 2 with --sad pyannote.")
        if one.cut.segments:
            views = Views(_views(one, config), config.consensus, random_generator(0, len(one.cut.segments)))
            evidence = evidence_by_number(views, config, config.count.most + 1)
            found.append(Counted(_audible(one.reference), dict(evidence)))
    return found


def _views(one: Source, config: SystemConfig) -> list[Prepared]:
    regions = [segment.region for segment in one.cut.segments]
    known = {
        "segmentation": one.segmentation,
        "model": one.model,
        "regions": None if None in regions else np.array(regions),
    }
    recording = RecordingVectors(one.reco, one.vectors, times_of(one.cut.segments), **known)
    return [prepare(recording, preparation) for preparation in config.preparations]


def _audible(turns: Sequence[Turn]) -> int:
    """Return the number of speakers with enough speech outside overlap, at least one."""
    spans = _by_speaker(turns)
    others = {name: [span for other in spans if other != name for span in spans[other]] for name in spans}
    seconds = [total(subtract(merge(own), merge(others[name]))) for name, own in spans.items()]
    return max(1, sum(own >= _MIN_SPEECH for own in seconds))


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
        weights = scale @ fit_logistic(rows @ scale, truth, importance / importance.sum(), penalty)[0]
    return weights


def _count_report(recordings: Sequence[Counted], weights: np.ndarray, count: Count) -> str:
    estimates = [one.estimate(weights, count, count.most) for one in recordings]
    off = np.array([estimate.number - one.number for estimate, one in zip(estimates, recordings, strict=True)])
    predicted = np.array([estimate.probabilities[estimate.number] for estimate in estimates])
    bins = [
        f"predicted {predicted[mask].mean():.2f} right {(off[mask] == 0).mean():.2f} ({mask.sum()})"
        for _, _, mask in _bins(predicted)
    ]
    ranks = _area(predicted[off != 0], predicted[off == 0])
    error = f"mean absolute error {abs(off).mean():.2f}, area under the curve of the probability {ranks:.2f}"
    return f"{(off == 0).sum()} of {len(off)} right, {error}; {', '.join(bins)}"


def _area(low: np.ndarray, high: np.ndarray) -> float:
    """Return the share of pairs in which the second value is the larger one."""
    both = low[:, None] - high
    return float((both < 0).mean() + (both == 0).mean() / 2) if both.size else np.nan


# Certainty: the mean over a turn's sub-segments of the probability that their labels are right.


class Labelled(NamedTuple):
    """A clustered recording, and the evidence of its labels."""

    source: Source
    number: float  # probability of the number of speakers; 1 if it was given
    result: Clustering
    evidence: np.ndarray  # (S, features)

    def turns(self, certainty: np.ndarray, second: tuple[float, float]) -> list[Turn]:
        """Return the turns, given the certainty (S,) of the labels and of second speakers."""
        return self.source.turns(replace(self.result, sure=certainty), second)


def _sure(config: SystemConfig, sources: Mapping[str, Sequence[Source]], options: argparse.Namespace) -> None:
    labelled = {name: label(own, config) for name, own in sources.items()}
    model = config.sure
    if options.sets:
        model = fit_sure([one for name in options.sets for pair in labelled[name] for one in pair])
        print(yaml.safe_dump({"sure": to_builtins(model)}, sort_keys=False))
    tests = [pair for name in options.test.split() for pair in labelled[name]]
    for column, way in enumerate(("given", "estimated") if tests else ()):
        print(f"Number of speakers {way}: {_sure_report([judge(pair[column], model) for pair in tests])}")


def label(sources: Sequence[Source], config: SystemConfig) -> list[tuple[Labelled, Labelled]]:
    """Return the recordings of a set, each clustered with its number of speakers given and estimated."""
    return [tuple(_label(one, config, given) for given in (True, False)) for one in sources if one.cut.segments]


def _label(one: Source, config: SystemConfig, given: bool) -> Labelled:
    result, views = one.cluster(config, given), _views(one, config)
    number = result.history.get("num_spk_probabilities", {}).get(result.history["num_spk"], 1.0)
    support = np.ones(len(result.labels)) if result.support is None else result.support
    evidence = sure.label_evidence(result.labels, support, [view.vectors for view in views], views[0].times)
    return Labelled(one, number, result, evidence)


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


def fit_sure(recordings: Sequence[Labelled]) -> Sure:
    """Return the model with the maximum likelihood of the turns' truth, half of it by time and half by turn."""
    from scipy.sparse import csr_array
    from scipy.special import expit

    evidence = np.insert(np.concatenate([one.evidence for one in recordings]), 0, 1.0, axis=1)
    scale, size = _scale(evidence), len(evidence)
    # The last two rows stand for second speakers, among two speakers and among more, each with a weight of its own.
    rows = np.zeros((size + 2, evidence.shape[1] + 2))
    rows[:size, :-2], rows[size:, -2:] = evidence @ scale, np.eye(2)
    shares, doubtful, places, seconds, right, first = [], [], [], [], [], 0
    for one in recordings:
        for turn, truth, own, parts, second in _composition(one):
            shares += [*parts, second]
            doubtful += [*(parts * (1 - one.number)), 0.0]
            places += [(len(right), column) for column in (*(first + own), size + (one.result.labels.max() > 1))]
            seconds.append(turn.end - turn.start)
            right.append(truth)
        first += len(one.evidence)
    by_time, by_turn = np.array(seconds) / sum(seconds) / 2, 1 / len(seconds) / 2
    share, whole = np.array(right).T
    truth = (by_time * share + by_turn * whole) / (by_time + by_turn)
    fits = []
    for doubt in _DOUBTS:
        kept = np.array(shares) - doubt * np.array(doubtful)
        mixture = csr_array((kept, tuple(np.array(places).T)), shape=(len(right), size + 2))
        fits.append((*fit_logistic(rows, truth, by_time + by_turn, _SURE_PENALTY, mixture), float(doubt)))
    weights, _, doubt = min(fits, key=lambda fit: fit[1])
    labels = LabelWeights(*np.round(scale @ weights[:-2], 2).tolist())
    return Sure(labels, round(doubt, 2), tuple(np.round(expit(weights[-2:]), 2).tolist()))


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


def judge(one: Labelled, model: Sure) -> np.ndarray:
    """Return certainty, truth (:func:`truths`) and seconds of the turns that have a certainty, (T, 4)."""
    certainty = sure.label_probabilities(one.evidence, model, one.number)
    turns = one.turns(certainty, model.second)
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


# Voices: whether two speakers, as the system finds them, are one voice. Pairs are of different halves of the readers'
# files, so that they share no audio.

_VOICE_PENALTY = 1e-4
_SECONDS = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, np.inf)  # of the shorter side, for the report


class Cast(NamedTuple):
    """Speakers that the system found, by recording and name, the voice of each, and the half of the files."""

    speakers: dict[tuple[str, str], Speaker]
    voices: list[str]
    halves: list[int]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return vectors (N, D), seconds (N,), whether pairs are one voice, and whether they share no audio (N, N)."""
        vectors, seconds = zip(*self.speakers.values(), strict=True)
        pairs = np.equal.outer(self.voices, self.voices), np.less.outer(self.halves, self.halves)
        return np.array(vectors, np.float64), np.array(seconds), *pairs


def _voices(config: SystemConfig, sources: Mapping[str, Sequence[Source]], options: argparse.Namespace) -> None:
    model, test = read_voice_model(options.xvector), options.test.split()
    if options.sets:
        model = fit_voices(cast({name: sources[name] for name in options.sets}, config), model)
        print(yaml.safe_dump(to_builtins(model), sort_keys=False, default_flow_style=None, width=118))
    if test:
        print(_voices_report(cast({name: sources[name] for name in test}, config), model))


def cast(sources: Mapping[str, Sequence[Source]], config: SystemConfig) -> Cast:
    """Return the speakers of sets; one that the DER maps to no reference speaker is a voice of its own."""
    found = Cast({}, [], [])
    for shape, one in ((_SETS[name.removeprefix("test_")], one) for name in sources for one in sources[name]):
        result, segments = one.cluster(config, given=shape.speakers == "1"), {one.reco: one.cut.segments}
        speakers = mean_speakers(segments, labels_by_id(segments, {one.reco: result})[0], {one.reco: one.vectors})
        turns = one.turns(result)
        end = max((turn.end for turn in (*one.reference, *turns)), default=0.0)
        matches = cut_cells(one.reference, turns, [(0.0, end)], PROTOCOLS["full"]).matches
        found.speakers.update(speakers)
        found.voices.extend(matches.get(speaker, f"{reco} {speaker}") for reco, speaker in speakers)
        found.halves.extend([shape.half] * len(speakers))
    return found


def fit_voices(found: Cast, model: VoiceModel) -> VoiceModel:
    """Return the model with weights and background that are fitted; both kinds of pairs are weighted equally."""
    vectors, seconds, same, apart = found.arrays()
    background = np.round(vectors[seconds >= model.min_seconds].mean(axis=0), 3)
    apart[:, seconds < model.min_seconds] = apart[seconds < model.min_seconds] = False
    evidence, truth = np.insert(pair_evidence(vectors - background, seconds)[apart], 0, 1.0, axis=1), same[apart]
    importance = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
    scale = _scale(evidence)
    weights = np.round(scale @ fit_logistic(evidence @ scale, truth, importance, _VOICE_PENALTY)[0], 2)
    print(f"# {truth.sum()} pairs of one voice, {(~truth).sum()} of two")
    return structs.replace(model, weights=VoiceWeights(*weights.tolist()), background=tuple(background.tolist()))


def _voices_report(found: Cast, model: VoiceModel) -> str:
    """Return the errors of comparisons, and of names if every second voice is known, then the others."""
    vectors, seconds, same, apart = found.arrays()
    odds = log_odds(vectors, seconds, model)
    everyone = list(zip(found.speakers.items(), found.voices, found.halves, strict=True))
    known = {voice: one for (_, one), voice, half in reversed(everyone) if half == 1}
    calls, names = {key: (one, voice) for (key, one), voice, half in everyone if half == 2}, []
    for part in (sorted(known)[::2], sorted(known)[1::2]):
        given = names_of({key: one for key, (one, _) in calls.items()}, model, {name: known[name] for name in part})
        for (one, voice), match in zip(calls.values(), given, strict=True):
            least = min(one.seconds, known[voice].seconds) if voice in part else -1.0
            names.append((least, match.name == voice, match.name not in (voice, None)))
    shorter, (least, right, wrong) = np.minimum.outer(seconds, seconds), np.array(names).T
    lines = [
        "| shorter side, s | one voice | two | EER, % | missed, % | false, of 1000 | known | right, % | wrong, % |"
    ]
    lines += ["|---|" + "---:|" * 8]
    for low, high in itertools.pairwise(_SECONDS):
        mask, own = apart & (shorter >= low) & (shorter < high), (least >= low) & (least < high)
        one, two = np.sort(odds[mask & same]), odds[mask & ~same]
        equal = np.maximum(np.arange(len(one)) / len(one), (two[:, None] >= one).mean(axis=0)).min(initial=1.0)
        errors = [100 * equal, 100 * (one < 0).mean(), 1000 * (two >= 0).mean()]
        cells = [f"{len(one)} | {len(two)}", *(f"{value:.1f}" for value in errors), f"{own.sum()}"]
        cells += [f"{100 * value[own].mean():.1f}" for value in (right, wrong)]
        lines.append(f"| {low:g}-{high:g} | {' | '.join(cells)} |")
    strangers = wrong[least < 0]
    return "\n".join([*lines, f"{len(strangers)} speakers of unknown voices, {strangers.sum():.0f} of them named"])


if __name__ == "__main__":
    run(main)
