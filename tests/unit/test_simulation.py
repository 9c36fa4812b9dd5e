"""The simulator's parts: turn taking, voices cut at their pauses, the telephone line, pairs of voices."""

import itertools
from collections import Counter

import numpy as np
import pytest
import soundfile

from simulation.casting import assign_voices, read_casts, read_persons
from simulation.channel import Channel, through_codec
from simulation.corpus import assign_lines, generator, simulate_call, write_corpus
from simulation.turns import SPURT_JOIN, Spurt, TurnTaking, draw_duration
from simulation.voices import RATE, Supply, Voice, cut_at_pauses, list_voices, load_voice, read_speech
from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm, write_rttm
from ssdiar.timeline.spans import Turn


def words(pattern, pitch=150.0, rate=RATE, seed=0):
    """Harmonic sounds and silences in turn: pattern holds seconds, sound first; a faint noise everywhere."""
    rng = np.random.default_rng(seed)
    parts = []
    for index, seconds in enumerate(pattern):
        time = np.arange(round(seconds * rate)) / rate
        sound = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 16)) * 0.1 * (index % 2 == 0)
        parts.append(sound + 1e-4 * rng.standard_normal(len(time)))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def voices():
    def voice(name, pitch):
        lengths = np.random.default_rng(int(pitch)).uniform(0.25, 1.5, 60)
        prompts = tuple(
            cut_at_pauses(words([a, 0.2, b, 0.5], pitch)) for a, b in zip(lengths[::2], lengths[1::2], strict=True)
        )
        return Voice(name, prompts)

    return voice("low", 110.0), voice("high", 230.0)


