"""The segmentation network in PyTorch, window by window: the peer of networks.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ssdiar.speech.pyannet import sinc_filters


class PyanNet(nn.Module):
    """Windows of audio, (B, 1, samples) at 16 kHz, to probabilities of the speaker sets, (B, frames, 7)."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.sincnet = nn.Module()
        self.sincnet.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        first = nn.Conv1d(1, 80, 251, stride=10, bias=False)
        self.sincnet.conv1d = nn.ModuleList([first, nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.sincnet.norm1d = nn.ModuleList([nn.InstanceNorm1d(size, affine=True) for size in (80, 60, 60)])
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, 7)
        known = {name: torch.from_numpy(np.array(value)) for name, value in weights.items() if "filterbank" not in name}
        self.load_state_dict(known | {"sincnet.conv1d.0.weight": torch.from_numpy(sinc_filters(weights))})
        self.eval()

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return (B, frames, 7) probabilities of (B, 1, samples)."""
        outputs = self.sincnet.wav_norm1d(waveforms)
        for index, (convolution, norm) in enumerate(zip(self.sincnet.conv1d, self.sincnet.norm1d, strict=True)):
            outputs = convolution(outputs)
            outputs = functional.max_pool1d(outputs.abs() if index == 0 else outputs, 3)
            outputs = functional.leaky_relu(norm(outputs))
        outputs, _ = self.lstm(outputs.transpose(1, 2))
        for layer in self.linear:
            outputs = functional.leaky_relu(layer(outputs))
        return functional.softmax(self.classifier(outputs), dim=-1)
