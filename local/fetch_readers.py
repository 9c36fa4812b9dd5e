#!/usr/bin/env python3
"""Fetch 128 real voices: the adults of speechocean762 (free for any use), who read some twenty sentences each.

<out-voices-dir> gets one folder of WAV files per voice, called reader<number>. An existing <out-voices-dir> is kept.
speechocean762 is fetched from GitHub with git (500 MB), at one commit, whose hash proves the content.
Source: Zhang et al., "speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation Assessment",
Interspeech 2021.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_folder
from ssdiar.io.tables import read_rows

LOG = logging.getLogger(__name__)

SOURCE = "https://github.com/jimbozhang/speechocean762"
COMMIT = "613968e3b0b789fc33936fb5eba1973176ba7d11"
_ADULT = 16  # years


def fetch(source: str, folder: Path) -> None:
    """Fetch the corpus at :data:`COMMIT` from a git repository into a folder; raise InputError if that fails."""
    if shutil.which("git") is None:
        raise InputError("cannot fetch the voices: git not found")
    for command in (["init", "-q"], ["fetch", "-q", "--depth", "1", source, COMMIT], ["checkout", "-q", COMMIT]):
        result = subprocess.run(["git", *command], cwd=folder, check=False, capture_output=True, text=True)
        if result.returncode:
            lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
            hint = "Or fetch it elsewhere, and give the folder by --source."
            raise InputError("git cannot fetch the voices", path=source, got=lines[-1], hint=hint)


def copy_adults(corpus: Path, folder: Path) -> int:
    """Copy the recordings of the adults of a corpus into ``folder``; return their number.

    Raises:
        InputError: The corpus has another layout.
    """
    adults = set()
    for part in ("train", "test"):
        ages = read_rows(corpus / part / "spk2age", "speaker age")
        adults |= {speaker for _, (speaker, age) in ages if int(age) >= _ADULT}
    for speaker in sorted(adults):
        shutil.copytree(corpus / "WAVE" / f"SPEAKER{speaker}", folder / f"reader{speaker}")
    return len(adults)


def main() -> None:
    """Fetch, choose, publish."""
    parser = stage.Parser(__doc__)
    text = "fetch from another git repository, or take a folder with the corpus"
    parser.add_argument("--source", default=SOURCE, metavar="url|dir", help=f"{text} ({SOURCE})")
    parser.add_argument("out_dir", metavar="<out-voices-dir>", type=Path)
    options = parser.parse_args()
    if options.out_dir.exists():
        LOG.info("%s is there already", options.out_dir)
        return
    with publish_folder(options.out_dir) as folder, tempfile.TemporaryDirectory(dir=options.out_dir.parent) as scratch:
        corpus = Path(options.source, "WAVE").parent
        if not (corpus / "WAVE").is_dir():
            corpus = Path(scratch)
            fetch(options.source, corpus)
        LOG.info("%s: %d voices", options.out_dir, copy_adults(corpus, folder))


if __name__ == "__main__":
    stage.run(main)
