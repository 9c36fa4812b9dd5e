#!/usr/bin/env python3
"""Measure the worth of each part of the system best, or of each reading of the paper, on a set after stages 1 to 4.

Prints a row per variant, mean of the seeds: DER in % by protocol; of the first protocol the standard deviation over
seeds, and the difference to the baseline with the 95 % interval of the paired bootstrap over seeds and recordings, or
the voices that they share; the share of recordings with the right number of speakers; seconds of clustering per
recording.

e.g.: bench/ablation.py mini
      bench/ablation.py --of readings --seeds 3 --suffix "" mini
      bench/ablation.py --choices "best best+consensus.parts=8" mini
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import common
from common import Source

import numpy as np

from ssdiar.base.arguments import Parser, run, whole_number
from ssdiar.clustering.config import read_system
from ssdiar.scoring.bootstrap import Difference, mean_difference
from ssdiar.scoring.der import PROTOCOLS

_PLAIN, _RECTIFIED = "{{rectify: false, shrinkage: {}}}", "{{rectify: true, shrinkage: {}}}"
_SHRINKAGES = (0.7, 0.8, 0.9, 0.95)
_SAME = "prepare.centre=none+prepare.whiten=neighbours+prepare.whiten_input=true+prepare.shrinkage=0.9"
_AVERAGED = f"{_SAME}+prepare.average=0.5"
_MODEL_2, _AHC_FIRST = "conformer_finch_ahc_contrastive", "conformer_ahc_contrastive"
_MODEL_1 = "dnn_finch_ahc_contrastive"

#: Choices of systems by the name of the row. The baseline of all is the first.
_OF_BEST = {
    "best": "best",
    "no whitening": "best+prepare.whiten_input=false",
    "no average of neighbours": "best+prepare.average=0",
    "neither": "best+prepare.whiten_input=false+prepare.average=0",
    "one view": "best+views=[]",
    "one view, negative values set to 0": "best+views=[]+prepare.rectify=true",
    "one view, shrinkage 0.5": "best+views=[]+prepare.shrinkage=0.5",
    "one view, shrinkage 0.98": "best+views=[]+prepare.shrinkage=0.98",
    "two views": f"best+views=[{_PLAIN.format(0.9)}, {_RECTIFIED.format(0.9)}]",
    "four views, with negative values": f"best+views=[{', '.join(map(_PLAIN.format, _SHRINKAGES))}]",
    "four views, without": f"best+views=[{', '.join(map(_RECTIFIED.format, _SHRINKAGES))}]",
    "whitened by all x-vectors": "best+prepare.whiten=recording",
    "mean removed": "best+prepare.centre=recording",
    "one subset besides the recording, hardly a vote": "best+consensus.parts=1",
    "24 subsets in every view": "best+consensus.parts=24",
    "sub-segments merged, not chunks": "best+consensus.chunk=0.1",
    "uniform prior of the number": "best+count.prior=[1]",
    "NME-SC on the same vectors": f"nmesc+{_AVERAGED}",
    "AHC on the same vectors": f"xvector_ahc+{_AVERAGED}",
    "conformer trained on the same vectors, mean removed": f"{_MODEL_2}+{_AVERAGED}+prepare.centre=recording",
    "conformer trained on whitened vectors, mean removed": f"{_MODEL_2}+{_SAME}+prepare.centre=recording",
    "conformer, as the paper": _MODEL_2,
    "NME-SC": "nmesc",
    "AHC": "xvector_ahc",
}
#: Other readings of the paper. The baseline of each is the system that it changes.
_READINGS = {
    "Model-2": _MODEL_2,
    "AHC straight to N*": f"{_MODEL_2}+labels.decay=0",
    "AHC by its own stopping value, 0.1": f"{_MODEL_2}+labels.decay=null+labels.similarity=0.1",
    "halving, and on down to a cosine of 0.5": f"{_MODEL_2}+labels.similarity=0.5",
    "FINCH's second partition": f"{_MODEL_2}+labels.finch_partition=1",
    "L^i / L^0 of the new labels (Algorithm 1)": f"{_MODEL_2}+stop.loss=new_labels",
    "the same, at most 10 epochs ([18])": f"{_MODEL_2}+stop.loss=new_labels+train.max_epochs=10",
    "the same, straight to N*": f"{_MODEL_2}+stop.loss=new_labels+labels.decay=0",
    "only the number of clusters ends it": f"{_MODEL_2}+stop.rule=clusters",
    "x-vectors not centred": f"{_MODEL_2}+prepare.centre=none",
    "x-vectors centred by the other half": f"{_MODEL_2}+prepare.centre=fold",
    "at most 10 epochs": f"{_MODEL_2}+train.max_epochs=10",
    "all pairs at every step": f"{_MODEL_2}+loss.pairs=100000000",
    "pairs drawn alike, not clusters": f"{_MODEL_2}+loss.anchors=pairs",
    "all pairs drawn alike (equation 2)": f"{_MODEL_2}+loss.anchors=all",
    "pairs drawn once per iteration": f"{_MODEL_2}+loss.resample=iteration",
    "margin sqrt(2)": f"{_MODEL_2}+loss.margin=1.4142",
    "AHC first": _AHC_FIRST,
    "first labels down to a cosine of 0.3": f"{_AHC_FIRST}+labels.first_similarity=0.3",
    "first labels down to a cosine of 0.5": f"{_AHC_FIRST}+labels.first_similarity=0.5",
    "Model-1": _MODEL_1,
    "whitening at half its rank": f"{_MODEL_1}+encoder.hidden=[192,256,64]",
    "whitening at full rank, random middle layers": f"{_MODEL_1}+encoder.hidden_init=orthogonal",
    "ReLU after the last layer, too": f"{_MODEL_1}+encoder.relu_last=true",
    "L2 after every layer": f"{_MODEL_1}+encoder.l2_each=true",
    "both": f"{_MODEL_1}+encoder.relu_last=true+encoder.l2_each=true",
    "whitening of the recording itself": f"{_MODEL_1}+prepare.whiten=recording",
}
VARIANTS: dict[str, Mapping[str, str]] = {"best": _OF_BEST, "readings": _READINGS}


def main() -> None:
    """Print one row per variant."""
    options = _parse()
    sources = common.load(options.set, options)
    variants = VARIANTS[options.of]
    if options.choices:
        variants = {choice: choice for choice in options.choices.split()}
    first = next(iter(variants.values()))
    baselines: dict[str, np.ndarray] = {}
    voices = [one.voices for one in sources]
    print("variant", *PROTOCOLS, "sd", "difference", "low", "high", "right count", "s", sep="\t")
    for name, choice in variants.items():
        runs = [measure(sources, choice, options.num_spk == "oracle", seed) for seed in range(options.seeds)]
        baseline = choice.partition("+")[0] if options.of == "readings" and not options.choices else first
        errors = np.array([run[0][0, :, 0] for run in runs])  # (seeds, recordings) in error, by the first protocol
        scored = runs[0][0][0, :, 1]
        difference = mean_difference([(errors, baselines.setdefault(baseline, errors))], scored, voices)
        print(name, *_cells(runs, difference), sep="\t", flush=True)


def _parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    common.add_places(parser)
    parser.add_argument("--of", choices=tuple(VARIANTS), default="best", help="parts of best, or readings of the paper")
    parser.add_argument(
        "--choices", help="these systems instead, as run.sh --systems takes them; the first is the baseline"
    )
    parser.add_argument("--num-spk", choices=("oracle", "estimate"), default="oracle", help="number of speakers")
    parser.add_argument("--seeds", type=whole_number(1), default=5, help="number of seeds")
    parser.add_argument("set", help="name of the set, as in run.sh")
    return parser.parse_args()


def measure(sources: Sequence[Source], choice: str, given: bool, seed: int) -> tuple[np.ndarray, float, float]:
    """Return (protocols, recordings, [seconds in error, scored]), share of right numbers, seconds per recording."""
    results = common.cluster_all(sources, read_system(choice), given, seed)
    turns = [one.turns(result) for one, result in zip(sources, results, strict=True)]
    errors = [
        [(error.error, error.scored) for error in map(lambda one, own: one.error(own, protocol), sources, turns)]
        for protocol in PROTOCOLS.values()
    ]
    right = [result.history["clusters"] == one.num_spk for one, result in zip(sources, results, strict=True)]
    return np.array(errors), float(np.mean(right)), float(np.mean([r.history["seconds"] for r in results]))


def _cells(runs: Sequence[tuple[np.ndarray, float, float]], difference: Difference) -> list[str]:
    totals = [_rate(run[0]) for run in runs]
    row = [*np.mean(totals, axis=0), np.std([total[0] for total in totals], ddof=len(runs) > 1)]
    row += [100 * value for value in (difference.value, difference.low, difference.high)]
    right, seconds = (np.mean([run[place] for run in runs]) for place in (1, 2))
    return [*(f"{value:.2f}" for value in row), f"{right:.3f}", f"{seconds:.3f}"]


def _rate(errors: np.ndarray) -> np.ndarray:
    """Return the pooled DER in % by protocol, of (protocols, recordings, [in error, scored])."""
    pooled = errors.sum(axis=1)
    return 100 * pooled[:, 0] / pooled[:, 1]


if __name__ == "__main__":
    run(main)
