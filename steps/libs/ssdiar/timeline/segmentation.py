"""Who of a few local speakers talks, window by window: the output of the segmentation network, kept for later stages.

The network hears windows of ten seconds and names the speakers of each anew: its speaker 0 of one window is not that of
the next. Inside a window its classes say which stretches are one speaker's, which are different speakers', and where
speakers change. Averaged over windows, only what does not depend on these names has a meaning: whether anybody speaks,
and whether more than one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssdiar.errors import InputError
from ssdiar.timeline.regions import covered

#: Which local speakers each class of the network stands for, in its order: nobody, one of three, two of three.
SPEAKER_SETS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
_LOCAL_SPEAKERS = 3  # of segmentation-3.0: at most three in ten seconds, at most two at once (Plaquet & Bredin, 2023)
# Set by hand with the rest of `best`, on the development calls of RESULTS.md; no finer search of them is recorded.
_QUIET = 0.3  # mean number of talkers at or below which a frame belongs to nobody
_SHORTEST_STINT = 0.25  # seconds; a shorter lead is no change of speaker


@dataclass(frozen=True)
class Segmentation:
    """Probabilities of speaker sets for the frames of overlapping windows, all on one grid of frames.

    Attributes:
        probabilities: (W, F, 7) float16, per window and frame; the classes are ``SPEAKER_SETS``.
        first_frames: (W,) whole numbers, the frame of the recording that each window begins with; increasing.
        frame_start: Seconds at which frame 0 of the recording begins.
        frame_step: Seconds from a frame to the next.
        duration: Seconds of the recording. Its first and last frame stand for what no frame covers at its ends.
    """

    probabilities: np.ndarray
    first_frames: np.ndarray
    frame_start: float
    frame_step: float
    duration: float

    def times(self, frames: np.ndarray) -> np.ndarray:
        """Return when frames of the recording begin, in seconds."""
        return self.frame_start + np.asarray(frames) * self.frame_step

    def activities(self) -> np.ndarray:
        """Return the probability that each local speaker talks, (W, F, 3) float32."""
        members = np.array([[speaker in group for speaker in range(_LOCAL_SPEAKERS)] for group in SPEAKER_SETS])
        return self.probabilities.astype(np.float32) @ members.astype(np.float32)

    def speech(self) -> np.ndarray:
        """Return the probability that anybody talks in each frame of the recording, mean of its windows, (T,)."""
        return self._averaged(1 - self.probabilities[:, :, 0].astype(np.float32))

    def overlap(self) -> np.ndarray:
        """Return the probability that two talk in each frame of the recording, mean of its windows, (T,)."""
        two = [index for index, group in enumerate(SPEAKER_SETS) if len(group) > 1]
        return self._averaged(self.probabilities[:, :, two].astype(np.float32).sum(axis=2))

    def changes(self) -> np.ndarray:
        """Return when the speaker changes, in seconds, in order, (C,): in the middle of the pause, if there is one.

        The windows' local speakers are brought into one order, each window's by who talks at the same time as in those
        before it; a change is where another of the three leads. That order lasts for some windows, no more.
        """
        together = self._aligned()
        leader = np.where(together.sum(axis=1) > _QUIET, together.argmax(axis=1), -1)
        edges = np.flatnonzero(np.diff(leader, prepend=-2, append=-2))
        first, last, who = edges[:-1], edges[1:], leader[edges[:-1]]
        stint = (who >= 0) & ((last - first) * self.frame_step >= _SHORTEST_STINT)
        first, last, who = first[stint], last[stint], who[stint]
        change = who[1:] != who[:-1]
        return self.times((last[:-1][change] + first[1:][change]) / 2)

    def regions(self, chosen: np.ndarray) -> np.ndarray:
        """Return chosen frames of the recording, (T,) bool, as (m, 2) regions in seconds."""
        edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).reshape(-1, 2)
        times = self.times(edges)
        times[edges == 0] = 0.0
        times[edges == len(chosen)] = self.duration
        return covered(np.clip(times, 0.0, self.duration))

    def _aligned(self) -> np.ndarray:
        """Return the local speakers' activities for each frame of the recording, mean of its windows, (T, 3)."""
        from scipy.optimize import linear_sum_assignment

        activities = self.activities()
        frames = activities.shape[1]
        total = int(self.first_frames[-1]) + frames
        summed, count = np.zeros((total, _LOCAL_SPEAKERS)), np.zeros((total, 1))
        for first, window in zip(self.first_frames, activities, strict=True):
            here = slice(int(first), int(first) + frames)
            known = summed[here] / np.maximum(count[here], 1)
            _, order = linear_sum_assignment(-(known.T @ window))
            summed[here] += window[:, order]
            count[here] += 1
        return summed / np.maximum(count, 1)

    def _averaged(self, values: np.ndarray) -> np.ndarray:
        """Return (W, F) values of frames of windows as the mean for each frame of the recording, (T,) float64."""
        frames = self.first_frames[:, None] + np.arange(values.shape[1])
        total = int(frames[-1, -1]) + 1
        return np.bincount(frames.ravel(), values.ravel(), total) / np.bincount(frames.ravel(), minlength=total)


def write_segmentation(path: str | Path, segmentation: Segmentation) -> None:
    """Write a segmentation as ``.npz``, compressed, one array per attribute; the same input gives the same bytes."""
    np.savez_compressed(path, allow_pickle=False, **vars(segmentation))


def read_segmentation(path: str | Path) -> Segmentation:
    """Read what :func:`write_segmentation` wrote.

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
