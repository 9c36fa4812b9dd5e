"""Speech and overlap of a recording, each from its own source, as regions that later stages can use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssdiar.data import Recording
from ssdiar.speech import make_detector
from ssdiar.speech.detection import Detector, Smoothing
from ssdiar.speech.given import given_speech
from ssdiar.speech.parties import without_crosstalk
from ssdiar.speech.plan import SpeechPlan
from ssdiar.timeline.regions import hundredths, intersect, subtract, to_hundredths
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.spans import Turn

if TYPE_CHECKING:
    from ssdiar.speech.pyannote import Pyannote

# Hundredths of a second, set by hand: a change closer to an edge of speech leaves too little to stand alone.
_NO_CUT = 10


@dataclass(frozen=True)
class Found:
    """What there is in one recording.

    Attributes:
        duration: Seconds.
        speech: (n, 2) hundredths of a second, whole numbers, disjoint and in order: speech without the overlap.
        overlap: (m, 2), the same: overlapped speech.
        segmentation: The output of the segmentation network, if it was used.
    """

    duration: float
    speech: np.ndarray
    overlap: np.ndarray
    segmentation: Segmentation | None


@dataclass(frozen=True)
class SpeechFinder:
    """Where speech comes from, and where overlap does.

    Attributes:
        detector: What finds speech; None where turns are given.
        smoothing: What is done to the speech that it finds.
        overlap: ``given`` by the turns, by the ``network``, or None: all speech counts as that of one speaker.
        network: The detector with the segmentation network, where overlap, segmentation or changes are wanted; may be
            ``detector`` itself, which then runs once.
        cut_changes: Whether speech ends where the network hears another speaker go on.
    """

    detector: Detector | None
    smoothing: Smoothing | None
    overlap: Literal["given", "network"] | None
    network: Pyannote | None
    cut_changes: bool = False

    @classmethod
    def of(cls, plan: SpeechPlan, source: str | None = None, device: str = "cpu") -> SpeechFinder:
        """Return the finder that a plan asks for, with weights of the network from ``source``, on a device."""
        network = None if plan.network is None else make_detector(plan.network, source, device)
        if plan.detector is None:
            return cls(None, None, plan.overlap, network, plan.cut_changes)
        detector = network if plan.detector is plan.network else make_detector(plan.detector)
        return cls(detector, plan.detector.smoothing, plan.overlap, network, plan.cut_changes)

    def find(self, recording: Recording, turns: Iterable[Turn] = (), segmentation: Segmentation | None = None) -> Found:
        """Return speech and overlap of a recording.

        Overlap divides the speech and adds nothing to it: the network's is cut to what counts as speech.

        Args:
            recording: Its audio is read only if anything is to be detected.
            turns: Turns of this recording, where they are given.
            segmentation: What the network said of it before; the network does not run then.

        Raises:
            InputError: Its audio is broken, or a detector lacks its package or weights.
        """
        if self.detector is None and self.network is None:
            duration = recording.seconds()
            return Found(duration, *given_speech(turns, duration, self.overlap == "given"), None)
        if segmentation is not None and self.detector in (None, self.network):
            return self._decide(None, 0, segmentation.duration, turns, segmentation)  # no audio is needed
        samples, rate = recording.read()
        return self._decide(samples, rate, len(samples) / rate, turns, segmentation)

    def find_parties(self, recording: Recording, turns: Iterable[Turn] = ()) -> dict[int, Found]:
        """Return speech and overlap of each party of a recording, by channel.

        Given speech goes to the parties that are active in their channels. Overlap is that of voices on one side.

        Raises:
            InputError: See :meth:`find`.
        """
        heard = [recording.of_channel(channel).read() for channel in recording.parties]
        rate = heard[0][1]
        cleaned, own = without_crosstalk([samples for samples, _ in heard], rate)
        turns = [replace(turn, speaker="speech") for turn in turns]  # a side is one speaker, unless its audio says more
        found = {}
        for channel, samples, regions in zip(recording.parties, cleaned, own, strict=True):
            of_all = self._decide(samples, rate, len(samples) / rate, turns)
            limits = to_hundredths(regions, of_all.duration)
            speech, overlap = intersect(of_all.speech, limits), intersect(of_all.overlap, limits)
            found[channel] = replace(of_all, speech=speech, overlap=overlap)
        return found

    def _decide(
        self,
        samples: np.ndarray | None,
        rate: int,
        duration: float,
        turns: Iterable[Turn],
        segmentation: Segmentation | None = None,
    ) -> Found:
        """Return speech and overlap of samples, or of what the network said of them before."""
        heard = None
        if self.network is not None:
            heard = self.network.detect(samples, rate) if segmentation is None else self.network.decide(segmentation)
        if self.detector is None:
            speech, overlap = given_speech(turns, duration, self.overlap == "given")
        else:
            found = heard if self.detector is self.network else self.detector.detect(samples, rate)
            # Rounded before anything is cut, so that speech and overlap meet exactly.
            speech = to_hundredths(self.smoothing.apply(found.speech, duration), duration)
            overlap = speech[:0]
        if self.overlap == "network":
            overlap = intersect(to_hundredths(heard.overlap, duration), speech)
            speech = subtract(speech, overlap)
        if self.cut_changes:
            speech = cut(speech, heard.segmentation.changes())
        return Found(duration, speech, overlap, None if heard is None else heard.segmentation)


def cut(speech: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (m, 2) regions cut at times.

    Between the parts a hundredth of a second is left out, so that they are no longer neighbours
    (:mod:`ssdiar.clustering.neighbours`). Nothing is cut within a tenth of a second of an end.

    Args:
        speech: (n, 2) hundredths of a second, whole numbers, disjoint and in order.
        times: (C,) seconds.
    """
    places = np.unique(hundredths(times))
    region = np.searchsorted(speech[:, 0], places, side="right") - 1
    places, region = places[region >= 0], region[region >= 0]
    inside = (places - speech[region, 0] >= _NO_CUT) & (speech[region, 1] - places >= _NO_CUT)
    places = places[inside]
    holes = np.column_stack([places, places + 1])
    return subtract(speech, holes) if len(holes) else speech
