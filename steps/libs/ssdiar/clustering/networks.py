"""The representation networks and their training step. Imports TensorFlow.

Over a sequence of one segment, Table I's conformer is a product of matrices: the softmax of attention over a single
key is 1, so the attention is its value and output maps; a convolution of 'same' padding sees only its centre tap;
pooling over one position does nothing. The product is computed from the small end (512 x 30) before it meets the data,
which gives the outputs and the gradients of Keras' layers at a fraction of their cost.
"""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from ssdiar.clustering.vectors import length_normalise, principal_axes

# Networks this small gain nothing from a GPU, and parallel jobs would compete for its memory.
tf.config.set_visible_devices([], "GPU")
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

if TYPE_CHECKING:
    from ssdiar.clustering.config import Encoder, Loss, Training
    from ssdiar.clustering.pairs import Draw

_BETAS = (0.9, 0.999)  # decay of Adam's means of gradients and of their squares (Kingma & Ba, 2015; Keras)


class Affine(NamedTuple):
    """Weights of a layer."""

    kernel: tf.Variable  # (inner, outer)
    bias: tf.Variable  # (outer,)


class Network(ABC):
    """A map from prepared x-vectors (x, D) to unit latent vectors (x, d) that starts as a recording's PCA."""

    def __init__(self, config: Encoder) -> None:
        self.config = config
        self.variables: list[tf.Variable] = []  # its weights

    @abstractmethod
    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors (x, d) of ``vectors`` (x, D)."""

    @abstractmethod
    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Set the weights so that the latent vectors are the PCA-reduced x-vectors (S, D), as far as possible.

        Some networks start with ``whiten`` (D, D), a whitening transform.
        """

    def _weight(self, *shape: int) -> tf.Variable:
        self.variables.append(tf.Variable(tf.zeros(shape)))
        return self.variables[-1]

    def _affine(self, inner: int, outer: int) -> Affine:
        return Affine(self._weight(inner, outer), self._weight(outer))


class Conformer(Network):
    """Table I of the paper over one segment: (x, D) -> attention -> Conv1D -> pooling -> Dense -> L2, (x, d).

    It has the weights of Keras' MultiHeadAttention, Conv1D and Dense that get a gradient: the value and the output map
    of the attention (query and key get none), the centre tap of the convolution, the dense map, and their biases.
    """

    def __init__(self, config: Encoder, size: int) -> None:
        super().__init__(config)
        width = config.heads * config.key_dim
        self.value = self._affine(size, width)
        self.output_map = self._affine(width, size)
        self.convolution = self._affine(size, size)
        self.dense = self._affine(size, config.dimension)

    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors."""
        product, bias = self.dense
        for kernel, inner_bias in (self.convolution, self.output_map, self.value):
            bias = tf.linalg.matvec(product, inner_bias, transpose_a=True) + bias
            product = tf.matmul(kernel, product)
        return unit(tf.matmul(vectors, product) + bias)

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start with value map Q and output map Q^T where Q Q^T = 1, the convolution 1, the dense map the PCA.

        The latent vectors Y^0 are then the PCA-reduced x-vectors exactly. A value map narrower than D carries only the
        first principal axes.
        """
        size, width = self.value.kernel.shape
        value = _orthonormal(rng, size, width) if width >= size else principal_axes(vectors, width)
        shape = self.dense.kernel.shape
        pca = _padded(principal_axes(vectors, min(shape)), shape)
        layers = (self.value, self.output_map, self.convolution, self.dense)
        for layer, kernel in zip(layers, (value, value.T, np.eye(size), pca), strict=True):
            layer.kernel.assign(kernel)
            layer.bias.assign(tf.zeros_like(layer.bias))


