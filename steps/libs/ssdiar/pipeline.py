"""From the audio of one recording to its turns: a function per stage, shared by stages, :func:`diarize` and bench.

    speech = speech_of(source, "call", recording)                     # stage 2
    cut = subsegments_of(*regions_of(speech))                         # stage 3
    vectors = vectors_of(model, recording, cut.segments)              # stage 4
    clustering = labels_of(system, cut.segments, vectors, ESTIMATE)   # stage 5
    turns = turns_of(cut, labels, TurnRules())                        # stage 6

Between stages 2 and 6 each party of a recording with one party per channel is a recording of its own, a *side*
(:mod:`ssdiar.timeline.sides`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from ssdiar.base.config import NotNegative, Share
from ssdiar.base.errors import InputError
from ssdiar.timeline.regions import covered, intersect, merge, total
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.sides import join_sides, side_id, speaker_name
from ssdiar.timeline.spans import Segment, Turn
from ssdiar.timeline.subsegments import make_subsegments, segments_of, split_short
from ssdiar.timeline.turns import close_pauses, turns_of_labels

if TYPE_CHECKING:
    from ssdiar.clustering.config import SystemConfig
    from ssdiar.clustering.recording import Clustering
    from ssdiar.clustering.vectors import Moments
    from ssdiar.io.recordings import Recording
    from ssdiar.speech.source import Speech, SpeechSource
    from ssdiar.xvectors.models import XVectorModel

_PART = 60  # seconds of a part of a long recording
_MARGIN = 1  # seconds of audio that are read beyond the sub-segments of a part
_EDGE = 0.05  # seconds at the ends of what is read that resampling changes, at most


class Cut(NamedTuple):
    """The speech of recordings or sides, cut into sub-segments.

    Attributes:
        segments: Sub-segments, which get an x-vector each.
        short: Sub-segments that are too short for one.
        overlap: Overlapped speech, which was kept apart.
    """

    segments: list[Segment]
    short: list[Segment]
    overlap: list[Segment]


class Lengths(NamedTuple):
    """The lengths of sub-segments in hundredths of a second; their defaults are the paper's."""

    window: int = 75
    period: int = 75  # from one start to the next
    min_segment: int = 50  # see :func:`ssdiar.timeline.subsegments.make_subsegments`
    min_piece: int = 10  # shorter sub-segments get no x-vector


LENGTHS = Lengths()


class TurnRules(msgspec.Struct, frozen=True):
    """The decisions of earlier stages about turns, as meta.json has them.

    Attributes:
        second_speaker: Whether overlapped speech gets a second speaker (stage 2).
        close_pauses: Seconds; shorter pauses of a speaker in which no one else talks are closed (stage 2).
        second_sure: Probability that the second speaker is right, in recordings of two speakers and of more (stage 5).
    """

    second_speaker: bool = False
    close_pauses: NotNegative = 0.0
    second_sure: tuple[Share, Share] | None = None


class SpeakerNumber(NamedTuple):
    """The requested number of speakers, from ``low`` to ``high``; ``high`` None: the system's own limit."""

    low: int = 1
    high: int | None = None

    @property
    def given(self) -> int | None:
        """The number, if it is given and not estimated."""
        return self.low if self.low == self.high else None

    def __str__(self) -> str:
        if self.given:
            return str(self.given)
        return "estimate" if self == ESTIMATE else f"{self.low}-{self.high}"


#: The number of speakers is estimated, within the limits of the system.
ESTIMATE = SpeakerNumber()


def parse_num_spk(text: str | int) -> SpeakerNumber | None:
    """Return the number that ``N``, ``A-B`` or ``estimate`` asks for; None for another text.

    Raises:
        InputError: A is larger than B.
    """
    if text == "estimate":
        return ESTIMATE
    match = re.fullmatch(r"([1-9][0-9]{0,2})(?:-([1-9][0-9]{0,2}))?", str(text))
    if match is None:
        return None
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise InputError("bad number of speakers", expected=f"{high}-{low}", got=text)
    return SpeakerNumber(low, high)


def speech_of(
    source: SpeechSource,
    reco: str,
    recording: Recording,
    turns: Iterable[Turn] = (),
    segmentation: Segmentation | None = None,
) -> dict[str, Speech]:
    """Return the speech of a recording, or of each of its sides, by id.

    Args:
        source: The source of speech.
        reco: Id of the recording.
        recording: Its audio.
        turns: Its turns, if they are given.
        segmentation: Earlier output of the segmentation network for it.

    Raises:
        InputError: See :meth:`ssdiar.speech.source.SpeechSource.find`.
    """
    if recording.parties:
        return {side_id(reco, channel): one for channel, one in source.find_parties(recording, turns).items()}
    return {reco: source.find(recording, turns, segmentation)}


