"""Algorithm 1 and its network; these tests load TensorFlow."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from ssdiar.base.errors import InputError
from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Encoder, Loss, Training, read_system
from ssdiar.clustering.losses import loss_of_labels
from ssdiar.clustering.pairs import Draw, Sampler
from ssdiar.clustering.recording import RecordingVectors, prepare
from ssdiar.clustering.ssl import warm_up
from ssdiar.clustering.systems import cluster_recording
from ssdiar.clustering.vectors import Moments, length_normalise, principal_axes, relabel_by_time

SYSTEMS = Path(__file__).parents[2] / "conf/systems"
SYSTEM = SYSTEMS / "conformer_finch_ahc_contrastive.yaml"
UNTRAINED = ("conformer_untrained", "dnn_untrained")
TRAINED = sorted({path.stem for path in SYSTEMS.glob("*.yaml") if "method: ssl" in path.read_text()} - {*UNTRAINED})


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


def keras_table_one(encoder, size):
    """Return Table I of the paper from Keras' own layers, over a sequence of one segment."""
    import keras

    layers = keras.layers
    vectors = layers.Input((size,))
    sequence = layers.Reshape((1, size))(vectors)
    attention = layers.MultiHeadAttention(encoder.heads, encoder.key_dim)
    attended = attention(sequence, sequence)
    convolution = layers.Conv1D(size, 3, padding="same")
    pooled = layers.GlobalAveragePooling1D()(convolution(attended))
    dense = layers.Dense(encoder.dimension)
    latent = layers.UnitNormalization(axis=1)(dense(pooled))
    return keras.Model(vectors, latent), attention, convolution, dense


def close(ours, theirs):
    """Compare float32 values to the size of the largest: rounding differs between processors, and sums grow."""
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))


def test_conformer_has_the_outputs_and_gradients_of_the_keras_layers(networks):
    tf = networks.tf
    size, encoder = 20, Encoder(heads=3, key_dim=8, dimension=6)
    rng = np.random.default_rng(0)
    model, attention, convolution, dense = keras_table_one(encoder, size)
    conformer = networks.Conformer(encoder, size)
    for weight in conformer.variables:
        weight.assign(rng.standard_normal(weight.shape) * 0.3)
    (value, value_bias), (output, output_bias) = conformer.value, conformer.output_map
    (tap, tap_bias), (last, last_bias) = conformer.convolution, conformer.dense
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
    close(ours, theirs)
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
        close(our_gradient, their_gradient)
    kernel_gradient = tape.gradient(their_loss, convolution.kernel).numpy()
    close(tape.gradient(our_loss, tap), kernel_gradient[1])
    # What the product leaves out gets no gradient in the Keras layers either, but for rounding, which grows with the
    # values and differs between processors.
    assert not kernel_gradient[[0, 2]].any()
    largest = float(np.abs(tape.gradient(their_loss, attention._value_dense.kernel)).max())
    for unused in (attention._query_dense.kernel, attention._key_dense.kernel):
        np.testing.assert_allclose(tape.gradient(their_loss, unused), 0, atol=1e-5 * largest)


ENCODERS = {
    "conformer": Encoder(),
    "narrow conformer": Encoder(heads=1, key_dim=4, dimension=4),
    "dnn": Encoder(type="dnn", hidden=(512, 256, 64)),
    "orthogonal dnn": Encoder(type="dnn", hidden_init="orthogonal", relu_last=True, l2_each=True),
    "baseline2": Encoder(type="baseline2", dimension=10),
}


@pytest.mark.parametrize("name", ["conformer", "narrow conformer", "dnn"])
def test_a_network_starts_as_the_pca(networks, calls, name):
    vectors = length_normalise(calls[0] - calls[0].mean(axis=0))
    encoder = replace(ENCODERS[name], dimension=4)
    whiten = Moments.of(vectors).whitening(0.5)
    network = networks.make_network(encoder, 24)
    network.start(vectors, whiten, np.random.default_rng(0))
    seen = vectors @ whiten if encoder.type == "dnn" else vectors
    expected = length_normalise(seen @ principal_axes(seen, 4))
    np.testing.assert_allclose(np.abs(network(vectors.astype(np.float32))), np.abs(expected), atol=2e-3)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_network_learns_and_starts_anew(networks, calls, name):
    vectors = length_normalise(calls[0] - calls[0].mean(axis=0)).astype(np.float32)
    whiten = Moments.of(vectors).whitening(0.5)
    trainer = networks.Trainer(24, ENCODERS[name], Loss(), Training())
    trainer.start(vectors, whiten, np.random.default_rng(0))
    start = trainer.encode(vectors)
    np.testing.assert_allclose(np.linalg.norm(start, axis=1), 1, atol=1e-5)
    assert start.shape == (len(vectors), ENCODERS[name].dimension)
    draw = Sampler(calls[1], Loss(pairs=10**6), np.random.default_rng(0)).draw()
    losses = [trainer.step(vectors, draw) for _ in range(5)]
    assert losses[4] < losses[0]
    trainer.start(vectors, whiten, np.random.default_rng(0))
    np.testing.assert_array_equal(trainer.encode(vectors), start)
    assert trainer.step(vectors, draw) == losses[0]


def test_contrastive_loss_is_equation_two(networks):
    left, right = np.float32([[1, 0], [1, 0], [1, 0]]), np.float32([[0, 1], [0.6, 0.8], [1, 0]])
    distance = np.linalg.norm(left - right, axis=1)
    loss = networks.contrastive_loss(left, right, np.float32([0, 1, 1]), 1.0)
    np.testing.assert_allclose(loss, [distance[0] ** 2, (1 - distance[1]) ** 2, 1], atol=1e-5)


def test_triplet_loss_is_that_of_the_baseline(networks):
    anchor, positive, negative = np.float32([[1, 0]]), np.float32([[0.6, 0.8]]), np.float32([[0, 1]])
    loss = networks.triplet_loss(anchor, positive, negative, 0.4)
    np.testing.assert_allclose(loss, [1 - 0.6 + 0.4 * (0 + 0.8)], atol=1e-6)


def test_equal_vectors_give_no_nan_gradient(networks):
    trainer = networks.Trainer(4, Encoder(heads=1, key_dim=4, dimension=2), Loss(), Training())
    trainer.start(np.eye(4), np.eye(4), np.random.default_rng(0))
    trainer.step(np.ones((2, 4)), Draw(np.int32([0]), np.int32([1]), np.int32([1]), np.float32([1])))
    assert all(np.isfinite(weight).all() for weight in trainer.weights())


@pytest.mark.parametrize("name", TRAINED)
def test_every_system_of_the_paper_clusters_clear_speakers(calls, name):
    truth = calls[1]
    clear = calls[0] * 0.3 + 2 * np.random.default_rng(5).standard_normal((2, 24))[truth]
    result = cluster_recording(RecordingVectors("reco", clear, num_spk=2), read_system(SYSTEMS / f"{name}.yaml"))
    assert accuracy(result.labels, truth) > 0.95


def test_algorithm_one_finds_the_speakers_and_tells_its_history(calls):
    config = read_system(SYSTEM)
    result = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config)
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
    config = replace(config, loss=replace(config.loss, pairs=64))
    first = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config, 1).history["iterations"]
    cluster_recording(RecordingVectors("other", calls[0][::2], num_spk=2), config, 5)
    again = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config, 1).history["iterations"]
    other = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config, 2).history["iterations"]
    losses = [[step["losses"] for step in run] for run in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


def test_iterating_ends_when_the_ratio_is_never_reached(calls):
    config = read_system(SYSTEM)
    stop = replace(config.stop, threshold=1e-9, loss="new_labels", max_iterations=3)
    train = replace(config.train, max_epochs=2)
    result = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), replace(config, stop=stop, train=train))
    assert result.history["stop_reason"] == "max_iterations" and len(result.history["iterations"]) == 3
    assert result.labels.max() == 1


