"""The same voice in several recordings: which speakers get which name, and who is linked with whom."""

import numpy as np
import pytest
import soundfile

from ssdiar.base.errors import InputError
from ssdiar.clustering.voices import link_speakers, log_odds, match_voices
from ssdiar.enrolment import known_voices, names_of, read_voice_model
from ssdiar.pipeline import Speaker
from ssdiar.results.names import SpeakerName, read_names, write_names
from ssdiar.timeline.spans import Turn
from ssdiar.timeline.turns import rename_speakers
from ssdiar.xvectors.models import read_model_config

MODEL = read_voice_model("campplus")


def speakers(*voices, seconds=30.0, noise=0.2, seed=0):
    """Return speakers of recordings a, b, ..., two each, who have these voices, as numbers."""
    axes = 3 * np.random.default_rng(1).standard_normal((10, len(MODEL.background)))
    rng = np.random.default_rng(seed)
    made = axes[list(voices)] + noise * rng.standard_normal((len(voices), len(MODEL.background))) + MODEL.background
    return {("abcdefgh"[n // 2], f"speaker{n % 2 + 1}"): Speaker(vector, seconds) for n, vector in enumerate(made)}


def test_speakers_of_one_recording_have_different_names_unless_asked():
    odds = np.array([[5.0, -9], [4, -9], [3, -9], [-9, 6]])
    recordings = np.array(list("aabb"))
    voices, sure = match_voices(odds, recordings)
    assert voices.tolist() == [0, -1, 0, 1] and sure[0] > 0.99
    assert match_voices(odds, recordings, shared=True)[0].tolist() == [0, 0, 0, 1]


def test_a_voice_that_is_as_likely_as_another_or_as_none_is_no_name():
    odds = np.array([[5.0, 5.1], [5, -9], [-0.1, -9]])
    voices, sure = match_voices(odds, np.array(list("abc")))
    assert voices.tolist() == [1, 0, -1] and sure[0] == pytest.approx(0.52, abs=0.01)
    assert match_voices(np.zeros((2, 0)), np.array(["a", "a"]))[0].tolist() == [-1, -1]


def test_links_go_through_several_recordings_and_never_within_one():
    odds = np.full((6, 6), -8.0)
    for first, second, value in ((0, 2, 6), (2, 4, 6), (0, 4, 2), (0, 1, 20), (3, 5, -1)):
        odds[first, second] = odds[second, first] = value
    voices, sure = link_speakers(odds, np.array(list("aabbcc")))
    assert voices.tolist() == [0, -1, 0, -1, 0, -1] and sure[2] > sure[0] > 0.9
    assert link_speakers(np.zeros((1, 1)), np.array(["a"]))[0].tolist() == [-1]


def test_names_and_links_of_speakers():
    found = speakers(0, 1, 0, 2, 3, 1)
    links = [one.name for one in names_of(found, MODEL)]
    assert links == ["voice1", "voice2", "voice1", None, None, "voice2"]
    known = {"ann": speakers(0, seed=5)["a", "speaker1"], "bob": speakers(3, seed=5)["a", "speaker1"]}
    names = names_of(found, MODEL, known)
    assert [one.name for one in names] == ["ann", None, "ann", None, "bob", None]
    assert all(one.probability > 0.5 for one in names if one.name) and names[1].probability is None
    assert names_of({}, MODEL) == []


def test_too_little_speech_has_no_name():
    found = speakers(0, 1, 0, 1, seconds=MODEL.min_seconds / 2)
    assert {one.name for one in names_of(found, MODEL)} == {None}


def test_an_agent_in_all_recordings_does_not_make_the_others_alike():
    found = speakers(0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8)
    assert [one.name for one in names_of(found, MODEL)] == ["voice1", None] * 8
    vectors = np.array([one.vector for one in found.values()])
    odds = log_odds(vectors, np.full(16, 30.0), MODEL)
    assert odds[1::2, 1::2][~np.eye(8, dtype=bool)].max() < -3


def test_x_vectors_of_another_model_are_refused():
    with pytest.raises(InputError, match=r"dimension.*192.*3"):
        names_of({("a", "speaker1"): Speaker(np.zeros(3), 9.0)}, MODEL)
    with pytest.raises(InputError, match=r"voices/speechbrain\.yaml.*campplus"):
        read_voice_model("speechbrain")


def test_two_speakers_of_one_name_are_joined():
    turns = [Turn("a", "speaker1", 0, 2, 0.5), Turn("a", "speaker2", 1, 3, 0.9), Turn("b", "speaker1", 0, 1)]
    new = rename_speakers(turns, {("a", "speaker1"): "ann", ("a", "speaker2"): "ann", ("c", "speaker1"): "bob"})
    assert [(turn.reco, turn.speaker, turn.start, turn.end) for turn in new] == [
        ("a", "ann", 0, 3),
        ("b", "speaker1", 0, 1),
    ]


def test_names_belong_to_labels(tmp_path, caplog):
    (tmp_path / "labels").write_text("a-1 1\n")
    names = [SpeakerName("a", "speaker1", "zoë", 0.9, (0.5, 1.0)), SpeakerName("a", "speaker2")]
    write_names(tmp_path, names)
    assert read_names(tmp_path) == names
    (tmp_path / "labels").write_text("a-1 2\n")
    assert read_names(tmp_path) == [] and "names.json" in caplog.text and "changed" in caplog.text
    (tmp_path / "names.json").write_text('{"labels": "x", "speakers": [{"recording": "a"}]}')
    with pytest.raises(InputError, match=r"names\.json.*speaker"):
        read_names(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no known voices"),
        (["notes.txt", ".ann.wav"], "no known voices"),
        (["speaker1.wav"], "speaker1"),
        (["a b.wav", "a_b/x.wav"], "two voices.*a_b"),
        (["ann.wav"], "ann.wav.*too little speech.*0.0 s"),
    ],
)
def test_folders_of_voices_that_cannot_be_used(tmp_path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(16000), 8000, format="WAV")
    with pytest.raises(InputError, match=message):
        known_voices(tmp_path, "pyannote", read_model_config("campplus"))
