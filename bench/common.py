"""Sets after stages 1 to 4 of run.sh, in memory: ablation.py, counting.py and fit.py cluster and score them.

Import this module first: it sets one thread per process and makes the library importable.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "libs"))

import numpy as np

from ssdiar.clustering.config import SystemConfig
from ssdiar.clustering.recording import Clustering, Recording, fold_backgrounds
from ssdiar.clustering.systems import cluster_recording
from ssdiar.clustering.vectors import Moments
from ssdiar.errors import InputError
from ssdiar.io.ark import XVectors
from ssdiar.io.meta import Decisions, read_decisions
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import read_segments
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, count_speakers, score_recording
from ssdiar.timeline.segmentation import read_segmentation
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped
from ssdiar.timeline.turns import close_pauses, turns_of_labels

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """A recording after stages 1 to 4, and its reference.

    Attributes:
        recording: X-vectors, times and segmentation; no number of speakers.
        subsegments: Its sub-segments.
        short: Speech that is too short for an x-vector.
        overlap: Overlapped speech.
        decisions: The decisions of stage 2 about turns.
        reference: Its reference turns.
        regions: Its scored regions, in seconds.
    """

    recording: Recording
    subsegments: list[Segment]
    short: list[Segment]
    overlap: list[Segment]
    decisions: Decisions
    reference: list[Turn]
    regions: list[tuple[float, float]]

    @property
    def num_spk(self) -> int:
        """Number of speakers in the reference."""
        return count_speakers(self.reference)

    def cluster(
        self, config: SystemConfig, num_spk: int | None, seed: int = 0, background: Moments | None = None
    ) -> Clustering:
        """Cluster the recording as stage 5 does; ``num_spk`` None estimates the number of speakers."""
        if not self.subsegments:
            return Clustering(np.zeros(0, np.int64), {"num_spk": 0, "clusters": 0, "seconds": 0.0})
        return cluster_recording(replace(self.recording, num_spk=num_spk, background=background), config, seed)

    def turns(
        self, labels: np.ndarray, sure: np.ndarray | None = None, second: tuple[float, float] | None = None
    ) -> list[Turn]:
        """Return the turns that stage 6 makes of labels (S,) from 0, their probabilities, those of second speakers."""
        ids = [piece.id for piece in self.subsegments]
        numbers = dict(zip(ids, (labels + 1).tolist(), strict=True))
        known = None if sure is None else dict(zip(ids, sure.tolist(), strict=True))
        both, gap = self.decisions.second_speaker, self.decisions.close_pauses
        made = turns_of_labels(self.subsegments, numbers, self.short, self.overlap, both, known, second)
        return close_pauses(made, gap)

    def error(self, turns: Sequence[Turn], protocol: Protocol) -> DiarizationError:
        """Score turns of the recording."""
        return score_recording(self.reference, turns, self.regions, protocol)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the stages of run.sh have put their output."""
    add = parser.add_argument
    add("--data-root", type=Path, default=Path("data"), help="as in run.sh (data)")
    add("--exp-root", type=Path, default=Path("exp"), help="as in run.sh (exp)")
    add("--xvector", default="campplus", help="x-vector model (campplus)")
    add("--suffix", default="", help="suffix of the directories of stages 2 to 4, such as _cut")


def load(name: str, options: argparse.Namespace) -> list[Source]:
    """Return the recordings of a set, ordered by id; ``options`` are those of :func:`add_places`."""
    data, folder = options.data_root / name, options.exp_root / name / f"subsegments{options.suffix}"
    segmentation = options.data_root / f"{name}_speech{options.suffix}" / "segmentation"
    xvectors = XVectors(options.exp_root / name / f"xvectors_{options.xvector}{options.suffix}" / "xvector.scp")
    segments, short, overlap = (
        by_recording(read_segments(folder / file)) if (folder / file).exists() else {}
        for file in ("segments", "short.segments", "overlap.segments")
    )
    uem = read_uem(data / "all.uem") if (data / "all.uem").exists() else None
    reference = Comparison(grouped(read_rttm(data / "ref.rttm")), {}, uem)
    if unknown := sorted(segments.keys() - set(reference.recordings)):
        raise InputError(f"no reference of recording {unknown[0]}", path=data / "ref.rttm")
    decisions, sources = read_decisions(folder), []
    for reco in reference.recordings:
        own, file = segments.get(reco, []), segmentation / f"{reco}.npz"
        vectors = xvectors.load([piece.id for piece in own]) if own else np.zeros((0, 1))
        times = np.array([(piece.start, piece.end) for piece in own]).reshape(-1, 2)
        recording = Recording(reco, vectors, times, heard=read_segmentation(file) if file.exists() else None)
        turns = reference.reference.get(reco, [])
        rest = (short.get(reco, []), overlap.get(reco, []), decisions, turns, reference.regions(reco))
        sources.append(Source(recording, own, *rest))
    return sources


def cluster_all(sources: Sequence[Source], config: SystemConfig, given: bool, seed: int) -> list[Clustering]:
    """Cluster the recordings of a set, with the number of speakers ``given`` or estimated."""
    backgrounds = {}
    if config.prepare.needs_fold:
        backgrounds = fold_backgrounds({one.recording.reco: one.recording.vectors for one in sources})
    return [
        one.cluster(config, one.num_spk if given else None, seed, backgrounds.get(one.recording.reco))
        for one in sources
    ]
