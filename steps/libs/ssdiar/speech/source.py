"""The speech of a recording: from a detector or from given turns, with overlap apart and cut at changes of speaker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ssdiar.base.config import config_files, read_config
from ssdiar.base.errors import InputError
from ssdiar.io.audio import resample
from ssdiar.io.names import Names
from ssdiar.io.recordings import Recording
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_lines, read_segments
from ssdiar.networks.graph import device_of_job
from ssdiar.networks.weights import find_segmentation_weights, find_silero_weights
from ssdiar.speech.parties import without_crosstalk
from ssdiar.speech.pyannote import Pyannote
from ssdiar.speech.sad import Sad
from ssdiar.speech.silero import Silero
from ssdiar.speech.webrtc import WebRtc
from ssdiar.timeline.regions import covered, hundredths, intersect, subtract, to_hundredths
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.spans import Turn, grouped

# Hundredths of a second, set by hand: a change closer to an edge of speech leaves too little for a region.
_NO_CUT = 10
_MAX_RATE = 16000  # Hz; no detector hears more, and filters of cross-talk would be slow


@dataclass(frozen=True)
class Speech:
    """The speech of a recording or of one of its sides.

    Attributes:
        duration: Seconds.
        regions: (n, 2) hundredths of a second, whole numbers, disjoint and in order: speech without overlap.
        overlap: (m, 2), the same: overlapped speech.
        tight: (k, 2) seconds: all speech as detected or given, its pauses not closed and its edges not padded.
        segmentation: The output of the segmentation network, if it ran.
    """

    duration: float
    regions: np.ndarray
    overlap: np.ndarray
    tight: np.ndarray
    segmentation: Segmentation | None = None


@dataclass(frozen=True)
class SpeechSource:
    """The source of speech, and the treatment of overlap and changes of speaker.

    Attributes:
        sad: The detector; None: turns are given.
        overlap: ``keep``: overlapped speech is treated as other speech; ``drop``, ``label``: it is kept apart.
        changes: ``cut``: speech regions end at changes of speaker; ``ignore``.
    """

    sad: Sad | None
    overlap: Literal["drop", "keep", "label"] = "drop"
    changes: Literal["ignore", "cut"] = "ignore"

    @classmethod
    def of(cls, choice: str, overlap: str = "drop", changes: str = "ignore", strict: bool = True) -> SpeechSource:
        """Return a source of speech.

        Args:
            choice: A choice of conf/sad; ``oracle`` or a file: turns are given.
            overlap, changes: See the class.
            strict: Raise an error if the source cannot find the overlap or the changes that are asked for; else overlap
                is not labelled, or changes are ignored.

        Raises:
            InputError: See :func:`read_sad` and ``strict``.
        """
        sad = read_sad(choice) if is_detector(choice) else None
        finds_changes = network_of(sad) is not None
        finds_overlap = finds_changes or sad is None
        if strict and overlap == "label" and not finds_overlap:
            expected = f"--sad pyannote, --sad {choice}+network=pyannote, oracle or an RTTM"
            raise InputError("--sad finds no overlap for --overlap label", expected=expected, got=choice)
        if strict and changes == "cut" and not finds_changes:
            expected = "--sad pyannote, or webrtc+network=pyannote"
            raise InputError("--sad finds no changes for --changes cut", expected=expected, got=choice)
        return cls(
            sad, "drop" if overlap == "label" and not finds_overlap else overlap, changes if finds_changes else "ignore"
        )

    @cached_property
    def network(self) -> Pyannote | None:
        """The segmentation network that finds overlap and changes; it may be ``sad`` itself."""
        return network_of(self.sad)

    @property
    def cut(self) -> bool:
        """Whether speech regions end at changes of speaker."""
        return self.changes == "cut"

    @property
    def close_pauses(self) -> float:
        """Seconds; stage 6 closes shorter pauses of a speaker in which no one else talks."""
        return self.sad.cut.close_pauses if self.cut else 0.0

    def for_job(self, job: int) -> SpeechSource:
        """Return this source with its network on the device of a job."""
        if not isinstance(self.sad, Pyannote):
            return self
        return replace(self, sad=msgspec.structs.replace(self.sad, device=device_of_job(self.sad.device, job)))

    def weights(self) -> list[Path | str]:
        """Return the files of the weights that will be used; the name of a hub repository for weights still there."""
        files: list[Path | str] = [find_silero_weights()] if isinstance(self.sad, Silero) else []
        if self.network is not None:
            files.append(find_segmentation_weights(self.network.source) or self.network.source)
        return files

    def options(self) -> dict[str, Any]:
        """Return everything that decides the regions, as JSON can hold it."""
        sad = None if self.sad is None else msgspec.to_builtins(self.sad)
        if sad is not None:
            del sad["cut"]["close_pauses"]
        network = None if self.network is self.sad or self.network is None else msgspec.to_builtins(self.network)
        return {"sad": sad, "network": network, "keeps_overlap": self.overlap == "keep", "cut": self.cut}

    def find(
        self, recording: Recording, turns: Iterable[Turn] = (), segmentation: Segmentation | None = None
    ) -> Speech:
        """Return the speech of a recording.

        Args:
            recording: Its audio is read only if something must be detected.
            turns: Turns of this recording, if they are given.
            segmentation: Earlier output of the network, which then does not run.

        Raises:
            InputError: The audio is broken, or a detector lacks its package or weights.
        """
        if self.sad is None:
            return self._decide(None, 0, recording.seconds(), turns, None)
        if segmentation is not None and self.network is self.sad:
            return self._decide(None, 0, segmentation.duration, turns, segmentation)
        samples, rate = recording.read()
        return self._decide(samples, rate, len(samples) / rate, turns, segmentation)

    def find_parties(self, recording: Recording, turns: Iterable[Turn] = ()) -> dict[int, Speech]:
        """Return the speech of each party of a recording, by channel.

        Given speech goes to the parties that are active in their channels. Overlap is between voices of one side.

        Raises:
            InputError: See :meth:`find`.
        """
        audio = [recording.of_channel(channel).read() for channel in recording.parties]
        rate = min(audio[0][1], _MAX_RATE)
        cleaned, own = without_crosstalk([resample(samples, known, rate) for samples, known in audio], rate)
        turns = [replace(turn, speaker="speech") for turn in turns]  # a side is one speaker, unless its audio differs
        found = {}
        for channel, samples, active in zip(recording.parties, cleaned, own, strict=True):
            speech = self._decide(samples, rate, len(samples) / rate, turns, None)
            limits = to_hundredths(active, speech.duration)
            regions, overlap = intersect(speech.regions, limits), intersect(speech.overlap, limits)
            found[channel] = replace(speech, regions=regions, overlap=overlap)
        return found

    def _decide(
        self,
        samples: np.ndarray | None,
        rate: int,
        duration: float,
        turns: Iterable[Turn],
        segmentation: Segmentation | None,
    ) -> Speech:
        if self.sad is None:
            regions, overlap = given_speech(turns, duration, self.overlap != "keep")
            return Speech(duration, regions, overlap, covered(np.concatenate([regions, overlap])) / 100)
        if self.network is not None and segmentation is None:
            segmentation = self.network.segment(samples, rate)
        is_network = self.network is self.sad
        tight = self.network.speech(segmentation) if is_network else self.sad.detect(samples, rate)
        # Rounded before anything is cut, so that speech and overlap meet exactly.
        regions = to_hundredths(self.sad.smooth(tight, duration, self.cut), duration)
        overlap = regions[:0]
        if self.network is not None and self.overlap != "keep":
            overlap = intersect(to_hundredths(self.network.overlap(segmentation), duration), regions)
            regions = subtract(regions, overlap)
        if self.cut:
            regions = cut_at(regions, segmentation.changes())
        return Speech(duration, regions, overlap, np.round(tight, 3), segmentation)


def read_sad(choice: str | Path) -> Sad:
    """Read a detector.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.base.config`), as in ``pyannote+gap=0.5``.

    Raises:
        InputError: See :func:`ssdiar.base.config.read_config`; or an offset above the onset.
    """
    sad = read_config(WebRtc | Silero | Pyannote, choice, "sad")
    if isinstance(sad, Silero | Pyannote) and sad.offset > sad.onset:
        path, expected = config_files(choice, "sad")[0], f"at most {sad.onset:g} (onset)"
        raise InputError("bad offset", path=path, expected=expected, got=f"{sad.offset:g}")
    return sad


def network_of(sad: Sad | None) -> Pyannote | None:
    """Return the segmentation network that finds overlap and changes of speaker: the detector itself, or beside it.

    Raises:
        InputError: ``network`` of the detector names another kind of detector, or its file is wrong.
    """
    if sad is None or isinstance(sad, Pyannote):
        return sad
    network = None if sad.network is None else read_sad(sad.network)
    if not isinstance(network, Pyannote | None):
        raise InputError("bad network", path=sad.network, expected="a detector of type pyannote")
    return network


def is_detector(choice: str) -> bool:
    """Return whether ``--sad`` names a detector, and not given speech (``oracle`` or a file)."""
    is_described = config_files(choice, "sad")[0].is_file()
    return choice != "oracle" and (is_described or not Path(choice).is_file())


def cut_at(regions: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (m, 2) regions cut at times; the hundredth of a second after a cut belongs to no region.

    Nothing is cut within a tenth of a second of an end.

    Args:
        regions: (n, 2) hundredths of a second, whole numbers, disjoint and in order.
        times: (C,) seconds.
    """
    places = np.unique(hundredths(times))
    region = np.searchsorted(regions[:, 0], places, side="right") - 1
    places, region = places[region >= 0], region[region >= 0]
    inside = (places - regions[region, 0] >= _NO_CUT) & (regions[region, 1] - places >= _NO_CUT)
    places = places[inside]
    holes = np.column_stack([places, places + 1])
    return subtract(regions, holes) if len(holes) else regions


def read_turns(
    path: str | Path, recordings: Iterable[str], durations: dict[str, float] | None = None, names: Names | None = None
) -> dict[str, list[Turn]]:
    """Read the turns of an RTTM, or a segments file as turns of one speaker, by recording.

    Args:
        path: The file: RTTM by its name or its first line, otherwise segments.
        recordings: Known recordings; segments must be of them, turns of an RTTM need not be.
        durations: Seconds per recording; segments must end before (:func:`ssdiar.io.tables.read_segments`).
        names: If given, recordings go by any of their names.

    Raises:
        InputError: There is no such file, or a line is malformed.
    """
    first = next((text.split() for _, text in read_lines(path)), [""])
    if Path(path).suffix == ".rttm" or first[0] == "SPEAKER" or first[0].startswith(";;") or len(first) > 8:
        found = read_rttm(path, names, anonymous=True)
    else:
        found = [Turn(s.reco, "speech", s.start, s.end) for s in read_segments(path, recordings, durations, names)]
    return grouped(found)


def given_speech(
    turns: Iterable[Turn], duration: float | None = None, apart: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the speech regions and the overlap that the turns of one recording describe.

    Speech is the union of the turns: a change of speaker without a pause is not visible in it. (With overlap kept
    apart, the ends of overlap are.)

    Args:
        turns: Turns of one recording.
        duration: Seconds; regions end there at the latest.
        apart: Whether overlap is taken out of speech and returned apart.

    Returns:
        regions: (n, 2) hundredths of a second, whole numbers.
        overlap: (m, 2), the same; empty unless ``apart``.
    """
    by_speaker: dict[str, list[tuple[float, float]]] = {}
    for turn in turns:
        by_speaker.setdefault(turn.speaker, []).append((turn.start, turn.end))
    # Rounded before anything is cut, so that speech and overlap meet exactly.
    rounded = [covered(to_hundredths(regions, duration)) for regions in by_speaker.values()]
    regions = np.concatenate(rounded) if rounded else np.empty((0, 2))
    overlap = covered(regions, 2) if apart else np.empty((0, 2))
    return subtract(regions, overlap), overlap
