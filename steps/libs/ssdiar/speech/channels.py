"""The use of a recording's channels: mix them, take one, or one party per channel.

Levels decide: the power of each channel in frames of 20 ms. If the parties of a call have a channel each, as in call
centres, hardly any frame has both at the same distance from their usual levels, even with leakage. In a room both
channels record all speakers. If one channel is a later copy of another, their levels are alike at some lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

FRAME = 0.02  # seconds

_SILENT = -75.0  # dB of full scale; a channel that never gets louder holds nothing
_STEADY = 8.0  # dB between a channel's loud and quiet frames; speech has 20 and more, line noise 2
_SAME = 0.98  # correlation of channels that are copies of each other
_CANCELS = -0.5  # correlation from which on the mix is 6 dB and more below its channels
_ACTIVE = 25.0  # dB below its usual level down to which a channel counts as active
_APART = 6.0  # dB between the loudest channel and the next where only one party talks
_PARTIES = 0.7  # share of the active frames that must be so
_PARTY_SHARE = 0.02  # share of them that each party must have
_SHORTEST = 5.0  # seconds of activity, the minimum to recognise parties
_FAINT = 20.0  # dB between the levels of two channels that is worth a warning
_MOST = 8  # channels that can be parties
# A copy has levels that correlate in every half minute; parties' levels do not, even if one party hardly talks and its
# channel holds little but the echo of the other.
_COPY, _PIECE = 0.85, 30.0  # correlation, seconds
_NEAREST, _FARTHEST = 2, 100  # frames by which a copy is late; the mix takes an earlier one
_EQUAL = 3.0  # dB between the levels of copies of the same quality


class Levels:
    """Power of the channels by frame, and their correlation; accumulated from blocks of samples."""

    def __init__(self) -> None:
        self._rest: np.ndarray | None = None
        self._power: list[np.ndarray] = []
        self._products: np.ndarray | float = 0.0
        self._sums: np.ndarray | float = 0.0
        self._count = 0

    def add(self, block: np.ndarray, rate: int) -> None:
        """Add a block of (n, channels) samples."""
        block = np.nan_to_num(block.astype(np.float64))
        self._count += len(block)
        self._products = self._products + block.T @ block
        self._sums = self._sums + block.sum(axis=0)
        if self._rest is not None:
            block = np.concatenate([self._rest, block])
        length = max(1, round(FRAME * rate))
        whole = len(block) // length
        frames = block[: whole * length].reshape(whole, length, block.shape[1])
        self._power.append(frames.var(axis=1).astype(np.float32))
        self._rest = block[whole * length :]

    def decibels(self) -> np.ndarray:
        """Return (frames, channels) levels in dB of full scale."""
        power = np.concatenate(self._power) if self._power else np.empty((0, 1))
        return 10 * np.log10(power + 1e-12)

    def correlation(self) -> np.ndarray:
        """Return (channels, channels) correlation coefficients of the samples; 0 for a channel without any signal."""
        mean = self._sums / max(1, self._count)
        covariance = self._products / max(1, self._count) - np.outer(mean, mean)
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-20))
        return covariance / np.outer(scale, scale)


@dataclass(frozen=True)
class Use:
    """The use of the channels of a recording.

    Attributes:
        channel: The only one that is used, from 1; None: more than one.
        parties: Channels, from 1, that hold a party each; empty: they are mixed (or ``channel`` is used).
        remark: The reason, if there is one to report.
        odd: Whether the remark is a warning.
    """

    channel: int | None = None
    parties: tuple[int, ...] = ()
    remark: str = ""
    odd: bool = False

    def in_words(self, channels: int) -> str:
        """Return the use of this many channels in words."""
        if channels == 1:
            return "mono"
        if self.parties:
            return "one party per channel"
        return "mixed" if self.channel is None else f"channel {self.channel}"


def use_of_channels(levels: Levels, asked: str | int = "auto") -> Use:
    """Return the use of a recording's channels; oddities are reported whatever is asked for.

    Args:
        levels: The recording's levels.
        asked: ``auto``: see :func:`judge`; ``parties``: one party per channel; ``mix``; or the number of the only
            channel to use, from 1.
    """
    channels = levels.decibels().shape[1]
    if channels == 1:
        return Use()
    best = judge(levels)
    if asked == "auto":
        return best
    if asked == "parties":
        return Use(None, tuple(range(1, channels + 1)), best.remark if best.odd else "", best.odd)
    if asked == "mix":
        odd = best.odd or bool(best.parties)
        remark = best.remark or ("it seems to have one party per channel" if best.parties else "")
        return Use(None, (), remark.replace("is the only one used", "is the best"), odd)
    return Use(int(asked))


def judge(levels: Levels) -> Use:
    """Return the best use of a recording's channels."""
    decibels = levels.decibels()
    if decibels.shape[1] == 1 or not len(decibels):
        return Use()
    loud, quiet = np.percentile(decibels, 99.5, axis=0), np.percentile(decibels, 10, axis=0)
    dead = {number: why for number in range(len(loud)) if (why := _holds_nothing(loud, quiet, number))}
    dead |= _copies(decibels - loud, loud, [number for number in range(len(loud)) if number not in dead])
    live = [number for number in range(len(loud)) if number not in dead]
    names = " and ".join(f"channel {number + 1} {why}" for number, why in dead.items())
    if not live:
        return Use(remark=f"{names}: no channel seems to hold speech; they are mixed", odd=True)
    if len(live) == 1:
        return Use(live[0] + 1, remark=f"{names}; channel {live[0] + 1} is the only one used", odd=True)
    if parties := _parties(decibels[:, live], loud[live]):
        found = tuple(live[number] + 1 for number in parties)
        return Use(None, found, "; ".join(filter(None, [names, _faint(loud, live)])), bool(dead))
    return _mix(levels.correlation(), loud, live, names)


