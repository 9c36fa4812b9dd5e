"""Calls with one party per channel: the speech of each party, without cross-talk from the others.

Cross-talk is first subtracted, as far as it is a filtered copy of the other channel (least squares over frames in which
only the other party talks). The residual is recognised by its level: the other channel is active, and this one exceeds
it by no more than it does while only the other party talks.

After speech detection each party is a recording of its own, a *side* (:mod:`ssdiar.timeline.sides`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssdiar.speech.channels import FRAME
from ssdiar.timeline.regions import drop_short, merge, pad

_TAPS = 0.012  # seconds that the filter of cross-talk is long; a third of it may come before the other channel's sound
_LEAD = 0.004
_ENOUGH = 0.5  # seconds with one party only, the minimum to learn the filter from
_MOST = 60.0  # seconds, the maximum
_ACTIVE = 30.0  # dB below a channel's loud frames: frames above this have speech
_SINGLE = 6.0  # dB by which a channel exceeds the other while only its party talks
_ABOVE = 5.0  # dB above the residual cross-talk: speech above this is the party's own
_OWN = -3.0  # dB relative to the other channel: speech above this always is
_ECHO = 0.26  # seconds that cross-talk may come late
_GAP, _SHORT, _PAD = 0.4, 0.1, 0.06  # seconds: pauses closed, regions dropped, regions widened


def without_crosstalk(channels: Sequence[np.ndarray], rate: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return each party's channel without the others' speech, as far as it can be subtracted, and its active regions.

    Args:
        channels: (n,) float32 each, of one recording.
        rate: Samples per second.

    Returns:
        cleaned: The channels, each without the cross-talk of the others.
        own: Regions (m, 2) in seconds that contain all speech of the channel's party.
    """
    before = np.stack([_decibels(channel, rate) for channel in channels])
    loud = np.percentile(before, 99.5, axis=1)
    active = before > loud[:, None] - _ACTIVE
    cleaned = []
    for number, channel in enumerate(channels):
        rest = channel.copy()
        for other in range(len(channels)):
            if other != number:
                single = active[other] & (before[other] > before[number] + _SINGLE)
                if (taps := _filter(channel, channels[other], single, rate)) is not None:
                    _subtract(rest, channels[other], taps, rate)
        cleaned.append(rest)
    after = np.stack([_decibels(channel, rate) for channel in cleaned])
    own = [_own_frames(number, after, before, active) for number in range(len(channels))]
    seconds = len(channels[0]) / rate
    regions = [pad(drop_short(merge(_regions(frames), _GAP), _SHORT), _PAD, seconds) for frames in own]
    return cleaned, regions


def _decibels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the level of every frame of :data:`FRAME` seconds."""
    length = max(1, round(FRAME * rate))
    whole = len(samples) // length
    power = samples[: whole * length].reshape(whole, length).astype(np.float64).var(axis=1)
    return 10 * np.log10(power + 1e-12)


def _filter(channel: np.ndarray, other: np.ndarray, single: np.ndarray, rate: int) -> np.ndarray | None:
    """Return the filter from ``other`` to ``channel``, as taps that begin :data:`_LEAD` early; None if unknown."""
    length, size, lead = max(1, round(FRAME * rate)), round(_TAPS * rate), round(_LEAD * rate)
    frames = np.flatnonzero(single)
    frames = frames[(frames * length > size) & ((frames + 1) * length + size < len(other))]
    if len(frames) * FRAME < _ENOUGH:
        return None
    if len(frames) * FRAME > _MOST:
        frames = frames[np.linspace(0, len(frames) - 1, round(_MOST / FRAME)).astype(int)]
    products, wanted = np.zeros((size, size)), np.zeros(size)
    for frame in frames:
        start = frame * length + lead - size + 1
        window = other[start : start + length + size - 1].astype(np.float64)
        rows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(window, size)[:, ::-1])  # BLAS wants it so
        products += rows.T @ rows
        wanted += rows.T @ channel[frame * length : (frame + 1) * length]
    products[np.diag_indices(size)] += 1e-4 * np.trace(products) / size + 1e-9
    return np.linalg.solve(products, wanted)


def _subtract(rest: np.ndarray, other: np.ndarray, taps: np.ndarray, rate: int) -> None:
    """Subtract ``other``, filtered, from ``rest``, in place and in blocks."""
    from scipy.signal import oaconvolve

    lead, block = round(_LEAD * rate), 1 << 18
    taps = taps.astype(np.float32)
    for start in range(0, len(rest), block):
        end = min(start + block, len(rest))
        first = start + lead - len(taps) + 1
        window = other[max(0, first) : end + lead]
        window = np.pad(window, (max(0, -first), max(0, end + lead - len(other))))
        rest[start:end] -= oaconvolve(window, taps, mode="valid")


def _own_frames(number: int, after: np.ndarray, before: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return the frames in which the rest of a channel is its party and not cross-talk."""
    own = np.ones(after.shape[1], bool)
    late = round(_ECHO / FRAME)
    for other in range(len(after)):
        if other == number:
            continue
        level = _held(before[other], late)
        single = active[other] & (before[other] > before[number] + _SINGLE)
        if single.any():
            residual = float(np.median(after[number, single] - before[other, single]))
            own &= after[number] > level + min(residual + _ABOVE, _OWN)
    return own


def _held(levels: np.ndarray, frames: int) -> np.ndarray:
    """Return the maximum of every level and the ones just before it."""
    padded = np.concatenate([np.full(frames, -200.0), levels])
    return np.lib.stride_tricks.sliding_window_view(padded, frames + 1).max(axis=1)


def _regions(frames: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(frames, prepend=False, append=False)).reshape(-1, 2) * FRAME
