"""Speech detection: the detector at every rate, smoothing, and the reference as its stand-in."""

import numpy as np
import pytest

from ssdiar.io.rttm import Turn
from ssdiar.regions import intersect, total
from ssdiar.speech import Smoothing, make_detector
from ssdiar.speech.oracle import reference_speech


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
    regions = make_detector("webrtc").detect(voice_like(rate, 6.0), rate)
    assert total(intersect(regions, [(0, 2), (4, 6)])) > 3.2
    assert total(intersect(regions, [(2.5, 3.9)])) == 0
    assert regions[-1, 1] <= 6.0


def test_webrtc_on_silence_and_on_less_than_a_frame():
    detector = make_detector("webrtc", aggressiveness=3)
    assert detector.detect(np.zeros(8000, np.float32), 8000).shape == (0, 2)
    assert detector.detect(np.zeros(7, np.float32), 8000).shape == (0, 2)


def test_webrtc_majority_takes_out_blips():
    samples = voice_like(8000, 6.0)
    single = make_detector("webrtc", majority=1, frame_ms=10).detect(samples, 8000)
    voted = make_detector("webrtc", majority=31, frame_ms=10).detect(samples, 8000)
    assert len(voted) <= len(single)
    assert np.all(np.diff(voted, axis=1) >= 0.1)


@pytest.mark.parametrize("options", [{"aggressiveness": 4}, {"frame_ms": 25}, {"majority": 2}, {"majority": 0}])
def test_webrtc_options(options):
    with pytest.raises(ValueError, match="must be"):
        make_detector("webrtc", **options)


def test_smoothing_closes_then_drops_then_pads():
    raw = [(1.0, 1.1), (1.3, 1.4), (3.0, 3.2), (9.8, 9.95), (5.0, 5.35)]
    assert Smoothing(gap=0.3, min_speech=0.3, pad=0.1).apply(raw, 10.0).tolist() == pytest.approx(
        np.array([[0.9, 1.5], [4.9, 5.45]])
    )
    assert Smoothing(0, 0, 0).apply(raw, 10.0).tolist() == sorted(map(list, raw))


def turns(*items):
    return [Turn("a", speaker, start, end) for speaker, start, end in items]


def test_reference_speech_with_overlap_apart():
    speech, overlap = reference_speech(
        turns(("A", 0.0, 2.004), ("B", 1.5, 3.0), ("A", 2.999, 4.0), ("B", 6.0, 7.0)), 6.5
    )
    assert speech.tolist() == [[0, 150], [200, 400], [600, 650]]
    assert overlap.tolist() == [[150, 200]]
    speech, overlap = reference_speech(turns(("A", 0.0, 2.0), ("B", 1.5, 3.0)), 6.5, apart=False)
    assert (speech.tolist(), overlap.tolist()) == ([[0, 300]], [])


def test_a_speaker_does_not_overlap_with_himself():
    speech, overlap = reference_speech(turns(("A", 0.0, 2.0), ("A", 1.0, 3.0)))
    assert (speech.tolist(), overlap.tolist()) == ([[0, 300]], [])


def test_reference_without_turns_or_with_nothing_but_overlap():
    assert [part.shape for part in reference_speech([], 5.0)] == [(0, 2), (0, 2)]
    speech, overlap = reference_speech(turns(("A", 1, 2), ("B", 1, 2)))
    assert (speech.tolist(), overlap.tolist()) == ([], [[100, 200]])
