"""The network of CAM++ as a graph: filter banks of sub-segments in, vectors out.

Written here from the paper, Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", Interspeech 2023; weights have the names of the published model (3D-Speaker).

The graph computes the published network, arranged for speed. Normalisation after a convolution is folded into it. In
the densely connected layers, the bulk of the work, the frames of all sub-segments are the rows of one matrix, so that a
layer is a product of two matrices. Normalisation before a layer, relu(s x + b) W, is max(x, -b / s) (s W) + b W.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import NamedTuple

import numpy as np

from ssdiar.networks.graph import Graph, Network

BANDS = 80
_EPSILON = 1e-5  # of batch normalisation
_SEGMENT = 100  # frames that a layer's context is averaged over, beside the whole sub-segment
_DILATIONS = {1: 1, 2: 2, 3: 2}  # of the blocks of densely connected layers
_CHANNELS, _GROWTH = 128, 32

Weights = Mapping[str, np.ndarray]


def build(weights: Weights, device: str = "cpu") -> Network:
    """Return the network, for :func:`run`; for errors see also :meth:`ssdiar.networks.graph.Graph.load`.

    Args:
        weights: The published model's, by name.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        KeyError, ValueError: The weights belong to another network.
    """
    graph, vectors = graph_of(weights)
    return graph.load(vectors, device=device)


def graph_of(weights: Weights) -> tuple[Graph, str]:
    """Return the graph from ``features`` (B, T, 80), and the name of its output, vectors (B, 192)."""
    graph = Graph({"features": ("B", "T", BANDS)})
    context = _context(graph)
    frames = _front_end(graph, weights)
    for block, dilation in _DILATIONS.items():
        for layer in count(1):
            prefix = f"xvector.block{block}.tdnnd{layer}."
            if prefix + "linear1.weight" not in weights:
                break
            new = _dense_layer(graph, frames, weights, prefix, dilation, context)
            frames = graph("Concat", frames, new, axis=1)
        prefix = f"xvector.transit{block}."
        frames = _normalized_product(
            graph, frames, weights, prefix + "nonlinear.batchnorm", weights[prefix + "linear.weight"][:, :, 0]
        )
    return graph, _pooled(graph, frames, weights, context)


def run(network: Network, banks: np.ndarray) -> np.ndarray:
    """Return the vectors (B, 192) of filter banks (B, T, 80) float32, T at least 3."""
    return network(features=banks)[0]


class _Context(NamedTuple):
    """Names of the values that depend on the number of frames."""

    frames: str  # (1,) F, their number after the first layers
    segment: str  # (F,) segment of each frame
    pool: str  # (segments, F) weights of a layer's context: the average over all frames plus that over the segment


def _context(graph: Graph) -> _Context:
    zero, one = np.array(0), np.array(1)
    steps = graph("Gather", graph("Shape", "features"), one)
    frames = graph("Div", graph("Add", steps, one), np.array(2))
    segment = graph("Div", graph("Range", zero, frames, one), np.array(_SEGMENT))
    segments = graph("Div", graph("Add", frames, np.array(_SEGMENT - 1)), np.array(_SEGMENT))
    number = graph("Unsqueeze", graph("Range", zero, segments, one), np.array([1]))
    member = graph("Cast", graph("Equal", number, segment), to=1)
    size = graph("ReduceSum", member, np.array([1]), keepdims=1)
    over_all = graph("Reciprocal", graph("Cast", frames, to=1))
    pool = graph("Add", graph("Div", member, size), over_all)
    return _Context(graph("Unsqueeze", frames, np.array([0])), segment, pool)


def _scale_and_shift(weights: Weights, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return s and b, (C,) each, of a batch normalisation as s x + b."""
    scale = 1 / np.sqrt(weights[name + ".running_var"].astype(np.float64) + _EPSILON)
    scale *= weights.get(name + ".weight", 1.0)
    return scale, weights.get(name + ".bias", 0.0) - weights[name + ".running_mean"] * scale


def _convolution(graph: Graph, inputs: str, weights: Weights, name: str, norm: str, **attributes: object) -> str:
    """Return a convolution with the normalisation that follows it."""
    scale, shift = _scale_and_shift(weights, norm)
    kernel = weights[name + ".weight"]
    kernel = kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1))
    return graph("Conv", inputs, kernel.astype(np.float32), shift.astype(np.float32), **attributes)


def _front_end(graph: Graph, weights: Weights) -> str:
    """Return the frames after the two-dimensional convolutions and the first layer over time, (B F, 128)."""
    pads = {"pads": [1, 1, 1, 1]}
    image = graph("Unsqueeze", graph("Transpose", "features", perm=[0, 2, 1]), np.array([1]))
    image = graph("Relu", _convolution(graph, image, weights, "head.conv1", "head.bn1", **pads))
    for name, stride in (("layer1.0", 2), ("layer1.1", 1), ("layer2.0", 2), ("layer2.1", 1)):
        prefix = f"head.{name}."
        strides = {"strides": [stride, 1]}
        inner = _convolution(graph, image, weights, prefix + "conv1", prefix + "bn1", **pads, **strides)
        inner = _convolution(graph, graph("Relu", inner), weights, prefix + "conv2", prefix + "bn2", **pads)
        if prefix + "shortcut.0.weight" in weights:
            image = _convolution(graph, image, weights, prefix + "shortcut.0", prefix + "shortcut.1", **strides)
        image = graph("Relu", graph("Add", inner, image))
    image = graph("Relu", _convolution(graph, image, weights, "head.conv2", "head.bn2", strides=[2, 1], **pads))
    channels = weights["xvector.tdnn.linear.weight"].shape[1]
    image = graph("Reshape", image, np.array([0, channels, -1]))
    frames = _convolution(
        graph, image, weights, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm", strides=[2], pads=[2, 2]
    )
    frames = graph("Transpose", graph("Relu", frames), perm=[0, 2, 1])
    return graph("Reshape", frames, np.array([-1, _CHANNELS]))


