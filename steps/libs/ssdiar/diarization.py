"""Stages 1 to 6 for one recording in memory, by the functions that the stages call (:mod:`ssdiar.pipeline`).

from ssdiar import diarize
result = diarize("call.wav")
print(result.to_rttm())
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from ssdiar.base.config import config_name
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.clustering.config import read_system
from ssdiar.enrolment import known_voices, names_of, read_voice_model
from ssdiar.io.audio import AudioInfo, is_quick_to_probe, listen
from ssdiar.io.memory import samples_of
from ssdiar.io.names import recording_ids
from ssdiar.io.recordings import Recording
from ssdiar.io.tables import check_id
from ssdiar.io.transcripts import Word, read_transcript
from ssdiar.networks.pyannet import load_network
from ssdiar.pipeline import (
    TurnRules,
    labels_by_id,
    labels_of,
    level_of,
    mean_speakers,
    numbers_of_sides,
    parse_num_spk,
    parts_of,
    regions_of,
    speech_of,
    subsegments_of,
    turns_of,
    vectors_of,
)
from ssdiar.results import RecordingEntry, SpeakerTalk, count_probabilities, number_found, recording_entry
from ssdiar.results.exports import SUFFIXES, text_of
from ssdiar.results.names import SpeakerName, new_names
from ssdiar.results.tables import clock, plural, timeline_html
from ssdiar.results.words import assign_words
from ssdiar.speech.channels import Levels, Use, use_of_channels
from ssdiar.speech.source import Speech, SpeechSource
from ssdiar.timeline.sides import side_id
from ssdiar.timeline.spans import Segment, Turn, grouped
from ssdiar.timeline.turns import exclusive_turns, rename_speakers
from ssdiar.work import cores
from ssdiar.xvectors.models import XVectorModel, load_model, read_model_config

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyannote.core import Annotation

#: Called with the seconds of audio done, and all of them.
Progress = Callable[[float, float], None]

#: Audio that :func:`diarize` takes; samples are an array, a tensor or a list.
Audio = str | os.PathLike[str] | bytes | bytearray | BinaryIO | tuple[Any, int] | Mapping[str, Any]

_SPEECH, _XVECTORS = 0.45, 0.5  # shares of the work; the rest is clustering


@dataclass(frozen=True, eq=False, repr=False)
class Diarization:
    """Who spoke when in one recording; iteration gives its turns.

    Attributes:
        recording: Its name in RTTM and other files.
        file: The file; None for samples and pipes.
        duration: Seconds.
        turns: In order of time.
        sure: Probability of the number of speakers; None if it was given.
        probabilities: Probability of every number, if it was estimated; empty if each party has a channel.
        vectors: Mean (D,) of the x-vectors of a speaker's sub-segments, by speaker.
        names: Probability of every name of a known voice, by speaker.
        channels: Use of the channels, in words.
        remarks: Oddities of the audio and of the number of speakers, a line each.
        models: Names of the speech detector, the x-vector model and the system.
        turn_kind: ``closed`` or ``tight``.
    """

    recording: str
    file: str | None
    duration: float
    turns: tuple[Turn, ...]
    sure: float | None
    probabilities: Mapping[int, float]
    vectors: Mapping[str, np.ndarray]
    names: Mapping[str, float]
    channels: str
    remarks: tuple[str, ...]
    models: Mapping[str, str]
    turn_kind: str

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.turns)

    def __repr__(self) -> str:
        found = f"{plural(self.num_speakers, 'speaker')}, {plural(len(self.turns), 'turn')}"
        return f"<Diarization {self.recording}: {found} in {clock(self.duration)}>"

    def _repr_html_(self) -> str:
        """Return the speakers and their turns for a notebook."""
        return timeline_html(self.summary, self.turns)

    @functools.cached_property
    def summary(self) -> RecordingEntry:
        """The entry of the recording in result.json: speakers, their talk, certainty, overlap."""
        return recording_entry(
            self.recording,
            self.turns,
            file=self.file,
            duration=self.duration,
            probability=self.sure,
            names=[SpeakerName(self.recording, name, name, sure) for name, sure in self.names.items()],
        )

    @property
    def speakers(self) -> list[SpeakerTalk]:
        """Name, seconds of talk, share of all talk and number of turns of each speaker, by decreasing talk."""
        return self.summary["speakers"]

    @property
    def num_speakers(self) -> int:
        """Number of speakers found."""
        return len(self.speakers)

    def exclusive(self) -> Diarization:
        """Return the same with one speaker at a time, for speech recognisers; see :func:`exclusive_turns`."""
        return replace(self, turns=tuple(exclusive_turns(self.turns)), turn_kind="exclusive")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the turns to a file, which is replaced if it exists; its suffix gives the format, as in ``call.rttm``.

        Raises:
            InputError: No format has this suffix (:data:`ssdiar.results.exports.SUFFIXES`).
        """
        suffix = Path(path).suffix
        if suffix.lower() not in SUFFIXES:
            raise InputError("no such format", path=Path(path), expected=" ".join(SUFFIXES), got=suffix or "no suffix")
        publish_text(Path(path), self.to(SUFFIXES[suffix.lower()]))

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
        """Return everything but the vectors as JSON: the entry of result.json, the turns, and their origin."""
        made: dict[str, Any] = {
            "num_spk_probabilities": {str(number): sure for number, sure in self.probabilities.items()},
            "channels": self.channels,
            "remarks": list(self.remarks),
            "models": dict(self.models),
            "turn_kind": self.turn_kind,
        }
        return text_of("json", self.turns, self.duration, {**self.summary, **made})

    def to(self, form: str) -> str:
        """Return the text of a file in a format of :data:`ssdiar.results.exports.FILE_NAMES`."""
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

    def to_dataframe(self) -> DataFrame:
        """Return the turns as a table of pandas: recording, start, end, speaker, confidence.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InputError("pandas is not installed", hint="pip install pandas") from None
        rows = [(turn.reco, turn.start, turn.end, turn.speaker, turn.confidence) for turn in self.turns]
        return pandas.DataFrame(rows, columns=["recording", "start", "end", "speaker", "confidence"])

    def assign_words(self, transcript: str | Path | Iterable[Word]) -> list[Word]:
        """Return the words of a transcript with their speakers.

        Args:
            transcript: A file (:func:`ssdiar.io.transcripts.read_transcript`), or words.

        Raises:
            InputError: The file is malformed.
        """
        if isinstance(transcript, str | Path):
            transcript = read_transcript(transcript, self.recording)
        return assign_words([replace(word, reco=self.recording) for word in transcript], self.turns)


@contextlib.contextmanager
def _installed() -> Iterator[None]:
    """Raise InputError for a package that only some systems and detectors need."""
    try:
        yield
    except ModuleNotFoundError as error:
        hint = "Systems that train a network need tensorflow and keras, --sad silero needs torch: requirements.txt."
        raise InputError(f"the package {error.name} is not installed", hint=hint) from error


class Diarizer:
    """Find out who spoke when in recordings, with models that stay loaded.

    Use it in a ``with`` block, or call :meth:`close` to free the models.
    """

    def __init__(
        self,
        *,
        system: str = "best",
        sad: str = "pyannote",
        xvector: str = "campplus",
        threads: int | None = None,
        known: str | Path | None = None,
    ) -> None:
        """Load the models; for arguments and errors see :func:`diarize`.

        Weights that are not on the machine are fetched (:mod:`ssdiar.networks.weights`).
        """
        _check_options(system=system, sad=sad, xvector=xvector, threads=threads)
        self._config = read_system(system)
        self._source = SpeechSource.of(sad, self._config.input.overlap, self._config.input.changes, strict=False)
        self._source.weights()
        self._model_config = read_model_config(xvector)
        load_model(self._model_config)
        self._voices = None if known is None else known_voices(known, sad, self._model_config)
        self._names = {"system": config_name(system), "speech": config_name(sad)}
        self._threads = threads or cores()

    def __enter__(self) -> Diarizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the models; a later call loads them again."""
        load_model.cache_clear()
        load_network.cache_clear()

    @_installed()
    def __call__(
        self,
        audio: Audio,
        *,
        num_spk: int | str | None = None,
        channels: str | int = "auto",
        turns: Literal["closed", "tight"] | None = None,
        seed: int = 0,
        recording: str | None = None,
        progress: Progress | bool = False,
    ) -> Diarization:
        """Diarize a recording; for arguments and errors see :func:`diarize`."""
        _check_options(seed=seed, recording=recording)
        config, model = self._config, load_model(self._model_config)
        number = parse_num_spk(config.num_spk if num_spk is None else num_spk)
        if number is None:
            raise InputError(
                "bad num_spk", expected="a whole number from 1, limits such as '2-8', or 'estimate'", got=num_spk
            )
        turns = turns or config.turns
        if turns not in ("closed", "tight"):
            raise InputError("bad turns", expected="closed or tight", got=turns)
        with _file_of(audio) as path, ThreadPoolExecutor(self._threads) as pool, _reporter(progress, path) as report:
            [name] = recording_ids([path], path.parent) if recording is None else [recording]
            check_id(name, "recording")
            info, use = _open(path, channels)
            audio_of = Recording(str(path), use.channel, info.duration, use.parties, is_told=True)
            work = _Work(name, audio_of, info, pool, lambda share: report(share * info.duration, info.duration))
            speech = work.speech(self._source)
            cut = subsegments_of(*regions_of(speech))
            segments = grouped(sorted(cut.segments, key=lambda segment: segment.id))
            vectors = work.vectors(model, segments, grouped(cut.overlap))
            numbers = numbers_of_sides(number, vectors) if use.parties else dict.fromkeys(vectors, number)
            results = {
                side: labels_of(
                    *(config, segments[side], vectors[side], numbers[side]),
                    segmentation=speech[side].segmentation,
                    model=model.config.title,
                    is_side=bool(use.parties),
                    seed=seed,
                    threads=self._threads,
                )
                for side in vectors
            }
            report(info.duration, info.duration)
        sides = {side_id(name, channel): name for channel in use.parties}
        labels, sure = labels_by_id(segments, results)
        second_sure = config.sure.second if config.says_how_sure else None
        rules = TurnRules(
            self._source.overlap == "label", 0.0 if turns == "tight" else self._source.close_pauses, second_sure
        )
        tight = {side: one.tight for side, one in speech.items()} if turns == "tight" else None
        made = turns_of(cut, labels, rules, sure, tight, sides)
        spoken = mean_speakers(segments, labels, vectors, sides)
        matches = names_of(spoken, read_voice_model(model.config.title), self._voices) if self._voices else []
        named = new_names(matches)
        made = rename_speakers(made, named)
        speakers = len({turn.speaker for turn in made})
        too_few = [f"{number.low} speakers are asked for, {speakers} found: it has too little speech"]
        found = {side: number_found(result.history) for side, result in results.items()}
        return Diarization(
            recording=name,
            file=str(path) if path.exists() and isinstance(audio, str | os.PathLike) else None,
            duration=info.duration,
            turns=tuple(sorted(made, key=lambda turn: (turn.start, turn.end, turn.speaker))),
            sure=count_probabilities(found, sides).get(name),
            probabilities=results[name].history.get("num_spk_probabilities", {}) if name in results else {},
            vectors={named.get(key, key[1]): one.vector for key, one in spoken.items()},
            names={match.name: match.probability for match in matches if match.name is not None},
            channels=use.in_words(info.channels),
            remarks=(*info.remarks, *([use.remark] if use.remark else []), *(too_few if speakers < number.low else [])),
            models={**self._names, "xvectors": model.config.title},
            turn_kind=turns,
        )