@pytest.mark.parametrize(
    "changes",
    [
        ["stop.rule=clusters", "stop.loss=new_labels"],
        ["labels.finch_partition=9", "labels.similarity=0.5"],
        ["loss.type=triplet", "loss.anchors=pairs"],
        ["labels.decay=null", "labels.similarity=0.1"],
    ],
    ids=" ".join,
)
def test_every_reading_of_the_loop_ends_with_two_speakers(calls, changes):
    result = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), read_system(SYSTEM, changes))
    assert result.labels.max() == 1
    assert result.history["iterations"] or result.history["fallback"]


@pytest.mark.parametrize("name", ["conformer_finch_ahc_contrastive", "dnn_ahc_triplet"])
def test_the_least_of_every_number_still_gives_labels(calls, name):
    least = "prepare.shrinkage=0 encoder.dimension=1 encoder.heads=1 encoder.key_dim=1 encoder.hidden=[2] loss.pairs=2 "
    least += "labels.first_similarity=-1 labels.decay=0 labels.ahc_most=2 loss.gamma=0 "
    least += "train.max_epochs=0 train.patience=1 train.min_delta=0 stop.max_iterations=1"
    config = read_system(SYSTEMS / f"{name}.yaml", least.split())
    labels = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config).labels
    assert len(labels) == len(calls[0]) and labels.max() <= 1


@pytest.mark.parametrize("name", UNTRAINED)
def test_an_untrained_network_is_clustered_as_it_starts(networks, calls, name):
    config = read_system(name)
    prepared = prepare(RecordingVectors("reco", calls[0], num_spk=2), config.prepare)
    network = networks.make_network(config.encoder, calls[0].shape[1])
    network.start(prepared.vectors, prepared.whiten, np.random.default_rng(0))
    latent = network(prepared.vectors.astype(np.float32)).numpy()
    result = cluster_recording(prepared.recording, config)
    np.testing.assert_array_equal(result.labels, relabel_by_time(Dendrogram(latent).cut(2)))
    assert result.history["stop_reason"] == "not trained" and "iterations" not in result.history


@pytest.mark.parametrize(("change", "ended"), [("patience=1", "patience"), ("max_epochs=1", "max_epochs")])
def test_the_history_tells_what_ended_a_training(calls, change, ended):
    config = read_system(f"conformer_finch_ahc_contrastive+stop.threshold=1e-9+train.min_delta=9+train.{change}")
    history = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config).history
    assert {step["ended"] for step in history["iterations"]} == {ended}


@pytest.mark.parametrize("name", [name for name in TRAINED if name != "baseline2"])
def test_a_row_to_the_letter_runs_algorithm_one(calls, name):
    config = read_system(f"{name}+literal")
    assert (config.stop.loss, config.stop.rule, config.labels.decay) == ("new_labels", "and", None)
    assert (config.prepare.whiten, config.loss.anchors, config.train.max_epochs) == ("recording", "all", None)
    config = replace(config, train=replace(config.train, max_epochs=20))
    if config.encoder.type == "dnn":
        assert config.encoder.relu_last and config.encoder.l2_each and config.encoder.hidden_init == "orthogonal"
    history = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config).history
    assert history["iterations"], "at least one pass"
    last = history["iterations"][-1]
    assert last["loss_ratio"] == pytest.approx(last["loss_of_new_labels"] / history["first_loss"], rel=0.01, abs=1e-5)
    ended = last["clusters"] == 2 and last["loss_ratio"] <= 0.5
    assert ended == (history["stop_reason"] == "number of clusters and loss ratio reached")


def test_first_labels_with_the_right_number_are_trained_on_all_the_same(calls):
    config = read_system(SYSTEMS / "conformer_ahc_contrastive.yaml", ["labels.first_similarity=-1"])
    history = cluster_recording(RecordingVectors("reco", calls[0], num_spk=2), config).history
    assert history["first_clusters"] == 2 and len(history["iterations"]) >= 1


