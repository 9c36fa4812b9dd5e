"""From the calls of a corpus to a data directory: checked against the audio, built aside, published by rename."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from corpora.corpus import NOT_TWO, Call, Corpus, Selection
from ssdiar import work
from ssdiar.data import files_below
from ssdiar.errors import InputError
from ssdiar.io.audio import AudioInfo, listen, read_audio
from ssdiar.io.publish import publish_folder, publish_text
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import write_segments, write_table
from ssdiar.timeline.spans import Segment, Turn

# The module that reads a corpus, and its function that finds the files that give the corpus away.
_READERS = {
    "callhome_english": ("ldc", "transcripts"),
    "cabank": ("cabank", "transcripts"),
    "sre2000": ("sre2000", "keys"),
}
CORPORA = tuple(_READERS)

# Annotators' times may be that much after the end of the audio; a transcript that goes on for longer is of other audio.
_LATEST = 1.0  # seconds
_VERSION = 1  # of what is written; another one makes directories anew
_TABLES = (
    "wav.scp",
    "reco2dur",
    "reco2num_spk",
    "ref.rttm",
    "all.uem",
    "utt2spk",
    "spk2utt",
    "segments",
    "left_out",
    "reco2offset",
)


@dataclass(frozen=True)
class CheckedCall:
    """A call, the file that its audio is read from, what its header says, and at what second of the audio it begins."""

    call: Call
    audio: Path
    info: AudioInfo
    offset: float = 0.0


@dataclass
class Findings:
    """What :func:`check` made of a selection: usable calls by id, and by id why others are left out and what is odd."""

    calls: dict[str, CheckedCall] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)


def read_corpus(name: str, folder: str | Path) -> Corpus:
    """Read a corpus folder.

    Args:
        name: One of :data:`CORPORA`, or ``auto``: the one that the folder's files are of.
        folder: Where everything that belongs to the corpus is, at any depth; links are followed.

    Raises:
        InputError: No such folder, or nothing of that corpus in it; with ``auto``, files of none or of several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", path=folder, expected="the folder of a corpus")
    names = [name] if name != "auto" else [_detected(folder)]
    corpus = _module(names[0]).read_corpus(folder)
    if not corpus.calls:
        hint = "\n".join(f"{reco}: {reason}" for reco, reason in list(corpus.left_out.items())[:20]) or None
        raise InputError(f"no usable recording of {corpus.name}", path=folder, hint=hint)
    return corpus


def _detected(folder: Path) -> str:
    files = list(files_below(folder))
    found = [name for name, (_, finder) in _READERS.items() if getattr(_module(name), finder)(files)]
    if len(found) != 1:
        raise InputError(
            "no corpus that is known here" if not found else "files of several corpora",
            path=folder,
            expected="transcripts en_NNNN.txt (callhome_english), *.cha (cabank), or fullref.rttm (sre2000)",
            got=" and ".join(found) if found else f"{len(files)} other files",
            hint="Say which it is with --corpus." if found else None,
        )
    return found[0]


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"corpora.{_READERS[name][0]}")


@dataclass(frozen=True)
class Origin:
    """What a data directory is made of: the inputs and settings of its manifest."""

    inputs: dict[str, work.Mark]
    settings: dict[str, Any]


def origin(corpus: Corpus, selection: Selection, crop: bool = False) -> Origin:
    """Return what a data directory of a selection is made of; ``crop``: its annotated minutes alone."""
    audio = [path for call in selection.calls.values() for path in call.audio]
    settings = {"corpus": corpus.name, "version": _VERSION, "calls": list(selection.calls), "limit": selection.limit}
    settings["crop"] = crop
    return Origin(work.check(*corpus.sources, *audio), settings)


def is_made_of(out_dir: str | Path, wanted: Origin) -> bool:
    """Tell whether a data directory is there already, and making it again would not improve it.

    Where recordings were left out for want of something, a decoder or a file may have come since.

    Raises:
        InputError: It is of another corpus.
    """
    corpus = wanted.settings["corpus"]
    for other in CORPORA:
        if other != corpus and _manifest(out_dir, other).is_planned():
            hint = f"Give another --set, or remove {out_dir}."
            raise InputError("is of another corpus", path=out_dir, expected=corpus, got=other, hint=hint)
    if not _manifest(out_dir, corpus).is_current(wanted.inputs, wanted.settings):
        return False
    return all(line.endswith(NOT_TWO) for line in Path(out_dir, "left_out").read_text().splitlines())