class FeedForward(Network):
    """The paper's DNN: layers of widths 512, 256, 64 and 30 with ReLU, the last one without (by default), then L2."""

    def __init__(self, config: Encoder, size: int) -> None:
        super().__init__(config)
        widths = [size, *config.hidden, config.dimension]
        self.layers = [self._affine(inner, outer) for inner, outer in itertools.pairwise(widths)]

    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors."""
        return unit(self._states_after(vectors, len(self.layers)))

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start with whitening in the first layer and the PCA of its own input in the last (see ``hidden_init``)."""
        for weight in self.variables:
            weight.assign(tf.zeros_like(weight))
        for number, (kernel, bias) in enumerate(self.layers):
            states = self._states_after(vectors.astype(np.float32), number).numpy().astype(np.float64)
            if self.config.hidden_init == "mirrored":
                start = self._mirrored(number, states, whiten, kernel.shape)
            elif number == len(self.layers) - 1:
                start = principal_axes(states, min(kernel.shape))
                # States after ReLU are far from centred; without this, all latent vectors would be nearly parallel.
                bias.assign(_padded(-states.mean(axis=0)[None] @ start, (1, kernel.shape[1]))[0])
            else:
                start = whiten[:, : kernel.shape[1]] if number == 0 else _orthonormal(rng, *kernel.shape)
            kernel.assign(_padded(start, kernel.shape))

    def _mirrored(self, number: int, states: np.ndarray, whiten: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return the start of layer ``number``, of the given shape.

        A hidden layer gives a and -a to ReLU, so that the difference of its halves is a again. Every layer takes that
        difference and carries its principal axes, so that together they give the PCA of the whitened x-vectors exactly.
        """
        is_last = number == len(self.layers) - 1
        width = shape[1] if is_last else shape[1] // 2
        if number == 0:
            axes = whiten[:, :width]
        else:
            half = shape[0] // 2
            axes = principal_axes(states[:, :half] - states[:, half : 2 * half], min(width, half))
            axes = np.concatenate([axes, -axes])
        axes = _padded(axes, (len(axes), width))
        return axes if is_last else np.concatenate([axes, -axes], axis=1)

    def _states_after(self, vectors: tf.Tensor, number: int) -> tf.Tensor:
        """Return the output of the first ``number`` layers."""
        states = tf.convert_to_tensor(vectors)
        for layer in self.layers[:number]:
            states = tf.matmul(states, layer.kernel) + layer.bias
            if layer is not self.layers[-1] or self.config.relu_last:
                states = tf.nn.relu(states)
            if self.config.l2_each:
                states = unit(states)
        return states


class Baseline2(Network):
    """The network of [18] as published: linear D -> D, length normalisation, linear D -> d, no biases."""

    def __init__(self, config: Encoder, size: int) -> None:
        super().__init__(config)
        self.whiten = self._weight(size, size)
        self.reduce = self._weight(size, config.dimension)

    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors."""
        return unit(tf.matmul(unit(tf.matmul(vectors, self.whiten)), self.reduce))

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start as whitening and the PCA of its output, not centred."""
        self.whiten.assign(whiten)
        axes = principal_axes(length_normalise(vectors @ whiten), min(self.reduce.shape))
        self.reduce.assign(_padded(axes, self.reduce.shape))


def make_network(config: Encoder, dimension: int) -> Network:
    """Return a system's network for x-vectors of length ``dimension``."""
    return {"conformer": Conformer, "dnn": FeedForward, "baseline2": Baseline2}[config.type](config, dimension)


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with Keras' constants, in one pass over each weight instead of Keras' dozen."""

    def __init__(self, variables: list[tf.Variable], learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._weights = variables
        self._moments = [[tf.Variable(tf.zeros(weight.shape)) for weight in variables] for _ in _BETAS]
        self._powers = [tf.Variable(1.0) for _ in _BETAS]

    def reset(self) -> None:
        """Forget all earlier steps."""
        for moment in (*self._moments[0], *self._moments[1]):
            moment.assign(tf.zeros(moment.shape))
        for power in self._powers:
            power.assign(1.0)

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Take one step down these gradients, one per weight."""
        powers = [power.assign(power * beta) for power, beta in zip(self._powers, _BETAS, strict=True)]
        for weight, mean, square, gradient in zip(self._weights, *self._moments, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=self._learning_rate,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                epsilon=1e-7,
                grad=gradient,
            )


class Trainer:
    """A network for x-vectors of length D with its optimiser, made once per process, restarted for every recording.

    TensorFlow traces each of its functions once, for any number of sub-segments and pairs.
    """

    def __init__(self, dimension: int, encoder: Encoder, loss: Loss, train: Training) -> None:
        self.network = make_network(encoder, dimension)
        self.optimiser = Adam(self.network.variables, train.learning_rate)
        self._loss = loss
        matrix = tf.TensorSpec((None, dimension), tf.float32)
        indices, numbers = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        comparison = [matrix, indices, indices, indices, numbers]
        self._encode = tf.function(self.network.__call__, input_signature=[matrix], autograph=False)
        self._step = tf.function(self._train_step, input_signature=comparison, autograph=False)

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Begin a recording: see :meth:`Network.start`."""
        self.network.start(vectors, whiten, rng)
        self.optimiser.reset()

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the latent vectors (S, d) float64 of prepared x-vectors (S, D)."""
        return self._encode(vectors.astype(np.float32)).numpy().astype(np.float64)

    def step(self, vectors: np.ndarray, draw: Draw) -> float:
        """Take one step of Adam on a draw; return the loss before it."""
        return float(self._step(vectors, draw.anchor, draw.other, draw.third, draw.weight))

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the network's weights."""
        return [variable.numpy() for variable in self.network.variables]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set the network's weights to a result of :meth:`weights`."""
        for variable, weight in zip(self.network.variables, weights, strict=True):
            variable.assign(weight)

    def _train_step(
        self, vectors: tf.Tensor, anchor: tf.Tensor, other: tf.Tensor, third: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            latent = self.network(vectors)
            left, right = tf.gather(latent, anchor), tf.gather(latent, other)
            if self._loss.type == "contrastive":
                each = contrastive_loss(left, right, tf.cast(third, tf.float32), self._loss.margin)
            else:
                each = triplet_loss(left, right, tf.gather(latent, third), self._loss.gamma)
            loss = tf.reduce_sum(weight * each)
        self.optimiser.apply(tape.gradient(loss, self.network.variables))
        return loss


def contrastive_loss(left: tf.Tensor, right: tf.Tensor, different: tf.Tensor, margin: float) -> tf.Tensor:
    """Return equation 2 per pair, (P,): (1 - y) d^2 + y max(0, margin - d)^2, with y = 1 for ``different`` (P,)."""
    squared = tf.reduce_sum(tf.square(left - right), axis=1)
    # The gradient of the root is infinite at 0, for two equal vectors.
    distance = tf.sqrt(tf.maximum(squared, 1e-12))
    return (1 - different) * squared + different * tf.square(tf.nn.relu(margin - distance))


def triplet_loss(anchor: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, gamma: float) -> tf.Tensor:
    """Return the loss of [18] per triplet, (P,): 1 - s(a, p) + gamma (s(a, n) + s(p, n)), s cosines, without hinge."""
    same = tf.reduce_sum(anchor * positive, axis=1)
    return 1 - same + gamma * tf.reduce_sum((anchor + positive) * negative, axis=1)


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Return vectors scaled to length 1; zero vectors stay zero."""
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-12)


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a random matrix of orthonormal rows or columns, whichever are fewer."""
    matrix = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return matrix.T if rows <= columns else matrix


def _padded(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return ``matrix`` with zero rows and columns added up to ``shape``."""
    padded = np.zeros(shape)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded
