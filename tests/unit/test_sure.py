"""How sure labels are: what it is measured by, and that it does not depend on what it must not depend on."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import astuple

from ssdiar.base.errors import InputError
from ssdiar.clustering.config import read_system
from ssdiar.clustering.recording import RecordingVectors
from ssdiar.clustering.sure import EVIDENCE, label_evidence, label_probabilities, margins
from ssdiar.clustering.systems import cluster_recording

BEST = Path(__file__).resolve().parents[2] / "conf" / "systems" / "best.yaml"
AXES = np.eye(3)


def spoken(order, rng, noise=0.15):
    """X-vectors of three voices, 0.75 s each, in the order of speaking."""
    order = np.asarray(order)
    times = 0.75 * np.stack([np.arange(len(order)), np.arange(len(order)) + 1], axis=1)
    return rng.normal(size=(len(order), 20)) * noise + np.eye(20)[order], times


def test_margin_is_where_a_vector_lies_between_two_means():
    vectors = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    labels = np.array([0, 0, 1, 1, 0, 1])
    found = margins(labels, vectors, np.array([1.0, 1.0, 1.0, 1.0, 1e-6, 1e-6]))
    assert found == pytest.approx([1, 1, 1, 1, 0, -0.5], abs=1e-5)


def test_margin_depends_on_no_scale():
    rng = np.random.default_rng(0)
    vectors, labels, seconds = rng.normal(size=(30, 5)), np.arange(30) % 3, rng.uniform(0.2, 1, 30)
    assert margins(labels, 7 * vectors, seconds) == pytest.approx(margins(labels, vectors, seconds))


def test_margin_of_one_cluster_and_of_one_vector():
    assert list(margins(np.zeros(3, int), np.eye(3), np.ones(3))) == [1, 1, 1]
    assert margins(np.array([0, 0, 1]), np.eye(3), np.ones(3))[2] == 0


def test_evidence_is_finite_for_the_smallest_recordings():
    for labels in ([0], [0, 1], [0, 0, 1]):
        times = np.zeros((len(labels), 2))
        evidence = label_evidence(np.array(labels), np.ones(len(labels)), [np.zeros((len(labels), 4))], times)
        assert evidence.shape == (len(labels), len(EVIDENCE))
        assert np.isfinite(evidence).all()


def test_stints_are_seconds_of_one_speaker():
    times = np.array([[0, 1], [1, 2], [5, 6], [6, 6.5]], float)
    evidence = label_evidence(np.array([0, 0, 0, 1]), np.ones(4), [AXES[[0, 0, 0, 1]]], times)
    assert np.exp(evidence[:, EVIDENCE.index("log_stint")]) == pytest.approx([3, 3, 3, 0.5])


def test_probabilities_rise_with_all_evidence_of_best():
    model = read_system(BEST).sure
    evidence = np.array([[0.5, 0.0, np.log(0.5)], [1.0, 1.0, np.log(8)]])
    assert (np.array(astuple(model.weights))[1:] > 0).all()
    low, high = label_probabilities(evidence, model, 1.0)
    assert low < 0.7 < 0.95 < high < 1
    assert label_probabilities(evidence, model, 0.5)[1] == pytest.approx(high * (1 - model.doubt / 2))


def test_best_is_less_sure_of_what_is_between_two_voices():
    rng = np.random.default_rng(1)
    vectors, times = spoken(np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 10), rng)
    between = [5, 25, 52]
    vectors[between] = vectors[:20].mean(axis=0) + rng.normal(size=(3, 20)) * 0.15
    result = cluster_recording(RecordingVectors("a", vectors, times, 2), read_system(BEST))
    assert result.sure.shape == (80,)
    assert ((result.sure > 0) & (result.sure < 1)).all()
    assert result.sure[between].mean() < np.delete(result.sure, between).mean()
    assert result.history["sure"] == pytest.approx(result.sure.mean(), abs=1e-4)


def test_best_is_less_sure_of_a_number_that_it_has_to_find():
    vectors, times = spoken(np.repeat([0, 1, 0, 1], 8), np.random.default_rng(2), noise=0.3)
    given, found = (
        cluster_recording(RecordingVectors("a", vectors, times, number), read_system(BEST)) for number in (2, None)
    )
    assert found.history["num_spk"] == 2
    assert (given.labels == found.labels).all()
    assert found.sure.mean() < given.sure.mean()


def test_one_speaker_and_systems_that_do_not_know():
    vectors, times = spoken([0] * 6, np.random.default_rng(3))
    assert (cluster_recording(RecordingVectors("a", vectors, times, 1), read_system(BEST)).sure > 0.9).all()
    other = read_system(BEST.with_name("nmesc.yaml"))
    assert cluster_recording(RecordingVectors("a", vectors, times, 1), other).sure is None
    assert cluster_recording(RecordingVectors("a", vectors, times, 2), read_system(BEST, ["method=ahc"])).sure is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sure.weights=[1,2]", "sure.weights"),
        ("sure.weights.margins=1", "sure.weights: .*margins"),
        ("sure.weights.margin=9999", "sure.weights.margin"),
        ("sure.second=[0.5]", "sure.second"),
        ("sure.second=[0.5,2]", "sure.second"),
        ("sure.weights=[]", "sure.weights"),
    ],
)
def test_bad_weights(change, message):
    with pytest.raises(InputError, match=message):
        read_system(BEST, [change])


def test_probabilities_need_weights():
    with pytest.raises(InputError, match=r"nmesc\.yaml: sure: .*weights"):
        read_system("nmesc", ["sure={doubt: 0.5, second: [0.5, 0.5]}"])