def check(selection: Selection, progress: Callable[[str], None]) -> Findings:
    """Look at the audio of the selected calls until there are enough usable ones.

    Turns are cut at the end of the audio. A call is left out if none of its files can be decoded or if its annotation
    goes on for more than a second after the audio.
    """
    findings = Findings(left_out=dict(selection.left_out))
    for reco, call in selection.calls.items():
        if len(findings.calls) == selection.limit:
            break
        audio, info, reason = _first_decodable(call)
        last = max(turn.end for turn in call.turns)
        if info is None:
            findings.left_out[reco] = reason
        elif last > info.duration + _LATEST:
            findings.left_out[reco] = f"annotated until {last:.2f} s, but {audio} ends at {info.duration:.2f} s"
        else:
            remarks = list(call.remarks)
            if last > info.duration:
                remarks.append(f"annotated until {last:.3f} s, cut at the end of the audio, {info.duration:.3f} s")
            findings.calls[reco] = CheckedCall(_cut(call, info.duration), audio, info)
            if remarks:
                findings.remarks[reco] = remarks
        progress(reco)
    findings.left_out = dict(sorted(findings.left_out.items()))
    return findings


def _first_decodable(call: Call) -> tuple[Path, AudioInfo | None, str]:
    """Return (file, what it is or None, why none is usable)."""
    reasons = []
    for path in call.audio:
        shown = str(path).encode(errors="replace").decode()
        if shown != str(path) or "\n" in shown or path.name != path.name.strip():
            reasons.append(f"{shown!r}: a name that wav.scp cannot hold")
            continue
        try:
            info = listen(path)
            # A corpus is known: a broken copy of it would be scored as a fault of the system.
            if not info.remarks:
                return path.absolute(), info, ""
            reasons.append(f"{path}: {'; '.join(info.remarks)}")
        except InputError as error:
            reasons.append(str(error).split("\n")[0] + _decoder_hint(path))
    return call.audio[0], None, "; ".join(reasons)


def _decoder_hint(path: Path) -> str:
    with open(path, "rb") as stream:
        is_shortened = b"embedded-shorten" in stream.read(1024)
    needs = " (shorten-compressed NIST SPHERE: sph2pipe must be on the PATH; only 16-bit PCM decodes without it)"
    return needs if is_shortened and not shutil.which("sph2pipe") else ""


def _cut(call: Call, duration: float) -> Call:
    def end(time: float) -> float:
        return min(time, duration)

    turns = [Turn(t.reco, t.speaker, t.start, end(t.end)) for t in call.turns if t.start < duration]
    segments = [Segment(s.id, s.reco, s.start, end(s.end)) for s in call.segments if s.start < duration]
    return Call(call.reco, call.audio, tuple(turns), call.parts, call.num_spk, tuple(segments), call.remarks)


def _manifest(out_dir: str | Path, corpus: str) -> work.Manifest:
    return work.Manifest(out_dir, f"prepare_data.{corpus}")