def subsegments_of(regions: Sequence[Segment], overlap: Sequence[Segment] = (), lengths: Lengths = LENGTHS) -> Cut:
    """Cut speech regions of recordings or sides into sub-segments, which leave out ``overlap``."""
    *shape, min_piece = lengths
    segments, short = split_short(make_subsegments(regions, *shape), min_piece)
    return Cut(segments, short, list(overlap))


def regions_of(speech: Mapping[str, Speech]) -> tuple[list[Segment], list[Segment]]:
    """Return the speech regions and the overlap of recordings or sides as segments."""
    regions = [segment for side, one in speech.items() for segment in segments_of(side, one.regions.astype(int))]
    overlap = [segment for side, one in speech.items() for segment in segments_of(side, one.overlap.astype(int))]
    return regions, overlap


def parts_of(segments: Sequence[Segment], in_parts: bool) -> list[list[Segment]]:
    """Return the sub-segments of a recording by the part, of a minute, that they belong to.

    The parts, and so the x-vectors, depend on the recording only.

    Args:
        segments: Sub-segments of one recording, in order of time.
        in_parts: Whether parts of its audio can be read without the rest; else there is one part.
    """
    count = max(1, int(segments[-1].end // _PART)) if segments and in_parts else 1
    parts: list[list[Segment]] = [[] for _ in range(count)]
    for segment in segments:
        parts[min(int(segment.start // _PART), count - 1)].append(segment)
    return parts


def level_of(model: XVectorModel, recording: Recording, segments: Sequence[Segment]) -> np.ndarray | None:
    """Return the level of a recording or side (:meth:`XVectorModel.level`) for the parts of :func:`parts_of`.

    Args:
        model: The x-vector model.
        recording: The audio.
        segments: All its sub-segments, at least one, in order of time.

    Raises:
        InputError: The audio is broken.
    """
    from ssdiar.xvectors.models import sample

    levels = []
    for start, end in times_of([segments[index] for index in sample(len(segments))]):
        first = max(0, int(start - _EDGE))
        samples, _ = recording.read(model.config.sample_rate, first, int(end + _EDGE) + 1)
        if (level := model.level(samples, np.array([[start, end]]), first)) is None:
            return None
        levels.append(level)
    return np.mean(levels, axis=0)


def vectors_of(
    model: XVectorModel,
    recording: Recording,
    segments: Sequence[Segment],
    overlap: Iterable[Segment] = (),
    is_part: bool = False,
    level: np.ndarray | None = None,
) -> np.ndarray:
    """Return the x-vectors (S, D) of sub-segments of a recording or side.

    Args:
        model: The x-vector model.
        recording: The audio.
        segments: S sub-segments, in order of time.
        overlap: Overlapped speech that no sub-segment is widened into.
        is_part: Whether to read only the audio around the sub-segments.
        level: Of the recording (:func:`level_of`), if this is a part of it.

    Raises:
        InputError: The audio is broken, or a vector is not finite.
    """
    from ssdiar.xvectors.models import free_of

    times = times_of(segments)
    bounds = free_of(times, covered([(region.start, region.end) for region in overlap]))
    # From and to whole seconds, where samples and frames of all rates meet, with more than a sub-segment needs.
    first = max(0, int(times[:, 0].min()) - _MARGIN) if is_part else 0
    last = int(times[:, 1].max()) + 1 + _MARGIN
    limits = (first, last) if is_part else ()
    samples, _ = recording.read(model.config.sample_rate, *limits)
    vectors = model.embed(samples, times, bounds, first, level)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise InputError(f"the x-vector of sub-segment {segments[int(finite.argmin())].id} is not finite")
    return vectors


def labels_of(
    system: SystemConfig,
    segments: Sequence[Segment],
    vectors: np.ndarray,
    number: SpeakerNumber,
    *,
    segmentation: Segmentation | None = None,
    model: str | None = None,
    background: Moments | None = None,
    is_side: bool = False,
    threshold: float | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Clustering:
    """Cluster the x-vectors of one recording or side.

    Args:
        system: The clustering system.
        segments: S sub-segments, in order of time.
        vectors: (S, D) x-vectors.
        number: The number of speakers, or its limits.
        segmentation: Output of the segmentation network; systems that vote use it.
        model: Name of the x-vector model, if it is known.
        background: Moments of other recordings' x-vectors, for systems that need them.
        is_side: Whether this is one side of a call with one party per channel.
        threshold: If given, AHC down to this mean cosine decides the number of speakers.
        seed: Source of randomness.
        threads: Threads that may work on it at once.
    """
    from ssdiar.clustering.recording import RecordingVectors
    from ssdiar.clustering.systems import cluster_recording

    regions = [segment.region for segment in segments]
    own = RecordingVectors(
        segments[0].reco,
        vectors,
        times_of(segments),
        number.given,
        segmentation if system.uses_segmentation else None,
        background,
        is_side,
        model,
        None if None in regions else np.array(regions),
    )
    return cluster_recording(own, system, seed, threshold, number, threads)


def numbers_of_sides(number: SpeakerNumber, vectors: Mapping[str, np.ndarray]) -> dict[str, SpeakerNumber]:
    """Return each side's part of a call's requested number of speakers, given the x-vectors (S, D) by side."""
    from ssdiar.clustering.sides import share_out

    if number.given is None:
        return dict.fromkeys(vectors, number)
    return {side: SpeakerNumber(share, share) for side, share in share_out(number.given, vectors).items()}


def labels_by_id(
    segments: Mapping[str, Sequence[Segment]], results: Mapping[str, Clustering]
) -> tuple[dict[str, int], dict[str, float] | None]:
    """Return labels from 1 and, if all results have them, their probabilities (4 decimals), by sub-segment id."""
    labels, sure = {}, {}
    for side, result in results.items():
        ids = [segment.id for segment in segments[side]]
        labels |= dict(zip(ids, (result.labels + 1).tolist(), strict=True))
        if result.sure is not None:
            sure |= {name: round(share, 4) for name, share in zip(ids, result.sure.tolist(), strict=True)}
    return labels, sure if len(sure) == len(labels) else None


class Speaker(NamedTuple):
    """The mean x-vector (D,) of a speaker's sub-segments, and the seconds that these cover."""

    vector: np.ndarray
    seconds: float


def mean_speakers(
    segments: Mapping[str, Sequence[Segment]],
    labels: Mapping[str, int],
    vectors: Mapping[str, np.ndarray],
    sides: Mapping[str, str] = {},
) -> dict[tuple[str, str], Speaker]:
    """Return the speakers of recordings, by recording and name.

    Args:
        segments: S sub-segments of each recording or side.
        labels: Label from 1 by sub-segment id.
        vectors: (S, D) x-vectors of each recording or side.
        sides: Recording by side.
    """
    found = {}
    for side, own in segments.items():
        numbers = np.array([labels[segment.id] for segment in own])
        present = np.unique(numbers).tolist()
        named = join_sides([Turn(side, speaker_name(number), 0, 1) for number in present], sides)
        for number, turn in zip(present, named, strict=True):
            mine = numbers == number
            times = times_of([segment for segment, chosen in zip(own, mine, strict=True) if chosen])
            found[turn.reco, turn.speaker] = Speaker(vectors[side][mine].mean(axis=0), total(merge(times)))
    return found


def turns_of(
    cut: Cut,
    labels: Mapping[str, int],
    rules: TurnRules,
    sure: Mapping[str, float] | None = None,
    tight: Mapping[str, np.ndarray] | None = None,
    sides: Mapping[str, str] = {},
) -> list[Turn]:
    """Return who speaks when, from labelled sub-segments.

    Args:
        cut: Sub-segments, short ones and overlap.
        labels: Label from 1 by sub-segment id.
        rules: Decisions of earlier stages.
        sure: Probability of each label, if it is known.
        tight: If given, the detected speech (k, 2) in seconds by recording or side: turns are cut to it.
        sides: Recording by side.
    """
    turns = turns_of_labels(cut.segments, labels, cut.short, cut.overlap, rules.second_speaker, sure, rules.second_sure)
    joined = join_sides(turns, sides)
    if tight is not None:
        joined = [
            replace(turn, start=float(start), end=float(end))
            for turn, of_side in zip(joined, turns, strict=True)
            for start, end in intersect([(turn.start, turn.end)], tight[of_side.reco])
        ]
    return close_pauses(joined, rules.close_pauses)


def times_of(segments: Sequence[Segment]) -> np.ndarray:
    """Return start and end of sub-segments in seconds, (S, 2)."""
    return np.array([(segment.start, segment.end) for segment in segments]).reshape(-1, 2)