def active(samples, level=-60.0):
    """Whether each 10 ms frame has energy."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80).astype(float)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12) > level


# Turn taking


def test_model_keeps_its_rules_and_its_length():
    for seed in range(30):
        spurts = TurnTaking().draw(120.0, generator(seed))
        assert spurts == sorted(spurts, key=lambda spurt: (spurt.start, spurt.party))
        assert spurts[0].start >= 0.2 and max(spurt.end for spurt in spurts) < 120.0
        for side in (0, 1):
            own = [spurt for spurt in spurts if spurt.party == side]
            assert all(b.start - a.end >= SPURT_JOIN for a, b in itertools.pairwise(own))
        assert all(spurt.end - spurt.start > 0.1 for spurt in spurts)


def test_model_figures_are_those_of_telephone_talk():
    """Loose bounds around what corpora of telephone conversation show."""
    spurts = [spurt for seed in range(40) for spurt in TurnTaking().draw(180.0, generator(seed))]
    lengths = np.array([spurt.end - spurt.start for spurt in spurts])
    assert 1.2 < np.median(lengths) < 2.0 and 4.0 < np.percentile(lengths, 95) < 9.0
    overlap = speech = silence = 0
    for seed in range(40):
        grid = np.zeros((2, 18000), bool)
        for spurt in TurnTaking().draw(180.0, generator(seed)):
            grid[spurt.party, round(spurt.start * 100) : round(spurt.end * 100)] = True
        overlap, speech, silence = overlap + grid.all(0).sum(), speech + grid.sum(), silence + (~grid.any(0)).sum()
    assert 0.05 < overlap / speech < 0.14
    assert 0.08 < silence / (40 * 18000) < 0.25


def test_options_of_the_model_take_effect():
    plain = TurnTaking(hold=0.0, backchannel_rate=0.0, transfer=(0.5, 0.0)).draw(100.0, generator(1))
    assert all(a.party != b.party for a, b in itertools.pairwise(plain))
    assert all(b.start - a.end >= 0.5 - 1e-9 for a, b in itertools.pairwise(plain))
    busy = TurnTaking(hold=0.0, backchannel_rate=30.0, backchannel=(0.3, 0.4), transfer=(0.5, 0.0)).draw(
        100.0, generator(1)
    )
    short = [spurt for spurt in busy if spurt not in plain]
    assert len(short) > 5 and all(0.3 <= spurt.end - spurt.start <= 0.4 for spurt in short)
    assert set(plain) <= set(busy)


def test_two_parties_are_drawn_as_ever():
    """The corpus mini must not change: these numbers are those of the model when there were two parties only."""
    spurts = TurnTaking().draw(120.0, generator(0, "sim-0001", "turns"))
    found = [(spurt.party, round(spurt.start, 4), round(spurt.end, 4)) for spurt in (*spurts[:4], spurts[-1])]
    assert len(spurts) == 53
    assert found == [
        (1, 0.338, 1.5656),
        (0, 2.2117, 3.2136),
        (1, 4.3689, 5.5798),
        (0, 5.741, 6.5056),
        (1, 111.0089, 119.8),
    ]


@pytest.mark.parametrize("parties", range(1, 9))
@pytest.mark.parametrize("duration", [20.0, 180.0])
def test_any_number_of_parties_keeps_the_rules_and_everybody_is_heard(parties, duration):
    for seed in range(8):
        spurts = TurnTaking().draw(duration, generator(seed), parties)
        assert spurts == sorted(spurts, key=lambda spurt: (spurt.start, spurt.party))
        assert spurts[0].start >= 0.2 and max(spurt.end for spurt in spurts) < duration
        for party in range(parties):
            own = [spurt for spurt in spurts if spurt.party == party]
            assert all(b.start - a.end >= SPURT_JOIN for a, b in itertools.pairwise(own))
            # 8 x 2 s and the gaps between them are more than 20 s.
            assert sum(spurt.end - spurt.start for spurt in own) > (0.3 if duration == 20 else 1.0)


def test_shares_of_talk_differ_and_small_speakers_exist():
    shares = []
    for seed in range(20):
        talk = np.zeros(6)
        for spurt in TurnTaking().draw(900.0, generator(seed), 6):
            talk[spurt.party] += spurt.end - spurt.start
        shares.append(np.sort(talk / talk.sum()))
    mean = np.mean(shares, axis=0)
    assert 0.03 < mean[0] < 0.07 and 0.3 < mean[-1] < 0.5
    even = TurnTaking(dominance=0.0, recency=1.0).draw(900.0, generator(0), 6)
    talk = [sum(spurt.end - spurt.start for spurt in even if spurt.party == party) for party in range(6)]
    assert max(talk) < 2 * min(talk)


def test_who_spoke_before_the_last_one_is_likely_to_be_next():
    def back(recency):
        model = TurnTaking(hold=0.0, backchannel_rate=0.0, recency=recency, dominance=0.0)
        order = [spurt.party for spurt in model.draw(1800.0, generator(3), 5)]
        return np.mean([a == c for a, c in zip(order, order[2:], strict=False)])

    assert back(1.0) == pytest.approx(0.25, abs=0.05) and back(4.0) > 0.35


def test_lengths_are_drawn_evenly_in_the_logarithm():
    drawn = np.array([draw_duration(60.0, 600.0, generator(number)) for number in range(60)])
    assert drawn.min() >= 60 and drawn.max() <= 600 and np.all(drawn == np.round(drawn))
    assert np.median(drawn) == pytest.approx(190, abs=70)
    assert draw_duration(7.5, 7.5, generator(0)) == 7.5


# Voices


def test_cut_at_pauses_finds_speech_to_a_frame():
    prompt = cut_at_pauses(words([0.5, 0.3, 1.0, 0.05, 0.4, 0.2], pitch=400))
    assert prompt.pieces.tolist() == pytest.approx(np.array([[0, 4000], [6400, 18000]]), abs=160)
    speech = np.concatenate([prompt.samples[first:end] for first, end in prompt.pieces])
    assert 10 * np.log10(np.mean(speech**2)) == pytest.approx(-26, abs=1.5)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(8000), np.full(8000, 0.3), 1e-5 * words([0.5])])
def test_no_speech_gives_no_pieces(samples):
    assert cut_at_pauses(samples).pieces.shape == (0, 2)


@pytest.mark.parametrize("seconds", [0.2, 0.35, 0.8, 2.0, 7.3])
def test_supply_starts_and_ends_with_energy_and_has_no_long_silence(voices, seconds):
    supply = Supply(voices[0], generator(seconds), repeat=True)
    for _ in range(40):
        speech = supply.take(seconds, seconds + 0.05)
        assert len(speech) <= (seconds + 0.05) * RATE
        assert len(speech) / RATE == pytest.approx(seconds, abs=0.45)
        on = active(speech)
        assert on[0] and on[-1] and len(speech) % 80 == 0
        edges = np.flatnonzero(np.diff(np.concatenate([[1], on.astype(int), [1]])))
        assert all(np.diff(edges.reshape(-1, 2), axis=1) <= 31)


def test_supply_says_everything_once_or_says_that_it_repeats():
    prompts = tuple(cut_at_pauses(words([0.5, 0.2], pitch)) for pitch in np.linspace(100, 300, 200))
    voice = Voice("v", prompts)
    once, again = Supply(voice, generator(0)), Supply(voice, generator(0), repeat=True)
    taken = []
    while not once.is_over:
        taken.append(once.take(0.5, 1.0)[400:800])
    assert len({part.tobytes() for part in taken}) == len(taken) == 200 and not once.repeats
    for number in range(240):
        assert again.repeats is (number > 200) or number > 120
        again.take(0.5, 1.0)
    assert again.repeats and not again.is_over


def test_supply_gives_what_is_left(voices):
    supply = Supply(voices[0], generator(0))
    speech = supply.take(500.0, 500.0)
    assert supply.is_over and 0.8 * voices[0].seconds < len(speech) / RATE < 1.4 * voices[0].seconds


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.gsm", {"format": "RAW", "subtype": "GSM610"}),
        ("a.ulaw", {"format": "RAW", "subtype": "ULAW"}),
        ("a.sln", {"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}),
        ("a.flac", {"format": "FLAC"}),
        ("a.WAV", {"format": "WAV", "subtype": "ULAW"}),
    ],
)
def test_read_speech_reads_what_telephony_writes(tmp_path, name, kind):
    samples = words([1.0])
    with open(tmp_path / name, "wb") as stream:
        soundfile.write(stream, samples, RATE, **kind)
    heard = read_speech(tmp_path / name)[: len(samples)]
    assert np.corrcoef(heard, samples[: len(heard)])[0, 1] > 0.9


def test_read_speech_mixes_and_resamples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([words([1.0], rate=44100)] * 2, 1), 44100)
    assert len(read_speech(tmp_path / "a.wav")) == RATE


def test_read_speech_refuses_what_is_no_gsm(tmp_path):
    (tmp_path / "a.gsm").write_bytes(b"RIFF and so on, not GSM at all......")
    with pytest.raises(InputError, match=r"a\.gsm"):
        read_speech(tmp_path / "a.gsm")


def test_load_voice_skips_what_is_broken_and_names_who_says_too_little(tmp_path):
    soundfile.write(tmp_path / "good.wav", words([3.0, 0.5]), RATE)
    (tmp_path / "bad.flac").write_bytes(b"no audio")
    (tmp_path / "notes.txt").write_text("not looked at")
    voice, problems = load_voice("ann", tmp_path, generator(0), 2.0, 100.0)
    assert len(problems) == 1 and "bad.flac" in problems[0]
    assert voice.seconds == pytest.approx(3.0, abs=0.05)
    with pytest.raises(InputError, match=r"voice ann has too little speech; expected at least 20 s, got 3\.0 s"):
        load_voice("ann", tmp_path, generator(0), 20.0, 100.0)


def test_list_voices_makes_speaker_names(tmp_path):
    for name in ("Zoë Müller", "bob", ".hidden"):
        (tmp_path / name).mkdir()
    assert list(list_voices(tmp_path)) == ["Zo__M_ller", "bob"]
    (tmp_path / "Zo? M?ller").mkdir()
    with pytest.raises(InputError, match="same speaker name"):
        list_voices(tmp_path)


# The line


@pytest.mark.parametrize("codec", ["mulaw", "alaw", "gsm", "none"])
def test_codecs_keep_length_and_time(codec):
    samples = words([0.1, 0.3, 0.537, 0.3])[:-13]
    heard = through_codec(samples, codec)
    assert heard.shape == samples.shape
    delays = [np.dot(heard[200:-200], np.roll(samples, shift)[200:-200]) for shift in range(-20, 21)]
    assert np.argmax(delays) == 20


def test_mulaw_has_the_levels_of_g711():
    assert len(np.unique(through_codec(np.linspace(-1, 1, 100000), "mulaw"))) <= 256


def test_line_passes_its_band_and_nothing_else():
    noise = np.random.default_rng(0).standard_normal(80000) * 0.05
    line = Channel(snr=(100.0, 100.0), gain=0.0, tilt=0.0, codec="none")
    heard = line.transmit([noise, np.zeros(80000)], generator(0))
    power = np.abs(np.fft.rfft(heard)) ** 2
    frequency = np.fft.rfftfreq(80000, 1 / RATE)
    inside = power[(frequency > 400) & (frequency < 3300)].mean()
    for low, high in ((0, 150), (3750, 4000)):
        assert 10 * np.log10(power[(frequency > low) & (frequency < high)].mean() / inside) < -25
    assert 10 * np.log10(np.mean(heard**2)) == pytest.approx(-26, abs=0.3)


def test_line_noise_is_as_far_below_speech_as_asked():
    speech = np.concatenate([words([2.0]), np.zeros(16000)])
    silent = np.zeros_like(speech)
    heard = Channel(snr=(20.0, 20.0), gain=0.0, codec="none").transmit([speech, silent], generator(3))
    level = [10 * np.log10(np.mean(part**2)) for part in (heard[:16000], heard[17000:])]
    # The two lines' noises add up: 3 dB more than one.
    assert level[0] - level[1] == pytest.approx(17, abs=1)


# Calls


def test_reference_is_exact(voices):
    """With a clean line, every frame in the reference's turns but short pauses has energy, and none outside."""
    plan = TurnTaking().draw(60.0, generator(5))
    clean = Channel(snr=(100.0, 100.0), gain=0.0, codec="none")
    call = simulate_call("c", voices, plan, 60.0, clean, 0)
    assert {turn.speaker for turn in call.turns} == {"low", "high"} and len(call.samples) == 60 * RATE
    on, spoken = active(call.samples, -55), np.zeros(6000, bool)
    for turn in call.turns:
        first, end = round(turn.start * 100), round(turn.end * 100)
        assert turn.start == pytest.approx(first / 100) and turn.end == pytest.approx(end / 100)
        assert on[first] and on[end - 1]
        spoken[first:end] = True
    # The line's filter rings for 10 ms or so.
    near = np.convolve(spoken, np.ones(5), "same") > 0
    assert not np.any(on & ~near)
    assert len(call.turns) == pytest.approx(len(plan), abs=2)


