"""Calls with one party per channel: cross-talk goes, overlap stays, and voices are shared out."""

import numpy as np
import pytest

from ssdiar.base.errors import InputError
from ssdiar.clustering.sides import share_out
from ssdiar.io.names import Names, legal_id
from ssdiar.speech.channels import Levels, use_of_channels
from ssdiar.speech.echo import Channel, find_lags
from ssdiar.speech.parties import without_crosstalk
from ssdiar.timeline.regions import intersect, subtract, total
from ssdiar.timeline.sides import join_sides, side_id
from ssdiar.timeline.spans import Turn

RATE = 8000
TURNS = ([(1, 4), (9, 12), (13, 14), (18, 21)], [(5, 8), (11, 13), (15, 17.5), (22, 24)])  # overlap at 11 to 12


def party(turns, seed):
    """Return 25 s of one party: noise in bursts of 0.1 s where it talks, and a quiet line where it does not."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.uniform(0.05, 0.3, 250), RATE // 10)
    time = np.arange(len(level)) / RATE
    talks = np.any([(time >= start) & (time < end) for start, end in turns], axis=0)
    return (random.standard_normal(len(level)) * (level * talks + 0.0005)).astype(np.float32)


def delayed(samples, frames):
    return np.concatenate([np.zeros(frames, np.float32), samples[:-frames]])


@pytest.mark.parametrize(("leak", "delay"), [(0.0, 1), (0.03, 1), (0.1, 40), (0.3, 1), (0.3, 10), (0.2, 1600)])
def test_crosstalk_is_told_from_the_party_itself(leak, delay):
    left, right = party(TURNS[0], 1), party(TURNS[1], 2)
    heard = [left + leak * delayed(right, delay), right + leak * delayed(left, delay)]
    _, own = without_crosstalk(heard, RATE)
    for number, other in ((0, 1), (1, 0)):
        assert total(subtract(TURNS[number], own[number])) < 0.3
        late = [(start + delay / RATE, end) for start, end in TURNS[other]]  # before it there is the line's noise only
        assert total(intersect(own[number], subtract(late, TURNS[number]))) < 0.8
    assert total(intersect(intersect(own[0], own[1]), [(11, 12)])) > 0.9


def on_clock(samples, ppm):
    """Return the samples as a clock that is faster by some ppm counts them."""
    times = np.arange(len(samples)) * (1 + ppm * 1e-6)
    return np.interp(times, np.arange(len(samples)), samples).astype(np.float32)


@pytest.mark.parametrize(("gain", "delay", "ppm"), [(0.05, 0.1, 0), (0.3, 0.6, 0), (0.1, 0.3, 100), (0.1, 0, -20)])
def test_an_echo_is_found_at_its_lag_and_taken_out(gain, delay, ppm):
    """Only the channel that has one; line noise is all that is left."""
    left, right = party(TURNS[0], 1), party(TURNS[1], 2)
    echo = gain * on_clock(delayed(np.pad(right, (0, 9)), round(delay * RATE) or 1)[: len(right)], ppm)
    heard = Channel.of(left + echo, RATE), Channel.of(right, RATE)
    [lag] = find_lags(*heard, RATE)
    assert lag.start == pytest.approx(delay, abs=0.0005) and lag.slope == pytest.approx(-ppm * 1e-6, abs=3e-6)
    assert find_lags(heard[1], heard[0], RATE) == []
    cleaned, own = without_crosstalk([left + echo, right], RATE)
    alone = slice(round(5.7 * RATE), 8 * RATE)  # only the right talks
    assert np.std(cleaned[0][alone]) < 0.2 * np.std(echo[alone])
    assert total(intersect(own[0], [(5.7, 8), (15.7, 17.5)])) < 0.5


def use(*channels, asked="auto"):
    levels = Levels()
    levels.add(np.stack(channels, axis=1), RATE)
    return use_of_channels(levels, asked)


@pytest.mark.parametrize(("seconds", "gain"), [(0.1, 1), (0.3, 0.1), (1.9, 0.5)])
def test_a_late_copy_of_a_channel_is_no_party(seconds, gain):
    call = party(TURNS[0], 1) + party(TURNS[1], 2)
    hiss = 0.01 * np.random.default_rng(3).standard_normal(len(call)).astype(np.float32)
    late = gain * (delayed(call, round(seconds * RATE)) + hiss)
    found = use(call, late)
    assert (found.channel, found.parties, found.odd) == (1, (), True)
    assert f"channel 2 is a copy of channel 1, {seconds:.2f} s later; channel 1 is the only one" in found.remark
    assert use(late, call).channel == 2
    assert "channel 1 is the best" in use(call, late, asked="mix").remark
    left, right = party(TURNS[0], 1), party(TURNS[1], 2)
    found = use(left, right, gain * delayed(right, round(seconds * RATE)))
    assert found.parties == (1, 2) and "channel 3 is a copy of channel 2" in found.remark


@pytest.mark.parametrize("gain", [0.05, 0.3])
def test_a_party_that_hardly_talks_is_no_copy_of_the_other_by_its_echo(gain):
    left, right = party([(19, 20.5)], 1), party(TURNS[1], 2)
    assert use(left + gain * delayed(right, 2400), right).parties == (1, 2)


def test_silent_channels_beside_parties_are_named():
    left, right = party(TURNS[0], 1), party(TURNS[1], 2)
    found = use(0 * left, left, 0 * left, right)
    assert (found.parties, found.odd) == ((2, 4), True)
    assert found.remark == "channel 1 is silent and channel 3 is silent"


def voices(random, *sizes):
    means = random.standard_normal((len(sizes), 64))
    rows = [mean + 0.7 * random.standard_normal((size, 64)) for mean, size in zip(means, sizes, strict=True)]
    return np.concatenate(rows)


def test_voices_are_shared_out_by_where_they_differ():
    random = np.random.default_rng(3)
    sides = {"a": voices(random, 40, 30), "b": voices(random, 60)}
    assert share_out(1, sides) == share_out(2, sides) == {"a": 1, "b": 1}
    assert share_out(3, sides) == {"a": 2, "b": 1}
    assert sum(share_out(3, {"a": sides["b"], "b": sides["a"][:3]}).values()) <= 3


def test_sides_are_joined_and_speakers_named_by_channel():
    one, two = side_id("a.b", 1), side_id("a.b", 2)
    assert one == "a.b.channel1"
    turns = [
        Turn(one, "speaker1", 0, 1),
        Turn(two, "speaker1", 1, 2),
        Turn(two, "speaker2", 2, 3),
        Turn("c", "speaker1", 0, 1),
    ]
    assert join_sides(turns, {one: "a.b", two: "a.b"}) == [
        Turn("a.b", "channel1", 0, 1),
        Turn("a.b", "channel2-1", 1, 2),
        Turn("a.b", "channel2-2", 2, 3),
        Turn("c", "speaker1", 0, 1),
    ]


def test_a_recording_goes_by_many_names():
    names = Names(
        {"mon-call": "/x/mon/call.wav", "tue-call": "/x/tue/call.wav", "Jo_e_": "/x/Joé!.mp3", "c": "sox c |"}
    )
    for name in ("mon-call", "mon/call", "mon/call.wav", "/x/mon/call.wav", "x/mon/call"):
        assert names.find(name) == "mon-call"
    for name in ("Joé!", "Joe\u0301!.mp3", "Joe_", "/x/Joé!.mp3"):
        assert names.find(name) == "Jo_e_"
    assert names.find("c") == "c" and names.find("other one") == "other_one"
    with pytest.raises(InputError, match="call may mean 2 recordings"):
        names.find("call")
    assert legal_id("call.channel1") == "call_channel1"  # no file takes the name of a side
    assert legal_id("x" * 300) != legal_id("x" * 301) and len(legal_id("x" * 300)) == 100
