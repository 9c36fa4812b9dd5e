"""The voice activity detector of Silero (a small recurrent network), its model file from package silero-vad.

The package itself is not imported. Imports torch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ssdiar.io.audio import resample
from ssdiar.speech.config import SileroConfig
from ssdiar.speech.detection import Detection, active_frames
from ssdiar.speech.weights import find_silero_weights

# The model has a network for each of these rates; its frames are 32 ms long in both.
_FRAME_SAMPLES = {8000: 256, 16000: 512}


@dataclass(frozen=True)
class Silero:
    """Silero's detector.

    Args:
        config: The detector's options.
    """

    config: SileroConfig

    def detect(self, samples: np.ndarray, rate: int) -> Detection:
        """Return the speech in (n,) float32 samples at any rate.

        Raises:
            InputError: Package silero-vad is not installed.
        """
        if rate not in _FRAME_SAMPLES:
            new_rate = 8000 if rate < 16000 else 16000
            samples, rate = resample(samples, rate, new_rate), new_rate
        frame = _FRAME_SAMPLES[rate]
        whole = np.pad(samples, (0, -len(samples) % frame))
        with torch.inference_mode():
            # All frames of the recording at once; the network's state starts anew each time.
            probabilities = self._model.audio_forward(torch.from_numpy(whole), rate).numpy()[0]
        speech = active_frames(probabilities, self.config.onset, self.config.offset)
        edges = np.flatnonzero(np.diff(speech, prepend=False, append=False))
        return Detection(np.minimum(edges.reshape(-1, 2) * frame, len(samples)) / rate)

    @cached_property
    def _model(self) -> torch.jit.ScriptModule:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
            return torch.jit.load(str(find_silero_weights()), map_location="cpu").eval()
