"""The source of speech: which parts run, and that speech and overlap meet without touching each other."""

import msgspec
import numpy as np
import pytest
import soundfile

from ssdiar.base.errors import InputError
from ssdiar.io.recordings import Recording
from ssdiar.speech import source
from ssdiar.speech.sad import Cut, Sad
from ssdiar.speech.source import SpeechSource, cut_at, read_sad
from ssdiar.timeline.spans import Turn

TURNS = [Turn("a", "A", 1.0, 4.0), Turn("a", "B", 3.0, 5.0)]
PLAIN = {"gap": 0, "min_speech": 0, "pad": 0, "cut": Cut(0, 0, 0.8)}


class Changes(list):
    """A segmentation of which only the changes are looked at."""

    def changes(self):
        return np.array(self)


class Fake(Sad, frozen=True, kw_only=True, tag="fake"):
    """A detector that finds what it is given, and counts how often it is asked; with ``found`` it is a network."""

    regions: list = msgspec.field(default_factory=list)
    found: list | None = None
    asked: list = msgspec.field(default_factory=list)

    def detect(self, samples, rate):
        self.asked.append((len(samples), rate))
        return np.array(self.regions, float).reshape(-1, 2)

    def segment(self, samples, rate):
        self.asked.append((len(samples), rate))
        return Changes([0.5, 2.0, 2.0, 3.98, 5.0])

    def speech(self, segmentation):
        return np.array(self.regions, float).reshape(-1, 2)

    def overlap(self, segmentation):
        return np.array(self.found, float).reshape(-1, 2)


OTHER = {}


@pytest.fixture
def recording(tmp_path, monkeypatch):
    def network_of(sad):
        return sad if sad is None or sad.found is not None else OTHER.get("network")

    OTHER.clear()
    monkeypatch.setattr(source, "network_of", network_of)
    soundfile.write(tmp_path / "a.wav", np.zeros(80000), 8000)
    return Recording(str(tmp_path / "a.wav"), duration=10.0)


def found(speech_source, recording, turns=()):
    result = speech_source.find(recording, turns)
    assert result.duration == 10.0
    return result.regions.tolist(), result.overlap.tolist(), result.segmentation is not None


def test_one_network_for_both_runs_once(recording):
    asked = []
    options = PLAIN | {"gap": 0.5, "pad": 0.1}
    network = Fake(regions=[(1.0, 2.0), (2.2, 4.0)], found=[(3.0, 3.5), (3.9, 9.0)], asked=asked, **options)
    assert found(SpeechSource(network), recording) == ([[90, 300], [350, 390]], [[300, 350], [390, 410]], True)
    assert asked == [(80000, 8000)]
    assert SpeechSource(network).find(recording).tight.tolist() == [[1.0, 2.0], [2.2, 4.0]], "neither closed nor padded"
    segmentation = Changes()
    segmentation.duration = 10.0
    assert SpeechSource(network).find(recording, segmentation=segmentation).segmentation is segmentation
    assert len(asked) == 2, "earlier output takes the place of a run"


def test_overlap_that_is_kept_stays_in_speech(recording):
    network = Fake(regions=[(1.0, 4.0)], found=[(3.0, 3.5)], **PLAIN)
    assert found(SpeechSource(network, overlap="keep"), recording) == ([[100, 400]], [], True)


def test_overlap_divides_the_speech_of_another_detector(recording):
    OTHER["network"] = Fake(regions=[(0.0, 10.0)], found=[(0.5, 1.2), (3.996, 6.503)], **PLAIN)
    speech = Fake(regions=[(1.004, 4.0), (6.0, 7.0)], **PLAIN)
    assert found(SpeechSource(speech), recording) == ([[120, 400], [650, 700]], [[100, 120], [600, 650]], True)


def test_given_turns_with_their_own_overlap(recording):
    assert found(SpeechSource(None), recording, TURNS) == ([[100, 300], [400, 500]], [[300, 400]], False)
    assert found(SpeechSource(None, overlap="keep"), recording, TURNS) == ([[100, 500]], [], False)
    assert SpeechSource(None).find(recording, TURNS).tight.tolist() == [[1.0, 5.0]]


def test_speech_is_cut_at_changes(recording):
    network = Fake(regions=[(1.0, 4.0)], found=[], **PLAIN)
    regions, _, _ = found(SpeechSource(network, changes="cut"), recording)
    assert regions == [[100, 200], [201, 400]]


@pytest.mark.parametrize("seed", range(10))
def test_cutting_leaves_out_a_hundredth_per_cut_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(2000, 12, replace=False)).reshape(-1, 2).astype(float)
    parts = cut_at(edges, np.sort(rng.uniform(0, 20, 15)))
    cuts = len(parts) - len(edges)
    assert (parts[1:, 0] > parts[:-1, 1]).all()
    assert np.diff(edges).sum() - np.diff(parts).sum() == cuts >= 0


def test_nothing_given_and_nothing_detected(recording):
    assert found(SpeechSource(None), recording) == ([], [], False)
    assert found(SpeechSource(Fake(found=[], **PLAIN)), recording) == ([], [], True)


def test_the_network_runs_if_something_needs_it():
    assert SpeechSource.of("webrtc").network is None and SpeechSource.of("oracle").network is None
    plain = SpeechSource.of("pyannote")
    assert plain.network is plain.sad
    assert SpeechSource.of("webrtc+network=pyannote", "label", "cut").network.step == read_sad("pyannote").step


def test_a_systems_wishes_are_granted_if_the_source_can():
    assert [SpeechSource.of(sad, "label", "cut", strict=False).overlap for sad in ("pyannote", "oracle", "webrtc")] == [
        *("label", "label", "drop")
    ]
    assert [SpeechSource.of(sad, "label", "cut", strict=False).cut for sad in ("pyannote", "oracle", "webrtc")] == [
        *(True, False, False)
    ]


def test_the_pauses_of_stage_6_are_decided_with_the_speech():
    cut = SpeechSource.of("pyannote+cut.close_pauses=0.6", "label", "cut")
    assert cut.close_pauses == 0.6
    assert SpeechSource.of("pyannote").close_pauses == SpeechSource.of("oracle").close_pauses == 0
    assert "close_pauses" not in str(cut.options()), "it does not change the regions"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("webrtc", "label"), "finds no overlap for --overlap label; expected --sad pyannote"),
        (("oracle", "drop", "cut"), "finds no changes for --changes cut"),
        (("none.yaml",), "none.yaml: no such file"),
        (("webrtc+network=silero", "label"), "silero: bad network; expected a detector of type pyannote"),
    ],
)
def test_sources_that_make_no_sense(arguments, message):
    with pytest.raises(InputError, match=message):
        SpeechSource.of(*arguments)