def test_turns_stay_near_the_plan(voices):
    plan = [Spurt(0, 1.0, 3.5), Spurt(1, 3.2, 3.6), Spurt(0, 3.55, 9.0), Spurt(1, 9.9, 10.0), Spurt(1, 11.0, 14.0)]
    turns = simulate_call("c", voices, plan, 14.0, Channel(), 0).turns
    spoken = [spurt for spurt in plan if spurt.end - spurt.start >= 0.2]
    assert [turn.start for turn in turns] == pytest.approx([spurt.start for spurt in spoken], abs=0.006)
    assert [turn.end for turn in turns] == pytest.approx([spurt.end for spurt in spoken], abs=0.3)
    assert turns[0].end < turns[2].start and turns[-1].end <= 14.0


def test_a_party_may_be_silent(voices):
    call = simulate_call("c", voices, [Spurt(1, 1.0, 2.0)], 3.0, Channel(), 0)
    assert [turn.speaker for turn in call.turns] == ["high"]
    assert simulate_call("c", voices, [], 3.0, Channel(), 0).turns == ()


def test_a_call_depends_on_seed_and_id_alone(voices):
    plan = TurnTaking().draw(20.0, generator(1))
    one, same, other_id, other_seed = (
        simulate_call(reco, voices, plan, 20.0, Channel(), seed)
        for reco, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1))
    )
    assert np.array_equal(one.samples, same.samples) and one.turns == same.turns
    assert not np.array_equal(one.samples, other_id.samples) and not np.array_equal(one.samples, other_seed.samples)


