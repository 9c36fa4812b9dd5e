"""Turns in the formats of other tools: Audacity labels, Praat TextGrid, CSV, JSON, SubRip, WebVTT and RTTM.

:func:`text_of` returns one recording in one format; :func:`export` writes the files of a set. Times are in seconds with
3 decimals, rounded as ends, as in RTTM. RTTM, CSV and JSON have the confidence of a turn if it is known.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ssdiar.base.errors import InputError
from ssdiar.base.publish import OwnFiles
from ssdiar.io.rttm import rttm_text
from ssdiar.results import RecordingEntry, recording_entry
from ssdiar.timeline.regions import merge
from ssdiar.timeline.spans import OfRecording, Turn, grouped

#: File names by format; a name without ``{reco}`` is one file of all recordings.
FILE_NAMES = {
    "audacity": "{reco}.txt",
    "textgrid": "{reco}.TextGrid",
    "csv": "turns.csv",
    "rttm": "{reco}.rttm",
    "json": "{reco}.json",
    "srt": "{reco}.srt",
    "vtt": "{reco}.vtt",
}
#: Formats by the suffix of their files, in lower case.
SUFFIXES = {Path(name).suffix.lower(): form for form, name in FILE_NAMES.items()}
_Item = TypeVar("_Item", bound=OfRecording)


class Cue(NamedTuple):
    """A caption from ``start`` to ``end`` seconds; without ``text`` it shows the name of the speaker."""

    start: float
    end: float
    speaker: str | None
    text: str = ""


def export(
    turns: Iterable[Turn],
    folder: str | Path,
    formats: Sequence[str],
    durations: Mapping[str, float] | None = None,
    entries: Iterable[RecordingEntry] = (),
    kinds: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write turns of any recordings into ``folder`` in some formats of :data:`FILE_NAMES`; return the files.

    ``durations`` are the lengths of recordings in seconds, as far as they are known, ``entries`` those of result.json
    (see :func:`text_of`), and ``kinds`` the kinds of turns by recording, for ``json``. Recordings without turns have
    files if they have an entry.

    Raises:
        InputError: A format does not exist, or a file would be lost (:class:`ssdiar.base.publish.OwnFiles`).
    """

    known = {entry["recording"]: entry for entry in entries}

    def text(name: str, reco: str, own: Sequence[Turn]) -> str:
        duration, entry = (durations or {}).get(reco), known.get(reco)
        if name != "json":
            return text_of(name, own, duration)
        made = recording_entry(reco, own, file=entry and entry["file"], duration=duration)
        if entry and entry["num_spk"] == made["num_spk"]:  # else the turns were edited
            made["num_spk_probability"] = entry["num_spk_probability"]
        return text_of(name, own, duration, made | ({"turn_kind": kinds[reco]} if reco in (kinds or {}) else {}))

    return write_files(turns, folder, formats, FILE_NAMES, text, known, overwrite)


def write_files(
    items: Iterable[_Item],
    folder: str | Path,
    formats: Sequence[str],
    names: Mapping[str, str],
    text: Callable[[str, str, Sequence[_Item]], str],
    silent: Iterable[str] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write turns or words into ``folder``, recordings by id; return the files.

    ``names`` are file names by format, as :data:`FILE_NAMES`; ``text`` makes a file's text of its format, its (first)
    recording and items; recordings without any have files if ``silent`` names them.

    Raises:
        InputError: See :func:`export`.
    """
    check_formats(formats, names)
    recordings = {reco: [] for reco in silent} | grouped(items)
    contents: dict[tuple[str, str], tuple[str, list[_Item]]] = {}  # by file and format
    for name in formats:
        for reco in sorted(recordings):
            contents.setdefault((names[name].format(reco=reco), name), (reco, []))[1].extend(recordings[reco])
    results = OwnFiles(folder)
    results.check([file for file, _ in contents], overwrite)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for (file, name), (reco, own) in contents.items():
        results.write(file, text(name, reco, own))
    return [Path(folder, file) for file, _ in contents]


def check_formats(formats: Sequence[str], known: Iterable[str]) -> None:
    """Raise InputError unless there are formats, all of them known."""
    unknown = [name for name in formats if name not in known]
    if unknown or not formats:
        raise InputError("no such format", expected=f"some of: {' '.join(known)}", got=" ".join(unknown) or "none")


def text_of(
    name: str, turns: Sequence[Turn], duration: float | None = None, entry: Mapping[str, Any] | None = None
) -> str:
    """Return turns in a format of :data:`FILE_NAMES`; only ``csv`` and ``rttm`` take several recordings.

    ``duration`` is the recording's length in seconds, for ``textgrid`` (default: the last turn's end). ``entry`` is for
    ``json`` (default: :func:`ssdiar.results.recording_entry` of the turns).
    """
    turns = sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker))
    cues = [Cue(turn.start, turn.end, turn.speaker) for turn in turns]
    writers: dict[str, Callable[[], str]] = {
        "audacity": lambda: audacity_text(turns),
        "textgrid": lambda: textgrid_text(turns, duration),
        "csv": lambda: csv_text(turns),
        "rttm": lambda: rttm_text(turns),
        "json": lambda: json_text(entry or recording_entry(turns[0].reco, turns, duration=duration), turns),
        "srt": lambda: srt_text(cues),
        "vtt": lambda: vtt_text(cues),
    }
    return writers[name]()


def audacity_text(turns: Sequence[Turn]) -> str:
    """Return a label track for Audacity's File > Import > Labels: start, end and speaker, separated by tabs."""
    return "".join(f"{turn.start:.3f}\t{turn.end:.3f}\t{turn.speaker}\n" for turn in turns)


