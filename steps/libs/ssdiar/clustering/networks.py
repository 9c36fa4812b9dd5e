"""The representation networks, in Keras on TensorFlow, and one step of their training. Imports TensorFlow.

Over a sequence of one segment, Table I's conformer is a product of matrices: the softmax of attention over a single
key is 1, so the attention is its value and output maps; a convolution of 'same' padding sees only its centre tap;
pooling over one position does nothing. The product is taken from the small end (512 x 30) before it meets the data,
which gives the outputs and the gradients of the Keras layers at a fraction of their cost.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf

from ssdiar.clustering.vectors import principal_axes

# Networks this small gain nothing from a GPU, and parallel jobs would fight for its memory.
tf.config.set_visible_devices([], "GPU")
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

if TYPE_CHECKING:
    from ssdiar.clustering.config import Encoder, Loss, Training
    from ssdiar.clustering.pairs import Pairs


class Conformer(keras.layers.Layer):
    """Table I of the paper over one segment: (x, D) -> attention -> Conv1D -> pooling -> Dense -> L2, (x, d).

    Its weights are those of Keras' MultiHeadAttention, Conv1D and Dense that get a gradient: the value and the output
    map of the attention (query and key get none), the centre tap of the convolution, the dense map, and their biases.
    """

    def __init__(self, config: Encoder) -> None:
        super().__init__(name="conformer")
        self._width = config.heads * config.key_dim
        self._dimension = config.dimension
        self._init = config.init

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the weights for vectors of length ``input_shape[-1]``."""
        size = input_shape[-1]
        shapes = [(size, self._width), (self._width, size), (size, size), (size, self._dimension)]
        names = ["value", "output", "convolution", "dense"]
        self.maps = [self.add_weight(shape=s, name=n) for s, n in zip(shapes, names, strict=True)]
        self.biases = [
            self.add_weight(shape=s[1:], name=f"{n}_bias", initializer="zeros")
            for s, n in zip(shapes, names, strict=True)
        ]

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return unit latent vectors (x, d) of ``vectors`` (x, D)."""
        product, bias = self.maps[-1], self.biases[-1]
        for weight, inner_bias in zip(reversed(self.maps[:-1]), reversed(self.biases[:-1]), strict=True):
            bias = tf.linalg.matvec(product, inner_bias, transpose_a=True) + bias
            product = tf.matmul(weight, product)
        return tf.math.l2_normalize(tf.matmul(vectors, product) + bias, axis=1, epsilon=1e-12)

    def start(self, vectors: np.ndarray, rng: np.random.Generator) -> None:
        """Set the weights to their start for one recording.

        ``pca``: value map Q and output map Q^T with Q^T Q = 1, the convolution's tap 1, the dense map the principal
        axes of ``vectors`` (S, D): the latent vectors Y^0 are the PCA-reduced x-vectors exactly. A value map narrower
        than D cannot carry them all; it then carries the first principal axes.
        """
        size = vectors.shape[1]
        for bias in self.biases:
            bias.assign(np.zeros(bias.shape))
        if self._init == "glorot":
            for weight in self.maps:
                limit = np.sqrt(6 / sum(weight.shape))
                weight.assign(rng.uniform(-limit, limit, weight.shape))
            return
        axes = principal_axes(vectors, min(self._dimension, size))
        value = (
            _orthonormal_rows(rng, size, self._width) if self._width >= size else _leading_axes(vectors, self._width)
        )
        dense = np.zeros((size, self._dimension))
        dense[:, : axes.shape[1]] = axes
        for weight, start in zip(self.maps, [value, value.T, np.eye(size), dense], strict=True):
            weight.assign(start)


def _orthonormal_rows(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((columns, rows)))[0].T


def _leading_axes(vectors: np.ndarray, width: int) -> np.ndarray:
    return principal_axes(vectors, width)


class Trainer:
    """One network with its optimiser, made once per process and started anew for every recording.

    TensorFlow traces each of its two functions once, whatever the number of sub-segments and pairs.

    Args:
        dimension: Length D of the x-vectors.
        encoder, loss, train: Parts of a system's description.
    """

    def __init__(self, dimension: int, encoder: Encoder, loss: Loss, train: Training) -> None:
        self.network = Conformer(encoder)
        self.network.build((None, dimension))
        self._optimiser = keras.optimizers.Adam(train.learning_rate)
        self._optimiser.build(self.network.trainable_variables)
        self._margin = loss.margin
        matrix = tf.TensorSpec((None, dimension), tf.float32)
        indices, numbers = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        self._encode = tf.function(self.network.call, input_signature=[matrix])
        self._step = tf.function(self._train_step, input_signature=[matrix, indices, indices, numbers, numbers])

    def start(self, vectors: np.ndarray, rng: np.random.Generator) -> None:
        """Begin a recording: the network's start weights for its prepared x-vectors (S, D)."""
        self.network.start(vectors, rng)
        self.reset_optimiser()

    def reset_optimiser(self) -> None:
        """Forget the moments of Adam."""
        for variable in self._optimiser.variables:
            if variable is not self._optimiser._learning_rate:
                variable.assign(np.zeros(variable.shape))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the latent vectors (S, d) float64 of prepared x-vectors (S, D)."""
        return self._encode(vectors.astype(np.float32)).numpy().astype(np.float64)

    def step(self, vectors: np.ndarray, pairs: Pairs) -> float:
        """Take one step of Adam on a draw of pairs; return the loss before it."""
        return float(self._step(vectors, pairs.left, pairs.right, pairs.different, pairs.weight))

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the network's weights."""
        return [variable.numpy() for variable in self.network.trainable_variables]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set the network's weights to what :meth:`weights` returned."""
        for variable, weight in zip(self.network.trainable_variables, weights, strict=True):
            variable.assign(weight)

    def _train_step(
        self, vectors: tf.Tensor, left: tf.Tensor, right: tf.Tensor, different: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            latent = self.network(vectors)
            loss = contrastive_loss(tf.gather(latent, left), tf.gather(latent, right), different, weight, self._margin)
        self._optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss


def contrastive_loss(
    left: tf.Tensor, right: tf.Tensor, different: tf.Tensor, weight: tf.Tensor, margin: float
) -> tf.Tensor:
    """Return the weighted mean over pairs of equation 2: (1 - y) d^2 + y max(0, m - d)^2.

    Args:
        left, right: (P, d) latent vectors.
        different: (P,) y, 1 for dissimilar pairs.
        weight: (P,) summing to 1.
        margin: m.
    """
    squared = tf.reduce_sum(tf.square(left - right), axis=1)
    # The gradient of the root is infinite at 0, where two equal vectors have none.
    distance = tf.sqrt(tf.maximum(squared, 1e-12))
    return tf.reduce_sum(weight * ((1 - different) * squared + different * tf.square(tf.nn.relu(margin - distance))))
