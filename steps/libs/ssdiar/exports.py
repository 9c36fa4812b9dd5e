"""Who speaks when, in the formats of other tools: Audacity labels, Praat TextGrid, CSV, JSON, SubRip, WebVTT, and RTTM.

:func:`text_of` takes the turns of one recording and returns the text of a file; a CSV and an RTTM may hold those of a
whole set. Times are in seconds with 3 decimals, rounded as ends, as in RTTM. How sure a turn is stands in RTTM, CSV and
JSON where it is known.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import rttm_text
from ssdiar.results import recording_entry
from ssdiar.timeline.regions import merge
from ssdiar.timeline.spans import Turn, grouped

#: By format: what a recording's file is called; the CSV is one file of all recordings.
FILE_NAMES = {
    "audacity": "{reco}.txt",
    "textgrid": "{reco}.TextGrid",
    "csv": "turns.csv",
    "rttm": "{reco}.rttm",
    "json": "{reco}.json",
    "srt": "{reco}.srt",
    "vtt": "{reco}.vtt",
}


class Cue(NamedTuple):
    """A caption from ``start`` to ``end`` seconds; ``speaker`` None where nobody is known, ``text`` None: the name."""

    start: float
    end: float
    speaker: str | None
    text: str | None = None


def export(
    turns: Iterable[Turn], folder: str | Path, formats: Sequence[str], durations: Mapping[str, float] | None = None
) -> list[Path]:
    """Write turns into ``folder`` in each of ``formats`` (names of :data:`FILE_NAMES`); return the files.

    Args:
        turns: Of any number of recordings, in any order.
        folder: Made if it is not there.
        formats: Which formats.
        durations: Seconds per recording, where known; a TextGrid ends there, else with the last turn, and JSON says it.

    Raises:
        InputError: There is no such format.
    """
    check_formats(formats, FILE_NAMES)
    recordings = grouped(sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)))
    folder, durations = Path(folder), durations or {}
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in formats:
        if name == "csv":
            files.append(folder / FILE_NAMES[name])
            publish_text(files[-1], csv_text([turn for reco in recordings for turn in recordings[reco]]))
            continue
        for reco in recordings:
            files.append(folder / FILE_NAMES[name].format(reco=reco))
            publish_text(files[-1], text_of(name, recordings[reco], durations.get(reco)))
    return files


def check_formats(formats: Sequence[str], known: Iterable[str]) -> None:
    """Raise InputError unless there are formats, all of them known."""
    unknown = [name for name in formats if name not in known]
    if unknown or not formats:
        raise InputError("no such format", expected=f"some of: {' '.join(known)}", got=" ".join(unknown) or "none")


def text_of(name: str, turns: Sequence[Turn], duration: float | None = None) -> str:
    """Return a recording in the format ``name`` of :data:`FILE_NAMES`.

    Args:
        name: The format.
        turns: Of one recording, at least one, in any order.
        duration: Length of the recording in seconds, where known.

    Raises:
        KeyError: There is no such format.
    """
    turns = sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker))
    writers: dict[str, Callable[[], str]] = {
        "audacity": lambda: audacity_text(turns),
        "textgrid": lambda: textgrid_text(turns, duration),
        "csv": lambda: csv_text(turns),
        "rttm": lambda: rttm_text(turns),
        "json": lambda: json_text(recording_entry(turns[0].reco, turns, duration=duration), turns),
        "srt": lambda: srt_text(_cues(turns)),
        "vtt": lambda: vtt_text(_cues(turns)),
    }
    return writers[name]()


def audacity_text(turns: Sequence[Turn]) -> str:
    """Return a label track for Audacity's File > Import > Labels: start, end and speaker, separated by tabs."""
    return "".join(f"{turn.start:.3f}\t{turn.end:.3f}\t{turn.speaker}\n" for turn in turns)


