"""Speech detectors as files of conf/sad: their common part, and the way from a file to its detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssdiar.config import Config, NotNegative, Share, config_files, read_config
from ssdiar.errors import InputError
from ssdiar.timeline.regions import drop_short, merge, pad

if TYPE_CHECKING:
    from ssdiar.speech.pyannote import Pyannote

Seconds = NotNegative


class Cut(Config, frozen=True):
    """The values that apply if speech is cut at changes of speaker.

    A pause between two speakers must then stay open, so the detector closes few pauses, and stage 6 closes the pauses
    inside a speaker's turns.

    Attributes:
        gap: Takes the place of the detector's ``gap``.
        pad: Takes the place of the detector's ``pad``.
        close_pauses: Seconds; stage 6 closes shorter pauses of a speaker in which no one else talks.
    """

    gap: Seconds
    pad: Seconds
    close_pauses: Seconds


class Sad(Config, frozen=True, kw_only=True, tag_field="detector"):
    """A speech detector, and how its raw regions are smoothed.

    References mark a turn as speech through its short pauses, detectors do not: closing pauses matters more than any
    other setting (conf/sad/webrtc.yaml has the figures).

    Attributes:
        gap: Seconds; shorter pauses are closed.
        min_speech: Seconds; speech that is then shorter is dropped.
        pad: Seconds; then added on both sides.
        cut: The values that apply with ``changes: cut``.
        network: A choice of conf/sad with the segmentation network that finds overlap and changes of speaker beside
            this detector; None: they are not found.
    """

    gap: Seconds
    min_speech: Seconds
    pad: Seconds
    cut: Cut
    network: str | None = None

    def detect(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the raw speech regions (m, 2) in seconds, disjoint and in order, of (n,) float32 samples at any rate.

        Raises:
            InputError: The detector's package or weights are missing.
        """
        raise NotImplementedError

    def smooth(self, regions: np.ndarray, duration: float, cut: bool = False) -> np.ndarray:
        """Return raw regions of a recording of ``duration`` seconds with pauses closed, blips dropped and padding."""
        gap, margin = (self.cut.gap, self.cut.pad) if cut else (self.gap, self.pad)
        return pad(drop_short(merge(regions, gap), self.min_speech), margin, duration)

    def segmentation_network(self) -> Pyannote | None:
        """Return the detector with the segmentation network that finds overlap and changes, if there is one.

        Raises:
            InputError: ``network`` names another kind of detector, or its file is wrong.
        """
        from ssdiar.speech.pyannote import Pyannote

        if self.network is None:
            return None
        found = read_sad(self.network)
        if not isinstance(found, Pyannote):
            raise InputError("bad network", path=self.network, expected="a detector of type pyannote")
        return found


def read_sad(choice: str | Path) -> Sad:
    """Read a detector.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.config`), as in ``pyannote+gap=0.5``.

    Raises:
        InputError: See :func:`ssdiar.config.read_config`; or an offset above the onset.
    """
    from ssdiar.speech.pyannote import Pyannote
    from ssdiar.speech.silero import Silero
    from ssdiar.speech.webrtc import WebRtc

    sad = read_config(WebRtc | Silero | Pyannote, choice, "sad")
    if isinstance(sad, Silero | Pyannote) and sad.offset > sad.onset:
        path, expected = config_files(choice, "sad")[0], f"at most {sad.onset:g} (onset)"
        raise InputError("bad offset", path=path, expected=expected, got=f"{sad.offset:g}")
    return sad


def active_frames(probabilities: np.ndarray, onset: Share, offset: Share) -> np.ndarray:
    """Return the frames (T,) bool that are speech: runs of frames above ``offset`` that somewhere exceed ``onset``.

    A low offset keeps the weak edges of words; a high onset rejects noise that never gets near certainty. With
    ``offset`` equal to ``onset`` this is a plain threshold.

    Args:
        probabilities: (T,) of each frame.
        onset: From 0 to 1.
        offset: At most ``onset``.
    """
    above = probabilities > offset
    first = above & ~np.append(False, above[:-1])
    starts = np.flatnonzero(first)
    if not len(starts):
        return above
    # Each run's maximum; the quiet frames up to the next start are below all of it.
    highest = np.maximum.reduceat(probabilities, starts)
    return above & (highest[np.maximum(np.cumsum(first) - 1, 0)] > onset)
