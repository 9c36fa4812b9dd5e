"""The output of the segmentation network: the activity of up to three local speakers, window by window.

The network sees windows of ten seconds and numbers the speakers of each one independently: speaker 0 of one window is
not speaker 0 of the next. Inside a window its classes show which stretches share a speaker and when speakers change.
Averaged over windows, only quantities that do not depend on these numbers have a meaning: speech and overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssdiar.timeline.regions import covered

#: The local speakers of each class of the network, in its order: none, one of three, two of three.
SPEAKER_SETS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
_LOCAL_SPEAKERS = 3  # of segmentation-3.0: at most three in ten seconds, at most two at once (Plaquet & Bredin, 2023)
# Set by hand with the rest of `best`, on the development calls of RESULTS.md; no finer search of them is recorded.
_QUIET = 0.3  # mean number of talkers at or below which a frame has no leading speaker
_SHORTEST_STINT = 0.25  # seconds; a speaker who leads for less does not make a change


@dataclass(frozen=True)
class Segmentation:
    """Probabilities of speaker sets for the frames of overlapping windows, all on one grid of frames.

    Attributes:
        probabilities: (W, F, 7) float16, per window and frame; the classes are ``SPEAKER_SETS``.
        first_frames: (W,) whole numbers, the frame of the recording that each window begins with; increasing.
        frame_start: Seconds at which frame 0 of the recording begins.
        frame_step: Seconds from a frame to the next.
        duration: Seconds of the recording. The first and last frame extend to its ends.
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
        """Return the probability of speech in each frame of the recording, mean of its windows, (T,)."""
        return self._averaged(1 - self.probabilities[:, :, 0].astype(np.float32))

    def overlap(self) -> np.ndarray:
        """Return the probability of overlap in each frame of the recording, mean of its windows, (T,)."""
        two = [index for index, group in enumerate(SPEAKER_SETS) if len(group) > 1]
        return self._averaged(self.probabilities[:, :, two].astype(np.float32).sum(axis=2))

    def changes(self) -> np.ndarray:
        """Return the times of changes of speaker, in seconds, in order, (C,): in the middle of the pause, if any.

        Each window's local speakers are matched to the windows before it by simultaneous activity; a change is the time
        at which another of the three becomes the most active. The matching holds over a few windows only.
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
        """Return the chosen frames of the recording, (T,) bool, as (m, 2) regions in seconds."""
        edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).reshape(-1, 2)
        times = self.times(edges)
        times[edges == 0] = 0.0
        times[edges == len(chosen)] = self.duration
        return covered(np.clip(times, 0.0, self.duration))

    def _aligned(self) -> np.ndarray:
        """Return the matched local speakers' activities in each frame of the recording, mean of its windows, (T, 3)."""
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