def diarize(
    audio: Audio,
    *,
    num_spk: int | str | None = None,
    system: str = "best",
    sad: str = "pyannote",
    xvector: str = "campplus",
    channels: str | int = "auto",
    turns: Literal["closed", "tight"] | None = None,
    seed: int = 0,
    threads: int | None = None,
    recording: str | None = None,
    progress: Progress | bool = False,
    known: str | Path | None = None,
) -> Diarization:
    """Find out who spoke when in a recording.

    Models stay in memory for the next call (see :class:`Diarizer`).

    Args:
        audio: A path; bytes or an open binary file, which stays at its position; ``(samples, rate)`` or
            ``{"waveform": samples, "sample_rate": rate}`` (see :func:`ssdiar.io.memory.samples_of`).
        num_spk: Number of speakers, or its limits (``"2-8"``), or ``"estimate"``; by default the system's.
        system: A choice of conf/systems, such as ``"best"``.
        sad: A choice of conf/sad.
        xvector: A choice of conf/xvector, such as ``"campplus+device=cuda"``.
        channels: ``auto``, ``mix``, ``parties`` (one party per channel), or the number of the only channel to use.
        turns: ``closed``: a speaker's short pauses belong to the turn, and turns are a little wider than speech, as in
            references of telephone calls; ``tight``: turns end where detected speech does, as transcripts need it. By
            default the system's.
        seed: Source of randomness.
        threads: Parts of a recording that are processed at once; by default the number of cores.
        recording: Name in RTTM and other files; by default made from the file's name.
        progress: Called with the seconds of audio done, and all of them; True: show a bar.
        known: A folder of known voices (:func:`ssdiar.enrolment.known_voices`); speakers get their names.

    Raises:
        InputError: The audio cannot be used, an option is wrong, or a model or package is missing.
    """
    diarizer = Diarizer(system=system, sad=sad, xvector=xvector, threads=threads, known=known)
    return diarizer(
        audio, num_spk=num_spk, channels=channels, turns=turns, seed=seed, recording=recording, progress=progress
    )