def test_the_paper_s_letter_is_not_that_of_its_baseline():
    with pytest.raises(InputError, match=r"baseline2\.yaml: the reading literal is of the paper"):
        read_system("baseline2+literal")


@pytest.mark.parametrize("anchors", ["clusters", "pairs", "all"])
@pytest.mark.parametrize("kind", ["contrastive", "triplet"])
def test_the_loss_of_labels_is_what_drawing_many_pairs_tends_to(networks, calls, kind, anchors):
    latent = length_normalise(calls[0][:60, :5])
    labels = np.repeat([0, 1, 2, 3], [33, 16, 10, 1])
    # 60 sub-segments have 1770 pairs, which a draw of as many takes all.
    config = Loss(type=kind, anchors=anchors, pairs=1770 if kind == "contrastive" else 300_000)
    draw = Sampler(labels, config, np.random.default_rng(0)).draw()
    points = latent.astype(np.float32)
    left, right, third = points[draw.anchor], points[draw.other], draw.third
    if kind == "contrastive":
        each = networks.contrastive_loss(left, right, third.astype(np.float32), config.margin)
    else:
        each = networks.triplet_loss(left, right, points[third], config.gamma)
    assert loss_of_labels(latent, labels, config) == pytest.approx(float(draw.weight @ each.numpy()), rel=0.01)


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
    result = cluster_recording(RecordingVectors("reco", vectors, num_spk=num_spk), read_system(SYSTEM))
    assert len(set(result.labels.tolist())) == clusters
    assert result.history["stop_reason"] in ("fallback", "one speaker")


def test_a_long_recording_gets_the_labels_of_the_short_ones_path():
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.integers(0, 2, 150), 4)
    vectors = rng.standard_normal((2, 24))[truth] + 0.6 * rng.standard_normal((len(truth), 24))
    results = [
        cluster_recording(
            RecordingVectors("reco", vectors, num_spk=2), read_system(SYSTEM, [f"labels.ahc_most={most}"])
        )
        for most in (600, 200)
    ]
    assert [result.history["finch_first"] for result in results] == [[], ["ahc (more than 200 sub-segments)"]]
    assert accuracy(results[0].labels, results[1].labels) > 0.97
    assert accuracy(results[1].labels, truth) > 0.95


def test_a_job_traces_before_its_first_recording_and_never_again(networks, calls, monkeypatch):
    made = []

    class Spy(networks.Trainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(networks, "Trainer", Spy)
    config = read_system(SYSTEM, ["train.learning_rate=0.00123"])  # so that no other test has made this trainer
    warm_up(24, config)
    (trainer,) = made
    functions = [trainer._encode, trainer._step]
    assert [function.experimental_get_tracing_count() for function in functions] == [1, 1]
    for size in (120, 77, 30):
        cluster_recording(RecordingVectors("reco", calls[0][:size], num_spk=2), config)
    assert [function.experimental_get_tracing_count() for function in functions] == [1, 1] and len(made) == 1


def test_adam_takes_the_steps_of_keras(networks):
    import keras

    rng, start = np.random.default_rng(0), [np.ones((3, 4), np.float32), np.ones(5, np.float32)]
    ours, theirs = [networks.tf.Variable(value) for value in start], [keras.Variable(value) for value in start]
    adam, reference = networks.Adam(ours, 0.01), keras.optimizers.Adam(0.01)
    for _ in range(2):
        reference.build(theirs)
        for _ in range(5):
            gradients = [networks.tf.constant(rng.standard_normal(weight.shape), "float32") for weight in ours]
            adam.apply(gradients)
            reference.apply_gradients(zip(gradients, theirs, strict=True))
            for left, right in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(left, right, atol=1e-6)
        adam.reset()
        reference = keras.optimizers.Adam(0.01)
