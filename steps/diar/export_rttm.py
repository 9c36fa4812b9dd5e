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
    durations = None if options.reco2dur is None else read_durations(options.reco2dur)
    out_dir = options.out_dir or rttm.parent / "export"
    files = export(turns, out_dir, options.formats.split(), durations)
    _LOG.info("%s: %d files (%s)", out_dir, len(files), options.formats)


if __name__ == "__main__":
    stage.run(main)