def _normalized_product(
    graph: Graph, frames: str, weights: Weights, norm: str, matrix: np.ndarray, after: str | None = None
) -> str:
    """Return relu(s x + b) W for rows x, (N, D), of a (D, C) matrix W transposed; normalised by ``after`` if given."""
    scale, shift = _scale_and_shift(weights, norm)
    with np.errstate(divide="ignore"):
        bound = -shift / scale
    # A positive scale cuts x off from below, a negative one from above; with none x has no effect.
    lowest = np.where(scale > 0, bound, np.where(scale < 0, -np.inf, 0))
    highest = np.where(scale > 0, np.inf, np.where(scale < 0, bound, 0))
    constant = np.where(scale == 0, np.maximum(shift, 0), shift)
    matrix = matrix.astype(np.float64)
    product, offset = matrix * scale, matrix @ constant
    if after is not None:
        scale, shift = _scale_and_shift(weights, after)
        product, offset = product * scale[:, None], offset * scale + shift
    bounded = graph("Max", frames, lowest.astype(np.float32))
    if np.isfinite(highest).any():
        bounded = graph("Min", bounded, highest.astype(np.float32))
    return graph("Gemm", bounded, product.T.astype(np.float32), offset.astype(np.float32))


def _dense_layer(graph: Graph, frames: str, weights: Weights, prefix: str, dilation: int, context: _Context) -> str:
    """Return the 32 new channels of a layer, (N, 32): a convolution of three taps, masked by its context."""
    matrix = weights[prefix + "linear1.weight"][:, :, 0]
    norms = (prefix + "nonlinear1.batchnorm", prefix + "nonlinear2.batchnorm")
    hidden = graph("Relu", _normalized_product(graph, frames, weights, norms[0], matrix, norms[1]))
    prefix += "cam_layer."
    # The three taps as one product of (N, 128), whose parts are then shifted in time and added.
    taps = weights[prefix + "linear_local.weight"].transpose(1, 2, 0).reshape(_CHANNELS, 3 * _GROWTH)
    local = graph("Gemm", hidden, taps)
    local = graph("Reshape", local, graph("Concat", np.array([-1]), context.frames, np.array([3 * _GROWTH]), axis=0))
    local = graph("Pad", local, np.array([0, dilation, 0, 0, dilation, 0]))
    ends = (-2 * dilation, -dilation, np.iinfo(np.int64).max)
    parts = [
        graph(
            "Slice",
            local,
            np.array([tap * dilation, tap * _GROWTH]),
            np.array([ends[tap], (tap + 1) * _GROWTH]),
            np.array([1, 2]),
        )
        for tap in range(3)
    ]
    local = graph("Add", graph("Add", parts[0], parts[1]), parts[2])
    hidden = graph("Reshape", hidden, graph("Concat", np.array([-1]), context.frames, np.array([_CHANNELS]), axis=0))
    around = graph("MatMul", context.pool, hidden)
    for name, activation in (("linear1", "Relu"), ("linear2", "Sigmoid")):
        product = graph("MatMul", around, weights[f"{prefix}{name}.weight"][:, :, 0].T)
        around = graph(activation, graph("Add", product, weights[f"{prefix}{name}.bias"]))
    mask = graph("Gather", around, context.segment, axis=1)
    return graph("Reshape", graph("Mul", local, mask), np.array([-1, _GROWTH]))


def _pooled(graph: Graph, frames: str, weights: Weights, context: _Context) -> str:
    """Return vectors: mean and standard deviation of the frames of a piece, through a last layer.

    The last layer has a normalisation and no ReLU, as published; some copies of the network have one.
    """
    scale, shift = _scale_and_shift(weights, "xvector.out_nonlinear.batchnorm")
    frames = graph("Add", graph("Mul", frames, scale.astype(np.float32)), shift.astype(np.float32))
    shape = graph("Concat", np.array([-1]), context.frames, np.array([len(scale)]), axis=0)
    frames = graph("Reshape", graph("Relu", frames), shape)
    mean = graph("ReduceMean", frames, np.array([1]), keepdims=1)
    squares = graph("ReduceSumSquare", graph("Sub", frames, mean), np.array([1]), keepdims=0)
    others = graph("Cast", graph("Sub", context.frames, np.array([1])), to=1)
    deviation = graph("Sqrt", graph("Div", squares, others))
    statistics = graph("Concat", graph("Squeeze", mean, np.array([1])), deviation, axis=1)
    scale, shift = _scale_and_shift(weights, "xvector.dense.nonlinear.batchnorm")
    matrix = weights["xvector.dense.linear.weight"][:, :, 0] * scale[:, None]
    return graph("Gemm", statistics, matrix.T.astype(np.float32), shift.astype(np.float32))
