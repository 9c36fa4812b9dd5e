#!/usr/bin/env python3
"""Write an RTTM in the formats of other tools; the Python side of export_rttm.sh."""

from __future__ import annotations

import logging
from pathlib import Path

import stage
from ssdiar.errors import InputError
from ssdiar.exports import FILE_NAMES, export
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_durations
from ssdiar.results import read_result

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the RTTM and write the files."""
    parser = stage.Parser(__doc__)
    parser.add_argument("--formats", default=" ".join(FILE_NAMES))
    parser.add_argument("--reco2dur", type=Path)
    parser.add_argument("source", type=Path, help="an RTTM file, or the folder of a system")
    parser.add_argument("out_dir", type=Path, nargs="?")
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
    """Return the seconds of recordings: of reco2dur, else as result.json beside the RTTM says, where it does."""
    if reco2dur is not None:
        return read_durations(reco2dur)
    entries = read_result(result)["recordings"] if result.exists() else []
    return {entry["recording"]: entry["duration"] for entry in entries if entry["duration"] is not None}


if __name__ == "__main__":
    stage.run(main)
