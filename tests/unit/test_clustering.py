"""FINCH, AHC, pairs, speaker count and the systems, on vectors whose clusters are known."""

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from ssdiar.clustering.ahc import Dendrogram, merges_of_means
from ssdiar.clustering.config import Loss, Preparation, read_system
from ssdiar.clustering.finch import finch, first_neighbours
from ssdiar.clustering.nmesc import estimate_num_spk, spectral_labels
from ssdiar.clustering.pairs import Sampler
from ssdiar.clustering.recording import RecordingVectors, fold_backgrounds, prepare
from ssdiar.clustering.systems import cluster_recording, random_generator
from ssdiar.clustering.vectors import Moments, cluster_means, length_normalise, principal_axes, relabel_by_time

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
    monkeypatch.setattr("ssdiar.clustering.finch._CELLS", 350)
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
    prepared = prepare(RecordingVectors("reco", vectors + 5), Preparation()).vectors
    np.testing.assert_allclose(np.linalg.norm(prepared, axis=1), 1)
    np.testing.assert_allclose(prepared, prepare(RecordingVectors("reco", vectors), Preparation()).vectors, atol=1e-9)


def test_prepare_whitens_by_the_recording_or_by_the_other_fold():
    vectors, _ = speakers(2, 400, dimension=6)
    plain = Preparation(whiten_input=True, shrinkage=0.0, length_normalise=False)
    own = prepare(RecordingVectors("reco", vectors), plain).vectors
    np.testing.assert_allclose(np.cov(own.T, bias=True), np.eye(6), atol=1e-9)
    other = speakers(2, 400, dimension=6, seed=1)[0] * np.arange(1, 7)
    config = Preparation(centre="fold", whiten="fold", whiten_input=True, shrinkage=0.0, length_normalise=False)
    moments = Moments.of(other)
    seen = prepare(RecordingVectors("reco", other, background=moments), config)
    np.testing.assert_allclose(np.cov(seen.vectors.T, bias=True), np.eye(6), atol=1e-9)
    again = prepare(RecordingVectors("reco", vectors, background=moments), config).vectors
    np.testing.assert_allclose(again, (vectors - moments.mean) @ seen.whiten)


def test_the_background_of_a_recording_is_the_other_half_of_the_set():
    vectors = {name: np.full((3, 2), float(number)) for number, name in enumerate("abcd")}
    means = {name: moments.mean[0] for name, moments in fold_backgrounds(vectors).items()}
    assert means == {"a": 2.0, "c": 2.0, "b": 1.0, "d": 1.0}
    assert fold_backgrounds({"a": vectors["a"]}) == {}


def test_pairs_weigh_each_kind_alike_and_each_cluster_alike():
    labels = np.repeat([0, 1, 2, 3], [30, 6, 2, 1])
    everything = Sampler(labels, Loss(pairs=10**6), np.random.default_rng(0)).draw()
    assert len(everything.anchor) == 39 * 38 // 2
    drawn = Sampler(labels, Loss(pairs=600), np.random.default_rng(0)).draw()
    for pairs in (everything, drawn):
        positive = pairs.third == 0
        assert pairs.weight.sum() == pytest.approx(1, abs=1e-5)
        assert pairs.weight[positive].sum() == pytest.approx(0.5, abs=1e-5)
        np.testing.assert_array_equal(labels[pairs.anchor] == labels[pairs.other], positive)
        assert (pairs.anchor != pairs.other).all()
        per_cluster = np.bincount(labels[pairs.anchor[positive]], pairs.weight[positive], 4)
        np.testing.assert_allclose(per_cluster, [1 / 6, 1 / 6, 1 / 6, 0], atol=0.05)


def test_pairs_of_all_alike_follow_the_sizes_of_clusters():
    labels = np.repeat([0, 1], [30, 10])
    pairs = Sampler(labels, Loss(pairs=700, anchors="pairs"), np.random.default_rng(0)).draw()
    positive = pairs.third == 0
    share = np.bincount(labels[pairs.anchor[positive]], pairs.weight[positive], 2)[0] / 0.5
    assert share == pytest.approx(30 * 29 / (30 * 29 + 10 * 9), abs=0.05)
    assert (labels[pairs.anchor[~positive]] != labels[pairs.other[~positive]]).all()


