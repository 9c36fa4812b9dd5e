"""What a speech detector does: one file of conf/sad, read into the frozen dataclass of its detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ssdiar.config import Config, NotNegative, Share, config_files, read_config
from ssdiar.errors import InputError
from ssdiar.speech.detection import Smoothing

Seconds = NotNegative
Probability = Share


class Cut(Config, frozen=True):
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


class SadConfig(Config, frozen=True, tag_field="detector"):
    """One file of conf/sad: a detector and what is done to the speech that it finds.

    Attributes:
        gap: Seconds; shorter pauses are closed.
        min_speech: Seconds; speech that is then shorter is left out.
        pad: Seconds; then added on both sides.
        cut: What is different with ``--changes cut``.
    """

    gap: Seconds
    min_speech: Seconds
    pad: Seconds
    cut: Cut

    @property
    def detector(self) -> str:
        """Its name."""
        return self.__struct_config__.tag

    @property
    def smoothing(self) -> Smoothing:
        """What is done to the speech that the detector finds."""
        return Smoothing(self.gap, self.min_speech, self.pad)


class WebRtcConfig(SadConfig, frozen=True, tag="webrtc"):
    """WebRTC's detector.

    Attributes:
        aggressiveness: A higher number takes less for speech.
        frame: Milliseconds that one decision is about.
        majority: Frames that vote on the middle one; 1 for no vote.
    """

    aggressiveness: Literal[0, 1, 2, 3]
    frame: Literal[10, 20, 30]
    majority: Annotated[int, Meta(ge=1)]


class SileroConfig(SadConfig, frozen=True, tag="silero"):
    """Silero's detector.

    Attributes:
        onset: Frames with a higher probability are speech,
        offset: and those around them that stay above this (:func:`ssdiar.speech.detection.active_frames`).
    """

    onset: Probability
    offset: Probability


class Network(Config, frozen=True):
    """How the segmentation network of pyannote is used, whatever finds speech.

    Attributes:
        step: Seconds from one window of 10 s to the next; less is slower and hardly better.
        overlap_threshold: Frames with a higher probability of two speakers are overlap.
        overlap_min: Seconds; shorter overlap is none.
    """

    step: Annotated[float, Meta(ge=0.1, le=10)]
    overlap_threshold: Probability
    overlap_min: Seconds


class PyannoteConfig(SadConfig, frozen=True, tag="pyannote"):
    """The segmentation network as a detector of speech.

    Attributes:
        onset: Frames in which anybody speaks with a higher probability are speech,
        offset: and those around them that stay above this (:func:`ssdiar.speech.detection.active_frames`).
        network: How the network is used.
    """

    onset: Probability
    offset: Probability
    network: Network


AnySad = WebRtcConfig | SileroConfig | PyannoteConfig


def read_sad(choice: str | Path, changes: Sequence[str] = (), cut: bool = False) -> AnySad:
    """Read a detector.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.config`), as in ``pyannote+gap=0.5``.
        changes: More of these.
        cut: Whether speech is cut at changes of speaker: the gap and pad of ``cut`` then take the place of the file's,
            unless ``changes`` give one.

    Raises:
        InputError: See :func:`ssdiar.config.read_config`; or an offset above the onset.
    """
    config = read_config(AnySad, choice, "sad", changes)
    if cut:
        own = [f"gap={config.cut.gap}", f"pad={config.cut.pad}"]
        config = read_config(AnySad, choice, "sad", [*own, *changes])
    if isinstance(config, SileroConfig | PyannoteConfig) and config.offset > config.onset:
        path, expected = config_files(choice, "sad")[0], f"at most {config.onset:g} (onset)"
        raise InputError("bad offset", path=path, expected=expected, got=f"{config.offset:g}")
    return config