def csv_text(turns: Sequence[Turn]) -> str:
    """Return a table (RFC 4180, with a head): a turn per row; the confidence is empty where it is not known."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["recording", "channel", "start", "duration", "end", "speaker", "confidence"])
    for turn in turns:
        start, end = round(turn.start, 3), round(turn.end, 3)
        sure = "" if turn.confidence is None else f"{turn.confidence:.3f}"
        writer.writerow([turn.reco, 1, f"{start:.3f}", f"{end - start:.3f}", f"{end:.3f}", turn.speaker, sure])
    return stream.getvalue()


def json_text(entry: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """Return a recording as JSON: its entry of result.json, and in ``turns`` its turns.

    A turn has ``speaker``, ``start``, ``end``, and ``confidence`` where it is known.

    Args:
        entry: See :func:`ssdiar.results.recording_entry`; what more it has is written, too.
        turns: Of the recording, in order.
    """
    return json.dumps({**entry, "turns": list(map(_turn_entry, turns))}, ensure_ascii=False, indent=1) + "\n"


def textgrid_text(turns: Sequence[Turn], duration: float | None = None) -> str:
    """Return a Praat TextGrid (long text format) with an interval tier per speaker; silence is an empty interval.

    Args:
        turns: Of one recording. A speaker's turns that overlap are one interval.
        duration: Length of the recording in seconds; by default it ends with the last turn.
    """
    end = round(max([duration or 0.0, *(turn.end for turn in turns)]), 3)
    speakers = sorted({turn.speaker for turn in turns})
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.3f}"]
    lines += ["tiers? <exists>", f"size = {len(speakers)}", "item []:"]
    for number, speaker in enumerate(speakers, 1):
        intervals = _intervals([turn for turn in turns if turn.speaker == speaker], end)
        name = _praat_string(speaker)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {name}"]
        lines += ["        xmin = 0", f"        xmax = {end:.3f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, talks) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start:.3f}",
                f"            xmax = {stop:.3f}",
            ]
            lines.append(f"            text = {name if talks else _praat_string('')}")
    return "\n".join(lines) + "\n"


def srt_text(cues: Iterable[Cue]) -> str:
    """Return SubRip: numbered captions, each beginning with the speaker's name; cues that overlap overlap."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        name = None if cue.speaker is None else shown_name(cue.speaker)
        text = ": ".join(part for part in (name, cue.text) if part is not None)
        times = f"{_clock(cue.start)} --> {_clock(cue.end)}".replace(".", ",")
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def vtt_text(cues: Iterable[Cue]) -> str:
    """Return WebVTT: cues with a voice span each; a cue without text shows the speaker's name.

    Players show the cues of a video or audio element's ``<track>`` as captions; cues that overlap overlap.
    """
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = cue.text if cue.text is not None else shown_name(cue.speaker or "")
        text = _vtt_string(text)
        shown = text if cue.speaker is None else f"<v {_vtt_string(cue.speaker)}>{text}</v>"
        blocks.append(f"{_clock(cue.start)} --> {_clock(cue.end)}\n{shown}\n")
    return "\n".join(blocks)


def shown_name(speaker: str) -> str:
    """Return a speaker's name as people read it: a bare number is "speaker N"."""
    return f"speaker {speaker}" if speaker.isdecimal() else speaker


def _cues(turns: Sequence[Turn]) -> list[Cue]:
    return [Cue(turn.start, turn.end, turn.speaker) for turn in turns]


def _turn_entry(turn: Turn) -> dict[str, Any]:
    sure = {} if turn.confidence is None else {"confidence": round(turn.confidence, 3)}
    return {"speaker": turn.speaker, "start": round(turn.start, 3), "end": round(turn.end, 3), **sure}


def _intervals(turns: Sequence[Turn], end: float) -> list[tuple[float, float, bool]]:
    """Return the time from 0 to ``end`` in intervals without gaps: (start, end, whether the speaker talks)."""
    intervals, last = [], 0.0
    rounded = [(round(turn.start, 3), round(turn.end, 3)) for turn in turns]
    for start, stop in merge([region for region in rounded if region[1] > region[0]]).tolist():
        if start > last:
            intervals.append((last, start, False))
        intervals.append((start, stop, True))
        last = stop
    if last < end or not intervals:
        intervals.append((last, end, False))
    return intervals


def _praat_string(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _vtt_string(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float) -> str:
    """Return a timestamp of WebVTT, hh:mm:ss.ttt."""
    whole = round(seconds * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
