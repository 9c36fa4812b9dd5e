"""Speech from the reference instead of a detector; every use of it carries the word ``oracle``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ssdiar.io.rttm import Turn
from ssdiar.regions import covered, subtract, to_hundredths


def reference_speech(
    turns: Iterable[Turn], duration: float | None = None, apart: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the reference turns of one recording say that anybody speaks, and where two speakers do.

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
