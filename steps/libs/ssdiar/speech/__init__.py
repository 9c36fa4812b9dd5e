"""Speech activity detection (SAD): where in a recording anybody speaks, and where more than one does.

A detector is an object with one method, ``detect(samples, rate) -> Detection``, made by :func:`make_detector` from its
name; what it decides frame by frame is then smoothed by :class:`Smoothing`. A new detector is one module here and one
entry of ``DETECTORS``. The ``oracle`` is none of them: it reads the reference instead of the audio
(:mod:`ssdiar.speech.given`), as does speech that is given in a file.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ssdiar.speech.detection import Detection, Detector, Smoothing

__all__ = ["DETECTORS", "Detection", "Detector", "DetectorInfo", "Smoothing", "make_detector"]


@dataclass(frozen=True)
class DetectorInfo:
    """Where a detector is, and the settings that go with it unless others are given.

    Attributes:
        place: Module of this package and class, loaded when the detector is made (some load torch).
        smoothing: How its regions are best smoothed.
        options: Default of each option of its class.
    """

    place: tuple[str, str]
    smoothing: Smoothing
    options: dict[str, Any]


# Chosen on every second of 24 simulated telephone calls, watched on eight real recordings: conf/sad.conf.
DETECTORS: dict[str, DetectorInfo] = {
    "webrtc": DetectorInfo(
        ("webrtc", "WebRtc"), Smoothing(0.8, 0.1, 0.2), {"aggressiveness": 2, "frame_ms": 30, "majority": 7}
    ),
    "silero": DetectorInfo(("silero", "Silero"), Smoothing(0.8, 0.1, 0.25), {"onset": 0.3, "offset": 0.15}),
    "pyannote": DetectorInfo(
        ("pyannote", "Pyannote"),
        Smoothing(0.7, 0.1, 0.2),
        {"onset": 0.6, "offset": 0.3, "overlap_threshold": 0.6, "overlap_min": 0.1, "step": 2.5, "source": None},
    ),
}


def make_detector(name: str, **options: Any) -> Detector:
    """Return the detector of this name (a key of ``DETECTORS``) with its default options, but for those given."""
    info = DETECTORS[name]
    module, class_name = info.place
    detector = getattr(importlib.import_module(f"ssdiar.speech.{module}"), class_name)
    return detector(**{**info.options, **options})
