"""The system best: neighbours in time, votes of parts, the number of speakers, what the segmentation network adds."""

from pathlib import Path

import numpy as np
import pytest

from ssdiar.base.errors import InputError
from ssdiar.clustering import counting
from ssdiar.clustering.config import Consensus, Count, read_system
from ssdiar.clustering.consensus import Parts
from ssdiar.clustering.counting import EVIDENCE, LINKS, estimate_from_evidence, pair_evidence, separations
from ssdiar.clustering.links import links_of_clusters
from ssdiar.clustering.neighbours import (
    chunks,
    mean_overlap,
    neighbour_average,
    neighbour_pairs,
    neighbour_whitening,
    stretches,
    without_overlap,
)
from ssdiar.clustering.recording import Prepared, RecordingVectors, prepare
from ssdiar.clustering.systems import cluster_recording
from ssdiar.clustering.vectors import length_normalise
from ssdiar.timeline.segmentation import SPEAKER_SETS, Segmentation

BEST = Path(__file__).parents[2] / "conf/systems/best.yaml"


def call(speakers=2, turns=40, dimension=64, seed=0, noise=4.0):
    """Return x-vectors, times and truth of a conversation: turns of 1-6 pieces of 0.75 s, and loud noise in a few axes.

    The noise is what k-means of the vectors as they are would split by: it changes from piece to piece.
    """
    rng = np.random.default_rng(seed)
    voices = rng.standard_normal((speakers, dimension))
    axes = rng.standard_normal((4, dimension))
    vectors, times, truth, now = [], [], [], 0.0
    for turn in range(turns):
        who = turn % speakers
        for _ in range(rng.integers(1, 7)):
            content = noise * rng.standard_normal(4) @ axes / 4
            vectors.append(voices[who] + content + rng.standard_normal(dimension))
            times.append((now, now + 0.75))
            truth.append(who)
            now += 0.75
        now += 0.4
    return np.array(vectors), np.round(times, 3), np.array(truth)


