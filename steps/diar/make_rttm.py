#!/usr/bin/env python3
"""Stage 6: write who speaks when, as RTTM, from sub-segments and their labels.

Reads the sub-segments of make_subsegments.sh and <labels-dir>/labels (<sub-segment> <number from 1>); label 1 becomes
speaker1. Overlapping sub-segments are cut in the middle of the overlap, and touching turns of a speaker are joined.
Short and overlapped speech, which was not clustered, gets the label of the nearest sub-segment. With <labels-dir>/sure
(<sub-segment> <0 to 1>), field 9 of a turn is its probability, the mean over its sub-segments.
Writes <labels-dir>/rttm.closed (short pauses within turns are closed, as in references of calls) and rttm.tight (turns
end where detected speech ends, if detect_speech.sh found it); rttm, the kind of --turns; reco2file, and result.json:
speakers, talk time and probabilities per recording in rttm. An rttm that was edited stays as it is while its inputs do
not change; remove it to have it written again. Recordings that use_corrections.sh has taken corrections of
(<labels-dir>/corrections) have the corrected turns in rttm and result.json. Speakers have the names that
name_speakers.sh found (<labels-dir>/names.json), unless the labels have changed since.
e.g.: make_rttm.sh exp/mini/subsegments exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import stage

import msgspec
import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.meta import read_meta
from ssdiar.io.rttm import TURN_KINDS, write_rttm
from ssdiar.io.tables import (
    SIDE2RECO,
    check_same_ids,
    read_counts,
    read_durations,
    read_if_there,
    read_segments,
    read_shares,
    read_sides,
    read_wav_scp,
    write_table,
)
from ssdiar.pipeline import Cut, TurnRules, turns_of
from ssdiar.results import count_probabilities, recording_entry, result_content, result_text
from ssdiar.results.corrections import correction_files, with_corrections
from ssdiar.results.names import FILE, SpeakerName, new_names, read_names
from ssdiar.timeline.spans import Turn, grouped
from ssdiar.timeline.turns import rename_speakers
from ssdiar.work import Manifest, check

_LOG = logging.getLogger(__name__)
_FORMAT = 2  # of the output; part of the settings
_SUBSEGMENTS = (
    *("segments", "short.segments", "overlap.segments", "tight.segments", "meta.json", "wav.scp"),
    SIDE2RECO,
)
_LABELS = ("labels", "sure", "meta.json", FILE)


def main() -> None:
    """Read sub-segments and labels, write <labels-dir>/rttm."""
    make(_parse())


def options_of(labels_dir: Path) -> argparse.Namespace:
    """Return the options that <labels-dir>/rttm was last written with.

    Raises:
        InputError: It was not written by this program, or its inputs have changed since.
    """
    made = Manifest(labels_dir, "make_rttm").settings.get("options")
    if made is None:
        raise InputError("made by an earlier version", path=labels_dir / "rttm", hint="Run make_rttm.sh again.")
    made = {name: Path(value) if name.endswith("_dir") and value else value for name, value in made.items()}
    return argparse.Namespace(**made, labels_dir=labels_dir)


def make(options: argparse.Namespace) -> None:
    """Write <labels-dir>/rttm, with these options."""
    folder, labels_dir, tables = (
        options.subsegments_dir,
        options.labels_dir,
        options.data_dir or options.subsegments_dir,
    )
    inputs = check(
        *(folder / name for name in _SUBSEGMENTS),
        *(labels_dir / name for name in _LABELS),
        *(tables / name for name in ("wav.scp", "reco2dur")),
        *correction_files(labels_dir).values(),
        stage="make_rttm",
    )
    decided = read_meta(folder, TurnRules)
    second = decided.second_speaker if options.second_speaker is None else options.second_speaker
    gaps = {"closed": decided.close_pauses, "tight": 0.0}
    if options.gap is not None:
        gaps[options.turns] = options.gap
    second_sure = read_meta(labels_dir, TurnRules).second_sure
    rules = {kind: TurnRules(second, gap, second_sure) for kind, gap in gaps.items()}
    work = Manifest(labels_dir, "make_rttm")
    given = {name: value for name, value in vars(options).items() if name not in ("labels_dir", "python", "verbose")}
    given = {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in given.items()}
    settings = {"format": _FORMAT, "turns": options.turns, **msgspec.to_builtins(rules), "options": given}
    if work.is_current(inputs, settings):
        _LOG.info("%s is up to date", labels_dir / "rttm")
        return
    others = (read_if_there(read_segments, folder / f"{name}.segments", []) for name in ("short", "overlap"))
    cut = Cut(read_segments(folder / "segments"), *others)
    labels = read_counts(labels_dir / "labels", "sub-segment label")
    check_same_ids(cut.segments, labels, labels_dir / "labels", "label")
    sure = read_if_there(lambda path: read_shares(path, "sub-segment probability"), labels_dir / "sure", None)
    if sure is not None:
        check_same_ids(cut.segments, sure, labels_dir / "sure", "probability")
    sides = read_sides(folder)
    made = {"closed": turns_of(cut, labels, rules["closed"], sure, None, sides)}
    if options.turns == "tight" or (folder / "tight.segments").exists():
        made["tight"] = turns_of(cut, labels, rules["tight"], sure, _tight(folder, cut), sides)
    names = read_names(labels_dir)
    made = {kind: rename_speakers(turns, new_names(names)) for kind, turns in made.items()}
    entries = read_if_there(read_wav_scp, tables / "wav.scp", {})
    files = {sides.get(side, side): entry for side, entry in entries.items()}
    known = files.keys() | {turn.reco for turn in made[options.turns]}
    turns, corrected = with_corrections(made[options.turns], labels_dir, known, new_names(names))
    work.plan(inputs, settings)
    with work.finish("result.json", *(f"rttm.{kind}" for kind in made), editable=["rttm", "reco2file"]):
        for kind in TURN_KINDS:
            if kind in made:
                write_rttm(labels_dir / f"rttm.{kind}", made[kind])
            else:
                (labels_dir / f"rttm.{kind}").unlink(missing_ok=True)
        write_rttm(labels_dir / "rttm", turns)
        publish_text(labels_dir / "result.json", result_text(_result(options, turns, files, sides, corrected, names)))
        if files:
            write_table(labels_dir / "reco2file", files)
    _LOG.info("%s: %d turns of %d recordings", labels_dir / "rttm", len(turns), len({turn.reco for turn in turns}))


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("subsegments_dir", type=Path)
    add("labels_dir", type=Path)
    help_text = "write this kind of turns into rttm, too"
    add("--turns", choices=TURN_KINDS, default="closed", help=help_text)
    help_text = "give overlapped speech the nearest other speaker, too (as detect_speech.sh decided)"
    add("--second-speaker", type=stage.boolean, help=help_text)
    help_text = (
        "close pauses of a speaker that are shorter and silent, in turns of the kind of --turns (closed: as "
        "detect_speech.sh decided; tight: 0)"
    )
    add("--gap", type=stage.number(0), metavar="seconds", help=help_text)
    help_text = "read wav.scp and reco2dur of all recordings there, for result.json (<subsegments-dir>)"
    add("--data-dir", type=Path, metavar="dir", help=help_text)
    return parser.parse_args()


def _tight(folder: Path, cut: Cut) -> dict[str, np.ndarray]:
    """Return the detected speech of each recording or side; all of it if its pauses were not recorded."""
    path = folder / "tight.segments"
    if not path.exists():
        hint = "They are there if detect_speech.sh found the speech."
        raise InputError("no such file, so there are no tight turns", path=path, hint=hint)
    found = grouped(read_segments(path))
    recordings = {segment.reco for part in cut for segment in part}
    return {reco: np.array([(s.start, s.end) for s in found.get(reco, ())]).reshape(-1, 2) for reco in recordings}


def _result(
    options: argparse.Namespace,
    turns: list[Turn],
    files: Mapping[str, str],
    sides: Mapping[str, str],
    corrected: Collection[str],
    names: Sequence[SpeakerName],
) -> dict[str, Any]:
    """Return the content of result.json: every recording that turns, ``files`` or ``corrected`` names.

    The number of speakers of corrected recordings is given, so it has no probability.
    """
    meta = read_meta(options.labels_dir)
    found = count_probabilities(meta.get("num_spk", {}), sides)
    sure = {reco: probability for reco, probability in found.items() if reco not in corrected}
    durations = read_if_there(read_durations, (options.data_dir or options.subsegments_dir) / "reco2dur", {})
    spoken = {reco: [] for reco in (*files, *corrected)} | grouped(turns)
    named = grouped(names)
    entries = [
        recording_entry(
            *(reco, own),
            file=files.get(reco),
            duration=durations.get(reco),
            probability=sure.get(reco),
            names=named.get(reco, ()),
        )
        for reco, own in spoken.items()
    ]
    return result_content(meta | {"turn_kind": options.turns}, entries)


if __name__ == "__main__":
    stage.run(main)
