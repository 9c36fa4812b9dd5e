"""Who speaks when, in the formats of other tools: Audacity labels, Praat TextGrid, CSV and WebVTT.

Each writer takes the turns of one recording and returns the file's text, except :func:`csv_text`, which takes those of
a whole set. Times are in seconds with 3 decimals, rounded as ends, as in RTTM.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import Turn
from ssdiar.regions import merge

#: By format: what a recording's file is called; the CSV is one file of all recordings.
FILE_NAMES = {"audacity": "{reco}.txt", "textgrid": "{reco}.TextGrid", "csv": "turns.csv", "webvtt": "{reco}.vtt"}


def export(
    turns: Iterable[Turn], folder: str | Path, formats: Sequence[str], durations: Mapping[str, float] | None = None
) -> list[Path]:
    """Write turns into ``folder`` in each of ``formats`` (names of :data:`FILE_NAMES`); return the files.

    Args:
        turns: Of any number of recordings, in any order.
        folder: Made if it is not there.
        formats: Which formats.
        durations: Seconds per recording, where known; a TextGrid ends there, else with the last turn.

    Raises:
        InputError: There is no such format.
    """
    unknown = [name for name in formats if name not in FILE_NAMES]
    if unknown or not formats:
        raise InputError("no such format", expected=f"some of: {' '.join(FILE_NAMES)}", got=" ".join(unknown) or "none")
    recordings: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.reco, turn.start, turn.end, turn.speaker)):
        recordings.setdefault(turn.reco, []).append(turn)
    folder, durations = Path(folder), durations or {}
    texts: dict[str, Callable[[str], str]] = {
        "audacity": lambda reco: audacity_text(recordings[reco]),
        "textgrid": lambda reco: textgrid_text(recordings[reco], durations.get(reco)),
        "webvtt": lambda reco: webvtt_text(recordings[reco]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in formats:
        if name == "csv":
            files.append(folder / FILE_NAMES[name])
            publish_text(files[-1], csv_text([turn for reco in recordings for turn in recordings[reco]]))
            continue
        for reco in recordings:
            files.append(folder / FILE_NAMES[name].format(reco=reco))
            publish_text(files[-1], texts[name](reco))
    return files


def audacity_text(turns: Sequence[Turn]) -> str:
    """Return a label track for Audacity's File > Import > Labels: start, end and speaker, separated by tabs."""
    return "".join(f"{turn.start:.3f}\t{turn.end:.3f}\t{turn.speaker}\n" for turn in turns)


def csv_text(turns: Sequence[Turn]) -> str:
    """Return a table (RFC 4180, with a head): the columns of NIST's CTM, and the end, the word being the speaker."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["recording", "channel", "start", "duration", "end", "speaker"])
    for turn in turns:
        start, end = round(turn.start, 3), round(turn.end, 3)
        writer.writerow([turn.reco, 1, f"{start:.3f}", f"{end - start:.3f}", f"{end:.3f}", turn.speaker])
    return stream.getvalue()


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


def webvtt_text(turns: Sequence[Turn]) -> str:
    """Return WebVTT with a cue per turn: a voice span of the speaker that shows the name; a bare number is "speaker N".

    Players show the cues of a video or audio element's ``<track>`` as captions; overlapping turns overlap.
    """
    blocks = ["WEBVTT\n"]
    for turn in turns:
        name = turn.speaker.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        shown = f"speaker {name}" if name.isdecimal() else name
        blocks.append(f"{_clock(turn.start)} --> {_clock(turn.end)}\n<v {name}>{shown}</v>\n")
    return "\n".join(blocks)


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


def _clock(seconds: float) -> str:
    """Return a WebVTT timestamp, hh:mm:ss.ttt."""
    whole = round(seconds * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
