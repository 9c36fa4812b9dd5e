"""The common part of speech detectors, which files of conf/sad describe."""

from __future__ import annotations

import numpy as np

from ssdiar.base.config import Config, NotNegative, Share
from ssdiar.timeline.regions import drop_short, merge, pad

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