def energy(samples, turns):
    spoken = np.concatenate([samples[round(turn.start * RATE) : round(turn.end * RATE)] for turn in turns])
    return 10 * np.log10(np.mean(spoken**2))


def test_parties_of_one_line_differ_in_level_alone(voices):
    """Two voices on one line; their levels differ by the party's gain, and the line's noise is there once."""
    starts = np.arange(1.0, 25.0, 2.0)
    plan = [Spurt(number % 2, start, start + 1.4) for number, start in enumerate(starts)]
    clean = {"snr": (100.0, 100.0), "codec": "none", "tilt": 0.0}
    difference = {}
    for gain, lines in ((0.0, 1), (3.0, 1), (3.0, 2)):
        call = simulate_call("c", voices, plan, 30.0, Channel(lines, gain=0.0, party_gain=gain, **clean), 0)
        levels = [energy(call.samples, [t for t in call.turns if t.speaker == name]) for name in ("low", "high")]
        difference[gain, lines] = levels[0] - levels[1]
    assert abs(difference[3.0, 1] - difference[0.0, 1]) > 0.3
    assert abs(difference[3.0, 1]) < 7.5
    noisy = [Channel(lines, snr=(20.0, 20.0), gain=0.0, codec="none") for lines in (1, 2)]
    quiet = [simulate_call("c", voices, plan, 30.0, channel, 0).samples[: RATE // 2] for channel in noisy]
    assert 10 * np.log10(np.mean(quiet[1] ** 2) / np.mean(quiet[0] ** 2)) == pytest.approx(3, abs=1)


def test_a_channel_per_line_with_what_leaks_into_it(voices):
    plan = [Spurt(0, 1.0, 3.0), Spurt(1, 4.0, 6.0)]
    mixed = simulate_call("c", voices, plan, 7.0, Channel(), 0)
    apart, leaking = (simulate_call("c", voices, plan, 7.0, Channel(leakage=share), 0) for share in (0.0, 0.1))
    assert apart.turns == leaking.turns == mixed.turns and apart.samples.shape == (7 * RATE, 2)
    np.testing.assert_allclose(apart.samples.sum(axis=1), mixed.samples, atol=1e-6)
    np.testing.assert_allclose(leaking.samples, apart.samples + 0.1 * apart.samples[:, ::-1], atol=1e-6)
    first = energy(apart.samples[:, 0], mixed.turns[:1]) - energy(apart.samples[:, 0], mixed.turns[1:])
    assert first > 15


def test_every_line_is_in_use():
    assert assign_lines(1, 2, generator(0)) == [0] and assign_lines(2, 2, generator(0)) == [0, 1]
    drawn = [assign_lines(5, 2, generator(seed)) for seed in range(40)]
    assert all(set(lines) == {0, 1} and len(lines) == 5 for lines in drawn)
    assert {sum(lines) for lines in drawn} == {1, 2, 3, 4}


def test_a_recording_ends_where_a_voice_does_or_repeats_it(voices):
    plan = TurnTaking(dominance=0.0).draw(300.0, generator(1))
    ended = simulate_call("c", voices, plan, 300.0, Channel(), 0)
    over = min(ended.ran_out.values())
    assert 60 < over < 200 and ended.turns[-1].end <= over
    assert len(ended.samples) / RATE == pytest.approx(max(turn.end for turn in ended.turns) + 0.5)
    repeated = simulate_call("c", voices, plan, 300.0, Channel(), 0, repeat=True)
    assert len(repeated.samples) == 300 * RATE and repeated.turns[-1].end > 290
    assert set(repeated.ran_out) == {"low", "high"}
    assert simulate_call("c", voices, plan[:10], 30.0, Channel(), 0).ran_out == {}


@pytest.mark.parametrize("parties", [1, 2, 3])
@pytest.mark.parametrize(("num_voices", "num_calls"), [(3, 4), (7, 8), (8, 8), (9, 40)])
def test_voices_are_used_evenly_and_never_twice_in_a_recording(num_voices, num_calls, parties):
    names = [f"v{index}" for index in range(num_voices)]
    casts = assign_voices(names, [parties] * num_calls, 0)
    used = Counter(name for cast in casts for name in cast)
    assert all(len(set(cast)) == parties for cast in casts)
    assert max(used.values()) - min(used.get(name, 0) for name in names) <= 1
    assert assign_voices(names, [parties] * (num_calls + 3), 0)[:num_calls] == casts
    assert num_calls < 5 or assign_voices(names, [parties] * num_calls, 1) != casts


def test_pairs_of_voices_are_chosen_as_ever():
    """The same choice as when there were two parties only."""
    pairs = [("v2", "v0"), ("v1", "v3"), ("v4", "v1"), ("v2", "v4")]
    assert assign_voices([f"v{index}" for index in range(5)], [2] * 4, 0) == pairs


def test_voices_of_one_person_never_meet():
    names = list("abcdef")
    persons = read_persons("a,b c,d", names)
    casts = assign_voices(names, [3, 4, 2, 1] * 10, 0, persons)
    assert [len(cast) for cast in casts] == [3, 4, 2, 1] * 10
    assert {name for cast in casts for name in cast} == set(names)
    assert not any({"a", "b"} <= set(cast) or {"c", "d"} <= set(cast) for cast in casts)
    for text, message in (("a,x", "unknown voice"), ("a,b b,c", "in two groups")):
        with pytest.raises(InputError, match=message):
            read_persons(text, names)


def test_casts_of_any_size(tmp_path):
    (tmp_path / "casts").write_text("x a\ny c b a\n")
    assert read_casts(tmp_path / "casts", "abc") == [("a",), ("c", "b", "a")]


def test_corpus_writer_publishes_all_or_nothing(tmp_path):
    out = tmp_path / "data"
    with pytest.raises(RuntimeError), write_corpus(out) as corpus:
        corpus.add("r", np.zeros(800), 8000, [])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for name in ("first", "second"):
        with write_corpus(out, overwrite=True) as corpus:
            corpus.add(name, np.zeros(800), 8000, [Turn(name, "s", 0.0, 0.05)])
        assert (out / "wav.scp").read_text() == f"{name} {out}/wav/{name}.flac\n"
        assert (out / "all.uem").read_text() == f"{name} 1 0.000 0.100\n"
        assert (out / "reco2dur").read_text() == f"{name} 0.100\n"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(InputError, match="exists already"), write_corpus(out):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="no data directory"), write_corpus(tmp_path / "mine", overwrite=True):
        pass


def test_reference_survives_being_written(tmp_path, voices):
    call = simulate_call("c", voices, TurnTaking().draw(30.0, generator(2)), 30.0, Channel(), 0)
    write_rttm(tmp_path / "rttm", call.turns)
    for written, turn in zip(read_rttm(tmp_path / "rttm"), call.turns, strict=True):
        assert (written.start, written.end) == pytest.approx((turn.start, turn.end), abs=1e-9)
