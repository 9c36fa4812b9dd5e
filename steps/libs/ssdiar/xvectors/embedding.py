"""The x-vectors of a recording's pieces; long recordings are embedded part by part, which jobs and threads share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssdiar.data import Recording
from ssdiar.io.audio import is_quick_to_probe
from ssdiar.timeline.spans import Segment
from ssdiar.xvectors.models import XVectorModel, free_of

_PART = 60  # seconds of a part of a long recording
_MARGIN = 1  # seconds of audio that are read beyond the pieces of a part


def part_numbers(pieces: Sequence[Segment], entry: str) -> list[int | None]:
    """Return the part from 0 that each piece of a recording belongs to; None: the recording is not done in parts.

    What a part is depends on the recording alone, and so do its vectors.

    Args:
        pieces: Of one recording, in order of time.
        entry: Its entry of wav.scp.
    """
    count = max(1, int(pieces[-1].end // _PART)) if pieces and is_quick_to_probe(entry) else 1
    return [None if count == 1 else min(int(piece.start // _PART), count - 1) for piece in pieces]


def embed(
    model: XVectorModel, recording: Recording, pieces: Sequence[Segment], discarded: np.ndarray, is_part: bool
) -> np.ndarray:
    """Return the x-vectors (S, D) of pieces of a recording.

    Args:
        model: What makes them.
        recording: Its audio is read.
        pieces: S of its pieces, in order of time.
        discarded: (m, 2) seconds of overlap that no piece is widened into.
        is_part: Whether the pieces are a part of it; only the audio around them is read then.

    Raises:
        InputError: The audio is broken.
    """
    starts, ends = (np.array([getattr(piece, name) for piece in pieces]) for name in ("start", "end"))
    bounds = free_of(starts, ends, discarded)
    if not is_part:
        samples, _ = recording.read(model.config.sample_rate)
        return model.embed(samples, starts, ends, bounds)
    # From and to whole seconds, where samples and frames of all rates meet, with more than a piece needs.
    first = max(0, int(starts.min()) - _MARGIN)
    samples, _ = recording.read(model.config.sample_rate, first, int(ends.max()) + 1 + _MARGIN)
    return model.embed(samples, starts, ends, bounds, first)