def right(labels, truth):
    """Return the share of pieces that are right under the best naming of two speakers or more."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((max(labels.max(), truth.max()) + 1,) * 2)
    np.add.at(table, (labels, truth), 1)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


def test_neighbours_touch_and_share_no_audio():
    # A stretch of three, a cut of a hundredth, a stretch whose last piece lies half in the one before, a short piece.
    times = np.array(
        [[0, 0.75], [0.75, 1.5], [1.5, 2.25], [2.26, 3.01], [3.01, 3.76], [3.4, 4.15], [6, 6.75], [6.75, 7]]
    )
    assert neighbour_pairs(times, stretches(times)).tolist() == [[0, 1], [1, 2], [3, 4]]


def test_neighbours_of_overlapping_windows_are_the_next_that_share_nothing():
    starts = np.arange(0, 6, 0.75)
    times = np.column_stack([starts, starts + 1.5])
    assert neighbour_pairs(times, stretches(times)).tolist() == [[i, i + 2] for i in range(len(times) - 2)]


def test_neighbours_do_not_depend_on_the_order_of_the_input():
    _, times, _ = call(turns=6)
    order = np.random.default_rng(1).permutation(len(times))
    pairs = {tuple(pair) for pair in neighbour_pairs(times, stretches(times)).tolist()}
    assert {
        tuple(order[list(pair)].tolist()) for pair in neighbour_pairs(times[order], stretches(times[order]))
    } == pairs


def test_whitening_makes_the_differences_of_neighbours_round():
    vectors, times, _ = call(turns=600, dimension=12)
    vectors = length_normalise(vectors)
    stretch = stretches(times)
    pairs = neighbour_pairs(times, stretch)
    white = vectors @ neighbour_whitening(vectors, times, stretch, 0.0)
    differences = white[pairs[:, 0]] - white[pairs[:, 1]]
    np.testing.assert_allclose(differences.T @ differences / (2 * len(pairs)), np.eye(12), atol=1e-6)


def test_where_there_are_no_neighbours_nothing_is_whitened():
    vectors, times, _ = call(turns=5)
    apart = times + 10 * np.arange(len(times))[:, None]
    np.testing.assert_array_equal(neighbour_whitening(vectors, apart, stretches(apart), 0.5), np.eye(64))
    same = neighbour_whitening(np.ones((9, 3)), times[:9], stretches(times[:9]), 0.5)
    np.testing.assert_array_equal(same, np.eye(3))


def test_average_takes_neighbours_by_distance_and_duration_and_stays_in_the_stretch():
    times = np.array([[0, 1.0], [1.0, 1.5], [1.6, 2.6]])
    vectors = np.array([[1.0, 0], [0, 1.0], [5.0, 5.0]])
    weight = np.exp(-0.75 / 0.5)
    expected = [
        [1 / (1 + 0.5 * weight), 0.5 * weight / (1 + 0.5 * weight)],
        [weight / (0.5 + weight), 0.5 / (0.5 + weight)],
        [5, 5],
    ]
    stretch = stretches(times)
    np.testing.assert_allclose(neighbour_average(vectors, times, stretch, 0.5), expected)
    backwards = neighbour_average(vectors[::-1], times[::-1], stretch[::-1], 0.5)
    np.testing.assert_allclose(backwards, expected[::-1])


def test_a_region_is_a_stretch_whatever_the_gaps():
    times = np.array([[0, 0.75], [0.75, 1.5], [1.5, 2.25], [4, 4.75]])
    regions = np.array([7, 7, 3, 3])
    assert stretches(times).tolist() == [0, 0, 0, 1]
    assert stretches(times, regions).tolist() == [0, 0, 1, 1]
    assert stretches(times[::-1], regions[::-1]).tolist() == [1, 1, 0, 0]


def test_regions_give_the_labels_of_the_gaps_that_they_stand_for():
    vectors, times, _ = call()
    regions = np.cumsum(np.diff(times[:, 0], prepend=0) > 0.8)
    config = read_system(BEST)
    by_gaps = cluster_recording(RecordingVectors("r", vectors, times), config)
    closed = times - 0.4 * regions[:, None]
    by_regions = cluster_recording(RecordingVectors("r", vectors, closed, regions=regions), config)
    np.testing.assert_array_equal(stretches(times), stretches(closed, regions))
    assert right(by_regions.labels, by_gaps.labels) > 0.98
    assert (stretches(closed) == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_best_finds_the_speakers_that_k_means_of_the_plain_vectors_does_not(seed):
    vectors, times, truth = call(seed=seed, noise=6.0)
    found = cluster_recording(RecordingVectors("r", vectors, times, 2), read_system(BEST))
    plain = read_system(BEST, ["prepare.whiten=recording", "prepare.whiten_input=false", "prepare.average=0"])
    assert right(found.labels, truth) > 0.97
    without = cluster_recording(RecordingVectors("r", vectors, times, 2), plain)
    assert right(found.labels, truth) > right(without.labels, truth) + 0.1


def test_the_number_of_speakers_from_one_to_four():
    counts = []
    for speakers in (1, 2, 3, 4):
        vectors, times, _ = call(speakers, turns=60, seed=speakers, noise=0.2)
        result = cluster_recording(RecordingVectors("r", vectors, times), read_system(BEST))
        assert result.history["num_spk"] == result.labels.max() + 1
        assert result.history["num_spk_probabilities"][speakers] == max(
            result.history["num_spk_probabilities"].values()
        )
        assert sum(result.history["num_spk_probabilities"].values()) == pytest.approx(1, abs=1e-3)
        counts.append(result.history["num_spk"])
    assert counts == [1, 2, 3, 4]


def test_best_depends_on_the_recording_and_the_seed_alone_and_not_on_scale_or_rotation():
    vectors, times, _ = call()
    config = read_system(BEST)
    labels = cluster_recording(RecordingVectors("r", vectors, times), config).labels
    np.testing.assert_array_equal(labels, cluster_recording(RecordingVectors("r", vectors, times), config).labels)
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((64, 64)))
    np.testing.assert_array_equal(
        labels, cluster_recording(RecordingVectors("r", 30 * vectors @ rotation, times), config).labels
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("num_spk", [None, 1, 2, 4])
@pytest.mark.parametrize("system", ["best", "nmesc", "xvector_ahc"])
def test_the_number_given_is_the_number_of_labels_wherever_there_are_as_many_sub_segments(size, num_spk, system):
    vectors, times, _ = call(turns=8)
    recording = RecordingVectors("r", vectors[:size], times[:size], num_spk)
    labels = cluster_recording(recording, read_system(BEST.with_name(f"{system}.yaml"))).labels
    assert len(labels) == size
    if num_spk:
        assert sorted(set(labels)) == list(range(min(num_spk, size)))


@pytest.mark.parametrize("system", ["best", "nmesc", "xvector_ahc"])
def test_equal_vectors_get_as_many_labels_as_are_asked_for(system):
    times = np.column_stack([np.arange(40), np.arange(40) + 1.0])
    recording = RecordingVectors("r", np.tile([1.0, 0, 0], (40, 1)), times, 3)
    assert set(cluster_recording(recording, read_system(BEST.with_name(f"{system}.yaml"))).labels) == {0, 1, 2}


def test_equal_vectors_are_one_speaker():
    times = np.column_stack([np.arange(40), np.arange(40) + 1.0])
    recording = RecordingVectors("r", np.tile([1.0, 0, 0], (40, 1)), times)
    assert cluster_recording(recording, read_system(BEST)).history["num_spk"] == 1


def test_a_small_speaker_is_not_swallowed_while_a_large_one_is_cut():
    vectors, times, truth = call(speakers=3, turns=80, noise=1.0, seed=5)
    keep = np.flatnonzero((truth < 2) | (np.cumsum(truth == 2) <= 9))  # the third has 9 pieces
    found = cluster_recording(RecordingVectors("r", vectors[keep], times[keep], 3), read_system(BEST)).labels
    assert right(found, truth[keep]) > 0.97


def test_the_name_of_a_recording_decides_nothing():
    vectors, times, _ = call(speakers=3, turns=30, noise=3.0)
    for system in ("best", "nmesc"):
        config = read_system(BEST.with_name(f"{system}.yaml"))
        results = [cluster_recording(RecordingVectors(name, vectors, times), config) for name in ("a", "b", "c d", "é")]
        for other in results[1:]:
            np.testing.assert_array_equal(other.labels, results[0].labels)
            assert other.history["num_spk"] == results[0].history["num_spk"]


@pytest.mark.parametrize("system", ["best", "xvector_ahc"])
def test_limits_bound_the_estimate(system):
    vectors, times, _ = call(speakers=3, turns=60, noise=0.2)
    config = read_system(BEST.with_name(f"{system}.yaml"))
    for limits, allowed in (((1, 2), {1, 2}), ((4, None), {4, 5, 6, 7, 8}), ((5, 5), {5}), ((10, None), {10})):
        result = cluster_recording(RecordingVectors("r", vectors, times), config, limits=limits)
        assert result.history["num_spk"] in allowed
        assert result.labels.max() + 1 == result.history["num_spk"]


def test_numbers_that_cannot_be_any_more_are_not_tried(monkeypatch):
    stopped, whole = [], []
    for results, settled in ((stopped, counting._SETTLED), (whole, 1e-300)):
        monkeypatch.setattr(counting, "_SETTLED", settled)
        for speakers in (1, 2):
            vectors, times, _ = call(speakers, turns=60, seed=speakers, noise=0.2)
            results.append(cluster_recording(RecordingVectors("r", vectors, times), read_system(BEST)))
    for one, other in zip(stopped, whole, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        tried, chances = (result.history["num_spk_probabilities"] for result in (one, other))
        assert len(tried) < len(chances) == 8
        assert [chances[number] for number in tried] == pytest.approx(list(tried.values()), abs=1e-3)


def test_threads_decide_nothing():
    vectors, times, _ = call(speakers=3, turns=60)
    one, three = (
        cluster_recording(RecordingVectors("r", vectors, times), read_system(BEST), threads=n) for n in (1, 3)
    )
    np.testing.assert_array_equal(one.labels, three.labels)
    np.testing.assert_array_equal(one.sure, three.sure)
    assert one.history | {"seconds": 0} == three.history | {"seconds": 0}


def parts_of(vectors, times):
    prepared = Prepared(RecordingVectors("r", vectors), vectors, np.eye(64), times, stretches(times))
    return Parts(prepared, Consensus(), np.random.default_rng(0))


def test_support_says_how_far_the_parts_agree():
    vectors, times, _ = call(noise=1.0)
    noise = np.random.default_rng(0).standard_normal(vectors.shape)
    clear, none = (parts_of(length_normalise(v), times) for v in (vectors, noise))
    assert clear.vote(2).support.min() > 0.9
    assert none.vote(2).support.mean() < 0.9


def test_chunks_are_parts_of_a_stretch():
    times = np.array([[0, 0.75], [0.75, 1.5], [1.5, 2.25], [3.0, 3.75], [3.75, 8.0], [8.0, 8.5]])
    assert chunks(times, stretches(times), 1.5).tolist() == [0, 0, 1, 2, 3, 4]
    assert chunks(times[::-1], stretches(times[::-1]), 1.5).tolist() == [4, 3, 2, 1, 0, 0]


def test_windows_that_overlap_count_every_second_once():
    times = np.array([[0, 1.5], [0.75, 2.25], [1.5, 3.0], [5.0, 6.0]])
    assert without_overlap(times).tolist() == [[0, 1.125], [1.125, 1.875], [1.875, 3.0], [5.0, 6.0]]
    assert without_overlap(times[::-1]).tolist() == without_overlap(times)[::-1].tolist()
    assert mean_overlap(times, stretches(times)) == pytest.approx(0.75)
    assert mean_overlap(times[[0, 2, 3]], np.array([0, 0, 1])) == 0


@pytest.mark.parametrize("step", [0.25, 0.75])
def test_speakers_are_counted_in_windows_that_overlap(step):
    """Windows of 1.5 s, as other toolkits make them: each the mean of what it hears, so that neighbours are alike."""
    rng = np.random.default_rng(0)
    for speakers in (1, 2, 3):
        voices = 1.2 * rng.standard_normal((speakers, 64))
        who = np.repeat(np.arange(40) % speakers, rng.integers(8, 33, 40))  # turns of 2 to 8 s, in quarters of a second
        heard = voices[who] + 2 * rng.standard_normal((len(who), 64))
        starts = np.arange(0, len(who) / 4 - 1.5, step)
        vectors = np.array([heard[int(4 * start) : int(4 * start) + 6].mean(axis=0) for start in starts])
        result = cluster_recording(
            RecordingVectors("r", vectors, np.column_stack([starts, starts + 1.5])), read_system(BEST)
        )
        assert result.history["num_spk"] == speakers


@pytest.mark.parametrize("pieces", [100, 3000])
def test_separation_does_not_grow_with_the_length_of_a_recording(pieces):
    """One voice cut in two has what any cut through a Gaussian has; two voices have their distance."""
    rng = np.random.default_rng(0)
    times = np.column_stack([np.arange(pieces) * 1.5, np.arange(pieces) * 1.5 + 1.5])
    one = np.column_stack([rng.standard_normal(pieces), np.full(pieces, 20.0)])
    cut = (one[:, 0] > 0).astype(int)
    two = np.column_stack([one[:, 0] + 8 * (np.arange(pieces) % 2), one[:, 1]])
    within, between = (
        separations(labels, length_normalise(vectors), times, np.arange(pieces))[0, 1]
        for labels, vectors in ((cut, one), (np.arange(pieces) % 2, two))
    )
    assert 2.2 < within < 3.1
    assert 6 < between < 10


def test_a_side_of_a_call_is_one_voice_unless_two_are_plain():
    (vectors, times, _), (more, later, _) = call(speakers=1), call(speakers=1, seed=1)
    both = np.concatenate([vectors, more]), np.concatenate([times, later + times.max() + 1])  # who hands over the phone
    for (heard, when), number in (((vectors, times), 1), (both, 2)):
        side, whole = (
            cluster_recording(
                RecordingVectors("r", heard, when, is_side=is_side), read_system(BEST), limits=limits
            ).history
            for is_side, limits in ((True, (2, 8)), (False, (1, 8)))
        )
        assert side["num_spk"] == number  # the least number holds for the call, not for a side
        assert side["num_spk_probabilities"][1] > whole["num_spk_probabilities"][1]


def test_evidence_has_a_row_for_every_pair_and_a_column_for_every_name():
    vectors, times, truth = call(speakers=3, turns=16)
    views = [prepare(RecordingVectors("r", vectors, times), one).vectors for one in read_system(BEST).preparations]
    chunk = chunks(times, stretches(times), 1.5)
    assert pair_evidence(truth, views, times, chunk).shape == (3, len(EVIDENCE))
    segmentation = heard(times, np.minimum(truth, 1), times[-1, 1])
    assert pair_evidence(truth, views, times, chunk, segmentation).shape == (3, len(EVIDENCE + LINKS))


def test_the_prior_decides_where_the_evidence_does_not():
    evidence = {2: np.array([[0.0]]), 3: np.array([[-9.0]])}
    for prior, expected in (((1.0, 2.0), 2), ((2.0, 1.0), 1)):
        assert estimate_from_evidence(evidence, np.array([0.0, 1.0]), Count(prior=prior), (1, 2)).number == expected


def test_a_system_that_looks_at_neighbours_needs_times():
    vectors, _, _ = call(turns=5)
    with pytest.raises(ValueError, match="times are needed"):
        cluster_recording(RecordingVectors("r", vectors, num_spk=2), read_system(BEST))


def heard(times, who, duration, swap=False):
    """Return a segmentation of windows of 10 s, every 2.5 s, that hears who talks; every second window swaps names."""
    step, frames = 0.02, 500
    first = np.arange(0, max(1, int((duration - 10) / step) + 1), 125)
    truth = np.full(int(duration / step) + frames, -1)
    for (start, end), speaker in zip(times, who, strict=True):
        truth[int(start / step) : int(end / step)] = speaker
    classes = [SPEAKER_SETS.index(()), SPEAKER_SETS.index((0,)), SPEAKER_SETS.index((1,))]
    probabilities = np.zeros((len(first), frames, 7), np.float16)
    for number, at in enumerate(first):
        here = truth[at : at + frames]
        if swap and number % 2:
            here = np.where(here < 0, here, 1 - here)
        probabilities[number, np.arange(frames), np.array(classes)[here + 1]] = 1
    return Segmentation(probabilities, first, 0.0, step, duration)


def test_links_tell_one_speaker_from_two_whatever_the_windows_call_them():
    _, times, truth = call(turns=16)
    links = links_of_clusters(truth, times, heard(times, truth, times[-1, 1], swap=True), 2)
    assert links.same[0, 1] == 0 < links.another[0, 1]
    assert links.another[0, 0] == 0 < links.same[0, 0]
    links = links_of_clusters(truth, times, heard(times, np.zeros_like(truth), times[-1, 1]), 2)
    assert not links.another.any()
    assert links.same[0, 1] > 0


def test_changes_of_speaker_are_heard_through_windows_that_name_them_anew():
    times = np.array([[0.0, 3.0], [3.4, 7.0], [7.0, 7.1], [7.1, 20.0]])  # a pause at 3.0, a stint too short to count
    segmentation = heard(times, [0, 1, 0, 1], 20.0, swap=True)
    np.testing.assert_allclose(segmentation.changes(), [3.2], atol=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["count.weights.shorts=1"], "count.weights: .*shorts"),
        (["count.weights=null"], "count: .*needs weights"),
        (["count.weights_with_links.links_same=2000"], "count.weights_with_links.links_same"),
        (["count.prior=[]"], "count: .*prior"),
    ],
)
def test_bad_weights(changes, message):
    with pytest.raises(InputError, match=message):
        read_system(BEST, changes)


def test_weights_need_every_name():
    with pytest.raises(InputError, match=r"nmesc\.yaml: count.weights: .*separation"):
        read_system("nmesc", ["count.weights={constant: 1}"])
