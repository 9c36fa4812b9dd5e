"""Audio in memory: samples as NumPy, PyTorch, SciPy, torchaudio and pyannote have them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.audio import MAX_RATE, MIN_RATE

#: The audio that :func:`ssdiar.diarize` takes.
EXPECTED = "a path, bytes, a binary file, (samples, rate), or {'waveform': samples, 'sample_rate': rate}"
_MOST_CHANNELS = 64


def samples_of(audio: Any) -> tuple[np.ndarray, int]:
    """Return (n, channels) float32 samples, full scale at 1, and their rate.

    Args:
        audio: (samples, rate) or ``{"waveform": samples, "sample_rate": rate}``. Samples are an array, a tensor or a
            list: (n,), (n, channels) or (channels, n); floating-point numbers from -1 to 1, or integers of 8, 16 or 32
            bits, which are scaled by their type.

    Raises:
        InputError: The audio is none of these, or has no samples, or some that are not finite.
    """
    if isinstance(audio, Mapping) and {"waveform", "sample_rate"} <= audio.keys():
        audio = audio["waveform"], audio["sample_rate"]
    if not isinstance(audio, tuple | list) or len(audio) != 2:
        raise InputError("bad audio", expected=EXPECTED, got=type(audio).__name__)
    samples, rate = audio
    if isinstance(samples, Real) and not isinstance(rate, Real):
        raise InputError("bad audio", expected="(samples, rate)", got="(rate, samples)")
    if hasattr(rate, "item"):
        rate = rate.item() if np.size(rate) == 1 else None
    if not isinstance(rate, Real) or not MIN_RATE <= rate <= MAX_RATE or rate != int(rate):
        raise InputError("bad rate", expected=f"a whole number of Hz from {MIN_RATE} to {MAX_RATE}", got=rate)
    return _floats(_by_channel(samples)), int(rate)


def _by_channel(samples: Any) -> np.ndarray:
    """Return samples as (n, channels) of their own type."""
    try:
        values = np.asarray(samples.detach().cpu() if hasattr(samples, "detach") else samples)
    except (ValueError, TypeError):  # lists of different lengths; types that NumPy lacks
        raise InputError("bad samples", expected="an array of numbers", got=type(samples).__name__) from None
    shape = "x".join(map(str, values.shape))
    if values.ndim not in (1, 2):
        raise InputError("bad samples", expected="shape (n,), (n, channels) or (channels, n)", got=shape or "a number")
    if not values.size:
        raise InputError("no samples", expected="audio", got=f"shape {shape}")
    values = values[:, None] if values.ndim == 1 else values.T if values.shape[0] < values.shape[1] else values
    if values.shape[1] > _MOST_CHANNELS:
        raise InputError("bad samples", expected=f"at most {_MOST_CHANNELS} channels", got=f"shape {shape}")
    return values


def _floats(values: np.ndarray) -> np.ndarray:
    """Return samples of any type as float32 with full scale at 1."""
    kind, bits = values.dtype.kind, 8 * values.dtype.itemsize
    if kind in "iu" and bits <= 32:
        middle = 2.0 ** (bits - 1)
        return ((values - (middle if kind == "u" else 0.0)) / middle).astype(np.float32)
    if kind != "f":
        expected = "floating-point numbers from -1 to 1, or integers of 8, 16 or 32 bits"
        raise InputError("bad samples", expected=expected, got=str(values.dtype))
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values).all(axis=1)))
        raise InputError(f"sample {first} is not a finite number")
    return values.astype(np.float32)
