"""Where one channel of a call is heard in another: at once, late (an echo of the line), or on another clock.

The lag of each window comes from the cross-correlation of the channels, whitened (GCC-PHAT, Knapp & Carter 1976), over
the frames that may be echo. Lags of one echo lie on a line over time, whose slope is the difference of the clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssdiar.speech.channels import FRAME

_WINDOW, _STEP = 4.0, 2.0  # seconds
_EARLY, _LATE = 0.4, 1.0  # seconds by which an echo may come before (on another clock) and after the sound
_LOW, _HIGH = 200.0, 3600.0  # Hz
_RATE = 8000  # Hz of the correlation; lags are finer
_SURE = 12.0  # standard deviations by which the peak of a window exceeds chance; that of an echo has 20 to 100
_MOST = 3  # lags of one channel in another
_APART = 0.012  # seconds between them
_WINDOWS = 3  # the minimum on one line
_NEAR = 0.001  # seconds from the line
_STEADY = 0.0001  # seconds of growth in a recording that are no other clock
_CLOCKS = 120e-6  # relative difference of two clocks, the maximum
_ORDER = 5  # of the spline between samples
_BELOW = 6.0  # dB by which an echo is below the sound, each relative to its channel


@dataclass(frozen=True)
class Lag:
    """The lag of an echo: seconds at the beginning, and seconds per second that it grows by."""

    start: float = 0.0
    slope: float = 0.0

    def of(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return (n,) float32 samples as late as their echo."""
        from scipy.ndimage import map_coordinates, spline_filter1d

        if not self.slope:  # the filter of cross-talk takes the rest of a sample
            first = round(self.start * rate)
            return np.pad(samples, (max(0, first), max(0, -first)))[max(0, -first) :][: len(samples)]
        late, size = np.empty_like(samples), 1 << 18
        smooth = spline_filter1d(samples, _ORDER, output=np.float32)
        for first in range(0, len(samples), size):
            times = np.arange(first, min(first + size, len(samples)))
            places = times - self.start * rate - self.slope * times
            late[times] = map_coordinates(smooth, [places], np.float32, _ORDER, "constant", prefilter=False)
        return late


@dataclass(frozen=True)
class Channel:
    """Samples (n,) float32 of a channel, the levels (F,) of its frames in dB, and the level of its loud frames."""

    samples: np.ndarray
    levels: np.ndarray
    loud: float

    @classmethod
    def of(cls, samples: np.ndarray, rate: int) -> Channel:
        """Return the channel with these samples."""
        levels = levels_of(samples, rate)
        return cls(samples, levels, float(np.percentile(levels, 99.5)))

    def own(self, other: Channel, rate: int) -> np.ndarray:
        """Return which samples, to the last whole frame, are too loud for an echo of what ``other`` has around them."""
        reach = [round(seconds / FRAME) for seconds in (_LATE, _EARLY)]
        near = np.pad(other.levels - other.loud, reach, constant_values=-200.0)
        loudest = np.lib.stride_tricks.sliding_window_view(near, sum(reach) + 1).max(axis=1)
        return np.repeat(self.levels - self.loud >= loudest - _BELOW, max(1, round(FRAME * rate)))


def levels_of(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the level in dB of every frame of :data:`FRAME` seconds."""
    length = max(1, round(FRAME * rate))
    whole = len(samples) // length
    power = samples[: whole * length].reshape(whole, length).astype(np.float64).var(axis=1)
    return 10 * np.log10(power + 1e-12)


def find_lags(channel: Channel, other: Channel, rate: int) -> list[Lag]:
    """Return the lags at which a channel holds an echo of another one, those of most windows first."""
    own, others = channel.own(other, rate), other.own(channel, rate)
    echo, sound = channel.samples[: len(own)] * ~own, other.samples[: len(others)] * others
    (times, lags), lines = _windows(echo, sound, rate), []
    while len(lines) < _MOST and (line := _line(times, lags)) is not None:
        apart = np.abs(lags - line.start - line.slope * times) > _APART
        times, lags = times[apart], lags[apart]
        growth = line.slope * len(echo) / rate
        if abs(growth) > _STEADY:  # without the clock's blur the second estimate is finer
            more = _line(*_windows(echo, line.of(sound, rate), rate), _NEAR) or Lag()
            lines.append(Lag(line.start + more.start, line.slope + more.slope))
        else:
            lines.append(Lag(line.start + growth / 2))
    return lines


def _windows(echo: np.ndarray, sound: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the times (P,) of windows in which there is an echo, and its lags (P,), in seconds."""
    times, lags, size = [], [], round(_WINDOW * rate)
    for first in range(0, len(echo) - size + 1, round(_STEP * rate)):
        found = _peaks(echo[first : first + size], sound[first : first + size], rate)
        times += [first / rate + _WINDOW / 2] * len(found)
        lags += found
    return np.array(times), np.array(lags)


def _peaks(channel: np.ndarray, other: np.ndarray, rate: int) -> list[float]:
    """Return the lags in seconds at which the whitened cross-correlation has peaks that are no chance."""
    spectrum = np.zeros(round(_WINDOW * _RATE) // 2 + 1, complex)
    band = slice(round(_LOW * _WINDOW), round(min(_HIGH, 0.45 * rate) * _WINDOW))
    product = np.fft.rfft(channel)[band] * np.conj(np.fft.rfft(other)[band])
    spectrum[band] = product / np.maximum(np.abs(product), 1e-12)
    found = np.fft.irfft(spectrum)
    found = np.concatenate([found[-round(_EARLY * _RATE) :], found[: round(_LATE * _RATE)]])
    lowest, width, peaks = _SURE * found.std(), round(_APART * _RATE), []
    while len(peaks) < _MOST and found.max() > max(lowest, 1e-9):
        at = int(np.clip(found.argmax(), 1, len(found) - 2))
        before, peak, after = found[at - 1 : at + 2]
        curve = 2 * peak - before - after
        peaks.append((at + (0.5 * (after - before) / curve if curve > 0 else 0.0)) / _RATE - _EARLY)
        found[max(0, at - width) : at + width] = 0.0
    return peaks


def _line(times: np.ndarray, lags: np.ndarray, farthest: float = _LATE) -> Lag | None:
    """Return the line on which most lags lie; of equal ones that with the smallest slope."""
    times, lags = times[np.abs(lags) <= farthest], lags[np.abs(lags) <= farthest]
    if len(times) < _WINDOWS:
        return None
    step = _NEAR / times.max()
    best = np.zeros(len(times), bool)
    for slope in sorted(np.arange(-_CLOCKS, _CLOCKS + step, step), key=abs):
        starts = lags - slope * times
        ordered = np.sort(starts)
        counts = np.searchsorted(ordered, ordered + 2 * _NEAR, side="right") - np.arange(len(ordered))
        if counts.max() > best.sum():
            first = ordered[counts.argmax()]
            best = (starts >= first) & (starts <= first + 2 * _NEAR)
    if best.sum() < _WINDOWS:
        return None
    slope, start = np.polyfit(times[best], lags[best], 1)
    return Lag(float(start), float(slope))
