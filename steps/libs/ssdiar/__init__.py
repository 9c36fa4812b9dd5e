"""Self-supervised speaker diarization of telephone calls: the library behind the recipe's stages, and :func:`diarize`.

Importing this package, or any module of it, loads nothing slower than NumPy; modules that need SciPy, torch or
TensorFlow import them when they run.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ssdiar.base import __version__

if TYPE_CHECKING:
    from ssdiar.base.errors import InputError
    from ssdiar.diarization import Diarization, Diarizer, diarize

__all__ = ["Diarization", "Diarizer", "InputError", "__version__", "diarize"]


def __getattr__(name: str) -> Any:
    """Import a member of the package on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("ssdiar.diarization"), name)