@pytest.mark.parametrize("pairs", [40 * 39 // 2, 700])
def test_pairs_of_equation_2_count_the_same_each(pairs):
    labels = np.repeat([0, 1], [30, 10])
    drawn = Sampler(labels, Loss(pairs=pairs, anchors="all"), np.random.default_rng(0)).draw()
    assert (drawn.anchor != drawn.other).all() and len(set(drawn.weight)) == 1
    np.testing.assert_array_equal(labels[drawn.anchor] != labels[drawn.other], drawn.third)
    assert drawn.weight @ drawn.third == pytest.approx(300 / 780, abs=0.05)


def test_triplets_are_two_of_a_cluster_and_one_of_another():
    labels = np.repeat([0, 1, 2, 3], [30, 6, 2, 1])
    sampler = Sampler(labels, Loss(type="triplet", pairs=500, resample="iteration"), np.random.default_rng(0))
    draw = sampler.draw()
    assert (labels[draw.anchor] == labels[draw.other]).all() and (draw.anchor != draw.other).all()
    assert (labels[draw.anchor] != labels[draw.third]).all()
    assert set(labels[draw.third]) == {0, 1, 2, 3}
    assert sampler.draw() is draw


def test_pairs_need_two_clusters_and_two_members():
    rng = np.random.default_rng(0)
    assert not Sampler(np.zeros(5, int), Loss(), rng).has_both_kinds
    assert not Sampler(np.arange(5), Loss(), rng).has_both_kinds
    assert Sampler(np.array([0, 0, 1]), Loss(), rng).has_both_kinds


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_speaker_count_of_clear_speakers(number):
    vectors, truth = speakers(number, 120, spread=0.4, seed=number)
    prepared = prepare(RecordingVectors("reco", vectors), Preparation()).vectors
    assert estimate_num_spk(prepared) == number
    assert same_partition(spectral_labels(prepared, number, np.random.default_rng(0)), truth)


def test_speaker_count_of_hardly_anything_is_one():
    assert [estimate_num_spk(np.eye(9)[:size]) for size in (1, 2, 3, 9)] == [1, 1, 1, 1]
    assert estimate_num_spk(speakers(2, 14, spread=1.0)[0]) <= 2
    assert spectral_labels(np.eye(4)[:3], 2, np.random.default_rng(0)).tolist() == [0, 1, 1]


def test_a_threshold_decides_the_number_of_speakers():
    vectors, _ = speakers(3, 60, spread=0.3)
    result = cluster_recording(
        RecordingVectors("reco", vectors, num_spk=2), read_system(SYSTEMS / "xvector_ahc.yaml"), threshold=0.5
    )
    assert result.history["num_spk"] == 3 and result.labels.max() == 2


def test_random_numbers_depend_on_seed_and_size_only():
    draws = {(seed, size): random_generator(seed, size).random() for seed in (0, 1) for size in (7, 8)}
    assert len(set(draws.values())) == 4
    assert random_generator(1, 8).random() == draws[1, 8]


def test_xvector_ahc_takes_vectors_as_they_come():
    vectors, truth = speakers(2, 40, spread=0.2)
    result = cluster_recording(RecordingVectors("reco", vectors, num_spk=2), read_system(SYSTEMS / "xvector_ahc.yaml"))
    assert same_partition(result.labels, truth)
    assert result.history["num_spk"] == result.history["clusters"] == 2


def average_linkage(unit, labels):
    """The labels after every merge of average linkage that starts with ``labels``, brute force, and the cosines."""
    labels, steps = labels.copy(), []
    while labels.max() > 0:
        members = [unit[labels == label] for label in range(labels.max() + 1)]
        mean = np.array([[(one @ other.T).mean() for other in members] for one in members])
        np.fill_diagonal(mean, -np.inf)
        left, right = sorted(np.unravel_index(mean.argmax(), mean.shape))
        labels = relabel_by_time(np.where(labels == right, left, labels))
        steps.append((labels, mean[left, right]))
    return steps


def labels_after(merges, start, clusters):
    """The labels when merges of the clusters of ``start`` have left so many."""
    labels, leaves = start.copy(), len(merges) + 1
    for step, pair in enumerate(merges[: leaves - clusters]):
        labels[np.isin(labels, pair)] = leaves + step
    return relabel_by_time(labels)


@pytest.mark.parametrize("seed", range(4))
def test_merges_of_means_are_average_linkage_of_the_clusters_members(seed):
    rng = np.random.default_rng(seed)
    unit = length_normalise(rng.standard_normal((70, 5)))
    start = relabel_by_time(rng.integers(0, 30, 70))
    merges, heights = merges_of_means(cluster_means(unit, start), np.bincount(start))
    steps = average_linkage(unit, start)
    assert len(merges) == start.max() == len(steps)
    for number, (labels, _) in zip(range(len(merges), 0, -1), steps, strict=True):
        np.testing.assert_array_equal(labels_after(merges, start, number), labels)
    np.testing.assert_allclose(1 - heights, [cosine for _, cosine in steps])


@pytest.mark.parametrize("means", [np.ones((20, 3)), np.zeros((20, 3)), np.repeat(np.eye(4), 5, axis=0)])
def test_merges_of_means_in_ties_give_every_number_of_clusters(means):
    merges, _ = merges_of_means(means, np.full(20, 2))
    sizes = [labels_after(merges, np.arange(20), number).max() + 1 for number in range(1, 21)]
    assert sizes == list(range(1, 21))


@pytest.mark.parametrize("linkage_name", ["average", "ward"])
def test_ahc_of_a_long_recording_starts_from_finchs_clusters(linkage_name):
    vectors, truth = speakers(3, 900, spread=0.4)
    partitions = finch(vectors)
    sizes = [partition.max() + 1 for partition in partitions]
    for most, used in ((sizes[0], 0), (sizes[0] - 1, 1)):
        tree = Dendrogram(vectors, linkage_name, max_leaves=most)
        assert tree.leaves == sizes[used]
        assert same_partition(tree.cut(tree.leaves), partitions[used])
        assert same_partition(tree.cut(3), truth)
    assert Dendrogram(vectors, linkage_name, max_leaves=900).leaves == 900


def test_memory_of_a_long_recording_does_not_hold_all_pairs():
    vectors, truth = speakers(2, 6000, spread=0.3, dimension=8)
    tracemalloc.start()
    labels = Dendrogram(vectors, max_leaves=1500).cut(2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same_partition(labels, truth)
    assert peak < 6000 * 5999 / 2 * 8 / 2


@pytest.mark.parametrize("name", ["xvector_ahc", "nmesc"])
def test_a_long_recording_takes_its_path_by_its_length_and_says_so(monkeypatch, name):
    vectors, truth = speakers(3, 300, spread=0.3)
    whole = cluster_recording(RecordingVectors("reco", vectors), read_system(SYSTEMS / f"{name}.yaml"))
    assert whole.history["finch_first"] == []
    monkeypatch.setattr("ssdiar.clustering.nmesc.MAX_NODES", 100)
    config = read_system(SYSTEMS / f"{name}.yaml", ["labels.ahc_most=150"])
    long = cluster_recording(RecordingVectors("reco", vectors), config)
    steps = {"xvector_ahc": "ahc (more than 150 sub-segments)", "nmesc": "nmesc (more than 100 sub-segments)"}
    assert long.history["finch_first"] == ["num_spk (more than 100 sub-segments)", steps[name]]
    assert whole.history["num_spk"] == long.history["num_spk"] == 3
    assert same_partition(long.labels, truth) and same_partition(whole.labels, truth)
