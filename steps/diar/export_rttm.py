#!/usr/bin/env python3
"""Write an RTTM in the formats of other tools.

Reads an RTTM, or the folder of a system with one. Writes into <out-dir>, by default the folder export beside the
RTTM: audacity (labels, <recording>.txt), textgrid (Praat and ELAN), srt and vtt (captions with speakers), json (turns
and talk time), csv (turns.csv of all recordings) and rttm (one file per recording). Recordings that only result.json
beside the RTTM names, in which no one speaks, have empty files. With --turns, turns are closed (over short pauses),
tight (only speech) or exclusive (one speaker at a time, as speech recognisers need), and the default folder is
export_closed, export_tight or export_exclusive. Recordings whose RTTM was corrected by hand stay as they are.
e.g.: export_rttm.sh exp/mini/xvector_ahc
"""

from __future__ import annotations

import logging
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import TURN_KINDS, read_kind
from ssdiar.io.tables import read_durations, read_if_there
from ssdiar.results import read_result
from ssdiar.results.exports import FILE_NAMES, export
from ssdiar.timeline.turns import exclusive_turns

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the RTTM and write the files."""
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("source", metavar="rttm-or-system-dir", type=Path)
    add("out_dir", type=Path, nargs="?")
    add("--formats", default=" ".join(FILE_NAMES), metavar='"a b"', help="write these formats")
    help_text = "write this kind of turns (as the RTTM is)"
    add("--turns", choices=(*TURN_KINDS, "exclusive"), help=help_text)
    help_text = "end TextGrids at these lengths (by result.json beside the RTTM, else at the last turn)"
    add("--reco2dur", type=Path, metavar="file", help=help_text)
    options = parser.parse_args()
    rttm = options.source / "rttm" if options.source.is_dir() else options.source
    kind = options.turns
    turns, kinds = read_kind(rttm, kind if kind in TURN_KINDS else None)
    if kind == "exclusive":
        turns, kinds = exclusive_turns(turns), {turn.reco: kind for turn in turns}
    entries = read_if_there(lambda path: read_result(path)["recordings"], rttm.parent / "result.json", [])
    if not turns and not entries:
        raise InputError("no SPEAKER line, so there is nothing to export", path=rttm)
    durations = {entry["recording"]: entry["duration"] for entry in entries if entry["duration"] is not None}
    if options.reco2dur is not None:
        durations = read_durations(options.reco2dur)
    if kind in TURN_KINDS and (corrected := [reco for reco, found in kinds.items() if found != kind]):
        _LOG.warning("WARNING: %s: corrected by hand, so kept as they are: %s", rttm, " ".join(sorted(corrected)))
    out_dir = options.out_dir or rttm.parent / ("export" if kind is None else f"export_{kind}")
    silent = [entry["recording"] for entry in entries]
    files = export(turns, out_dir, options.formats.split(), durations, silent, kinds)
    shown = f", {' and '.join(sorted(set(kinds.values())))} turns" if kinds else ""
    _LOG.info("%s: %d files (%s)%s", out_dir, len(files), options.formats, shown)


if __name__ == "__main__":
    stage.run(main)
