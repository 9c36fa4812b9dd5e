"""Calls with one party per channel: the speech of each party, without cross-talk from the others.

Cross-talk is first subtracted, as far as it is a filtered copy of the other channel (least squares over frames in which
only the other party talks), at each lag at which it is heard (:mod:`ssdiar.speech.echo`). The residual is recognised
by its level: the other channel is active, and this one exceeds it by no more than while only the other party talks.

After speech detection each party is a recording of its own, a *side* (:mod:`ssdiar.timeline.sides`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ssdiar.speech.channels import FRAME
from ssdiar.speech.echo import Channel, Lag, find_lags, levels_of
from ssdiar.timeline.regions import drop_short, merge, pad

_TAPS = 0.012  # seconds that the filter of cross-talk is long; a third of it may come before the other channel's sound
_LEAD = 0.004
_ENOUGH = 0.5  # seconds with one party only, the minimum to learn the filter from
_PIECE, _MOST = 30.0, 2.0  # seconds of a piece of the recording that has its own filter, and those used, the maximum
_FLOORS = 0.1, 0.001  # power of the other channel that is added to the unexplained power, in the rounds of learning
_ROUNDS = 2  # of taking echoes out of the sources of echoes
_ACTIVE = 30.0  # dB below a channel's loud frames: frames above this have speech
_SINGLE = 6.0  # dB by which a channel exceeds the other while only its party talks
_FAINTEST, _AROUND = (
    50.0,
    0.3,
)  # dB below a channel's loud frames: no speech of its party is fainter all around; seconds
_ABOVE = 5.0  # dB above the residual cross-talk: speech above this is the party's own
_BELOW = -30.0  # dB relative to the other channel, each relative to its loud frames: speech below this never is
_OWN = -3.0  # dB relative to the other channel: speech above this always is
_LINGERS = 0.26  # seconds that cross-talk may last
_GAP, _SHORT, _PAD = 0.4, 0.1, 0.06  # seconds: pauses closed, regions dropped, regions widened
_BURST = 0.05  # seconds; a shorter burst is no speech but the rest of an echo


def without_crosstalk(channels: Sequence[np.ndarray], rate: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return each party's channel without the others' speech, as far as it can be subtracted, and its active regions.

    Args:
        channels: (n,) float32 each, of one recording.
        rate: Samples per second.

    Returns:
        cleaned: The channels, each without the cross-talk of the others.
        own: Regions (m, 2) in seconds that contain all speech of the channel's party.
    """
    heard = [Channel.of(samples, rate) for samples in channels]
    lags = [[find_lags(one, other, rate) if other is not one else [] for other in heard] for one in heard]
    # What a channel holds as an echo itself is no source of one. Each round leaves the echo's own echo.
    sources = heard
    for _ in range(_ROUNDS):
        sources = [
            Channel.of(_subtracted(one, sources, own, rate)[0], rate)
            if any(own) and any(row[number] for row in lags)
            else one
            for number, (one, own) in enumerate(zip(heard, lags, strict=True))
        ]
    cleaned, own = [], []
    for number, one in enumerate(heard):
        ways = [found or [Lag()] * (other is not one) for found, other in zip(lags[number], heard, strict=True)]
        rest, echoes = _subtracted(one, sources, ways, rate)
        cleaned.append(rest)
        own.append(_own_frames(levels_of(rest, rate), one.loud, echoes))
    seconds = len(channels[0]) / rate
    regions = [
        pad(drop_short(merge(drop_short(_regions(frames), _BURST), _GAP), _SHORT), _PAD, seconds) for frames in own
    ]
    return cleaned, regions


def _subtracted(
    channel: Channel, others: Sequence[Channel], lags: Sequence[Sequence[Lag]], rate: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray, float]]]:
    """Return a channel (n,) without the others as they are heard in it at some lags.

    Returns also, for each lag, the levels (F,) in dB of the other channel at it, the frames in which only its party
    talks, and by how many dB this channel is louder.
    """
    rest, echoes = channel.samples.copy(), []
    for other, found in zip(others, lags, strict=True):
        for lag in found:
            late = lag.of(other.samples, rate)
            levels = levels_of(late, rate)
            single = (levels > other.loud - _ACTIVE) & (levels > channel.levels + _SINGLE)
            echoes.append((levels, single, channel.loud - other.loud))
            _subtract(rest, late, single, rate)
    return rest, echoes


def _subtract(rest: np.ndarray, late: np.ndarray, single: np.ndarray, rate: int) -> None:
    """Subtract ``late``, filtered, from ``rest`` in place; the filter is learnt along the recording.

    Least squares over frames in which only the other party talks. A frame counts the less, the more of it the filter
    does not explain, so that the party's own voice in it counts little.
    """
    from scipy.signal import oaconvolve

    length, size, lead = max(1, round(FRAME * rate)), round(_TAPS * rate), round(_LEAD * rate)
    usable = np.flatnonzero(single)
    usable = usable[(usable * length > size) & ((usable + 1) * length + size < len(late))]
    taps = np.zeros(size)
    windows = np.lib.stride_tricks.sliding_window_view(late, size)[:, ::-1]
    bounds = np.linspace(0, len(single), 1 + max(1, round(len(single) * FRAME / _PIECE))).astype(int)
    for first, last in itertools.pairwise(bounds):
        frames = usable[(usable >= first) & (usable < last)]
        if len(frames) * FRAME > _MOST:
            frames = frames[np.linspace(0, len(frames) - 1, round(_MOST / FRAME)).astype(int)]
        if len(frames) * FRAME >= _ENOUGH:  # else the filter of the piece before serves
            samples = frames[:, None] * length + np.arange(length)
            rows = windows[samples.ravel() + lead - size + 1].astype(np.float64)
            heard, sound = rest[samples], np.square(late[samples]).mean(axis=1)
            for floor in _FLOORS:
                unexplained = np.square(heard - (rows @ taps).reshape(heard.shape)).mean(axis=1)
                weighted = rows / np.repeat(unexplained + floor * sound + 1e-12, length)[:, None]
                products = weighted.T @ rows
                products[np.diag_indices(size)] *= 1 + 1e-4
                taps = np.linalg.solve(products, weighted.T @ heard.ravel())
        start, end = first * length, len(rest) if last == bounds[-1] else last * length
        begin = start + lead - size + 1
        window = late[max(0, begin) : end + lead]
        window = np.pad(window, (max(0, -begin), max(0, end + lead - len(late))))
        rest[start:end] -= oaconvolve(window, taps.astype(np.float32), mode="valid")


def _own_frames(after: np.ndarray, loud: float, heard: Sequence[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """Return the frames in which the rest of a channel is its party and not cross-talk."""
    from scipy.ndimage import maximum_filter1d

    own = maximum_filter1d(after, 2 * round(_AROUND / FRAME) + 1) > loud - _FAINTEST
    for levels, single, louder in heard:
        if single.any():
            residual = float(np.median(after[single] - levels[single]))
            above = min(max(residual + _ABOVE, louder + _BELOW), _OWN)
            own &= after > _held(levels, round(_LINGERS / FRAME)) + above
    return own


def _held(levels: np.ndarray, frames: int) -> np.ndarray:
    """Return the maximum of every level and the ones just before it."""
    padded = np.concatenate([np.full(frames, -200.0), levels])
    return np.lib.stride_tricks.sliding_window_view(padded, frames + 1).max(axis=1)


def _regions(frames: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(frames, prepend=False, append=False)).reshape(-1, 2) * FRAME
