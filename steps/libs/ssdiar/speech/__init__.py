"""Speech activity detection (SAD): where in a recording anybody speaks.

A detector is an object with one method, ``detect(samples, rate) -> regions``, made by :func:`make_detector` from its
name; what it decides frame by frame is then smoothed by :class:`Smoothing`, which is the same for every detector. A
new detector is one module here and one line in ``DETECTORS``. The ``oracle`` is none of them: it reads the reference
instead of the audio (:mod:`ssdiar.speech.oracle`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ssdiar.regions import drop_short, merge, pad
from ssdiar.speech.webrtc import WebRtc


class Detector(Protocol):
    """What finds speech in samples."""

    def detect(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return speech regions of (n,) float32 ``samples`` at ``rate``: (m, 2), seconds, disjoint and in order."""


DETECTORS: dict[str, Callable[..., Detector]] = {"webrtc": WebRtc}


def make_detector(name: str, **options: Any) -> Detector:
    """Return the detector of this name (a key of ``DETECTORS``); the options are those of its class."""
    return DETECTORS[name](**options)


@dataclass(frozen=True)
class Smoothing:
    """What is done to the raw regions of a detector, in this order; all in seconds.

    References mark a turn as speech through its short pauses, detectors do not (METHOD.md 7c of the design: closing
    gaps takes miss and false alarm from 24 % to 4 % of speech).

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
