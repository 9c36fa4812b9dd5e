"""Self-supervised speaker diarization of telephone calls: the library behind the recipe's stages, and :func:`diarize`.

Importing this package, or any module of it, loads nothing slower than NumPy; modules that need SciPy, torch or
TensorFlow say so in their first lines and are imported by the stages that use them.
"""

from typing import Any

__version__ = "0.2.0"
__all__ = ["Diarization", "InputError", "diarize"]


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is asked for."""
    if name == "InputError":
        from ssdiar.errors import InputError

        return InputError
    if name in __all__:
        from ssdiar import diarization

        return getattr(diarization, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
