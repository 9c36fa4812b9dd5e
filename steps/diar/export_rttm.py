#!/usr/bin/env python3
"""Write an RTTM in the formats of other tools.

Reads an RTTM, or the folder of a system with one. Writes into <out-dir>, by default the folder export beside the
RTTM: audacity (labels, <recording>.txt), textgrid (Praat and ELAN), srt and vtt (captions with speakers), json (turns
and talk time), csv (turns.csv of all recordings) and rttm (one file per recording). Recordings that only result.json
beside the RTTM names, in which no one speaks, have empty files.
e.g.: export_rttm.sh exp/mini/xvector_ahc
"""

from __future__ import annotations

import logging
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_durations, read_if_there
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
    add("--overwrite", type=stage.boolean, default=False, help="replace files that were changed or made otherwise")
    options = parser.parse_args()
    rttm = options.source / "rttm" if options.source.is_dir() else options.source
    turns = read_rttm(rttm)
    entries = read_if_there(lambda path: read_result(path)["recordings"], rttm.parent / "result.json", [])
    if not turns and not entries:
        raise InputError("no SPEAKER line, so there is nothing to export", path=rttm)
    durations = {entry["recording"]: entry["duration"] for entry in entries if entry["duration"] is not None}
    if options.reco2dur is not None:
        durations = read_durations(options.reco2dur)
    out_dir = options.out_dir or rttm.parent / "export"
    silent = [entry["recording"] for entry in entries]
    files = export(turns, out_dir, options.formats.split(), durations, silent, options.overwrite)
    _LOG.info("%s: %d files (%s)", out_dir, len(files), options.formats)


if __name__ == "__main__":
    stage.run(main)
