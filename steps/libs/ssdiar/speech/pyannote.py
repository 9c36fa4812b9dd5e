"""Speech and overlapped speech by the network of pyannote segmentation-3.0. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ssdiar.io.audio import resample
from ssdiar.regions import drop_short
from ssdiar.speech.config import PyannoteConfig
from ssdiar.speech.detection import Detection, active_frames
from ssdiar.speech.pyannet import FRAME_STEP, RECEPTIVE_FIELD, SAMPLE_RATE, PyanNet, load_network
from ssdiar.timeline.segmentation import Segmentation

_WINDOW = 10 * SAMPLE_RATE  # what the network was trained on
_SHORTEST = SAMPLE_RATE  # shorter recordings are filled up with silence
_BATCH = 8  # windows; more are slower on one thread, for want of cache


@dataclass(frozen=True)
class Pyannote:
    """The segmentation network on windows of ten seconds, its decisions averaged where windows overlap.

    Args:
        config: Its options.
        source: Where the weights are (:func:`ssdiar.speech.weights.find_segmentation_weights`).
    """

    config: PyannoteConfig
    source: str | None = None

    def detect(self, samples: np.ndarray, rate: int) -> Detection:
        """Return speech, overlap and the segmentation that both are from, of (n,) float32 samples at any rate.

        Raises:
            InputError: The weights are not there, or not these.
        """
        return self.decide(self.segment(samples, rate))

    def decide(self, segmentation: Segmentation) -> Detection:
        """Return the same of what the network has said."""
        speech = segmentation.regions(active_frames(segmentation.speech(), self.config.onset, self.config.offset))
        overlap = segmentation.regions(segmentation.overlap() > self.config.network.overlap_threshold)
        return Detection(speech, drop_short(overlap, self.config.network.overlap_min), segmentation)

    def segment(self, samples: np.ndarray, rate: int) -> Segmentation:
        """Run the network over (n,) float32 samples; for errors see :meth:`detect`."""
        duration = len(samples) / rate
        if rate != SAMPLE_RATE:
            samples = resample(samples, rate, SAMPLE_RATE)
        samples = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
        # Windows begin on frames of the first one, so that all frames lie on one grid. The last ends with the recording
        # (but for less than a frame); a recording shorter than a window is one window of its own length.
        window = min(_WINDOW, len(samples))
        last = (len(samples) - window) // FRAME_STEP
        step = max(1, round(self.config.network.step * SAMPLE_RATE / FRAME_STEP))
        first_frames = np.append(np.arange(0, last, step), last)
        probabilities = [
            self._probabilities(np.stack([samples[f * FRAME_STEP : f * FRAME_STEP + window] for f in batch]))
            for batch in np.split(first_frames, range(_BATCH, len(first_frames), _BATCH))
        ]
        # A frame stands for its step around the middle of what it sees.
        frame_start = (RECEPTIVE_FIELD - 1 - FRAME_STEP) / 2 / SAMPLE_RATE
        return Segmentation(
            np.concatenate(probabilities), first_frames, frame_start, FRAME_STEP / SAMPLE_RATE, duration
        )

    def _probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Return (B, F, 7) float16 of (B, samples) windows."""
        with torch.inference_mode():
            return self._network(torch.from_numpy(windows)[:, None]).exp().half().numpy()

    @cached_property
    def _network(self) -> PyanNet:
        return load_network(self.source)