def write_data_dir(out_dir: str | Path, corpus: Corpus, findings: Findings, made_of: Origin) -> None:
    """Write a data directory in place of what was there; until it is complete, nothing is changed.

    It holds wav.scp (the corpus's own files, which stages mix to mono), reco2dur, reco2num_spk, ref.rttm, all.uem (from
    the first to the last annotated turn of each recording), utt2spk and spk2utt ("spk" files name recordings), segments
    where the corpus states them (else an utterance is a whole recording), the lists of its folds if it has any,
    left_out (``<recording> <reason>``) and the manifest. Where ``made_of`` says crop, wav/ holds the annotated extent
    of each recording as its mono mix, all times count from its beginning, and reco2offset says where that is in the
    corpus's audio.

    Raises:
        InputError: ``out_dir`` is something else than a data directory, or audio that is cropped is broken.
    """
    out_dir = Path(os.path.abspath(out_dir))
    if out_dir.exists() and not _manifest(out_dir, corpus.name).is_planned() and not _is_empty_folder(out_dir):
        what = "is there and was not made here, so it is left alone"
        raise InputError(what, path=out_dir, hint="Give another --set, or remove it.")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}.", suffix=".tmp", dir=out_dir.parent) as aside:
        build = Path(aside, "new")
        build.mkdir()
        manifest = _manifest(build, corpus.name)
        manifest.plan(made_of.inputs, made_of.settings)
        cropped = [f"wav/{reco}.flac" for reco in findings.calls] if made_of.settings["crop"] else []
        with manifest.finish(*cropped, editable=[*_TABLES, *(corpus.folds or ())]):
            if cropped:
                findings = _cropped(findings, build / "wav", out_dir / "wav")
                offsets = {reco: f"{checked.offset:.3f}" for reco, checked in findings.calls.items()}
                write_table(build / "reco2offset", offsets)
            _write_tables(build, corpus, findings)
        publish_folder(build, out_dir)


def _cropped(findings: Findings, folder: Path, place: Path) -> Findings:
    """Write the annotated extent of every call into ``folder``, which will be ``place``; return the calls of those."""
    import soundfile

    folder.mkdir()
    calls = {}
    for reco, checked in findings.calls.items():
        start, end = _extent(checked.call)
        samples, rate = read_audio(checked.audio, start=start, end=end)
        soundfile.write(folder / f"{reco}.flac", samples, rate, subtype="PCM_16")
        length = len(samples) / rate
        calls[reco] = CheckedCall(
            _cut(_shifted(checked.call, start), length), place / f"{reco}.flac", AudioInfo(length, rate, 1), start
        )
    return Findings(calls, findings.left_out, findings.remarks)


def _shifted(call: Call, offset: float) -> Call:
    """Return a call with all times ``offset`` earlier; what the corpus calls speech is cut to the annotated extent."""
    start, end = _extent(call)
    turns = [Turn(t.reco, t.speaker, t.start - offset, t.end - offset) for t in call.turns]
    segments = [
        Segment(s.id, s.reco, max(s.start, start) - offset, min(s.end, end) - offset)
        for s in call.segments
        if s.start < end and s.end > start
    ]
    return dataclasses.replace(call, turns=tuple(turns), segments=tuple(segments))


def _extent(call: Call) -> tuple[float, float]:
    return min(turn.start for turn in call.turns), max(turn.end for turn in call.turns)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _write_tables(folder: Path, corpus: Corpus, findings: Findings) -> None:
    checked, calls = findings.calls, {reco: checked.call for reco, checked in findings.calls.items()}
    turns = [turn for call in calls.values() for turn in call.turns]
    write_table(folder / "wav.scp", {reco: str(c.audio) for reco, c in checked.items()})
    write_table(folder / "reco2dur", {reco: f"{c.info.duration:.4f}" for reco, c in checked.items()})
    write_table(folder / "reco2num_spk", {reco: _num_spk(call) for reco, call in calls.items()})
    write_rttm(folder / "ref.rttm", turns)
    publish_text(folder / "all.uem", "".join(_uem_line(calls[reco]) for reco in sorted(calls)))
    segments = [segment for call in calls.values() for segment in call.segments]
    if segments:
        write_segments(folder, segments)
    else:
        for name in ("utt2spk", "spk2utt"):
            write_table(folder / name, {reco: reco for reco in calls})
    for fold in corpus.folds or ():
        publish_text(folder / fold, "".join(f"{reco}\n" for reco in sorted(calls) if fold in calls[reco].parts))
    write_table(folder / "left_out", {reco: " ".join(why.split()) for reco, why in findings.left_out.items()})


def _num_spk(call: Call) -> int:
    return len({turn.speaker for turn in call.turns}) if call.num_spk is None else call.num_spk


def _uem_line(call: Call) -> str:
    start, end = _extent(call)
    return f"{call.reco} 1 {start:.3f} {end:.3f}\n"


def annotated_seconds(calls: Mapping[str, CheckedCall]) -> float:
    """Return the sum of the annotated extents."""
    extents = [_extent(checked.call) for checked in calls.values()]
    return sum(end - start for start, end in extents)
