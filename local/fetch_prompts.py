#!/usr/bin/env python3
"""Fetch eight real voices: prompts recorded for telephone exchanges, from Debian's packages, which are not installed.

<out-voices-dir> gets one folder of headerless GSM 06.10 files per voice. allison_en and allison_es are one person in
two languages: never put them in one call. Prompts are free to use: CC BY-SA 3.0 (allison, june, carlo, paola), CC BY
3.0 (ivrvoice), GPL 2 (july), BSD-like (armelle); the packages' copyright files have the details.

Needs apt-get and dpkg-deb, but no root; if the machine has no package lists, private ones are fetched. Only .gsm files
are written, under names made here. Beeps, tones and silence are left out. An existing <out-voices-dir> is kept.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_folder

LOG = logging.getLogger(__name__)

VOICES = {
    "asterisk-core-sounds-en-gsm": "allison_en",
    "asterisk-core-sounds-es-gsm": "allison_es",
    "asterisk-core-sounds-fr-gsm": "june_fr",
    "asterisk-core-sounds-it-gsm": "carlo_it",
    "asterisk-core-sounds-ru-gsm": "ivrvoice_ru",
    "asterisk-prompt-es-co": "july_es",
    "asterisk-prompt-fr-armelle": "armelle_fr",
    "asterisk-prompt-it-menardi-gsm": "paola_it",
}
# Files that are not speech of the voice: signals, silence, and the shrieking monkeys of Asterisk's demo.
NO_SPEECH = re.compile(
    r"(beep|beeperr|ascending-2tone|descending-2tone|confbridge-(join|leave)|tt-monkeys|silence/.*)\.gsm"
)
_MAX_BYTES = 10 << 20


def download(folder: Path) -> None:
    """Download the packages into ``folder`` with apt; raise InputError if apt is missing or fails."""
    missing = [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
    if missing:
        raise InputError(f"cannot fetch the voices: {' and '.join(missing)} not found")
    apt = ["apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    failure = _run([*apt, "download", *VOICES], folder)
    if failure:
        LOG.info("apt-get finds no such packages in this machine's lists; fetching new lists")
        lists = folder / "apt"
        (lists / "lists" / "partial").mkdir(parents=True)
        apt += ["-o", f"Dir::State::lists={lists}/lists", "-o", f"Dir::Cache={lists}"]
        failure = _run([*apt, "update"], folder) or _run([*apt, "download", *VOICES], folder)
    if failure:
        raise InputError("apt-get cannot fetch the voices", got=failure)


def _run(command: list[str], folder: Path) -> str | None:
    """Run a command in a folder; return None, or its first error if it failed."""
    options = {"capture_output": True, "text": True, "errors": "replace", "env": dict(os.environ, LC_ALL="C")}
    result = subprocess.run(command, cwd=folder, check=False, **options)
    lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return next((line for line in lines if line.startswith("E:")), lines[-1]) if result.returncode else None


def unpack(package: Path, folder: Path) -> int:
    """Write the prompts of a .deb file into ``folder``, as ``<part>_<part>.gsm``; return their number.

    Links and files outside of Asterisk's folder of sounds are skipped, and no path of the archive is used.

    Raises:
        InputError: The package is damaged or has no prompts.
    """
    folder.mkdir()
    count = 0
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacker:
        try:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
                for member in archive:
                    parts = PurePosixPath(member.name).parts
                    parts = parts[parts.index("sounds") + 2 :] if "sounds" in parts else ()
                    is_prompt = member.isfile() and bool(parts) and parts[-1].endswith(".gsm")
                    if is_prompt and 0 < member.size < _MAX_BYTES and not NO_SPEECH.fullmatch("/".join(parts)):
                        name = re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join(parts)).lstrip(".")
                        (folder / name).write_bytes(archive.extractfile(member).read())
                        count += 1
        except tarfile.TarError as error:
            raise InputError(f"damaged package ({error})", path=package.name) from None
    if unpacker.returncode or not count:
        raise InputError("damaged package, or no prompts in it", path=package.name)
    return count


def main() -> None:
    """Fetch, unpack, publish."""
    parser = stage.Parser(__doc__)
    parser.add_argument("out_dir", metavar="<out-voices-dir>", type=Path)
    out_dir = parser.parse_args().out_dir
    if out_dir.exists():
        LOG.info("%s is there already", out_dir)
        return
    with publish_folder(out_dir) as folder, tempfile.TemporaryDirectory() as scratch:
        download(Path(scratch))
        for package, voice in VOICES.items():
            archives = list(Path(scratch).glob(f"{package}_*.deb"))
            if len(archives) != 1:
                raise InputError(f"apt-get did not download {package}", expected="one file", got=f"{len(archives)}")
            LOG.info("%s: %d prompts of %s", voice, unpack(archives[0], folder / voice), archives[0].stem)


if __name__ == "__main__":
    stage.run(main)
