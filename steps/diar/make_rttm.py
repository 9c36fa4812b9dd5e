#!/usr/bin/env python3
"""Stage 6: write who speaks when, as RTTM, from sub-segments and their labels.

Reads the sub-segments of make_subsegments.sh and <labels-dir>/labels (<sub-segment> <number from 1>); label 1 becomes
speaker1. Overlapping sub-segments are cut in the middle of the overlap, and touching turns of a speaker are joined.
Short and overlapped speech, which was not clustered, gets the label of the nearest sub-segment. With <labels-
dir>/sure (<sub-segment> <0 to 1>), field 9 of a turn is its probability, the mean over its sub-segments.
Writes <labels-dir>/rttm, reco2file and result.json: speakers, talk time and probabilities per recording. An rttm that
was edited stays as it is while its inputs do not change; remove it to have it written again.
e.g.: make_rttm.sh exp/mini/subsegments exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import stage

from ssdiar.io.meta import read_decisions, read_meta, read_second_sure
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import (
    SIDE2RECO,
    check_same_ids,
    read_counts,
    read_durations,
    read_segments,
    read_shares,
    read_sides,
    read_wav_scp,
    write_table,
)
from ssdiar.results import count_probabilities, recording_entry, result_content, result_text
from ssdiar.timeline.sides import join_sides
from ssdiar.timeline.spans import Segment, Turn, grouped
from ssdiar.timeline.turns import close_pauses, turns_of_labels
from ssdiar.work import Manifest, check

_LOG = logging.getLogger(__name__)
_FORMAT = 1  # of the output; part of the settings
_PIECES = ("segments", "short.segments", "overlap.segments", "meta.json", "wav.scp", SIDE2RECO)
_LABELS = ("labels", "sure", "meta.json")


def main() -> None:
    """Read pieces and labels, write <labels-dir>/rttm."""
    options = _parse()
    tables = options.data_dir or options.subsegments_dir
    inputs = check(
        *(options.subsegments_dir / name for name in _PIECES),
        *(options.labels_dir / name for name in _LABELS),
        *(tables / name for name in ("wav.scp", "reco2dur")),
    )
    decided = read_decisions(options.subsegments_dir)
    second_speaker = decided.second_speaker if options.second_speaker is None else options.second_speaker
    gap = decided.close_pauses if options.gap is None else options.gap
    work = Manifest(options.labels_dir, "make_rttm")
    settings = {"format": _FORMAT, "second_speaker": second_speaker, "gap": gap}
    if work.is_current(inputs, settings):
        _LOG.info("%s is up to date", options.labels_dir / "rttm")
        return
    pieces = read_segments(options.subsegments_dir / "segments")
    labels = read_counts(options.labels_dir / "labels", "sub-segment label")
    check_same_ids(pieces, labels, options.labels_dir / "labels", "label")
    sure = None
    if (sure_file := options.labels_dir / "sure").exists():
        sure = read_shares(sure_file, "sub-segment probability")
        check_same_ids(pieces, sure, sure_file, "probability")
    turns = turns_of_labels(
        pieces,
        labels,
        _read_if_there(options.subsegments_dir / "short.segments"),
        _read_if_there(options.subsegments_dir / "overlap.segments"),
        second_speaker,
        sure,
        read_second_sure(options.labels_dir),
    )
    sides = read_sides(options.subsegments_dir)
    turns = close_pauses(join_sides(turns, sides), gap)
    work.plan(inputs, settings)
    files = read_wav_scp(tables / "wav.scp") if (tables / "wav.scp").exists() else {}
    files = {sides.get(side, side): entry for side, entry in files.items()}
    with work.finish("result.json", editable=["rttm", "reco2file"]):
        write_rttm(options.labels_dir / "rttm", turns)
        publish_text(options.labels_dir / "result.json", result_text(_result(options, turns, files, sides)))
        if files:  # the way back from a name to the audio
            write_table(options.labels_dir / "reco2file", files)
    recordings = {turn.reco for turn in turns}
    _LOG.info("%s: %d turns of %d recordings", options.labels_dir / "rttm", len(turns), len(recordings))


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("subsegments_dir", type=Path)
    add("labels_dir", type=Path)
    help_text = "give overlapped speech the nearest other speaker, too (as detect_speech.sh decided)"
    add("--second-speaker", type=stage.boolean, help=help_text)
    help_text = "close pauses of a speaker that are shorter and silent (as detect_speech.sh decided)"
    add("--gap", type=stage.number(0), metavar="seconds", help=help_text)
    help_text = "read wav.scp and reco2dur of all recordings there, for result.json (<subsegments-dir>)"
    add("--data-dir", type=Path, metavar="dir", help=help_text)
    return parser.parse_args()


def _result(
    options: argparse.Namespace, turns: list[Turn], files: dict[str, str], sides: dict[str, str]
) -> dict[str, Any]:
    """Return the content of result.json: every recording that the turns or ``files`` name."""
    meta = read_meta(options.labels_dir)
    sure = count_probabilities(meta.get("num_spk", {}), sides)
    reco2dur = (options.data_dir or options.subsegments_dir) / "reco2dur"
    durations = read_durations(reco2dur) if reco2dur.exists() else {}
    spoken = {reco: [] for reco in files} | grouped(turns)
    entries = [
        recording_entry(reco, own, file=files.get(reco), duration=durations.get(reco), probability=sure.get(reco))
        for reco, own in spoken.items()
    ]
    return result_content(meta, entries)


def _read_if_there(path: Path) -> list[Segment]:
    return read_segments(path) if path.exists() else []


if __name__ == "__main__":
    stage.run(main)