@contextlib.contextmanager
def progress_bar(label: str, hidden: bool = False) -> Iterator[Progress]:
    """Show a bar in seconds of audio, in a terminal or notebook, and yield the function that moves it."""
    from tqdm.auto import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with tqdm(desc=label, total=1, bar_format=form, leave=False, disable=hidden) as bar:

        def move(done: float, of: float) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield move


def _reporter(progress: Progress | bool, path: Path) -> contextlib.AbstractContextManager[Progress]:
    return contextlib.nullcontext(progress) if callable(progress) else progress_bar(path.name, hidden=not progress)


@dataclass(frozen=True)
class _Work:
    """The work on one recording that threads share."""

    name: str
    recording: Recording
    info: AudioInfo
    pool: ThreadPoolExecutor
    report: Callable[[float], None]

    def speech(self, source: SpeechSource) -> dict[str, Speech]:
        """Return the speech of the recording, part by part if it is long, or of each of its sides."""
        segmentation, network = None, source.network
        windows = None if network is None or self.recording.parties else network.windows_of(self.recording)
        if windows is not None:
            parts = []
            for part in self.pool.map(functools.partial(network.segment_part, self.recording), windows.parts()):
                parts.append(part)
                self.report(_SPEECH * len(parts) / len(windows.parts()))
            segmentation = network.joined(parts, windows, self.info.duration)
        found = speech_of(source, self.name, self.recording, (), segmentation)
        self.report(_SPEECH)
        return found

    def vectors(
        self, model: XVectorModel, segments: Mapping[str, list[Segment]], overlap: Mapping[str, list[Segment]]
    ) -> dict[str, np.ndarray]:
        """Return the x-vectors (S, D) of the recording's sub-segments, by side."""
        jobs = []
        for side, own in segments.items():
            audio = self.recording.of_side(side)
            parts = parts_of(own, is_quick_to_probe(self.recording.entry))
            whole = (False, None) if len(parts) == 1 else (True, level_of(model, audio, own))
            jobs += [(side, audio, part, overlap.get(side, ()), *whole) for part in parts if part]
        found: dict[str, list[np.ndarray]] = {side: [] for side in segments}
        for done, (job, made) in enumerate(
            zip(jobs, self.pool.map(lambda j: vectors_of(model, *j[1:]), jobs), strict=True)
        ):
            found[job[0]].append(made)
            self.report(_SPEECH + _XVECTORS * (done + 1) / len(jobs))
        return {side: np.concatenate(parts) for side, parts in found.items()}


