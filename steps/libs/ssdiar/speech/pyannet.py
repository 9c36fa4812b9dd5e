"""The network of pyannote segmentation-3.0 (PyanNet): windows of raw audio in, who of three local speakers talks out.

Written here from the papers, because pyannote.audio itself brings half a training framework and its filter bank package
is no longer maintained: Bredin and Laurent, "End-to-end speaker segmentation for overlap-aware resegmentation",
Interspeech 2021 (SincNet, LSTM, linear layers); Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural
speaker diarization", Interspeech 2023 (the classes); Pariente et al., "Filterbank design for end-to-end speech
separation", ICASSP 2020 (the band-pass filters, each beside its Hilbert transform). Names of weights are those of the
published model. Imports torch.
"""

from __future__ import annotations

import pickle

import torch
from torch import nn
from torch.nn import functional

from ssdiar.errors import InputError
from ssdiar.speech.weights import SEGMENTATION_MODEL, find_segmentation_weights, from_hub, read_checkpoint

SAMPLE_RATE = 16000
FRAME_STEP = 270  # samples: a stride of 10, then three times the largest of 3
RECEPTIVE_FIELD = 991  # samples that one frame sees
_CLASSES = 7


class _SincFilters(nn.Module):
    """80 band-pass filters of 251 taps at 16 kHz, every one given by its lower edge and its width."""

    def __init__(self, count: int = 80, length: int = 251, stride: int = 10) -> None:
        super().__init__()
        half = length // 2
        self.stride = stride
        self.filterbank = nn.Module()
        self.filterbank.low_hz_ = nn.Parameter(torch.zeros(count // 2, 1))
        self.filterbank.band_hz_ = nn.Parameter(torch.zeros(count // 2, 1))
        self.filterbank.register_buffer("window_", torch.zeros(half))
        self.filterbank.register_buffer("n_", torch.zeros(1, half))

    def filters(self) -> torch.Tensor:
        """Return the filters, (80, 1, 251): windowed differences of two sincs, then their Hilbert transforms."""
        bank = self.filterbank
        low = 50 + bank.low_hz_.abs()
        high = torch.clamp(low + 50 + bank.band_hz_.abs(), 50, SAMPLE_RATE / 2)
        width = high - low
        at_low, at_high = low @ bank.n_, high @ bank.n_
        # n_ is 2 pi n / rate for the left half, n < 0; the middle tap is the limit at n = 0, the right half a mirror.
        scale = bank.window_ / (bank.n_ / 2) / (2 * width)
        even = (at_high.sin() - at_low.sin()) * scale
        odd = (at_low.cos() - at_high.cos()) * scale
        middle = torch.ones_like(width)
        cosines = torch.cat([even, middle, even.flip(1)], 1)
        sines = torch.cat([odd, 0 * middle, -odd.flip(1)], 1)
        return torch.cat([cosines, sines])[:, None]

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(waveforms, self.filters(), stride=self.stride)


class _SincNet(nn.Module):
    """Raw audio (B, 1, samples) to features (B, 60, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList([_SincFilters(), nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(size, affine=True) for size in (80, 60, 60)])

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        outputs = self.wav_norm1d(waveforms)
        for index, (convolution, norm) in enumerate(zip(self.conv1d, self.norm1d, strict=True)):
            outputs = convolution(outputs)
            outputs = functional.max_pool1d(outputs.abs() if index == 0 else outputs, 3)
            outputs = functional.leaky_relu(norm(outputs))
        return outputs


class PyanNet(nn.Module):
    """Windows of audio, (B, 1, samples) at 16 kHz, to log probabilities of the speaker sets, (B, frames, 7).

    There is one frame for every 270 samples after the first 991, the 61.9 ms that a frame sees.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sincnet = _SincNet()
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, _CLASSES)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return (B, frames, 7) log probabilities of (B, 1, samples)."""
        outputs, _ = self.lstm(self.sincnet(waveforms).transpose(1, 2))
        for layer in self.linear:
            outputs = functional.leaky_relu(layer(outputs))
        return functional.log_softmax(self.classifier(outputs), dim=-1)


def load_network(source: str | None = None) -> PyanNet:
    """Return the network with its weights.

    Args:
        source: As of :func:`ssdiar.speech.weights.find_segmentation_weights`.

    Raises:
        InputError: The weights are not there, the hub cannot be reached, or the file holds something else.
    """
    path = find_segmentation_weights(source) or from_hub(str(source))
    network = PyanNet()
    try:
        network.load_state_dict(read_checkpoint(path)["state_dict"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError):
        raise InputError(
            "not the weights of this network", path=path, expected=f"those of {SEGMENTATION_MODEL}"
        ) from None
    return network.eval()
