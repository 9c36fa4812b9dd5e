"""Simulated recordings after stages 1 to 4 of run.sh: what models of the system best are fitted to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "libs"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

from ssdiar.clustering.recording import Recording
from ssdiar.errors import InputError
from ssdiar.io.ark import XVectors
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_segments
from ssdiar.timeline.segmentation import read_segmentation
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped

ROOT = Path(__file__).resolve().parent.parent


class Simulated(NamedTuple):
    """One recording: what is clustered, its pieces, speech that has no x-vectors, and who talks."""

    recording: Recording
    pieces: list[Segment]
    short: list[Segment]
    overlap: list[Segment]
    reference: list[Turn]


def read_pair(pair: str, model: str) -> Iterator[Simulated]:
    """Yield the recordings of ``<set-dir>:<exp-dir>``: a data directory with ref.rttm, and what the stages made of it.

    Args:
        pair: <set-dir>_speech/segmentation, <exp-dir>/subsegments and <exp-dir>/xvectors_MODEL are read, too.
        model: The x-vector model.

    Raises:
        InputError: It is no pair, or a file is damaged.
    """
    data, colon, exp = pair.partition(":")
    if not colon:
        raise InputError("bad pair", expected="<set-dir>:<exp-dir>", got=pair)
    folder = Path(exp) / "subsegments"
    pieces, short, overlap = (
        by_recording(read_segments(folder / name)) if (folder / name).exists() else {}
        for name in ("segments", "short.segments", "overlap.segments")
    )
    turns = grouped(read_rttm(Path(data) / "ref.rttm"))
    xvectors = XVectors(Path(exp) / f"xvectors_{model}" / "xvector.scp")
    for reco, group in pieces.items():
        times = np.array([(piece.start, piece.end) for piece in group])
        heard = read_segmentation(Path(f"{data}_speech") / "segmentation" / f"{reco}.npz")
        recording = Recording(reco, xvectors.load([piece.id for piece in group]), times, heard=heard)
        yield Simulated(recording, group, short.get(reco, []), overlap.get(reco, []), turns.get(reco, []))
