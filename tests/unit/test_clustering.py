"""FINCH, AHC, pairs, speaker count and the systems, on vectors whose clusters are known."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from ssdiar.clustering.ahc import Dendrogram
from ssdiar.clustering.config import Preparation, read_system
from ssdiar.clustering.finch import finch, first_neighbours
from ssdiar.clustering.nmesc import estimate_num_spk
from ssdiar.clustering.pairs import PairSampler
from ssdiar.clustering.systems import cluster_recording, prepare, random_generator
from ssdiar.clustering.vectors import length_normalise, principal_axes, relabel_by_time

SYSTEMS = Path(__file__).parents[2] / "conf/systems"


def speakers(number, size, dimension=32, spread=0.5, seed=0):
    """Return vectors of `number` speakers in turn, and who each is."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((number, dimension))
    truth = np.arange(size) % number
    return centres[truth] + spread * rng.standard_normal((size, dimension)), truth


def same_partition(left, right):
    """Whether two labellings are the same up to names."""
    pairs = set(zip(np.asarray(left).tolist(), np.asarray(right).tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def equation_one(vectors):
    """FINCH's first partition by the paper's adjacency matrix, brute force."""
    unit = length_normalise(vectors)
    similarity = (unit @ unit.T).round(12)
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1)
    size = len(vectors)
    linked = [
        {j for j in range(size) if j == nearest[i] or nearest[j] == i or nearest[i] == nearest[j]} for i in range(size)
    ]
    labels = np.full(size, -1)
    for start in range(size):
        stack = [start] if labels[start] < 0 else []
        number = labels.max() + 1
        while stack:
            node = stack.pop()
            if labels[node] < 0:
                labels[node] = number
                stack.extend(linked[node])
    return labels


@pytest.mark.parametrize("seed", range(20))
def test_finch_first_partition_is_equation_one(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((int(rng.integers(2, 80)), 8))
    np.testing.assert_array_equal(finch(vectors)[0], equation_one(vectors))


def test_finch_partitions_are_nested_and_coarser():
    vectors, _ = speakers(3, 200)
    partitions = finch(vectors)
    sizes = [partition.max() + 1 for partition in partitions]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 1
    for fine, coarse in itertools.pairwise(partitions):
        assert all(len(set(coarse[fine == label])) == 1 for label in range(fine.max() + 1))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_finch_of_hardly_anything_is_one_cluster(size):
    vectors = np.eye(4)[:size]
    assert finch(vectors)[0].tolist() == [0] * size


def test_finch_of_equal_or_zero_vectors_is_one_cluster():
    assert set(finch(np.ones((9, 4)))[0]) == {0}
    assert set(finch(np.zeros((9, 4)))[0]) == {0}


def test_first_neighbours_across_blocks_of_rows(monkeypatch):
    vectors, _ = speakers(2, 50)
    whole = first_neighbours(vectors)
    monkeypatch.setattr("ssdiar.clustering.finch._BLOCK", 7)
    np.testing.assert_array_equal(first_neighbours(vectors), whole)


@pytest.mark.parametrize("clusters", [1, 2, 5, 40])
def test_ahc_is_average_linkage_on_cosine_distances(clusters):
    vectors, _ = speakers(4, 40, spread=1.0)
    expected = fcluster(linkage(vectors, "average", metric="cosine"), clusters, "maxclust")
    assert same_partition(Dendrogram(vectors).cut(clusters), expected)


def test_ahc_gives_exactly_the_clusters_asked_for_even_in_ties():
    for clusters in range(1, 9):
        assert len(set(Dendrogram(np.ones((8, 3))).cut(clusters))) == clusters
    assert len(set(Dendrogram(np.eye(5)).cut(9))) == 5
    assert Dendrogram(np.ones((1, 3))).cut(2).tolist() == [0]


def test_clusters_at_a_similarity_is_where_linkage_stops():
    vectors, _ = speakers(3, 60, spread=0.3)
    heights = linkage(vectors, "average", metric="cosine")[:, 2]
    for similarity in (-0.2, 0.1, 0.5, 0.9):
        assert Dendrogram(vectors).clusters_at(similarity) == 60 - np.count_nonzero(heights < 1 - similarity)


def test_labels_are_numbered_by_time():
    assert relabel_by_time(np.array([7, 7, 2, 9, 2])).tolist() == [0, 0, 1, 2, 1]


def test_principal_axes_are_orthonormal_and_sorted_even_with_few_vectors():
    vectors = np.random.default_rng(0).standard_normal((5, 12)) * np.linspace(3, 0.1, 12)
    axes = principal_axes(vectors, 8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=1e-12)
    spread = ((vectors - vectors.mean(axis=0)) @ axes).var(axis=0)
    assert all(spread[:-1] >= spread[1:] - 1e-12)


def test_prepare_centres_then_normalises():
    vectors, _ = speakers(2, 10)
    prepared = prepare(vectors + 5, Preparation())
    np.testing.assert_allclose(np.linalg.norm(prepared, axis=1), 1)
    np.testing.assert_allclose(prepared, prepare(vectors, Preparation()), atol=1e-9)


def test_pairs_weigh_each_kind_alike_and_each_cluster_alike():
    labels = np.repeat([0, 1, 2, 3], [30, 6, 2, 1])
    everything = PairSampler(labels, 10**6, 0.5, np.random.default_rng(0)).draw()
    assert len(everything.left) == 39 * 38 // 2
    drawn = PairSampler(labels, 400, 0.5, np.random.default_rng(0)).draw()
    for pairs in (everything, drawn):
        assert pairs.weight.sum() == pytest.approx(1, abs=1e-5)
        assert pairs.weight[pairs.different == 0].sum() == pytest.approx(0.5, abs=1e-5)
        np.testing.assert_array_equal(labels[pairs.left] != labels[pairs.right], pairs.different > 0)
        assert (pairs.left != pairs.right).all()
        positive = pairs.different == 0
        per_cluster = np.bincount(labels[pairs.left[positive]], pairs.weight[positive], 4)
        np.testing.assert_allclose(per_cluster, [1 / 6, 1 / 6, 1 / 6, 0], atol=0.05)


def test_pairs_need_two_clusters_and_two_members():
    rng = np.random.default_rng(0)
    assert not PairSampler(np.zeros(5, int), 10, 0.5, rng).has_both_kinds
    assert not PairSampler(np.arange(5), 10, 0.5, rng).has_both_kinds
    assert PairSampler(np.array([0, 0, 1]), 10, 0.5, rng).has_both_kinds


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_speaker_count_of_clear_speakers(number):
    vectors, _ = speakers(number, 120, spread=0.4, seed=number)
    assert estimate_num_spk(prepare(vectors, Preparation())) == number


def test_speaker_count_of_hardly_anything_is_one():
    assert [estimate_num_spk(np.eye(4)[:size]) for size in (1, 2, 3)] == [1, 1, 1]


def test_random_numbers_depend_on_seed_and_recording_only():
    draws = {(seed, reco): random_generator(seed, reco).random() for seed in (0, 1) for reco in ("a", "b")}
    assert len(set(draws.values())) == 4
    assert random_generator(1, "b").random() == draws[1, "b"]


def test_xvector_ahc_takes_vectors_as_they_come():
    vectors, truth = speakers(2, 40, spread=0.2)
    result = cluster_recording(vectors, 2, read_system(SYSTEMS / "xvector_ahc.yaml"), "reco")
    assert same_partition(result.labels, truth)
    assert result.history["num_spk"] == result.history["clusters"] == 2
