#!/usr/bin/env python3
"""Write an RTTM in the formats of other tools.

Reads an RTTM, or the folder of a system with one. Writes into <out-dir>, by default the folder export beside the
RTTM: audacity (labels, <recording>.txt), textgrid (Praat and ELAN), srt and vtt (captions with speakers), json (turns
and talk time), csv (turns.csv of all recordings) and rttm (one file per recording).
e.g.: export_rttm.sh exp/mini/xvector_ahc
"""

from __future__ import annotations

import logging
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_durations
from ssdiar.results import read_result
from ssdiar.results.exports import FILE_NAMES, export

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the RTTM and write the files."""
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("source", metavar="rttm-or-system-dir", type=Path)
    add("out_dir", type=Path, nargs="?")
    add("--formats", default=" ".join(FILE_NAMES), metavar='"a b"', help="write these formats")
    help_text = "end TextGrids at these lengths (by result.json beside the RTTM, else at the last turn)"
    add("--reco2dur", type=Path, metavar="file", help=help_text)
    options = parser.parse_args()
    rttm = options.source / "rttm" if options.source.is_dir() else options.source
    turns = read_rttm(rttm)
    if not turns:
        raise InputError("no SPEAKER line, so there is nothing to export", path=rttm)
    durations = _durations(options.reco2dur, rttm.parent / "result.json")
    out_dir = options.out_dir or rttm.parent / "export"
    files = export(turns, out_dir, options.formats.split(), durations)
    _LOG.info("%s: %d files (%s)", out_dir, len(files), options.formats)


def _durations(reco2dur: Path | None, result: Path) -> dict[str, float]:
    """Return the lengths of recordings in seconds, from reco2dur or else from result.json beside the RTTM."""
    if reco2dur is not None:
        return read_durations(reco2dur)
    entries = read_result(result)["recordings"] if result.exists() else []
    return {entry["recording"]: entry["duration"] for entry in entries if entry["duration"] is not None}


if __name__ == "__main__":
    stage.run(main)
