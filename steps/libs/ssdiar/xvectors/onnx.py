"""x-vectors of any speaker model in ONNX: one input, filter banks (pieces, frames, bands), and vectors as an output."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.networks.graph import Network
from ssdiar.xvectors.filter_banks import FilterBankModel
from ssdiar.xvectors.models import ModelConfig, reason

_FRAMES = 73  # of the piece that a model is tried with: 0.75 s


class OnnxModel(FilterBankModel):
    """A model from a file."""

    def __init__(self, config: ModelConfig, path: Path) -> None:
        content = path.read_bytes()
        self._network = Network(content, config.device)
        inputs = self._network.inputs
        takes_banks = len(inputs) == 1 and len(inputs[0][1]) == 3 and inputs[0][1][2] in (config.bands, None)
        if not takes_banks:
            expected = f"one input, filter banks (pieces, frames, {config.bands})"
            raise InputError("no network on filter banks", path=path, expected=expected, got=_in_words(inputs))
        self._input = inputs[0][0]
        try:
            outputs = self._network(**{self._input: np.zeros((2, _FRAMES, config.bands), np.float32)})
        except Exception as error:  # whatever ONNX Runtime raises
            problem = "the network does not take two pieces of 0.75 s"
            raise InputError(problem, path=path, got=reason(error)) from error
        found = [index for index, output in enumerate(outputs) if output.ndim == 2 and len(output) == 2]
        if not found:
            got = " ".join(str(output.shape) for output in outputs)
            raise InputError("no output is a vector per piece", path=path, expected="(pieces, dimension)", got=got)
        self._output = found[0]
        super().__init__(config, hashlib.sha256(content).hexdigest(), outputs[self._output].shape[1])

    def run(self, frames: np.ndarray) -> np.ndarray:
        """See :meth:`FilterBankModel.run`."""
        return self._network(**{self._input: frames})[self._output]


def _in_words(inputs: list[tuple[str, list[int | None]]]) -> str:
    return " and ".join(f"{name} ({', '.join(str(size or '?') for size in shape)})" for name, shape in inputs)


def load(config: ModelConfig) -> OnnxModel:
    """Load the model from its file.

    Raises:
        InputError: There is no such file, or it holds no network on filter banks.
    """
    return OnnxModel(config, config.file())
