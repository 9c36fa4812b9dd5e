"""Speech that is given instead of detected: by the reference (every use of it says ``oracle``), or in a user's file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ssdiar.io.names import Names
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_lines, read_segments
from ssdiar.timeline.regions import covered, subtract, to_hundredths
from ssdiar.timeline.spans import Turn, grouped


def read_turns(
    path: str | Path,
    recordings: Iterable[str],
    durations: Mapping[str, float] | None = None,
    names: Names | None = None,
) -> dict[str, list[Turn]]:
    """Read the turns of an RTTM, or a segments file as turns of one speaker, by recording.

    Args:
        path: The file: RTTM if its name or its first line says so, otherwise segments.
        recordings: Those there are; segments must be of them, turns of an RTTM need not be.
        durations: Seconds per recording; segments must end before (:func:`ssdiar.io.tables.read_segments`).
        names: If given, recordings go by any of their names.

    Raises:
        InputError: There is no such file, or a line is malformed.
    """
    first = next((text.split() for _, text in read_lines(path)), [""])
    if Path(path).suffix == ".rttm" or first[0] == "SPEAKER" or first[0].startswith(";;") or len(first) > 8:
        found = read_rttm(path, names)
    else:
        found = [Turn(s.reco, "speech", s.start, s.end) for s in read_segments(path, recordings, durations, names)]
    return grouped(found)


def given_speech(
    turns: Iterable[Turn], duration: float | None = None, apart: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the turns of one recording say that anybody speaks, and where two speakers do.

    Speech is the union of the turns: a change of speaker without a pause is not visible in it. (Where overlap is kept
    apart, its ends are.)

    Args:
        turns: Turns of one recording.
        duration: Seconds; nothing goes beyond it.
        apart: Whether overlap is taken out of speech and given apart.

    Returns:
        speech: (n, 2) hundredths of a second, whole numbers.
        overlap: (m, 2) the same; empty unless ``apart``.
    """
    by_speaker: dict[str, list[tuple[float, float]]] = {}
    for turn in turns:
        by_speaker.setdefault(turn.speaker, []).append((turn.start, turn.end))
    # Rounded before anything is cut, so that speech and overlap meet exactly.
    rounded = [covered(to_hundredths(regions, duration)) for regions in by_speaker.values()]
    regions = np.concatenate(rounded) if rounded else np.empty((0, 2))
    overlap = covered(regions, 2) if apart else np.empty((0, 2))
    return subtract(regions, overlap), overlap
