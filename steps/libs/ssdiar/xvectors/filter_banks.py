"""x-vectors from log mel filter banks, which are computed once per recording and cut per sub-segment.

The mean of the recording's speech is subtracted from the filter banks, not the mean of each sub-segment: 0.75 s are so
short that their own mean holds much of the voice.
"""

from __future__ import annotations

from abc import abstractmethod

import kaldi_native_fbank
import numpy as np

from ssdiar.xvectors.models import Grid, ModelConfig, XVectorModel, equal_length_batches, sample

_FRAMES_PER_SECOND = 100
# A 25 ms frame every 10 ms: 0.75 s hold 73 whole frames, two less than their length in steps.
_EDGE_FRAMES = 2
# Lengths are rounded to 50 ms: sub-segments of 0.75 s keep their exact length, odd tails share batches.
_LENGTH_STEP = 5
_BLOCK = 1 << 20  # samples per call of the filter banks, so that a long recording is not copied as a whole
_FEWEST_FRAMES = 3  # of a recording: a standard deviation needs two after a network has halved them


class FilterBankModel(XVectorModel):
    """A network on filter banks."""

    @abstractmethod
    def run(self, frames: np.ndarray) -> np.ndarray:
        """Return the vectors (B, D) of filter banks (B, T, bands) float32, T at least 3."""

    def embed(
        self,
        samples: np.ndarray,
        times: np.ndarray,
        bounds: np.ndarray | None = None,
        origin: int = 0,
        level: np.ndarray | None = None,
    ) -> np.ndarray:
        """See :meth:`XVectorModel.embed`."""
        features, first, lengths = self._placed(samples, times, bounds, origin)
        if level is None and len(times):
            chosen = sample(len(times))
            level = _mean(features, first[chosen], lengths[chosen])
        vectors = np.empty((len(times), self.dimension), np.float32)
        for batch in equal_length_batches(lengths, self.config.together):
            vectors[batch] = self.run(features[first[batch, None] + np.arange(lengths[batch[0]])] - level)
        return vectors

    def level(self, samples: np.ndarray, times: np.ndarray, origin: int = 0) -> np.ndarray:
        """See :meth:`XVectorModel.level`; the mean filter banks, (bands,)."""
        return _mean(*self._placed(samples, times, None, origin))

    def _placed(
        self, samples: np.ndarray, times: np.ndarray, bounds: np.ndarray | None, origin: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return filter banks (T, bands), and the first frame and number of frames of each stretch, (S,)."""
        features = filter_banks(samples, self.config)
        shortest = int(self.config.min_duration * _FRAMES_PER_SECOND)
        grid = Grid(_FRAMES_PER_SECOND, len(features) + _EDGE_FRAMES, shortest, _LENGTH_STEP, origin)
        first, lengths = grid.place(times, bounds)
        lengths = np.maximum(lengths - _EDGE_FRAMES, _FEWEST_FRAMES)
        return features, np.minimum(first, len(features) - lengths), lengths


def _mean(features: np.ndarray, first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the mean of the frames of stretches, each stretch weighted equally."""
    return np.mean([features[i : i + size].mean(axis=0) for i, size in zip(first, lengths, strict=True)], axis=0)


def filter_banks(samples: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Return Kaldi's log mel filter banks, (T, bands) float32: 25 ms every 10 ms, no dither; at least three frames."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = config.sample_rate
    options.frame_opts.window_type = config.window
    options.mel_opts.num_bins = config.bands
    bank = kaldi_native_fbank.OnlineFbank(options)
    shortest = config.sample_rate // 40 + (_FEWEST_FRAMES - 1) * config.sample_rate // _FRAMES_PER_SECOND
    if len(samples) < shortest:  # padding by 0 would copy a long recording
        samples = np.pad(samples, (0, shortest - len(samples)))
    for first in range(0, len(samples), _BLOCK):
        bank.accept_waveform(config.sample_rate, samples[first : first + _BLOCK] * np.float32(config.scale))
    bank.input_finished()
    features = np.empty((bank.num_frames_ready, config.bands), np.float32)
    for index in range(len(features)):
        features[index] = bank.get_frame(index)
    return features
