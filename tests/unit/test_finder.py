"""Speech from one source, overlap from another: who is asked, and that the two meet without touching each other."""

import numpy as np
import pytest
import soundfile

from ssdiar.data import Recording
from ssdiar.speech import Detection, Smoothing
from ssdiar.speech.finder import SpeechFinder, cut
from ssdiar.timeline.spans import Turn

TURNS = [Turn("a", "A", 1.0, 4.0), Turn("a", "B", 3.0, 5.0)]


class Fake:
    """A detector that finds what it is told to, and counts how often it is asked."""

    def __init__(self, speech, overlap=()):
        self.found = Detection(np.array(speech, float), np.array(overlap, float).reshape(-1, 2), "kept")
        self.asked = 0

    def detect(self, samples, rate):
        self.asked += 1
        assert (len(samples), rate) == (80000, 8000)
        return self.found


@pytest.fixture
def recording(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(80000), 8000)
    return Recording(str(tmp_path / "a.wav"), duration=10.0)


def found(finder, recording, turns=()):
    result = finder.find(recording, turns)
    assert result.duration == 10.0
    return result.speech.tolist(), result.overlap.tolist(), result.segmentation


def test_one_network_for_both_runs_once(recording):
    network = Fake([(1.0, 2.0), (2.2, 4.0)], [(3.0, 3.5), (3.9, 9.0)])
    finder = SpeechFinder(network, Smoothing(0.5, 0, 0.1), "network", network)
    assert found(finder, recording) == ([[90, 300], [350, 390]], [[300, 350], [390, 410]], "kept")
    assert network.asked == 1


def test_overlap_that_nobody_wants_stays_in_speech(recording):
    network = Fake([(1.0, 4.0)], [(3.0, 3.5)])
    assert found(SpeechFinder(network, Smoothing(0, 0, 0), None, network), recording) == ([[100, 400]], [], "kept")


def test_overlap_divides_the_speech_of_another_detector(recording):
    speech, network = Fake([(1.004, 4.0), (6.0, 7.0)]), Fake([(0.0, 10.0)], [(0.5, 1.2), (3.996, 6.503)])
    speech.found = Detection(speech.found.speech)
    finder = SpeechFinder(speech, Smoothing(0, 0, 0), "network", network)
    assert found(finder, recording) == ([[120, 400], [650, 700]], [[100, 120], [600, 650]], "kept")


def test_given_turns_with_their_own_overlap_or_the_one_of_the_network(recording):
    network = Fake([(0.0, 10.0)], [(3.5, 8.0)])
    given = [[100, 300], [400, 500]], [[300, 400]]
    assert found(SpeechFinder(None, None, "given", None), recording, TURNS) == (*given, None)
    assert found(SpeechFinder(None, None, "given", network), recording, TURNS) == (*given, "kept")
    detected = [[100, 350]], [[350, 500]]
    assert found(SpeechFinder(None, None, "network", network), recording, TURNS) == (*detected, "kept")
    assert found(SpeechFinder(None, None, None, None), recording, TURNS) == ([[100, 500]], [], None)


def test_speech_is_cut_at_changes_and_the_parts_do_not_touch(recording):
    class Heard:
        def changes(self):
            return np.array([0.5, 2.0, 2.0, 3.98, 5.0])

    network = Fake([(1.0, 4.0)])
    network.found = Detection(network.found.speech, network.found.overlap, Heard())
    speech, _, _ = found(SpeechFinder(network, Smoothing(0, 0, 0), None, network, cut_changes=True), recording)
    assert speech == [[100, 200], [201, 400]]


@pytest.mark.parametrize("seed", range(10))
def test_cutting_leaves_out_a_hundredth_per_cut_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(2000, 12, replace=False)).reshape(-1, 2).astype(float)
    parts = cut(edges, np.sort(rng.uniform(0, 20, 15)))
    cuts = len(parts) - len(edges)
    assert (parts[1:, 0] > parts[:-1, 1]).all()
    assert np.diff(edges).sum() - np.diff(parts).sum() == cuts >= 0


def test_nothing_given_and_nothing_detected(recording):
    empty = Fake(np.empty((0, 2)))
    assert found(SpeechFinder(None, None, "given", None), recording) == ([], [], None)
    assert found(SpeechFinder(empty, Smoothing(1, 1, 1), "network", empty), recording) == ([], [], "kept")
