"""The voice activity detector of WebRTC (Gaussian mixtures on six bands of 80-4000 Hz), through package webrtcvad."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from ssdiar.base.errors import InputError
from ssdiar.io.audio import resample
from ssdiar.speech.sad import Sad

# The rates that the detector takes. It works at 8000 inside: a higher rate adds nothing but is no error.
_RATES = (8000, 16000, 32000, 48000)


class WebRtc(Sad, frozen=True, kw_only=True, tag="webrtc"):
    """WebRTC's detector, its decision per frame replaced by the majority of the frames around it.

    Attributes:
        aggressiveness: A higher number accepts less as speech.
        frame: Milliseconds per decision.
        majority: Frames that vote on the middle one (odd); 1: no vote.
    """

    aggressiveness: Literal[0, 1, 2, 3]
    frame: Literal[10, 20, 30]
    majority: Annotated[int, Meta(ge=1, le=1001)]

    def detect(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """See :meth:`Sad.detect`."""
        if rate not in _RATES:
            new_rate = 8000 if rate < 16000 else 16000
            samples, rate = resample(samples, rate, new_rate), new_rate
        votes = np.convolve(self._frames(samples, rate), np.ones(self.majority, np.int64))
        margin = self.majority // 2
        speech = votes[margin : len(votes) - margin] > margin
        edges = np.flatnonzero(np.diff(speech, prepend=False, append=False))
        return np.minimum(edges.reshape(-1, 2) * (self.frame / 1000), len(samples) / rate)

    def _frames(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return 0 or 1 for every frame, the last one filled up with silence: (ceil(n / frame),) int64."""
        try:
            import webrtcvad
        except ImportError:
            hint = "pip install webrtcvad-wheels, or use another --sad."
            raise InputError("package webrtcvad is not installed", hint=hint) from None
        length = rate * self.frame // 1000
        count = -(-len(samples) // length)
        whole = np.zeros(count * length, "<i2")
        whole[: len(samples)] = np.clip(np.rint(samples * 32768.0), -32768, 32767)
        data, step = whole.tobytes(), 2 * length
        is_speech = webrtcvad.Vad(self.aggressiveness).is_speech
        return np.array([is_speech(data[at : at + step], rate) for at in range(0, len(data), step)], np.int64)
