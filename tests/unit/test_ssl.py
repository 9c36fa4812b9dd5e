"""Algorithm 1 and its network; these tests load TensorFlow."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from ssdiar.clustering.config import Encoder, Loss, Training, read_system
from ssdiar.clustering.pairs import Pairs, PairSampler
from ssdiar.clustering.systems import cluster_recording
from ssdiar.clustering.vectors import length_normalise, principal_axes

SYSTEM = Path(__file__).parents[2] / "conf/systems/conformer_finch_ahc_contrastive.yaml"


@pytest.fixture(scope="module")
def networks():
    """Return the module that loads TensorFlow; not before a test of this file runs."""
    from ssdiar.clustering import networks

    return networks


@pytest.fixture
def calls():
    """Return prepared vectors of two speakers who take turns, and who each is."""
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.integers(0, 2, 30), 4)
    centres = rng.standard_normal((2, 24))
    return centres[truth] + 0.9 * rng.standard_normal((len(truth), 24)), truth


def accuracy(labels, truth):
    return max(np.mean(labels == truth), np.mean(labels != truth))


def keras_table_one(networks, encoder, size):
    """Return Table I of the paper from Keras' own layers, over a sequence of one segment."""
    layers = networks.keras.layers
    vectors = layers.Input((size,))
    sequence = layers.Reshape((1, size))(vectors)
    attention = layers.MultiHeadAttention(encoder.heads, encoder.key_dim)
    attended = attention(sequence, sequence)
    convolution = layers.Conv1D(size, 3, padding="same")
    pooled = layers.GlobalAveragePooling1D()(convolution(attended))
    dense = layers.Dense(encoder.dimension)
    latent = layers.UnitNormalization(axis=1)(dense(pooled))
    return networks.keras.Model(vectors, latent), attention, convolution, dense


