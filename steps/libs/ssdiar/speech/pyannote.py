"""Speech and overlapped speech by the network of pyannote segmentation-3.0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ssdiar.data import Recording
from ssdiar.io.audio import AudioInfo, resample
from ssdiar.speech.config import PyannoteConfig
from ssdiar.speech.detection import Detection, active_frames
from ssdiar.speech.pyannet import FRAME_STEP, RECEPTIVE_FIELD, SAMPLE_RATE, PyanNet, load_network
from ssdiar.timeline.regions import drop_short
from ssdiar.timeline.segmentation import Segmentation

_WINDOW = 10 * SAMPLE_RATE  # what the network was trained on
_SHORTEST = SAMPLE_RATE  # shorter recordings are filled up with silence
# Windows that the network is given at once, with the audio from the first to the last; also those of a part of a
# recording, so that parts are what the whole would be.
_TOGETHER = 32
_MARGIN = 1  # seconds of audio on both sides of a part, for the filter that resamples


@dataclass(frozen=True)
class Windows:
    """The windows of a recording.

    They begin on frames of the first one, so that all frames lie on one grid. The last ends with the recording (but for
    less than a frame). A recording shorter than a window is one window of its own length.

    Attributes:
        first_frames: (W,) whole numbers: frame of the recording that each begins with.
        length: Samples at 16 kHz.
    """

    first_frames: np.ndarray
    length: int

    @classmethod
    def of(cls, samples: int, step: float) -> Windows:
        """Return the windows of a recording of ``samples`` samples at 16 kHz, ``step`` seconds apart."""
        samples = max(samples, _SHORTEST)
        length = min(_WINDOW, samples)
        last = (samples - length) // FRAME_STEP
        return cls(np.append(np.arange(0, last, max(1, round(step * SAMPLE_RATE / FRAME_STEP))), last), length)

    def parts(self) -> int:
        """Return in how many parts the recording can be done."""
        return -(-len(self.first_frames) // _TOGETHER)

    def part(self, number: int) -> Windows:
        """Return the windows of a part, from 0."""
        return Windows(self.first_frames[number * _TOGETHER : (number + 1) * _TOGETHER], self.length)


def long_samples(info: AudioInfo | None, step: float) -> int | None:
    """Return the samples at 16 kHz of a recording that is done in parts; None: it is done as a whole.

    Args:
        info: Of its file; None: a part of it cannot be read without all before (:func:`ssdiar.io.audio.probe`). A file
            that is not quite what its header says is done as a whole.
        step: Seconds between windows.
    """
    if info is None or info.remarks:
        return None
    samples = -(-round(info.duration * info.rate) * SAMPLE_RATE // info.rate)
    return samples if Windows.of(samples, step).parts() > 1 else None


@dataclass(frozen=True)
class Pyannote:
    """The segmentation network on windows of ten seconds, its decisions averaged where windows overlap.

    Args:
        config: Its options.
        source: Where the weights are (:func:`ssdiar.speech.weights.find_segmentation_weights`).
        device: What the network runs on.
    """

    config: PyannoteConfig
    source: str | None = None
    device: str = "cpu"

    def detect(self, samples: np.ndarray, rate: int) -> Detection:
        """Return speech, overlap and the segmentation that both are from, of (n,) float32 samples at any rate.

        Raises:
            InputError: The weights are not there, or not these, or the device cannot be used.
        """
        return self.decide(self.segment(samples, rate))

    def decide(self, segmentation: Segmentation) -> Detection:
        """Return the same from the network's output."""
        speech = segmentation.regions(active_frames(segmentation.speech(), self.config.onset, self.config.offset))
        overlap = segmentation.regions(segmentation.overlap() > self.config.network.overlap_threshold)
        return Detection(speech, drop_short(overlap, self.config.network.overlap_min), segmentation)

    def segment(self, samples: np.ndarray, rate: int) -> Segmentation:
        """Run the network over (n,) float32 samples; for errors see :meth:`detect`."""
        duration = len(samples) / rate
        if rate != SAMPLE_RATE:
            samples = resample(samples, rate, SAMPLE_RATE)
        windows = Windows.of(len(samples), self.config.network.step)
        samples = np.pad(samples, (0, max(0, windows.length - len(samples))))
        return self.joined([self._probabilities(samples, windows)], windows, duration)

    def segment_part(self, recording: Recording, windows: Windows) -> np.ndarray:
        """Return the probabilities (W, F, 7) float16 of some windows of a recording; no other audio is read.

        Raises:
            InputError: See :meth:`detect`; or the audio is broken.
        """
        # From and to whole seconds, where samples of all rates meet.
        first, last = windows.first_frames[[0, -1]] * FRAME_STEP
        start = max(0, first // SAMPLE_RATE - _MARGIN)
        samples, _ = recording.read(SAMPLE_RATE, start, (last + windows.length) // SAMPLE_RATE + 1 + _MARGIN)
        origin = windows.first_frames[0]
        there = samples[first - start * SAMPLE_RATE :]
        return self._probabilities(there, Windows(windows.first_frames - origin, windows.length))

    def joined(self, parts: Sequence[np.ndarray], windows: Windows, duration: float) -> Segmentation:
        """Return the segmentation of a recording from the probabilities of its parts."""
        # A frame stands for its step around the middle of what it sees.
        frame_start = (RECEPTIVE_FIELD - 1 - FRAME_STEP) / 2 / SAMPLE_RATE
        probabilities = np.concatenate(parts)
        return Segmentation(probabilities, windows.first_frames, frame_start, FRAME_STEP / SAMPLE_RATE, duration)

    def _probabilities(self, samples: np.ndarray, windows: Windows) -> np.ndarray:
        """Return (W, F, 7) float16 of windows of samples at 16 kHz."""
        found = []
        for some in np.split(windows.first_frames, range(_TOGETHER, len(windows.first_frames), _TOGETHER)):
            stretch = samples[some[0] * FRAME_STEP : some[-1] * FRAME_STEP + windows.length]
            found.append(self._network.probabilities(stretch, some - some[0], windows.length).astype(np.float16))
        return np.concatenate(found)

    @cached_property
    def _network(self) -> PyanNet:
        return load_network(self.source, self.device)
