#!/usr/bin/env python3
"""What each part of the system best, or each reading of the paper, is worth, on directories of stages 1 to 4.

For every variant, mean of the seeds: DER by protocol, DER (first protocol) of every second recording and of the others,
the difference to the system that it changes with its paired bootstrap interval over recordings, and seconds of
clustering per recording.
e.g.: bench/ablation.py --num-spk oracle data/mini exp/mini/subsegments exp/mini/xvectors_campplus
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT
from ssdiar.clustering.config import read_system
from ssdiar.clustering.recording import Recording, fold_backgrounds
from ssdiar.clustering.systems import cluster_recording
from ssdiar.io.ark import XVectors
from ssdiar.io.meta import read_meta
from ssdiar.io.tables import read_counts, read_segments
from ssdiar.scoring.bootstrap import paired_difference
from ssdiar.scoring.der import PROTOCOLS, Comparison, DiarizationError, count_speakers, read_comparison, score
from ssdiar.timeline.segmentation import read_segmentation
from ssdiar.timeline.spans import Turn, by_recording, grouped
from ssdiar.timeline.turns import TurnRules, close_pauses, turns_of_labels

_SAME = ("prepare.centre=none", "prepare.whiten=neighbours", "prepare.whiten_input=true", "prepare.shrinkage=0.9")
_AVERAGED = (*_SAME, "prepare.average=0.5")
_PAPER, _AHC_FIRST = "conformer_finch_ahc_contrastive", "conformer_ahc_contrastive"
_TRIPLET, _DNN = "conformer_finch_ahc_triplet", "dnn_finch_ahc_contrastive"

Variants = tuple[tuple[str, str, tuple[str, ...]], ...]
#: What is taken from best or put in its place; all are compared with the first.
_OF_BEST: Variants = (
    ("best", "best", ()),
    ("no whitening", "best", ("prepare.whiten_input=false",)),
    ("no average of neighbours", "best", ("prepare.average=0",)),
    ("neither", "best", ("prepare.whiten_input=false", "prepare.average=0")),
    ("shrinkage 0.5", "best", ("prepare.shrinkage=0.5",)),
    ("shrinkage 0.8", "best", ("prepare.shrinkage=0.8",)),
    ("shrinkage 0.98", "best", ("prepare.shrinkage=0.98",)),
    ("whitened by all x-vectors", "best", ("prepare.whiten=recording",)),
    ("mean removed", "best", ("prepare.centre=recording",)),
    ("two parts, hardly a vote", "best", ("consensus.parts=1",)),
    ("96 parts", "best", ("consensus.parts=96",)),
    ("pieces merged, not chunks", "best", ("consensus.chunk=0.1",)),
    ("any number alike before", "best", ("count.prior=[1]",)),
    ("NME-SC on the same vectors", "nmesc", _AVERAGED),
    ("AHC on the same vectors", "xvector_ahc", _AVERAGED),
    ("AHC (Ward) on the same vectors", "xvector_ahc", (*_AVERAGED, "labels.linkage=ward")),
    ("conformer trained on the same vectors, mean removed", _PAPER, (*_AVERAGED, "prepare.centre=recording")),
    ("conformer trained on whitened vectors, mean removed", _PAPER, (*_SAME, "prepare.centre=recording")),
    ("conformer, as the paper", _PAPER, ()),
    ("NME-SC", "nmesc", ()),
    ("AHC", "xvector_ahc", ()),
)
#: How else the paper can be read: each with the row that it changes, which stands before it and is compared with.
_READINGS: Variants = (
    ("Model-2", _PAPER, ()),
    ("AHC straight to N*", _PAPER, ("labels.decay=0",)),
    ("AHC by its own stopping value, 0.1", _PAPER, ("labels.decay=null", "labels.similarity=0.1")),
    ("halving, and on down to a cosine of 0.5", _PAPER, ("labels.similarity=0.5",)),
    ("AHC goes on from the clusters before", _PAPER, ("labels.start=previous",)),
    ("Ward linkage", _PAPER, ("labels.linkage=ward",)),
    ("FINCH's last partition", _PAPER, ("labels.finch_partition=last",)),
    ("FINCH's partition closest to 7 clusters", _PAPER, ("labels.finch_partition=closest:7",)),
    ("L^i / L^0 of the new labels (Algorithm 1)", _PAPER, ("stop.loss=new_labels",)),
    ("the same, at most 10 epochs ([18])", _PAPER, ("stop.loss=new_labels", "train.max_epochs=10")),
    ("the same, straight to N*", _PAPER, ("stop.loss=new_labels", "labels.decay=0")),
    ("L^i / L^0 of the labels before", _PAPER, ("stop.loss=prev_labels",)),
    ("clusters or ratio end it", _PAPER, ("stop.rule=or",)),
    ("clusters alone end it", _PAPER, ("stop.rule=clusters",)),
    ("attention over two neighbours on each side", _PAPER, ("encoder.sequence=window",)),
    ("the same, convolution of one tap", _PAPER, ("encoder.sequence=window", "encoder.conv_kernel=1")),
    ("attention over the recording", _PAPER, ("encoder.sequence=recording",)),
    ("ReLU after the convolution", _PAPER, ("encoder.conv_activation=relu",)),
    ("residual connections", _PAPER, ("encoder.residual=true",)),
    ("layer normalisation", _PAPER, ("encoder.layer_norm=true",)),
    ("network fitted to the PCA", _PAPER, ("encoder.init=pca_target",)),
    ("network started at random", _PAPER, ("encoder.init=glorot",)),
    ("x-vectors not centred", _PAPER, ("prepare.centre=none",)),
    ("x-vectors centred by the other half", _PAPER, ("prepare.centre=fold",)),
    ("at most 10 epochs", _PAPER, ("train.max_epochs=10",)),
    ("every iteration starts from the PCA", _PAPER, ("train.carry=none",)),
    ("Adam's state is kept", _PAPER, ("train.carry=all",)),
    ("all pairs at every step", _PAPER, ("loss.pairs=100000000",)),
    ("pairs drawn alike, not clusters", _PAPER, ("loss.anchors=pairs",)),
    ("a third of the loss from similar pairs", _PAPER, ("loss.positive_share=0.333",)),
    ("pairs drawn once per iteration", _PAPER, ("loss.resample=iteration",)),
    ("margin sqrt(2)", _PAPER, ("loss.margin=1.4142",)),
    ("AHC first", _AHC_FIRST, ()),
    ("first labels down to a cosine of 0.3", _AHC_FIRST, ("labels.first_similarity=0.3",)),
    ("first labels down to a cosine of 0.5", _AHC_FIRST, ("labels.first_similarity=0.5",)),
    ("triplet of [18]", _TRIPLET, ()),
    ("triplet with a hinge", _TRIPLET, ("loss.type=triplet_hinge",)),
    ("Model-1", _DNN, ()),
    ("whitening at half its rank", _DNN, ("encoder.hidden=[192,256,64]",)),
    ("whitening at full rank, random middle layers", _DNN, ("encoder.hidden_init=orthogonal",)),
    ("ReLU after the last layer, too", _DNN, ("encoder.relu_last=true",)),
    ("L2 after every layer", _DNN, ("encoder.l2_each=true",)),
    ("both", _DNN, ("encoder.relu_last=true", "encoder.l2_each=true")),
    ("DNN started at random", _DNN, ("encoder.init=glorot",)),
    ("whitening of the recording itself", _DNN, ("prepare.whiten=recording",)),
)
VARIANTS = {"best": _OF_BEST, "readings": _READINGS}


def main() -> None:
    """Print one row per variant."""
    options = _parse()
    recordings = Set(
        options.data_dir,
        options.subsegments_dir,
        options.xvector_dir,
        options.num_spk == "oracle",
        options.segmentation,
    )
    baselines: dict[str, np.ndarray] = {}
    print("variant", *PROTOCOLS, "sd", "even", "odd", "difference", "low", "high", "right count", "s", sep="\t")
    for name, system, changes in VARIANTS[options.of]:
        if options.variants and name not in options.variants.split(";"):
            continue
        runs = [recordings.run(system, changes, seed) for seed in range(options.seeds)]
        errors = np.mean([run[0] for run in runs], axis=0)  # (protocols, recordings, [in error, scored])
        totals = [_rate(run[0]) for run in runs]
        first = errors[0]
        baseline = baselines.setdefault("best" if options.of == "best" else system, first)
        difference = paired_difference(first[:, 0], baseline[:, 0], first[:, 1])
        row = [*np.mean(totals, axis=0), np.std([total[0] for total in totals], ddof=options.seeds > 1)]
        row += [_rate(first[None, 0::2])[0], _rate(first[None, 1::2])[0]]
        row += [100 * value for value in (difference.value, difference.low, difference.high)]
        right, seconds = (np.mean([run[place] for run in runs]) for place in (1, 2))
        print(name, *(f"{value:.2f}" for value in row), f"{right:.3f}", f"{seconds:.3f}", sep="\t", flush=True)


def _parse() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument("--segmentation", type=Path, help="segmentation/ of the speech directory, if there is one")
    parser.add_argument("--of", choices=tuple(VARIANTS), default="best", help="best, or the readings of the paper")
    parser.add_argument("--num-spk", choices=("oracle", "estimate"), default="oracle")
    parser.add_argument("--seeds", type=stage.whole_number(1), default=5)
    parser.add_argument("--variants", help="only these, separated by ; (the first of a system is compared with)")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("subsegments_dir", type=Path)
    parser.add_argument("xvector_dir", type=Path)
    return parser.parse_args()


def _rate(errors: np.ndarray) -> np.ndarray:
    """Return the pooled DER in % by protocol, of (protocols, recordings, [in error, scored])."""
    pooled = errors.sum(axis=1)
    return 100 * pooled[:, 0] / pooled[:, 1]


class Set:
    """What the stages before left of a set, in memory.

    Args:
        data_dir: With ref.rttm, reco2num_spk and, if there is one, all.uem.
        subsegments_dir, xvector_dir: Of stages 3 and 4.
        counts_given: Whether the numbers of speakers are those of reco2num_spk, or to be estimated.
        segmentation: Folder of the segmentation network's output, if there is one.

    Attributes:
        pieces: Sub-segments by recording.
        vectors: (S, D) their x-vectors.
        counts: Number of speakers of each recording, if they are given.
    """

    def __init__(
        self,
        data_dir: Path,
        subsegments_dir: Path,
        xvector_dir: Path,
        counts_given: bool = True,
        segmentation: Path | None = None,
    ) -> None:
        reference, uem = data_dir / "ref.rttm", data_dir / "all.uem"
        self._reference = read_comparison(reference, reference, uem if uem.exists() else None)
        self.pieces = by_recording(read_segments(subsegments_dir / "segments"))
        xvectors = XVectors(xvector_dir / "xvector.scp")
        self.vectors = {reco: xvectors.load([piece.id for piece in self.pieces[reco]]) for reco in self.pieces}
        self.counts = read_counts(data_dir / "reco2num_spk", "recording number") if counts_given else None
        self._heard = {}
        if segmentation is not None:
            self._heard = {reco: read_segmentation(segmentation / f"{reco}.npz") for reco in self.pieces}
        self._decided = read_meta(subsegments_dir, TurnRules)
        self._rest = {
            name: read_segments(subsegments_dir / f"{name}.segments")
            for name in ("short", "overlap")
            if (subsegments_dir / f"{name}.segments").exists()
        }

    def run(self, system: str, changes: Sequence[str], seed: int) -> tuple[np.ndarray, float, float]:
        """Return (protocols, recordings, [seconds in error, scored]), share of right counts, seconds per recording."""
        config = read_system(ROOT / "conf" / "systems" / f"{system}.yaml", changes)
        backgrounds = fold_backgrounds(self.vectors) if config.prepare.needs_fold else {}
        labels, seconds, right = {}, 0.0, 0
        for reco, pieces in self.pieces.items():
            times = np.array([(piece.start, piece.end) for piece in pieces])
            number = self.counts[reco] if self.counts is not None else None
            heard, background = self._heard.get(reco), backgrounds.get(reco)
            recording = Recording(reco, self.vectors[reco], times, number, heard, background)
            result = cluster_recording(recording, config, seed)
            labels[reco] = result.labels
            seconds += result.history["seconds"]
            right += result.history["clusters"] == count_speakers(self._reference.reference.get(reco, ()))
        return self.errors(labels), right / len(self.pieces), seconds / len(self.pieces)

    def errors(self, labels: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (protocols, recordings, [seconds in error, scored]) of labels (S,) from 0 per recording."""
        pieces = [piece for group in self.pieces.values() for piece in group]
        numbers = {
            piece.id: int(label) + 1
            for reco, group in self.pieces.items()
            for piece, label in zip(group, labels[reco], strict=True)
        }
        turns = turns_of_labels(
            pieces, numbers, self._rest.get("short", ()), self._rest.get("overlap", ()), self._decided.second_speaker
        )
        return self._score(close_pauses(turns, self._decided.close_pauses))

    def _score(self, turns: list[Turn]) -> np.ndarray:
        comparison = Comparison(self._reference.reference, grouped(turns), self._reference.uem)
        scores = [score(comparison, protocol) for protocol in PROTOCOLS.values()]
        return np.array([[_counted(errors[reco]) for reco in comparison.recordings] for errors in scores])


def _counted(error: DiarizationError) -> tuple[float, float]:
    return error.miss + error.false_alarm + error.confusion, error.scored


if __name__ == "__main__":
    stage.run(main)
