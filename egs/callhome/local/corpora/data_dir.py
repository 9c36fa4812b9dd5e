"""Data directories of corpora: checked against the audio, built aside, published by rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from corpora import cabank, ldc, sre2000
from corpora.corpus import NOT_TWO, Call, Corpus
from ssdiar import work
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_folder, publish_text
from ssdiar.io.audio import AudioInfo, listen, read_audio
from ssdiar.io.recordings import files_below
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import write_segments, write_table

READERS = {module.NAME: module for module in (ldc, cabank, sre2000)}
# Annotators' times may exceed the audio by this much (seconds); a longer transcript belongs to other audio.
_LATEST = 1.0
_VERSION = 1  # of the output; another one makes directories again
_TABLES = "wav.scp reco2dur reco2num_spk ref.rttm all.uem utt2spk spk2utt segments left_out reco2offset"


def read_corpus(name: str, folder: Path) -> Corpus:
    """Read the corpus ``name``, or with ``auto`` the one that the files below the folder belong to.

    Raises:
        InputError: No such folder, or no usable recording in it; with ``auto``, files of none or of several corpora.
    """
    if not folder.is_dir():
        raise InputError("no such folder", path=folder, expected="the folder of a corpus")
    corpus = READERS[_recognised(folder) if name == "auto" else name].read_corpus(folder)
    if not corpus.calls:
        hint = "\n".join(f"{reco}: {reason}" for reco, reason in list(corpus.left_out.items())[:20]) or None
        raise InputError(f"no usable recording of {corpus.name}", path=folder, hint=hint)
    return corpus


def _recognised(folder: Path) -> str:
    files = list(files_below(folder))
    found = [name for name, module in READERS.items() if module.annotation(files)]
    if len(found) == 1:
        return found[0]
    what = "files of several corpora" if found else "no known corpus"
    expected = "transcripts en_NNNN.txt (callhome_english), *.cha (cabank), or fullref.rttm (sre2000)"
    got = " and ".join(found) or f"{len(files)} other files"
    raise InputError(what, path=folder, expected=expected, got=got, hint="Name it with --corpus." if found else None)


def check(corpus: Corpus, limit: int | None) -> Corpus:
    """Check the audio of a corpus until there are ``limit`` usable calls; return these, with their durations.

    A call is left out if none of its files can be decoded, or if its annotation ends over a second after the audio.
    """
    calls, left_out = {}, dict(corpus.left_out)
    for reco, call in corpus.calls.items():
        if len(calls) == limit:
            break
        try:
            calls[reco] = _checked(call)
        except InputError as error:
            left_out[reco] = error.what
    return replace(corpus, calls=calls, left_out=dict(sorted(left_out.items())))


def _checked(call: Call) -> Call:
    """Return a call with the first of its files that can be decoded, cut at the end of the audio."""
    reasons = []
    for path in call.audio:
        try:
            info = _probe(path)
            break
        except InputError as error:
            reasons.append(str(error).split("\n")[0])
    else:
        raise InputError("; ".join(reasons))
    _, last = call.extent
    if last > info.duration + _LATEST:
        raise InputError(f"annotated until {last:.2f} s, but {path} ends at {info.duration:.2f} s")
    if last > info.duration:
        remark = f"annotated until {last:.3f} s, cut at the end of the audio, {info.duration:.3f} s"
        call = replace(call, remarks=(*call.remarks, remark))
    return replace(_clipped(call, 0.0, info.duration), audio=(path.absolute(),), duration=info.duration)


def _probe(path: Path) -> AudioInfo:
    shown = str(path).encode(errors="replace").decode()
    if shown != str(path) or "\n" in shown or path.name != path.name.strip():
        raise InputError(f"{shown!r}: a name that wav.scp cannot hold")
    try:
        info = listen(path)
    except InputError as error:
        with open(path, "rb") as stream:
            is_shortened = b"embedded-shorten" in stream.read(1024)
        hint = " (shorten-compressed NIST SPHERE: sph2pipe must be on the PATH; PyAV decodes 16-bit shorten only)"
        reason = str(error).split("\n")[0]
        raise InputError(reason + (hint if is_shortened and not shutil.which("sph2pipe") else "")) from None
    # The copy of a known corpus must be whole, or its gaps would be scored as errors of the system.
    if info.remarks:
        raise InputError("; ".join(info.remarks), path=path)
    return info


def _clipped(call: Call, start: float, end: float) -> Call:
    """Return a call with the turns and speech between two times only, all times counted from ``start``."""

    def clipped(spans: Iterable) -> tuple:
        inside = (span for span in spans if span.start < end and span.end > start)
        return tuple(replace(s, start=max(s.start, start) - start, end=min(s.end, end) - start) for s in inside)

    return replace(call, turns=clipped(call.turns), segments=clipped(call.segments), offset=call.offset + start)


class DataDir:
    """A data directory with wav.scp (the corpus's own files), reco2dur, reco2num_spk, ref.rttm, all.uem (from the first
    to the last turn of each recording), utt2spk, spk2utt, segments if the corpus has speech regions, and left_out.

    If cropped, wav/ holds the annotated extent of each recording as its mono mix, times count from its start, and
    reco2offset has the offsets.
    """

    def __init__(self, path: Path, corpus: Corpus, limit: int | None, crop: bool) -> None:
        """Describe the directory of a selection of a corpus, before :func:`check`.

        Raises:
            InputError: The directory is of another corpus.
        """
        self._path, self._crop = Path(os.path.abspath(path)), crop
        audio = [file for call in corpus.calls.values() for file in call.audio]
        self._inputs = work.check(*corpus.sources, *audio)
        self._settings = {"corpus": corpus.name, "version": _VERSION, "calls": list(corpus.calls)}
        self._settings |= {"limit": limit, "crop": crop}
        self._stage = f"prepare_data.{corpus.name}"
        for other in READERS:
            if other != corpus.name and work.Manifest(path, f"prepare_data.{other}").is_planned():
                hint = f"Give another --set, or remove {path}."
                raise InputError("is of another corpus", path=path, expected=corpus.name, got=other, hint=hint)

    def is_current(self) -> bool:
        """Whether the directory is up to date, with no recording left out that may be usable by now."""
        if not work.Manifest(self._path, self._stage).is_current(self._inputs, self._settings):
            return False
        return all(line.endswith(NOT_TWO) for line in (self._path / "left_out").read_text().splitlines())

    def write(self, corpus: Corpus) -> None:
        """Write a checked corpus in place of an earlier directory, which is unchanged until then.

        Raises:
            InputError: The path exists and is no such directory, or audio to be cropped is damaged.
        """
        out_dir = self._path
        is_empty = out_dir.is_dir() and not any(out_dir.iterdir())
        if out_dir.exists() and not is_empty and not work.Manifest(out_dir, self._stage).is_planned():
            what = "exists and was not made here, so it is not replaced"
            raise InputError(what, path=out_dir, hint="Give another --set, or remove it.")
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}.", suffix=".tmp", dir=out_dir.parent) as aside:
            build = Path(aside, "new")
            build.mkdir()
            manifest = work.Manifest(build, self._stage)
            manifest.plan(self._inputs, self._settings)
            cropped = [f"wav/{reco}.flac" for reco in corpus.calls] if self._crop else []
            with manifest.finish(*cropped, editable=_TABLES.split()):
                calls = list(corpus.calls.values())
                if self._crop:
                    (build / "wav").mkdir()
                    calls = [_cropped(call, build / "wav", out_dir / "wav") for call in calls]
                    write_table(build / "reco2offset", {call.reco: f"{call.offset:.3f}" for call in calls})
                _write_tables(build, calls)
                reasons = {reco: " ".join(reason.split()) for reco, reason in corpus.left_out.items()}
                write_table(build / "left_out", reasons)
            publish_folder(build, out_dir)


def _cropped(call: Call, folder: Path, final_folder: Path) -> Call:
    """Write the annotated extent of a call into ``folder``, to be renamed; return the call of that audio."""
    import soundfile

    start, end = call.extent
    samples, rate = read_audio(call.audio[0], start=start, end=end)
    soundfile.write(folder / f"{call.reco}.flac", samples, rate, subtype="PCM_16")
    duration = len(samples) / rate
    audio = (final_folder / f"{call.reco}.flac",)
    return replace(_clipped(call, start, start + duration), audio=audio, duration=duration)


def _write_tables(folder: Path, calls: list[Call]) -> None:
    write_table(folder / "wav.scp", {call.reco: call.audio[0] for call in calls})
    write_table(folder / "reco2dur", {call.reco: f"{call.duration:.4f}" for call in calls})
    write_table(folder / "reco2num_spk", {call.reco: call.num_spk or len(call.speakers) for call in calls})
    write_rttm(folder / "ref.rttm", [turn for call in calls for turn in call.turns])
    extents = sorted((call.reco, *call.extent) for call in calls)
    publish_text(folder / "all.uem", "".join(f"{reco} 1 {start:.3f} {end:.3f}\n" for reco, start, end in extents))
    segments = [segment for call in calls for segment in call.segments]
    if segments:
        write_segments(folder, segments)
    else:
        for name in ("utt2spk", "spk2utt"):
            write_table(folder / name, {call.reco: call.reco for call in calls})
