"""Files of the segmentation network's output."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.timeline.segmentation import SPEAKER_SETS, Segmentation


def write_segmentation(path: str | Path, segmentation: Segmentation) -> None:
    """Write a segmentation as compressed ``.npz``, one array per attribute; the same input gives the same bytes."""
    np.savez_compressed(path, allow_pickle=False, **vars(segmentation))


def read_segmentation(path: str | Path) -> Segmentation:
    """Read a segmentation.

    Raises:
        InputError: There is no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in Segmentation.__dataclass_fields__}
        segmentation = Segmentation(
            parts["probabilities"],
            parts["first_frames"],
            *(float(parts[name]) for name in ("frame_start", "frame_step", "duration")),
        )
        windows, _, classes = segmentation.probabilities.shape
        if segmentation.first_frames.shape != (windows,) or classes != len(SPEAKER_SETS):
            raise ValueError
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except Exception:  # zip, zlib, NumPy and arithmetic each have errors of their own for damaged bytes
        raise InputError("damaged segmentation", path=path, expected="a file of detect_speech.sh") from None
    return segmentation
