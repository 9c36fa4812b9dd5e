"""What stage 2 is asked for, and what follows: what finds speech, what finds overlap, what stage 6 does later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msgspec import to_builtins

from ssdiar.errors import InputError
from ssdiar.speech.config import PyannoteConfig, SadConfig, read_sad


@dataclass(frozen=True)
class Request:
    """The options of detect_speech.sh that decide what it finds.

    Attributes:
        sad: A detector (the name of a file of conf/sad, or the path of such a file), ``oracle``, or a file of speech.
        sad_options: ``name=value``, put over what that file says; ``network.name=value`` for the segmentation network
            beside any source of speech.
        overlap: ``drop``: no x-vectors of overlapped speech; ``label``: the same, and a second speaker for it in stage
            6; ``keep``: it is speech as any other.
        overlap_detector: What finds overlap: ``sad``: what finds speech, if it can; ``pyannote``: the network;
            ``none``.
        changes: ``cut``: speech ends where the network hears another speaker go on; ``ignore``.
        segmentation: Whether the network's output is wanted even if nothing else needs it.
    """

    sad: str
    sad_options: Sequence[str] = ()
    overlap: Literal["drop", "keep", "label"] = "drop"
    overlap_detector: Literal["sad", "none", "pyannote"] = "sad"
    changes: Literal["ignore", "cut"] = "ignore"
    segmentation: bool = False


@dataclass(frozen=True)
class SpeechPlan:
    """What follows from a request.

    Attributes:
        detector: What finds speech; None where it is given.
        network: The segmentation network, where something needs it; the detector itself if that is the network.
        overlap: ``given`` by the turns, by the ``network``, or None: all speech counts as that of one speaker.
        cut_changes: Whether speech ends where the network hears another speaker go on.
        close_pauses: Seconds; stage 6 closes shorter pauses of a speaker in which nobody else talks.
        second_speaker: Whether stage 6 gives overlapped speech a second speaker.
    """

    detector: SadConfig | None
    network: PyannoteConfig | None
    overlap: Literal["given", "network"] | None
    cut_changes: bool
    close_pauses: float
    second_speaker: bool

    def options(self) -> dict[str, Any]:
        """Return what regions depend on, no default left out, as JSON can hold it."""
        detector = None if self.detector is None else to_builtins(self.detector)
        if detector is not None:
            del detector["cut"]  # read already: gap, pad and close_pauses
        network = None if self.network is None else to_builtins(self.network.network)
        return {
            "detector": detector,
            "network": network,
            "overlap_source": self.overlap,
            "cut_changes": self.cut_changes,
        }


def detector_file(sad: str, conf: Path) -> Path | None:
    """Return the file that describes a detector, of a name or path; None for speech that is given.

    Args:
        sad: See :class:`Request`.
        conf: The folder conf/sad.
    """
    path = Path(sad) if sad.endswith(".yaml") else conf / f"{sad}.yaml"
    return path if sad.endswith(".yaml") or path.is_file() else None


def plan_speech(request: Request, conf: Path) -> SpeechPlan:
    """Return what follows from a request.

    Args:
        request: The request.
        conf: The folder conf/sad.

    Raises:
        InputError: A bad option, or one that nothing uses; or overlap is to be labelled and nothing finds it.
    """
    path, cut = detector_file(request.sad, conf), request.changes == "cut"
    of_network = [option for option in request.sad_options if option.startswith("network.")]
    others = [option for option in request.sad_options if option not in of_network]
    if path is None and others:
        expected = "network.name=value only, since speech is given and not detected"
        raise InputError("bad --sad-options", expected=expected, got=others[0])
    detector = None if path is None else read_sad(path, others, cut)
    is_network = isinstance(detector, PyannoteConfig)
    if is_network:
        detector = read_sad(path, request.sad_options, cut)
    overlap = _overlap_source(request, path is None, is_network)
    if request.overlap == "label" and overlap is None:
        expected = "--overlap-detector pyannote, or a --sad that tells overlap: pyannote, oracle, an RTTM"
        raise InputError("nothing finds the overlap that --overlap label is about", expected=expected)
    network = detector if is_network else None
    if network is None and (cut or request.segmentation or overlap == "network"):
        network = read_sad(conf / "pyannote.yaml", of_network)
    if network is None and of_network:
        raise InputError("bad --sad-options: nothing here runs the network", got=of_network[0])
    close_pauses = detector.cut.close_pauses if cut and detector is not None else 0.0
    return SpeechPlan(detector, network, overlap, cut, close_pauses, request.overlap == "label")


def _overlap_source(request: Request, is_given: bool, is_network: bool) -> Literal["given", "network"] | None:
    """Return what says where overlap is; None: nothing does, or nobody wants to know."""
    if request.overlap == "keep" or request.overlap_detector == "none":
        return None
    if request.overlap_detector == "pyannote" or is_network:
        return "network"
    return "given" if is_given else None
