#!/usr/bin/env python3
"""Fetch one real telephone call with a human reference: 30 s, two speakers, sample.wav and sample.rttm.

They are part of the wheel of pyannote.audio (MIT licence), which pip downloads but does not install. Both files must
have the sha256 below. Other files in <out-dir> are left as they are.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.networks.weights import fetch_files
from ssdiar.work import file_digest

LOG = logging.getLogger(__name__)

REQUIREMENT = "pyannote.audio==4.0.7"
FOLDER = "pyannote/audio/sample"
SHA256 = {
    "sample.wav": "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
    "sample.rttm": "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87",
}


def main() -> None:
    """Fetch the two files unless they are there."""
    parser = stage.Parser(__doc__)
    parser.add_argument("out_dir", metavar="<out-dir>", type=Path)
    out_dir = parser.parse_args().out_dir
    there = {out_dir / name: known for name, known in SHA256.items() if (out_dir / name).exists()}
    for path, known in there.items():
        if file_digest(path) != known:
            raise InputError("is another file, and is not replaced", path=path, expected=f"sha256 {known}")
    if len(there) == len(SHA256):
        LOG.info("%s is there already", out_dir)
        return
    fetch_files(REQUIREMENT, FOLDER, SHA256, out_dir)
    LOG.info("fetched %s", out_dir)


if __name__ == "__main__":
    stage.run(main)