def test_conformer_has_the_outputs_and_gradients_of_the_keras_layers(networks):
    tf = networks.tf
    size, encoder = 20, Encoder(heads=3, key_dim=8, dimension=6)
    rng = np.random.default_rng(0)
    model, attention, convolution, dense = keras_table_one(networks, encoder, size)
    conformer = networks.Conformer(encoder)
    conformer.build((None, size))
    for weight in conformer.trainable_variables:
        weight.assign(rng.standard_normal(weight.shape) * 0.3)
    value, output, tap, last = conformer.maps
    value_bias, output_bias, tap_bias, last_bias = conformer.biases
    attention._value_dense.set_weights([value.numpy().reshape(size, 3, 8), value_bias.numpy().reshape(3, 8)])
    attention._output_dense.set_weights([output.numpy().reshape(3, 8, size), output_bias.numpy()])
    kernel = rng.standard_normal((3, size, size)) * 0.3
    kernel[1] = tap.numpy()
    convolution.set_weights([kernel, tap_bias.numpy()])
    dense.set_weights([last.numpy(), last_bias.numpy()])

    vectors = tf.constant(rng.standard_normal((17, size)), tf.float32)
    target = tf.constant(rng.standard_normal((17, 6)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        ours, theirs = conformer(vectors), model(vectors)
        our_loss, their_loss = tf.reduce_sum(ours * target), tf.reduce_sum(theirs * target)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    pairs = [
        (value, attention._value_dense.kernel),
        (value_bias, attention._value_dense.bias),
        (output, attention._output_dense.kernel),
        (output_bias, attention._output_dense.bias),
        (tap_bias, convolution.bias),
        (last, dense.kernel),
        (last_bias, dense.bias),
    ]
    for our_weight, their_weight in pairs:
        our_gradient = tape.gradient(our_loss, our_weight).numpy()
        their_gradient = tape.gradient(their_loss, their_weight).numpy().reshape(our_gradient.shape)
        np.testing.assert_allclose(our_gradient, their_gradient, atol=1e-5)
    kernel_gradient = tape.gradient(their_loss, convolution.kernel).numpy()
    np.testing.assert_allclose(tape.gradient(our_loss, tap), kernel_gradient[1], atol=1e-5)
    # What the product leaves out gets no gradient in the Keras layers either.
    assert not kernel_gradient[[0, 2]].any()
    for unused in (attention._query_dense.kernel, attention._key_dense.kernel):
        np.testing.assert_allclose(tape.gradient(their_loss, unused), 0, atol=1e-7)


@pytest.mark.parametrize("width", [4, 64])
def test_conformer_starts_as_the_pca(networks, calls, width):
    vectors = length_normalise(calls[0])
    conformer = networks.Conformer(Encoder(heads=1, key_dim=width, dimension=4))
    conformer.build((None, 24))
    conformer.start(vectors, np.random.default_rng(0))
    expected = length_normalise(vectors @ principal_axes(vectors, 4))
    np.testing.assert_allclose(conformer(vectors.astype(np.float32)), expected, atol=1e-5)


def test_contrastive_loss_is_equation_two(networks):
    left, right = np.float32([[1, 0], [1, 0], [1, 0]]), np.float32([[0, 1], [0.6, 0.8], [1, 0]])
    distance = np.linalg.norm(left - right, axis=1)
    loss = networks.contrastive_loss(left, right, np.float32([0, 1, 1]), np.float32([0.2, 0.3, 0.5]), 1.0)
    expected = 0.2 * distance[0] ** 2 + 0.3 * (1 - distance[1]) ** 2 + 0.5 * (1 - distance[2]) ** 2
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_equal_vectors_give_no_nan_gradient(networks):
    trainer = networks.Trainer(4, Encoder(heads=1, key_dim=4, dimension=2), Loss(), Training())
    vectors = np.ones((2, 4))
    trainer.start(np.eye(4), np.random.default_rng(0))
    trainer.step(vectors, Pairs(np.int32([0]), np.int32([1]), np.float32([1]), np.float32([1])))
    assert all(np.isfinite(weight).all() for weight in trainer.weights())


def test_a_step_lowers_the_loss_and_starting_anew_forgets_it(networks, calls):
    vectors = length_normalise(calls[0]).astype(np.float32)
    trainer = networks.Trainer(24, Encoder(), Loss(), Training())
    trainer.start(vectors, np.random.default_rng(0))
    start = trainer.encode(vectors)
    pairs = PairSampler(calls[1], 10**6, 0.5, np.random.default_rng(0)).draw()
    losses = [trainer.step(vectors, pairs) for _ in range(5)]
    assert losses[4] < losses[0]
    trainer.start(vectors, np.random.default_rng(0))
    np.testing.assert_array_equal(trainer.encode(vectors), start)
    assert trainer.step(vectors, pairs) == losses[0]


def test_algorithm_one_finds_the_speakers_and_tells_its_history(calls):
    config = read_system(SYSTEM)
    result = cluster_recording(calls[0], 2, config, "reco")
    assert accuracy(result.labels, calls[1]) > 0.95
    history = result.history
    clusters = [history["first_clusters"], *(step["clusters"] for step in history["iterations"])]
    assert history["finch_partitions"][0] == clusters[0]
    assert clusters[-1] == 2 and all(after <= max(2, -(-before // 2)) for before, after in itertools.pairwise(clusters))
    for step in history["iterations"]:
        assert len(step["losses"]) == step["epochs"] + 1
        assert step["loss_ratio"] == pytest.approx(step["losses"][-1] / step["losses"][0], abs=1e-3)
    assert history["stop_reason"] == "number of clusters and loss ratio reached"
    assert history["iterations"][-1]["loss_ratio"] <= config.stop.threshold


def test_a_result_depends_on_seed_and_id_and_not_on_what_ran_before(calls):
    config = read_system(SYSTEM)
    config = dataclasses.replace(config, loss=dataclasses.replace(config.loss, pairs=64))
    first = cluster_recording(calls[0], 2, config, "reco", 1).history["iterations"]
    cluster_recording(calls[0][::2], 2, config, "other", 5)
    again = cluster_recording(calls[0], 2, config, "reco", 1).history["iterations"]
    other = cluster_recording(calls[0], 2, config, "reco", 2).history["iterations"]
    losses = [[step["losses"] for step in run] for run in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


def test_iterating_ends_when_the_ratio_is_never_reached(calls):
    config = read_system(SYSTEM)
    stop = dataclasses.replace(config.stop, threshold=1e-9, loss="new_labels", max_iterations=3)
    train = dataclasses.replace(config.train, max_epochs=2)
    result = cluster_recording(calls[0], 2, dataclasses.replace(config, stop=stop, train=train), "reco")
    assert result.history["stop_reason"] == "max_iterations" and len(result.history["iterations"]) == 3
    assert result.labels.max() == 1


@pytest.mark.parametrize(
    ("vectors", "num_spk", "clusters"),
    [
        (np.ones((1, 8)), 2, 1),
        (np.ones((2, 8)), 2, 2),
        (np.ones((6, 8)), 2, 2),
        (np.zeros((6, 8)), 2, 2),
        (np.eye(3), 5, 3),
        (np.random.default_rng(0).standard_normal((9, 8)), 1, 1),
    ],
    ids=["one piece", "two equal", "all equal", "all zero", "fewer than speakers", "one speaker"],
)
def test_hardly_anything_to_cluster_is_valid(vectors, num_spk, clusters):
    result = cluster_recording(vectors, num_spk, read_system(SYSTEM), "reco")
    assert len(set(result.labels.tolist())) == clusters
    assert result.history["stop_reason"] in ("fallback", "one speaker")