def csv_text(turns: Sequence[Turn]) -> str:
    """Return a table (RFC 4180, with a head) with a turn per row; an unknown confidence is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["recording", "channel", "start", "duration", "end", "speaker", "confidence"])
    for turn in turns:
        start, end = round(turn.start, 3), round(turn.end, 3)
        sure = "" if turn.confidence is None else f"{turn.confidence:.3f}"
        writer.writerow([turn.reco, 1, f"{start:.3f}", f"{end - start:.3f}", f"{end:.3f}", turn.speaker, sure])
    return stream.getvalue()


def json_text(entry: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """Return a recording as JSON: its entry (:func:`ssdiar.results.recording_entry`) and its ``turns``."""
    rows: list[dict[str, Any]] = []
    for turn in turns:
        rows.append({"speaker": turn.speaker, "start": round(turn.start, 3), "end": round(turn.end, 3)})
        if turn.confidence is not None:
            rows[-1]["confidence"] = round(turn.confidence, 3)
    return json.dumps({**entry, "turns": rows}, ensure_ascii=False, indent=1) + "\n"


def textgrid_text(turns: Sequence[Turn], duration: float | None = None) -> str:
    """Return a Praat TextGrid (long text format) with an interval tier per speaker; silence is an empty interval.

    Overlapping turns of a speaker become one interval.
    """
    end = round(max([duration or 0.0, *(turn.end for turn in turns)]), 3)
    speakers = sorted({turn.speaker for turn in turns})
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.3f}"]
    lines += ["tiers? <exists>", f"size = {len(speakers)}", "item []:"]
    for number, speaker in enumerate(speakers, 1):
        own = [(round(turn.start, 3), round(turn.end, 3)) for turn in turns if turn.speaker == speaker]
        talk = merge([region for region in own if region[1] > region[0]])
        edges = enumerate(pairwise([0.0, *talk.ravel().tolist(), end]))  # silence and talk in turn
        intervals = [(start, stop, speaker if at % 2 else "") for at, (start, stop) in edges if stop > start]
        name = _praat_string(speaker)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {name}"]
        lines += ["        xmin = 0", f"        xmax = {end:.3f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start:.3f}"]
            lines += [f"            xmax = {stop:.3f}", f"            text = {_praat_string(text)}"]
    return "\n".join(lines) + "\n"


def srt_text(cues: Iterable[Cue]) -> str:
    """Return SubRip: numbered captions that begin with the speaker's name; cues may overlap."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        text = ": ".join(filter(None, (shown_name(cue.speaker), cue.text)))
        times = f"{_clock(cue.start)} --> {_clock(cue.end)}".replace(".", ",")
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def vtt_text(cues: Iterable[Cue]) -> str:
    """Return WebVTT: cues with a voice span each, for the ``<track>`` of a video or audio element; cues may overlap."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = _vtt_string(cue.text or shown_name(cue.speaker))
        shown = text if cue.speaker is None else f"<v {_vtt_string(cue.speaker)}>{text}</v>"
        blocks.append(f"{_clock(cue.start)} --> {_clock(cue.end)}\n{shown}\n")
    return "\n".join(blocks)


def shown_name(speaker: str | None) -> str:
    """Return a speaker's name as people read it: a bare number is "speaker N", an unknown speaker is empty."""
    return f"speaker {speaker}" if speaker and speaker.isdecimal() else speaker or ""


def _praat_string(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _vtt_string(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float) -> str:
    """Return a timestamp of WebVTT, hh:mm:ss.ttt."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
