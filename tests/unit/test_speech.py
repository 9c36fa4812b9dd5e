"""Speech detection: the detectors at every rate, smoothing, and speech that is given instead."""

import numpy as np
import pytest

from ssdiar.base.errors import InputError
from ssdiar.speech.sad import active_frames
from ssdiar.speech.source import given_speech, read_sad, read_turns
from ssdiar.timeline.regions import intersect, total
from ssdiar.timeline.spans import Turn


def detector_of(name, *changes):
    return read_sad("+".join([name, *changes]))


def voice_like(rate, seconds):
    """A buzz of 120 Hz with three formants that comes and goes four times a second: (n,), silence from 2 to 4 s."""
    time = np.arange(int(seconds * rate)) / rate
    partials = [k * 120 for k in range(1, 28)]
    weights = [sum(np.exp(-(((f - c) / 150) ** 2)) for c in (500, 1500, 2500)) for f in partials]
    buzz = sum(w * np.sin(2 * np.pi * f * time) for w, f in zip(weights, partials, strict=True))
    loud = 0.05 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    noise = np.random.default_rng(3).normal(0, 1e-3, len(time))
    return np.where((time >= 2) & (time < 4), 0, loud).astype(np.float32) + noise.astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000, 11025, 44100])
def test_webrtc_finds_speech_at_any_rate(rate):
    regions = detector_of("webrtc").detect(voice_like(rate, 6.0), rate)
    assert total(intersect(regions, [(0, 2), (4, 6)])) > 3.2
    assert total(intersect(regions, [(2.5, 3.9)])) == 0
    assert regions[-1, 1] <= 6.0


def test_webrtc_on_silence_and_on_less_than_a_frame():
    detector = detector_of("webrtc", "aggressiveness=3")
    assert detector.detect(np.zeros(8000, np.float32), 8000).shape == (0, 2)
    assert detector.detect(np.zeros(7, np.float32), 8000).shape == (0, 2)


def test_webrtc_majority_takes_out_blips():
    samples = voice_like(8000, 6.0)
    single = detector_of("webrtc", "majority=1", "frame=10").detect(samples, 8000)
    voted = detector_of("webrtc", "majority=31", "frame=10").detect(samples, 8000)
    assert len(voted) <= len(single)
    assert np.all(np.diff(voted, axis=1) >= 0.1)


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("name", ["silero", "pyannote"])
def test_networks_find_speech_at_any_rate(name, rate):
    detector, samples = detector_of(name), voice_like(rate, 6.0)
    speech = detector.detect(samples, rate)
    assert total(intersect(speech, [(0, 2.3), (3.7, 6)])) > 0.4
    assert total(intersect(speech, [(2.4, 3.6)])) == 0
    if name == "pyannote":
        assert total(detector.overlap(detector.segment(samples, rate))) < 0.5


@pytest.mark.parametrize("name", ["silero", "pyannote"])
def test_networks_on_silence_of_any_length(name):
    detector = detector_of(name)
    for length in (1, 500, 16001, 165000):
        assert detector.detect(np.zeros(length, np.float32), 16000).shape == (0, 2)


