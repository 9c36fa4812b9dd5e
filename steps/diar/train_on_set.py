#!/usr/bin/env python3
"""Train one map of x-vectors on the labels of a set, and move labels by it; the Python side of train_on_set.sh."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import stage
from ssdiar.clustering.config import read_system
from ssdiar.io.ark import XVectors, read_xvector_dir
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.tables import Segment, check_same_ids, read_counts, read_shares, write_table
from ssdiar.speech.parties import SIDE2RECO
from ssdiar.work import Manifest, check

if TYPE_CHECKING:
    from ssdiar.clustering.config import SystemConfig
    from ssdiar.clustering.set_training import Lesson

_LOG = logging.getLogger(__name__)
_XVECTORS = ("xvector.scp", "segments", "utt2spk", "meta.json", SIDE2RECO)
_LABELS = ("labels", "sure", "meta.json")
_MOST = 500  # recordings that are trained on; of more, that many at even distances


def main() -> None:
    """Read x-vectors and labels, train, write <out-dir>/labels."""
    options = _parse()
    inputs = check(
        *(options.xvector_dir / name for name in _XVECTORS),
        *(options.labels_dir / name for name in _LABELS),
        options.system,
    )
    pieces, xvectors = read_xvector_dir(options.xvector_dir)
    inputs |= check(*xvectors.archives())
    labels, sure = _read_labels(options.labels_dir, [piece for group in pieces.values() for piece in group])
    config = read_system(options.system, options.system_options.split())
    meta = read_meta(options.labels_dir)
    decided = {"epochs": options.epochs, "vote": options.vote, "seed": options.seed}
    settings = decided | {"system_options": dataclasses.asdict(config)}
    work = Manifest(options.out_dir, "train_on_set")
    if not work.plan(inputs, settings, overwrite=options.overwrite):
        _LOG.info("%s is up to date", options.out_dir)
        return
    started = time.monotonic()
    names = sorted(pieces)
    lessons = _Lessons(pieces, xvectors, labels, sure)
    moved, told = _train(names, lessons, config, options) if names else ({}, "no recordings")
    meta |= {"system": f"{meta.get('system', 'unknown')}_trained", "trained_on_set": decided}
    meta.pop("second_sure", None)
    with work.finish("labels", "meta.json"):
        write_table(options.out_dir / "labels", moved)
        write_meta(options.out_dir, meta)
    _LOG.info("%s: %s; %.1f s", options.out_dir, told, time.monotonic() - started)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--system", type=Path, required=True, help="a file of conf/systems, whose labels they are")
    parser.add_argument("--system-options", default="", help="name=value ..., put over it")
    parser.add_argument("--epochs", type=stage.whole_number(0), default=8, help="how often each recording is seen")
    parser.add_argument("--vote", type=stage.boolean, default=False, help="cluster anew, by a vote of parts")
    parser.add_argument("--seed", type=stage.whole_number(0), default=0)
    parser.add_argument("--overwrite", type=stage.boolean, default=False)
    parser.add_argument("xvector_dir", type=Path)
    parser.add_argument("labels_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    return parser.parse_args()


def _read_labels(folder: Path, pieces: list[Segment]) -> tuple[dict[str, int], dict[str, float] | None]:
    """Return the label of every sub-segment, and how sure it is where the system says so."""
    labels = read_counts(folder / "labels", "sub-segment label")
    check_same_ids(pieces, labels, folder / "labels", "label")
    if not (folder / "sure").exists():
        return labels, None
    sure = read_shares(folder / "sure", "sub-segment probability")
    check_same_ids(pieces, sure, folder / "sure", "probability")
    return labels, sure


class _Lessons:
    """The recordings with their labels, read when they are asked for."""

    def __init__(
        self,
        pieces: dict[str, list[Segment]],
        xvectors: XVectors,
        labels: dict[str, int],
        sure: dict[str, float] | None,
    ) -> None:
        self._pieces, self._xvectors, self._labels, self._sure = pieces, xvectors, labels, sure

    def ids(self, reco: str) -> list[str]:
        """Return the ids of a recording's sub-segments."""
        return [piece.id for piece in self._pieces[reco]]

    def read(self, reco: str) -> Lesson:
        """Return one recording."""
        from ssdiar.clustering.set_training import Lesson

        ids = self.ids(reco)
        times = np.array([(piece.start, piece.end) for piece in self._pieces[reco]])
        _, own = np.unique([self._labels[key] for key in ids], return_inverse=True)
        trust = None if self._sure is None else np.array([self._sure[key] for key in ids]) ** 2
        return Lesson(self._xvectors.load(ids), times, own, trust)


def _train(
    names: list[str], lessons: _Lessons, config: SystemConfig, options: argparse.Namespace
) -> tuple[dict[str, int], str]:
    """Train and move labels; return the label of every sub-segment, and what the log says of it."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # or TensorFlow writes of it to stderr
    from ssdiar.clustering.set_training import move_labels, train_map, vote_anew

    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), _MOST)).round().astype(int))
    trained = train_map([lessons.read(names[number]) for number in chosen], options.epochs, options.seed)
    if not trained.recordings:
        _LOG.warning("WARNING: no recording has two speakers: nothing to learn from; labels stay as they are")
    moved: dict[str, int] = {}
    for reco in names:
        lesson = lessons.read(reco)
        labels = lesson.labels
        if trained.recordings and labels.max() > 0:
            given = lesson, trained.matrix, config
            labels = vote_anew(*given, options.seed) if options.vote else move_labels(*given)
        moved |= {key: int(label) + 1 for key, label in zip(lessons.ids(reco), labels, strict=True)}
    losses = "".join(f" {loss:.3f}" for loss in trained.losses[:1] + trained.losses[-1:])
    return moved, f"trained on {trained.recordings} recordings, loss of the first and last epoch{losses}"


if __name__ == "__main__":
    stage.run(main)
