"""The representation networks, in Keras on TensorFlow, and their training step. Imports TensorFlow.

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

from ssdiar.clustering.vectors import length_normalise, principal_axes

# Networks this small gain nothing from a GPU, and parallel jobs would fight for its memory.
tf.config.set_visible_devices([], "GPU")
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

if TYPE_CHECKING:
    from ssdiar.clustering.config import Encoder, Loss, Training
    from ssdiar.clustering.pairs import Draw

_SHARPNESS = 10.0  # of the attention over neighbours at its start: the logit of two equal vectors
_BETAS = (0.9, 0.999)  # of Adam: how much its means of gradients and of their squares keep (Kingma & Ba, 2015; Keras)
_TARGET_STEPS = 200  # of the fit to the PCA, for init: pca_target


class Network(keras.layers.Layer):
    """A map from prepared x-vectors (x, D) to unit latent vectors (x, d), with a start for every recording."""

    def __init__(self, config: Encoder) -> None:
        super().__init__(name=config.type)
        self.config = config

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Set the weights to their start for one recording.

        Args:
            vectors: (S, D) its prepared x-vectors.
            whiten: (D, D) a whitening transform, for the networks that start with one.
            rng: For what is random in it.
        """
        if self.config.init == "pca":
            self.start_as_pca(vectors, whiten, rng)
        else:
            self.start_at_random(rng)

    def start_at_random(self, rng: np.random.Generator) -> None:
        """Draw the weights as Keras does by default: Glorot uniform maps, no biases."""
        for weight in self.trainable_variables:
            if len(weight.shape) == 1:
                weight.assign(np.full(weight.shape, 1.0 if weight.name == "gamma" else 0.0))
            else:
                fans = np.prod(weight.shape[:-2]) * (weight.shape[-2] + weight.shape[-1])
                limit = np.sqrt(6 / fans)
                weight.assign(rng.uniform(-limit, limit, weight.shape))

    def start_as_pca(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Set the weights so that the latent vectors are the PCA-reduced x-vectors, as far as the network can."""
        raise NotImplementedError

    def _add_map(self, name: str, shape: tuple[int, ...], bias: bool = True) -> None:
        """Add a weight ``<name>`` and, if asked for, ``<name>_bias``."""
        setattr(self, name, self.add_weight(shape=shape, name=name))
        if bias:
            setattr(self, f"{name}_bias", self.add_weight(shape=shape[-1:], name=f"{name}_bias", initializer="zeros"))


class Conformer(Network):
    """Table I of the paper over one segment: (x, D) -> attention -> Conv1D -> pooling -> Dense -> L2, (x, d).

    Its weights are those of Keras' MultiHeadAttention, Conv1D and Dense that get a gradient: the value and the output
    map of the attention (query and key get none), the centre tap of the convolution, the dense map, and their biases.
    """

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the weights for vectors of length ``input_shape[-1]``."""
        size, width = input_shape[-1], self.config.heads * self.config.key_dim
        self._add_map("value", (size, width))
        self._add_map("output_map", (width, size))
        self._add_map("convolution", (size, size))
        self._add_map("dense", (size, self.config.dimension))

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors (x, d) of ``vectors`` (x, D)."""
        product, bias = self.dense, self.dense_bias
        inner = (
            (self.convolution, self.convolution_bias),
            (self.output_map, self.output_map_bias),
            (self.value, self.value_bias),
        )
        for weight, inner_bias in inner:
            bias = tf.linalg.matvec(product, inner_bias, transpose_a=True) + bias
            product = tf.matmul(weight, product)
        return unit(tf.matmul(vectors, product) + bias)

    def start_as_pca(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start with value map Q and output map Q^T where Q Q^T = 1, the convolution 1, the dense map the PCA.

        The latent vectors Y^0 are then the PCA-reduced x-vectors exactly. A value map narrower than D cannot carry
        them all; it then carries the first principal axes.
        """
        size, width = self.value.shape
        value = _orthonormal_rows(rng, size, width) if width >= size else principal_axes(vectors, width)
        starts = [
            value,
            value.T,
            np.eye(size),
            _padded(principal_axes(vectors, min(self.dense.shape)), self.dense.shape),
        ]
        for weight in self.trainable_variables:
            weight.assign(np.zeros(weight.shape))
        for weight, start in zip([self.value, self.output_map, self.convolution, self.dense], starts, strict=True):
            weight.assign(start)


class SequenceConformer(Network):
    """Table I with Keras' own layers, over sequences of several segments or with what Table I leaves out.

    ``sequence: segment`` sees one segment, ``window`` the segment and its neighbours in time, ``recording`` all of
    them; the pooling is over the window, or over the one position that stands for the segment.
    """

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the layers for vectors of length ``input_shape[-1]``."""
        config, size = self.config, input_shape[-1]
        layers = keras.layers
        self.attention = layers.MultiHeadAttention(config.heads, config.key_dim, name="attention")
        activation = None if config.conv_activation == "none" else config.conv_activation
        self.convolution = layers.Conv1D(size, config.conv_kernel, padding="same", activation=activation)
        self.norms = [layers.LayerNormalization() for _ in range(2)] if config.layer_norm else []
        self.dense = layers.Dense(config.dimension)
        sequence = (None, None, size)
        self.attention.build(sequence, sequence)
        for layer in (self.convolution, *self.norms):
            layer.build(sequence)
        self.dense.build((None, size))

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors (x, d) of ``vectors`` (x, D), in order of time."""
        sequences = self._sequences(vectors)
        states = self._after(0, sequences, self.attention(sequences, sequences))
        states = self._after(1, states, self.convolution(states))
        pooled = states[0] if self.config.sequence == "recording" else tf.reduce_mean(states, axis=1)
        return unit(self.dense(pooled))

    def start_as_pca(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start as the PCA of what attention pools: a softmax over the cosines of the segments that it sees.

        Query and key are one random orthonormal map, scaled; value, output, convolution and dense are as in
        :class:`Conformer`. Over single segments the latent vectors are the PCA-reduced x-vectors exactly.
        """
        config, size = self.config, vectors.shape[1]
        width = config.heads * config.key_dim
        value = _orthonormal_rows(rng, size, width) if width >= size else principal_axes(vectors, width)
        by_head = value.reshape(size, config.heads, config.key_dim)
        scale = np.sqrt(_SHARPNESS * config.heads * np.sqrt(config.key_dim))
        for layer in (self.attention, self.convolution, self.dense):
            for weight in layer.trainable_variables:
                weight.assign(np.zeros(weight.shape))
        for norm in self.norms:
            norm.gamma.assign(np.ones(norm.gamma.shape))
            norm.beta.assign(np.zeros(norm.beta.shape))
        self.attention.query_dense.kernel.assign(by_head * scale)
        self.attention.key_dense.kernel.assign(by_head * scale)
        self.attention.value_dense.kernel.assign(by_head)
        self.attention.output_dense.kernel.assign(value.T.reshape(config.heads, config.key_dim, size))
        taps = np.zeros((config.conv_kernel, size, size))
        taps[(config.conv_kernel - 1) // 2] = np.eye(size)
        self.convolution.kernel.assign(taps)
        shape = (size, config.dimension)
        self.dense.kernel.assign(_padded(principal_axes(vectors, min(shape)), shape))

    def _sequences(self, vectors: tf.Tensor) -> tf.Tensor:
        if self.config.sequence == "recording":
            return vectors[None]
        if self.config.sequence == "segment":
            return vectors[:, None]
        reach = self.config.context
        positions = tf.range(tf.shape(vectors)[0])[:, None] + tf.range(-reach, reach + 1)[None]
        return tf.gather(vectors, tf.clip_by_value(positions, 0, tf.shape(vectors)[0] - 1))

    def _after(self, block: int, before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        after = before + after if self.config.residual else after
        return self.norms[block](after) if self.norms else after


class FeedForward(Network):
    """The paper's DNN: layers of widths 512, 256, 64 and 30 with ReLU, the last one without (by default), then L2."""

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the weights for vectors of length ``input_shape[-1]``."""
        widths = [input_shape[-1], *self.config.hidden, self.config.dimension]
        self._names = [f"layer{number}" for number in range(1, len(widths))]
        for name, inner, outer in zip(self._names, widths, widths[1:], strict=False):
            self._add_map(name, (inner, outer))

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors (x, d) of ``vectors`` (x, D)."""
        return unit(self._states_after(vectors, len(self._names)))

    def start_as_pca(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start with whitening in the first layer and the PCA of its own input in the last (see ``hidden_init``)."""
        for weight in self.trainable_variables:
            weight.assign(np.zeros(weight.shape))
        for number, name in enumerate(self._names):
            weight = getattr(self, name)
            states = self._states_after(vectors.astype(np.float32), number).numpy().astype(np.float64)
            if self.config.hidden_init == "mirrored":
                start = self._mirrored(number, states, whiten, weight.shape)
            elif number == len(self._names) - 1:
                start = principal_axes(states, min(weight.shape))
                # States after ReLU are far from centred; uncentred, all latent vectors would point the same way.
                getattr(self, f"{name}_bias").assign(
                    _padded(-states.mean(axis=0)[None] @ start, (1, weight.shape[1]))[0]
                )
            else:
                start = _orthonormal(rng, *weight.shape)
                start = whiten @ start if number == 0 else start
            weight.assign(_padded(start, weight.shape))

    def _mirrored(self, number: int, states: np.ndarray, whiten: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return the start of layer ``number``, of the given shape.

        A hidden layer gives a and -a to ReLU, so that its difference of halves is a again; every layer takes that
        difference and carries its principal axes on. All together give the PCA of the whitened x-vectors exactly.
        """
        is_last = number == len(self._names) - 1
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
        """Return what the first ``number`` layers make of ``vectors``."""
        states = tf.convert_to_tensor(vectors)
        for name in self._names[:number]:
            states = tf.matmul(states, getattr(self, name)) + getattr(self, f"{name}_bias")
            if name != self._names[-1] or self.config.relu_last:
                states = tf.nn.relu(states)
            if self.config.l2_each:
                states = unit(states)
        return states


class Baseline2(Network):
    """The network of [18] as its authors published it: linear D -> D, length normalisation, linear D -> d, no biases.

    It starts as whitening and, per recording, the PCA of what that gives (not centred), as theirs.
    """

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the weights for vectors of length ``input_shape[-1]``."""
        size = input_shape[-1]
        self._add_map("whiten", (size, size), bias=False)
        self._add_map("reduce", (size, self.config.dimension), bias=False)

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return latent vectors (x, d) of ``vectors`` (x, D)."""
        return unit(tf.matmul(unit(tf.matmul(vectors, self.whiten)), self.reduce))

    def start_as_pca(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Start as whitening followed by PCA."""
        self.whiten.assign(whiten)
        axes = principal_axes(length_normalise(vectors @ whiten), min(self.reduce.shape))
        self.reduce.assign(_padded(axes, self.reduce.shape))


def make_network(config: Encoder, dimension: int) -> Network:
    """Return the network that a system asks for, with weights for x-vectors of length ``dimension``."""
    if config.type == "conformer":
        plain = config.sequence == "segment" and config.conv_activation == "none"
        plain = plain and not config.residual and not config.layer_norm
        network: Network = Conformer(config) if plain else SequenceConformer(config)
    else:
        network = FeedForward(config) if config.type == "dnn" else Baseline2(config)
    network.build((None, dimension))
    network.built = True
    return network


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with Keras' constants, in one pass over each weight instead of Keras' dozen.

    Args:
        variables: The weights.
        learning_rate: That of every step.
    """

    def __init__(self, variables: list[keras.Variable | tf.Variable], learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._weights = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        self._moments = [[tf.Variable(tf.zeros(weight.shape)) for weight in self._weights] for _ in _BETAS]
        self._powers = [tf.Variable(1.0) for _ in _BETAS]

    def reset(self) -> None:
        """Forget all steps before."""
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
    """One network with its optimiser, made once per process and started anew for every recording.

    TensorFlow traces each of its functions once, whatever the number of sub-segments and pairs.

    Args:
        dimension: Length D of the x-vectors.
        encoder, loss, train: Parts of a system's description.
    """

    def __init__(self, dimension: int, encoder: Encoder, loss: Loss, train: Training) -> None:
        self.network = make_network(encoder, dimension)
        self._variables = self.network.trainable_variables
        self._optimiser = Adam(self._variables, train.learning_rate)
        self._loss_config = loss
        matrix = tf.TensorSpec((None, dimension), tf.float32)
        indices, numbers = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        comparison = [matrix, indices, indices, indices, numbers]
        target = [matrix, tf.TensorSpec((None, encoder.dimension), tf.float32)]
        self._encode = tf.function(self.network.call, input_signature=[matrix], autograph=False)
        self._step = tf.function(self._train_step, input_signature=comparison, autograph=False)
        self._fit = tf.function(self._fit_step, input_signature=target, autograph=False)

    def start(self, vectors: np.ndarray, whiten: np.ndarray, rng: np.random.Generator) -> None:
        """Begin a recording: see :meth:`Network.start`."""
        self.network.start(vectors, whiten, rng)
        if self.network.config.init == "pca_target":
            dimension = self.network.config.dimension
            reduced = vectors @ principal_axes(vectors, min(dimension, vectors.shape[1]))
            target = length_normalise(_padded(reduced, (len(vectors), dimension))).astype(np.float32)
            self.reset_optimiser()
            for _ in range(_TARGET_STEPS):
                self._fit(vectors.astype(np.float32), target)
        self.reset_optimiser()

    def reset_optimiser(self) -> None:
        """Forget the moments of Adam."""
        self._optimiser.reset()

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the latent vectors (S, d) float64 of prepared x-vectors (S, D)."""
        return self._encode(vectors.astype(np.float32)).numpy().astype(np.float64)

    def step(self, vectors: np.ndarray, draw: Draw) -> float:
        """Take one step of Adam on a draw; return the loss before it."""
        return float(self._step(vectors, draw.anchor, draw.other, draw.third, draw.weight))

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the network's weights."""
        return [variable.numpy() for variable in self._variables]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set the network's weights to what :meth:`weights` returned."""
        for variable, weight in zip(self._variables, weights, strict=True):
            variable.assign(weight)

    def _train_step(self, *comparison: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = self._evaluate(*comparison)
        self._descend(tape.gradient(loss, self._variables))
        return loss

    def _evaluate(
        self, vectors: tf.Tensor, anchor: tf.Tensor, other: tf.Tensor, third: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        latent, config = self.network(vectors), self._loss_config
        left, right = tf.gather(latent, anchor), tf.gather(latent, other)
        if config.type == "contrastive":
            each = contrastive_loss(left, right, tf.cast(third, tf.float32), config.margin)
        elif config.type == "triplet":
            each = triplet_loss(left, right, tf.gather(latent, third), config.gamma)
        else:
            each = triplet_hinge_loss(left, right, tf.gather(latent, third), config.margin)
        return tf.reduce_sum(weight * each)

    def _fit_step(self, vectors: tf.Tensor, target: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.reduce_sum(tf.square(self.network(vectors) - target), axis=1))
        self._descend(tape.gradient(loss, self._variables))

    def _descend(self, gradients: list[tf.Tensor | None]) -> None:
        known = [
            tf.zeros_like(variable) if gradient is None else gradient
            for gradient, variable in zip(gradients, self._variables, strict=True)
        ]
        self._optimiser.apply(known)


def contrastive_loss(left: tf.Tensor, right: tf.Tensor, different: tf.Tensor, margin: float) -> tf.Tensor:
    """Return equation 2 per pair, (P,): (1 - y) d^2 + y max(0, m - d)^2.

    Args:
        left, right: (P, d) latent vectors.
        different: (P,) y, 1 for dissimilar pairs.
        margin: m.
    """
    squared = tf.reduce_sum(tf.square(left - right), axis=1)
    return (1 - different) * squared + different * tf.square(tf.nn.relu(margin - _root(squared)))


def triplet_loss(anchor: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, gamma: float) -> tf.Tensor:
    """Return the loss of [18] per triplet, (P,): 1 - s(a, p) + gamma (s(a, n) + s(p, n)), s cosines; it has no hinge.

    Args:
        anchor, positive, negative: (P, d) unit latent vectors.
        gamma: Weight of the dissimilar pairs.
    """
    same = tf.reduce_sum(anchor * positive, axis=1)
    return 1 - same + gamma * tf.reduce_sum((anchor + positive) * negative, axis=1)


def triplet_hinge_loss(anchor: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, margin: float) -> tf.Tensor:
    """Return max(0, m + d(a, p) - d(a, n)) per triplet, (P,), with Euclidean distances of (P, d) latent vectors."""
    near = _root(tf.reduce_sum(tf.square(anchor - positive), axis=1))
    far = _root(tf.reduce_sum(tf.square(anchor - negative), axis=1))
    return tf.nn.relu(margin + near - far)


def _root(squared: tf.Tensor) -> tf.Tensor:
    # The gradient of the root is infinite at 0, where two equal vectors have none.
    return tf.sqrt(tf.maximum(squared, 1e-12))


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Return vectors scaled to length 1; those of length 0 stay so."""
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-12)


def _orthonormal_rows(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a random matrix of orthonormal rows; ``columns`` is at least ``rows``."""
    return np.linalg.qr(rng.standard_normal((columns, rows)))[0].T


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a random matrix of orthonormal rows or columns, whichever are fewer."""
    if rows <= columns:
        return _orthonormal_rows(rng, rows, columns)
    return _orthonormal_rows(rng, columns, rows).T


def _padded(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return ``matrix`` with zero rows and columns added up to ``shape``."""
    padded = np.zeros(shape)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded
