"""The voice activity detector of Silero (a small recurrent network), its model file from package silero-vad.

The package itself is not imported. Running the detector imports torch.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np

from ssdiar.base.config import Share
from ssdiar.io.audio import resample
from ssdiar.networks.weights import find_silero_weights
from ssdiar.speech.sad import Sad, active_frames

# The model has a network for each of these rates; its frames are 32 ms long in both.
_FRAME_SAMPLES = {8000: 256, 16000: 512}


class Silero(Sad, frozen=True, kw_only=True, tag="silero"):
    """Silero's detector.

    Attributes:
        onset, offset: See :func:`ssdiar.speech.sad.active_frames`.
    """

    onset: Share
    offset: Share

    def detect(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """See :meth:`Sad.detect`."""
        import torch

        if rate not in _FRAME_SAMPLES:
            new_rate = 8000 if rate < 16000 else 16000
            samples, rate = resample(samples, rate, new_rate), new_rate
        frame = _FRAME_SAMPLES[rate]
        whole = np.pad(samples, (0, -len(samples) % frame))
        with torch.inference_mode():
            # All frames of the recording in one call; the network's state starts from zero each time.
            probabilities = _model().audio_forward(torch.from_numpy(whole), rate).numpy()[0]
        edges = np.flatnonzero(
            np.diff(active_frames(probabilities, self.onset, self.offset), prepend=False, append=False)
        )
        return np.minimum(edges.reshape(-1, 2) * frame, len(samples)) / rate


@functools.cache
def _model():
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        return torch.jit.load(str(find_silero_weights()), map_location="cpu").eval()
