"""What a speech detector finds, and how its raw regions are smoothed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ssdiar.timeline.regions import drop_short, merge, pad
from ssdiar.timeline.segmentation import Segmentation


@dataclass(frozen=True)
class Detection:
    """What a detector found in one recording.

    Attributes:
        speech: (m, 2) seconds, disjoint and in order: anybody speaks. As the detector decides, not smoothed.
        overlap: (k, 2) seconds, the same: more than one does. Empty from a detector that cannot tell.
        segmentation: The output of the segmentation network, if it was used.
    """

    speech: np.ndarray
    overlap: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    segmentation: Segmentation | None = None


class Detector(Protocol):
    """What finds speech in samples."""

    def detect(self, samples: np.ndarray, rate: int) -> Detection:
        """Return what is in (n,) float32 ``samples`` at ``rate`` samples per second."""


def active_frames(probabilities: np.ndarray, onset: float, offset: float) -> np.ndarray:
    """Return which frames are speech: runs of frames above ``offset`` that somewhere reach above ``onset``.

    A low offset keeps the weak edges of words, a high onset keeps noise out that never gets near certainty.

    Args:
        probabilities: (T,) of each frame.
        onset: From 0 to 1.
        offset: At most ``onset``; equal to it, this is a plain threshold.

    Returns:
        (T,) bool.
    """
    above = probabilities > offset
    first = above & ~np.append(False, above[:-1])
    starts = np.flatnonzero(first)
    if not len(starts):
        return above
    # The highest of each run; the quiet frames up to the next start are lower than all of it.
    highest = np.maximum.reduceat(probabilities, starts)
    return above & (highest[np.maximum(np.cumsum(first) - 1, 0)] > onset)


@dataclass(frozen=True)
class Smoothing:
    """What is done to the raw speech regions of a detector, in this order; all in seconds.

    References mark a turn as speech through its short pauses, detectors do not: closing gaps is worth more than any
    other setting (conf/sad/webrtc.yaml has the figures).

    Args:
        gap: Pauses shorter than this are closed.
        min_speech: What is then shorter than this is left out.
        pad: What remains is made longer by this on both sides.
    """

    gap: float
    min_speech: float
    pad: float

    def apply(self, regions: np.ndarray, duration: float) -> np.ndarray:
        """Return (m, 2) smoothed regions of a recording of ``duration`` seconds."""
        return pad(drop_short(merge(regions, self.gap), self.min_speech), self.pad, duration)
