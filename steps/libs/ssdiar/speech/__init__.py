"""Speech activity detection (SAD): where in a recording anybody speaks, and where more than one does.

A detector is an object with one method, ``detect(samples, rate) -> Detection``, made by :func:`make_detector` from its
description, a file of conf/sad; what it decides frame by frame is then smoothed. A new detector is a module here, a
class of :mod:`ssdiar.speech.config`, a line of :data:`_PLACES` and a file of conf/sad. The ``oracle`` is none of them:
it reads the reference instead of the audio (:mod:`ssdiar.speech.given`), as does speech that is given in a file.
"""

from __future__ import annotations

import importlib

from ssdiar.speech.config import SadConfig
from ssdiar.speech.detection import Detection, Detector, Smoothing

__all__ = ["Detection", "Detector", "Smoothing", "make_detector"]

# Module of this package and class, loaded when the detector is made (silero loads torch).
_PLACES = {"webrtc": ("webrtc", "WebRtc"), "silero": ("silero", "Silero"), "pyannote": ("pyannote", "Pyannote")}


def make_detector(config: SadConfig, source: str | None = None, device: str = "cpu") -> Detector:
    """Return the detector that a file of conf/sad describes.

    Args:
        config: What the file says.
        source: Weights of the segmentation network (:func:`ssdiar.speech.weights.find_segmentation_weights`).
        device: What that network runs on; the other detectors always run on the CPU.
    """
    module, class_name = _PLACES[config.detector]
    detector = getattr(importlib.import_module(f"ssdiar.speech.{module}"), class_name)
    return detector(config, source, device) if config.detector == "pyannote" else detector(config)
