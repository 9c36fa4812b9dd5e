"""Sets after stages 1 to 4 of run.sh, in memory: ablation.py, counting.py and fit.py cluster and score them.

Import this module first: it sets one thread per process and makes the library importable.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "libs"))

import numpy as np
from msgspec import structs

from ssdiar.base.errors import InputError
from ssdiar.clustering.config import SystemConfig
from ssdiar.clustering.recording import Clustering, fold_backgrounds
from ssdiar.clustering.vectors import Moments
from ssdiar.io.ark import XVectors
from ssdiar.io.meta import read_meta
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.segmentation import read_segmentation
from ssdiar.io.tables import read_if_there, read_segments, read_subsegments, read_voices
from ssdiar.pipeline import ESTIMATE, Cut, SpeakerNumber, TurnRules, labels_by_id, labels_of, turns_of
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, count_speakers, score_recording
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.spans import Turn, by_recording, grouped

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """A recording after stages 1 to 4, and its reference."""

    reco: str
    cut: Cut
    vectors: np.ndarray  # (S, D) x-vectors
    segmentation: Segmentation | None
    model: str | None  # name of the x-vector model
    rules: TurnRules  # decisions of stage 2
    reference: list[Turn]
    num_spk: int  # in the reference
    regions: list[tuple[float, float]]  # scored regions, seconds
    voices: list[str]  # names that are the same in all recordings, or the recording's id

    def cluster(
        self, system: SystemConfig, given: bool, seed: int = 0, background: Moments | None = None
    ) -> Clustering:
        """Cluster the recording as stage 5 does, its number of speakers ``given`` or estimated."""
        if not self.cut.segments:
            return Clustering(np.zeros(0, np.int64), {"num_spk": 0, "clusters": 0, "seconds": 0.0})
        number = SpeakerNumber(self.num_spk, self.num_spk) if given else ESTIMATE
        more = {"segmentation": self.segmentation, "model": self.model, "background": background, "seed": seed}
        return labels_of(system, self.cut.segments, self.vectors, number, **more)

    def turns(self, result: Clustering, second_sure: tuple[float, float] | None = None) -> list[Turn]:
        """Return the turns that stage 6 makes of a clustering."""
        labels, sure = labels_by_id({self.reco: self.cut.segments}, {self.reco: result})
        return turns_of(self.cut, labels, structs.replace(self.rules, second_sure=second_sure), sure)

    def error(self, turns: Sequence[Turn], protocol: Protocol) -> DiarizationError:
        """Score turns of the recording."""
        return score_recording(self.reference, turns, self.regions, protocol)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that locate the output of run.sh."""
    add = parser.add_argument
    add("--data-root", type=Path, default=Path("data"), help="as in run.sh")
    add("--exp-root", type=Path, default=Path("exp"), help="as in run.sh")
    add("--xvector", default="campplus", help="x-vector model")
    add("--suffix", default="_cut", help='suffix of the directories of stages 2 to 4, "" for the input of the paper')


def load(name: str, options: argparse.Namespace) -> list[Source]:
    """Return the recordings of a set, ordered by id; see :func:`add_places` for the options."""
    data, folder = options.data_root / name, options.exp_root / name / f"subsegments{options.suffix}"
    segmentation = options.data_root / f"{name}_speech{options.suffix}" / "segmentation"
    xvector_dir = options.exp_root / name / f"xvectors_{options.xvector}{options.suffix}"
    xvectors, model = XVectors(xvector_dir / "xvector.scp"), read_meta(xvector_dir).get("xvector_model")
    parts = [by_recording(read_subsegments(folder))]
    for file in ("short.segments", "overlap.segments"):
        parts.append(by_recording(read_if_there(read_segments, folder / file, [])))
    uem = read_if_there(read_uem, data / "all.uem", None)
    reference = Comparison(grouped(read_rttm(data / "ref.rttm")), {}, uem)
    if unknown := sorted(parts[0].keys() - set(reference.recordings)):
        raise InputError(f"no reference of recording {unknown[0]}", path=data / "ref.rttm")
    rules, voices, sources = read_meta(folder, TurnRules), read_voices(data), []
    for reco in reference.recordings:
        cut = Cut(*(part.get(reco, []) for part in parts))
        vectors = xvectors.load([segment.id for segment in cut.segments]) if cut.segments else np.zeros((0, 1))
        windows = read_if_there(read_segmentation, segmentation / f"{reco}.npz", None)
        turns = reference.reference.get(reco, [])
        truth = (turns, count_speakers(turns), reference.regions(reco), voices.get(reco, [reco]))
        sources.append(Source(reco, cut, vectors, windows, model, rules, *truth))
    return sources


def cluster_all(sources: Sequence[Source], system: SystemConfig, given: bool, seed: int) -> list[Clustering]:
    """Cluster the recordings of a set, their numbers of speakers ``given`` or estimated."""
    backgrounds = {}
    if system.prepare.needs_fold:
        backgrounds = fold_backgrounds({one.reco: one.vectors for one in sources if one.cut.segments})
    return [one.cluster(system, given, seed, backgrounds.get(one.reco)) for one in sources]
