"""Telephone lines: band, tilt, level, noise and codec of each, and how the lines of a call are recorded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulation.voices import RATE, SPEECH_LEVEL_DB

# libsndfile's names of the telephone network's codecs: G.711 and GSM 06.10 full rate.
CODECS = {"mulaw": "ULAW", "alaw": "ALAW", "gsm": "GSM610", "none": None}
_TAPS = 401


@dataclass(frozen=True)
class Channel:
    """Telephone lines and their recording. The properties of each line are drawn uniformly from these ranges."""

    lines: int = 2  # if there are more parties, they share lines, like a family
    # None: the lines are added up. A share: each is a channel, with this share of the other lines' amplitudes in it.
    leakage: float | None = None
    band: tuple[float, float] = (300.0, 3400.0)  # Hz that a line passes (telephone band of ITU-T G.712)
    gain: float = 5.0  # speech on a line is at -26 dB of full scale, plus or minus at most this many dB
    tilt: float = 2.0  # the spectrum of a line rises or falls by at most this many dB per octave, about 1 kHz
    snr: tuple[float, float] = (18.0, 32.0)  # dB of a line's noise below its speech
    codec: str = "mulaw"  # a key of CODECS
    party_gain: float = 3.0  # parties who share a line differ from its level by at most this many dB

    def transmit(self, lines: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return the recording of signals (n,) at 8 kHz, one per line: (n,) float32, or (n, lines) with ``leakage``."""
        received = [self._one_line(line, rng) for line in lines]
        total = np.sum(received, axis=0, dtype=np.float32)
        if self.leakage is None:
            return total
        return np.stack([line + np.float32(self.leakage) * (total - line) for line in received], axis=1)

    def _one_line(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        gain, tilt = rng.uniform(-self.gain, self.gain), rng.uniform(-self.tilt, self.tilt)
        ratio = rng.uniform(*self.snr)
        taps = _line_filter(self.band, tilt)
        speech = _filtered(signal, taps)
        spoken = signal != 0
        level = SPEECH_LEVEL_DB + gain
        if spoken.any():
            speech *= 10 ** (level / 20) / np.sqrt(np.mean(np.square(speech[spoken])) + 1e-12)
        noise = _filtered(rng.standard_normal(len(signal)), taps)
        noise *= 10 ** ((level - ratio) / 20) / np.sqrt(np.mean(np.square(noise)) + 1e-12)
        return through_codec(speech + noise, self.codec)


def through_codec(signal: np.ndarray, codec: str) -> np.ndarray:
    """Return a signal (n,) at 8 kHz, clipped to full scale and coded by one of :data:`CODECS`, without delay."""
    import soundfile

    clipped = np.clip(signal, -1.0, 1.0 - 2.0**-15).astype(np.float32)
    subtype = CODECS[codec]
    if subtype is None:
        return clipped
    coded = io.BytesIO()
    soundfile.write(coded, clipped, RATE, format="RAW", subtype=subtype)
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="float32", format="RAW", subtype=subtype, samplerate=RATE, channels=1)
    return np.pad(decoded, (0, max(0, len(signal) - len(decoded))))[: len(signal)]


def _line_filter(band: tuple[float, float], tilt: float) -> np.ndarray:
    """Return a linear-phase FIR filter that passes ``band`` with ``tilt`` dB per octave, 0 dB at 1 kHz."""
    from scipy.signal import firwin2

    low, high = band
    inside = np.geomspace(low, high, 64)
    gains = 10 ** (tilt * np.log2(inside / 1000) / 20)
    stop = min(high * 1.08, (high + RATE / 2) / 2)
    return firwin2(_TAPS, [0.0, low * 0.6, *inside, stop, RATE / 2], [0.0, 0.0, *gains, 0.0, 0.0], fs=RATE)


def _filtered(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Filter without delay or change of length."""
    from scipy.signal import oaconvolve

    half = len(taps) // 2
    return oaconvolve(signal, taps)[half : half + len(signal)]
