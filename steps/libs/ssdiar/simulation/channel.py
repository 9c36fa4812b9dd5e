"""The telephone lines of a call: each one's band, tilt, level, noise and codec; and how they are recorded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssdiar.simulation.voices import RATE, SPEECH_LEVEL_DB

# How libsndfile calls the codecs of the telephone network: G.711 and GSM 06.10 full rate.
CODECS = {"mulaw": "ULAW", "alaw": "ALAW", "gsm": "GSM610", "none": None}
_TAPS = 401


@dataclass(frozen=True)
class Channel:
    """Ranges that a call's lines are drawn from, uniformly and for each line apart.

    Attributes:
        band: Lowest and highest frequency passed, Hz (ITU-T G.712 telephone band).
        gain: The speech of a line is at -26 dB of full scale, plus or minus at most this many dB.
        tilt: The spectrum of a line rises or falls by at most this many dB per octave, about 1 kHz.
        snr: Least and most dB by which the noise of a line is below its speech.
        codec: A key of :data:`CODECS`.
        party_gain: Each of several parties on one line is louder or softer by at most this many dB.
    """

    band: tuple[float, float] = (300.0, 3400.0)
    gain: float = 5.0
    tilt: float = 2.0
    snr: tuple[float, float] = (18.0, 32.0)
    codec: str = "mulaw"
    party_gain: float = 3.0

    def transmit(self, lines: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        """Return each line as heard where they meet, (n,) float32 at 8 kHz.

        Args:
            lines: One signal (n,) at 8 kHz per line, zero where nobody speaks.
            rng: Source of the lines' properties and of their noise.
        """
        return [self._one_line(line, rng) for line in lines]

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


def record(lines: Sequence[np.ndarray], leakage: float | None = None) -> np.ndarray:
    """Return a recording of lines, each (n,).

    Args:
        lines: What is heard of each.
        leakage: None: they are added up, to (n,). Otherwise each is a channel, (n, lines), with this share of the sum
            of the others' amplitudes in it.
    """
    if leakage is None:
        return np.sum(lines, axis=0, dtype=np.float32)
    total = np.sum(lines, axis=0, dtype=np.float32)
    return np.stack([line + np.float32(leakage) * (total - line) for line in lines], axis=1)


def through_codec(signal: np.ndarray, codec: str) -> np.ndarray:
    """Return a signal (n,) at 8 kHz as it comes out of a telephone codec, without delay; clipped to full scale.

    Args:
        signal: Samples within -1 to 1.
        codec: A key of :data:`CODECS`.
    """
    import soundfile

    clipped = np.clip(signal, -1.0, 1.0 - 2.0**-15).astype(np.float32)
    subtype = CODECS[codec]
    if subtype is None:
        return clipped
    coded = io.BytesIO()
    soundfile.write(coded, clipped, RATE, format="RAW", subtype=subtype)
    coded.seek(0)
    heard, _ = soundfile.read(coded, dtype="float32", format="RAW", subtype=subtype, samplerate=RATE, channels=1)
    return np.pad(heard, (0, max(0, len(signal) - len(heard))))[: len(signal)]


def _line_filter(band: tuple[float, float], tilt: float) -> np.ndarray:
    """Return a linear-phase FIR filter: the band, with ``tilt`` dB per octave inside, 0 dB at 1 kHz."""
    from scipy.signal import firwin2

    low, high = band
    inside = np.geomspace(low, high, 64)
    gains = 10 ** (tilt * np.log2(inside / 1000) / 20)
    edges = [0.0, low * 0.6], [min(high * 1.08, (high + RATE / 2) / 2), RATE / 2]
    return firwin2(_TAPS, [*edges[0], *inside, *edges[1]], [0.0, 0.0, *gains, 0.0, 0.0], fs=RATE)


def _filtered(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Filter without delay and without change of length."""
    from scipy.signal import oaconvolve

    half = len(taps) // 2
    return oaconvolve(signal, taps)[half : half + len(signal)]
