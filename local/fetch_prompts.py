#!/usr/bin/env python3
"""Fetch eight real voices: prompts recorded for telephone exchanges, out of Debian's packages, without installing them.

<out-voices-dir> gets one folder per voice, of headerless GSM 06.10 files. allison_en and allison_es are one person in
two languages: never put them in one call. Prompts are free to use: CC BY-SA 3.0 (allison, june, carlo, paola), CC BY
3.0 (ivrvoice), GPL 2 (july), BSD-like (armelle); the packages' copyright files say more.

Needs apt-get and dpkg-deb, no root: where the machine has no package lists, private ones are fetched. Nothing of a
package but its .gsm files is written, and those under names made here. Beeps, tones and silence are left out.
<out-voices-dir> is left alone if it exists.
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

from ssdiar.errors import InputError

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
# Files of the packages that are no speech of the voice: signals, silence, and the shrieking monkeys of Asterisk's demo.
NO_SPEECH = re.compile(
    r"(beep|beeperr|ascending-2tone|descending-2tone|confbridge-(join|leave)|tt-monkeys|silence/.*)\.gsm"
)
_LARGEST_FILE = 10 << 20


def download(folder: Path) -> None:
    """Let apt put the packages into ``folder``.

    Raises:
        InputError: apt is missing or cannot get them.
    """
    missing = [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
    if missing:
        raise InputError(f"cannot fetch the voices: {' and '.join(missing)} not found")
    apt = ["apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    failure = _run([*apt, "download", *VOICES], folder)
    if failure:
        LOG.info("apt-get finds no such packages in this machine's lists; fetching new lists")
        lists = folder / "apt"
        (lists / "lists" / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={lists}/lists", "-o", f"Dir::Cache={lists}"]
        failure = _run([*apt, *own, "update"], folder) or _run([*apt, *own, "download", *VOICES], folder)
    if failure:
        raise InputError("apt-get cannot fetch the voices", got=failure)


def _run(command: list[str], folder: Path) -> str | None:
    """Run a command in a folder; return None, or its first error if it failed."""
    environment = dict(os.environ, LC_ALL="C")
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return next((line for line in lines if line.startswith("E:")), lines[-1])


def unpack(package: Path, folder: Path) -> int:
    """Write the prompts of a .deb file into ``folder``, as ``<part>_<part>.gsm``; return how many.

    Links and anything outside of Asterisk's folder of sounds are passed over, so no path of the archive is ever used.

    Raises:
        InputError: The package is damaged or holds no prompts.
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
                    if not is_prompt or not 0 < member.size < _LARGEST_FILE or NO_SPEECH.fullmatch("/".join(parts)):
                        continue
                    name = re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join(parts))
                    (folder / name.lstrip(".")).write_bytes(archive.extractfile(member).read())
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
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=out_dir.parent) as scratch:
        download(Path(scratch))
        new = Path(scratch, "new")
        new.mkdir()
        for package, voice in VOICES.items():
            archives = list(Path(scratch).glob(f"{package}_*.deb"))
            if len(archives) != 1:
                raise InputError(f"apt-get did not download {package}", expected="one file", got=f"{len(archives)}")
            LOG.info("%s: %d prompts of %s", voice, unpack(archives[0], new / voice), archives[0].stem)
        os.rename(new, out_dir)


if __name__ == "__main__":
    stage.run(main)