def test_active_frames_are_runs_above_the_offset_that_reach_the_onset():
    probabilities = np.array([0.4, 0.7, 0.4, 0.2, 0.4, 0.5, 0.1, 0.9, 0.1, 0.35])
    assert active_frames(probabilities, 0.6, 0.3).tolist() == [1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    assert active_frames(probabilities, 0.3, 0.3).tolist() == (probabilities > 0.3).tolist()
    assert active_frames(probabilities[3:4], 0.6, 0.3).tolist() == [0]
    assert active_frames(probabilities[:0], 0.6, 0.3).tolist() == []


@pytest.mark.parametrize("name", ["webrtc", "silero", "pyannote"])
def test_every_detector_closes_fewer_pauses_if_speech_is_cut_at_changes(name):
    sad = detector_of(name)
    assert sad.cut.gap < sad.gap
    pause = [[1.0, 2.0], [2.0 + (sad.cut.gap + sad.gap) / 2, 4.0]]
    assert len(sad.smooth(np.array(pause), 10.0)) == 1 and len(sad.smooth(np.array(pause), 10.0, cut=True)) == 2


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("webrtc", "majority=0", "webrtc.yaml: majority: .*>= 1"),
        ("webrtc", "frame=25", "frame: .*25"),
        ("webrtc", "onset=0.3", "webrtc.yaml: .*unknown field `onset`"),
        ("silero", "offset=0.4", r"silero.yaml: bad offset; expected at most 0.3 \(onset\), got 0.4"),
        ("pyannote", "step=11", "step: .*<= 10"),
        ("pyannote", "detector=magic", "detector: .*magic"),
        ("pyannote", "cut.pad=-1", "cut.pad: .*>= 0"),
        ("pyannote", "device=gpu", "device: .*cuda"),
    ],
)
def test_bad_options_of_a_detector(name, change, message):
    with pytest.raises(InputError, match=message):
        read_sad(f"{name}+{change}")


def test_smoothing_closes_then_drops_then_pads():
    raw = [(1.0, 1.1), (1.3, 1.4), (3.0, 3.2), (9.8, 9.95), (5.0, 5.35)]
    smooth = read_sad("webrtc+gap=0.3+min_speech=0.3+pad=0.1").smooth(raw, 10.0)
    assert smooth.tolist() == pytest.approx(np.array([[0.9, 1.5], [4.9, 5.45]]))
    assert read_sad("webrtc+gap=0+min_speech=0+pad=0").smooth(raw, 10.0).tolist() == sorted(map(list, raw))


def turns(*items):
    return [Turn("a", speaker, start, end) for speaker, start, end in items]


def test_reference_speech_with_overlap_apart():
    speech, overlap = given_speech(turns(("A", 0.0, 2.004), ("B", 1.5, 3.0), ("A", 2.999, 4.0), ("B", 6.0, 7.0)), 6.5)
    assert speech.tolist() == [[0, 150], [200, 400], [600, 650]]
    assert overlap.tolist() == [[150, 200]]
    speech, overlap = given_speech(turns(("A", 0.0, 2.0), ("B", 1.5, 3.0)), 6.5, apart=False)
    assert (speech.tolist(), overlap.tolist()) == ([[0, 300]], [])


def test_a_speaker_does_not_overlap_with_himself():
    speech, overlap = given_speech(turns(("A", 0.0, 2.0), ("A", 1.0, 3.0)))
    assert (speech.tolist(), overlap.tolist()) == ([[0, 300]], [])


def test_reference_without_turns_or_with_nothing_but_overlap():
    assert [part.shape for part in given_speech([], 5.0)] == [(0, 2), (0, 2)]
    speech, overlap = given_speech(turns(("A", 1, 2), ("B", 1, 2)))
    assert (speech.tolist(), overlap.tolist()) == ([], [[100, 200]])


def test_file_of_turns_is_rttm_or_segments(tmp_path):
    segments = tmp_path / "speech"
    segments.write_text("SPEAKER_1 a 1 2.5\nx a 2 3\n")
    assert read_turns(segments, ["a"]) == {"a": [Turn("a", "speech", 1.0, 2.5), Turn("a", "speech", 2.0, 3.0)]}
    for name, first in (("vad.rttm", ""), ("vad", ""), ("vad2", ";; made by hand\n")):
        (tmp_path / name).write_text(first + "SPEAKER a 1 1 0.5 <NA> <NA> A <NA> <NA>\n")
        assert read_turns(tmp_path / name, ["b"]) == {"a": [Turn("a", "A", 1.0, 1.5)]}
    with pytest.raises(InputError, match="speech:1: segment SPEAKER_1 is of an unknown recording"):
        read_turns(segments, ["b"])