def _check_options(**options: Any) -> None:
    """Raise InputError for options of the wrong type, or numbers out of their range."""
    for name, value in options.items():
        if name in ("seed", "threads"):
            lowest = 0 if name == "seed" else 1
            is_right = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= lowest
            expected = f"a whole number from {lowest}"
        else:
            is_right, expected = isinstance(value, str | os.PathLike), "a text"
        if not is_right and not (value is None and name in ("threads", "recording")):
            raise InputError(f"bad {name}", expected=expected, got=value)


@contextlib.contextmanager
def _file_of(audio: Audio) -> Iterator[Path]:
    """Yield the path of a file; audio in memory, or from a pipe, is in a temporary one, which no message names."""
    name = "audio"
    if isinstance(audio, str | os.PathLike):
        path = Path(audio).absolute()
        if not path.exists() or path.is_file() or path.is_dir():
            yield path
            return
        name, audio = str(path), path.read_bytes()
    elif hasattr(audio, "read"):
        name, stream = str(getattr(audio, "name", name)), audio
        at = stream.tell() if stream.seekable() else None
        audio = stream.read()
        if at is not None:
            stream.seek(at)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(name).name)
        if isinstance(audio, bytes | bytearray | memoryview):
            path.write_bytes(audio)
        elif isinstance(audio, str):
            raise InputError("bad audio", expected="a file opened with mode 'rb'", got="one opened as text")
        else:
            import soundfile

            samples, rate = samples_of(audio)
            soundfile.write(path, samples, rate, subtype="FLOAT", format="WAV")
        try:
            yield path
        except InputError as error:
            what, _, hint = str(error).replace(str(path), name).partition("\n")
            raise InputError(what, hint=hint or None) from None


def _open(path: Path, channels: str | int) -> tuple[AudioInfo, Use]:
    """Read a file to its end; return its properties and the use of its channels."""
    levels = Levels()
    info = listen(path, levels.add)
    if channels not in ("auto", "mix", "parties") and not (
        isinstance(channels, int) and 1 <= channels <= info.channels
    ):
        expected = f"auto, mix, parties or a channel from 1 to {info.channels}"
        raise InputError("bad channels", path=path, expected=expected, got=channels)
    return info, use_of_channels(levels, channels)
