"""What a speech detector does: one file of conf/sad, read into the frozen dataclass of its detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ssdiar.config import Range, read_config
from ssdiar.errors import InputError
from ssdiar.speech.detection import Smoothing

Seconds = Annotated[float, Range(0)]
Probability = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Cut:
    """What is different where speech is cut at changes of speaker.

    A pause between two speakers must then stay open, so the detector closes few pauses, and stage 6 closes the pauses
    inside a speaker's turns.

    Attributes:
        gap: Takes the place of the detector's ``gap``.
        pad: Takes the place of the detector's ``pad``.
        close_pauses: Seconds; stage 6 closes shorter pauses of a speaker in which nobody else talks.
    """

    gap: Seconds
    pad: Seconds
    close_pauses: Seconds


@dataclass(frozen=True)
class SadConfig:
    """One file of conf/sad: a detector and what is done to the speech that it finds.

    Attributes:
        detector: Its name.
        gap: Seconds; shorter pauses are closed.
        min_speech: Seconds; speech that is then shorter is left out.
        pad: Seconds; then added on both sides.
        cut: What is different with ``--changes cut``.
    """

    detector: str
    gap: Seconds
    min_speech: Seconds
    pad: Seconds
    cut: Cut

    @property
    def smoothing(self) -> Smoothing:
        """What is done to the speech that the detector finds."""
        return Smoothing(self.gap, self.min_speech, self.pad)


@dataclass(frozen=True)
class WebRtcConfig(SadConfig):
    """WebRTC's detector.

    Attributes:
        aggressiveness: A higher number takes less for speech.
        frame: Milliseconds that one decision is about.
        majority: Frames that vote on the middle one; 1 for no vote.
    """

    detector: Literal["webrtc"]
    aggressiveness: Literal[0, 1, 2, 3]
    frame: Literal[10, 20, 30]
    majority: Annotated[int, Range(1, step=2)]


@dataclass(frozen=True)
class SileroConfig(SadConfig):
    """Silero's detector.

    Attributes:
        onset: Frames with a higher probability are speech,
        offset: and those around them that stay above this (:func:`ssdiar.speech.detection.active_frames`).
    """

    detector: Literal["silero"]
    onset: Probability
    offset: Probability


@dataclass(frozen=True)
class Network:
    """How the segmentation network of pyannote is used, whatever finds speech.

    Attributes:
        step: Seconds from one window of 10 s to the next; less is slower and hardly better.
        overlap_threshold: Frames with a higher probability of two speakers are overlap.
        overlap_min: Seconds; shorter overlap is none.
    """

    step: Annotated[float, Range(0.1, 10)]
    overlap_threshold: Probability
    overlap_min: Seconds


@dataclass(frozen=True)
class PyannoteConfig(SadConfig):
    """The segmentation network as a detector of speech.

    Attributes:
        onset: Frames in which anybody speaks with a higher probability are speech,
        offset: and those around them that stay above this (:func:`ssdiar.speech.detection.active_frames`).
        network: How the network is used.
    """

    detector: Literal["pyannote"]
    onset: Probability
    offset: Probability
    network: Network


CONFIGS = (WebRtcConfig, SileroConfig, PyannoteConfig)


def read_sad(path: str | Path, changes: Sequence[str] = (), cut: bool = False) -> SadConfig:
    """Read a file of conf/sad, with ``changes`` such as ``gap=0.5`` put over it.

    Args:
        path: The file.
        changes: See :func:`ssdiar.config.read_config`.
        cut: Whether speech is cut at changes of speaker: the gap and pad of ``cut`` then take the place of the file's,
            unless ``changes`` give one.

    Raises:
        InputError: See :func:`ssdiar.config.read_config`; or an offset above the onset.
    """
    config = read_config(CONFIGS, path, changes)
    if cut:
        config = read_config(CONFIGS, path, [f"gap={config.cut.gap}", f"pad={config.cut.pad}", *changes])
    if isinstance(config, SileroConfig | PyannoteConfig) and config.offset > config.onset:
        expected = f"at most {config.onset:g} (onset)"
        raise InputError("bad offset", path=path, expected=expected, got=f"{config.offset:g}")
    return config
