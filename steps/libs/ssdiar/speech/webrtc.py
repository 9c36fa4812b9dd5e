"""The voice activity detector of WebRTC (Gaussian mixtures on six bands of 80-4000 Hz), through package webrtcvad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.audio import resample
from ssdiar.speech.config import WebRtcConfig
from ssdiar.speech.detection import Detection

# What the detector takes as it comes. Inside, it works at 8000: a higher rate adds nothing but is no error.
_RATES = (8000, 16000, 32000, 48000)


@dataclass(frozen=True)
class WebRtc:
    """WebRTC's detector, its decisions per frame replaced by those of the majority around them.

    Args:
        config: The detector's options.
    """

    config: WebRtcConfig

    def detect(self, samples: np.ndarray, rate: int) -> Detection:
        """Return the speech in (n,) float32 samples at any rate.

        Raises:
            InputError: Package webrtcvad is not installed.
        """
        if rate not in _RATES:
            new_rate = 8000 if rate < 16000 else 16000
            samples, rate = resample(samples, rate, new_rate), new_rate
        duration = len(samples) / rate
        votes = np.convolve(self._frames(samples, rate), np.ones(self.config.majority, np.int64))
        margin = self.config.majority // 2
        speech = votes[margin : len(votes) - margin] > margin
        edges = np.flatnonzero(np.diff(speech, prepend=False, append=False))
        return Detection(np.minimum(edges.reshape(-1, 2) * (self.config.frame / 1000), duration))

    def _frames(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return 0 or 1 for every frame, the last one filled up with silence: (ceil(n / frame),) int64."""
        try:
            import webrtcvad
        except ImportError:
            raise InputError(
                "package webrtcvad is not installed", hint="pip install webrtcvad-wheels, or use another --sad."
            ) from None
        length = rate * self.config.frame // 1000
        count = -(-len(samples) // length)
        whole = np.zeros(count * length, "<i2")
        whole[: len(samples)] = np.clip(np.rint(samples * 32768.0), -32768, 32767)
        data, step = whole.tobytes(), 2 * length
        is_speech = webrtcvad.Vad(self.config.aggressiveness).is_speech
        return np.array([is_speech(data[at : at + step], rate) for at in range(0, len(data), step)], np.int64)