def _holds_nothing(loud: np.ndarray, quiet: np.ndarray, number: int) -> str:
    if loud[number] < _SILENT:
        return "is silent"
    varies = loud - quiet
    if varies[number] < _STEADY and varies.max() > 2 * _STEADY:
        return "holds nothing but steady noise"
    return ""


def _copies(near: np.ndarray, loud: np.ndarray, live: list[int]) -> dict[int, str]:
    """Return the channels that are late copies of others, or have a late copy that is louder, and why."""
    found: dict[int, str] = {}
    for one, other in combinations(live if len(live) <= _MOST else [], 2):
        if found.keys() & {one, other} or not (late := _lateness(near[:, one], near[:, other])):
            continue
        is_other = late > 0 if abs(loud[one] - loud[other]) < _EQUAL else loud[one] > loud[other]
        copy, of, late = (other, one, late) if is_other else (one, other, -late)
        when = f"{abs(late):.2f} s {'later' if late > 0 else 'earlier'}"
        found[copy] = f"is a copy of channel {of + 1}, {when}"
    return found


def _lateness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the seconds by which one channel's levels come later in the other; 0 unless it is a copy."""
    lags = []
    pieces = max(1, round(len(one) * FRAME / _PIECE))
    for piece in zip(np.array_split(one, pieces), np.array_split(other, pieces), strict=True):
        a, b = (levels - levels.mean() for levels in np.maximum(piece, -_ACTIVE))
        scales = a.std(), b.std()
        if max(scales) < _STEADY / 2:  # no one talks
            continue
        size = len(a) + _FARTHEST
        products = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
        products = np.roll(products, _FARTHEST)[: 2 * _FARTHEST + 1]
        lags.append(int(products.argmax()) - _FARTHEST)
        if products.max() < _COPY * len(a) * max(scales[0] * scales[1], 1e-9):
            return 0.0
    lag = float(np.median(lags)) if lags and len(one) > 2 * _FARTHEST else 0.0
    return lag * FRAME if abs(lag) >= _NEAREST else 0.0


def _parties(decibels: np.ndarray, loud: np.ndarray) -> list[int]:
    """Return the channels if each holds a party; else none."""
    if decibels.shape[1] > _MOST:
        return []
    near = decibels - loud  # 0 is as loud as this channel gets
    active = near.max(axis=1) > -_ACTIVE
    if active.sum() * FRAME < _SHORTEST:
        return []
    near = np.maximum(near[active], -2 * _ACTIVE)
    ordered = np.sort(near, axis=1)
    single = ordered[:, -1] - ordered[:, -2] > _APART
    shares = np.array([(single & (near.argmax(axis=1) == number)).mean() for number in range(near.shape[1])])
    return list(range(near.shape[1])) if shares.sum() > _PARTIES and shares.min() > _PARTY_SHARE else []


def _mix(correlation: np.ndarray, loud: np.ndarray, live: list[int], names: str) -> Use:
    among = correlation[np.ix_(live, live)]
    loudest = int(live[int(np.argmax(loud[live]))])
    if among.min() < _CANCELS:
        why = f"the mix of its channels cancels (correlation {among.min():.2f})"
        return Use(loudest + 1, remark=f"{why}; channel {loudest + 1} is the only one used", odd=True)
    if names:
        # A mix of all would add the noise of a channel without speech.
        return Use(loudest + 1, remark=f"{names}; channel {loudest + 1} is the only one used", odd=True)
    if among.min() > _SAME:
        return Use(remark="its channels are the same")
    faint = _faint(loud, live)
    return Use(remark=faint, odd=bool(faint))


def _faint(loud: np.ndarray, live: list[int]) -> str:
    top = live[int(np.argmax(loud[live]))]
    faint = [f"channel {n + 1} is {loud[top] - loud[n]:.0f} dB below channel {top + 1}" for n in live]
    return ", ".join(text for text, n in zip(faint, live, strict=True) if loud[top] - loud[n] >= _FAINT)
