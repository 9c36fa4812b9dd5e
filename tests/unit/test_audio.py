"""Reading audio: every kind of file, part and channel, and every way in which a file can be broken."""

import re
import struct
import subprocess

import av
import numpy as np
import pytest
import soundfile

from ssdiar.base.errors import InputError
from ssdiar.io.audio import listen, probe, read_audio, resample
from ssdiar.io.recordings import load_recordings

RATE = 8000


@pytest.fixture
def stereo():
    """Two channels of 2 s: 200 Hz at the left, 600 Hz at the right, (16000, 2)."""
    time = np.arange(2 * RATE) / RATE
    return np.column_stack([0.4 * np.sin(2 * np.pi * 200 * time), 0.2 * np.sin(2 * np.pi * 600 * time)])


def sphere(path, coding, sample_bytes, body, count):
    lines = [
        "NIST_1A",
        "   1024",
        "channel_count -i 1",
        f"sample_count -i {count}",
        "sample_rate -i 8000",
        f"sample_n_bytes -i {sample_bytes}",
        f"sample_byte_format -s{sample_bytes} {'1' if sample_bytes == 1 else '01'}",
        f"sample_sig_bits -i {8 * sample_bytes}",
        f"sample_coding -s{len(coding)} {coding}",
        "end_head\n",
    ]
    path.write_bytes("\n".join(lines).encode().ljust(1024) + body)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.wav", {}),
        ("x.flac", {}),
        ("x.sph", {"format": "NIST", "subtype": "PCM_16"}),
        ("x.wav", {"subtype": "FLOAT"}),
        ("x.wav", {"format": "RF64"}),
        ("ein Änruf | leise.wav", {}),
    ],
)
def test_lossless_files_come_as_they_are_and_are_mixed_by_the_mean(tmp_path, stereo, name, options):
    soundfile.write(tmp_path / name, stereo, RATE, **options)
    samples, rate = read_audio(tmp_path / name)
    assert (rate, samples.dtype, samples.shape) == (RATE, np.float32, (2 * RATE,))
    np.testing.assert_allclose(samples, stereo.mean(axis=1), atol=1e-4)
    info = listen(tmp_path / name)
    assert (info.duration, info.rate, info.channels) == (2.0, RATE, 2)


def test_mp3_is_read(tmp_path, stereo):
    soundfile.write(tmp_path / "x.mp3", stereo, RATE)
    samples, rate = read_audio(tmp_path / "x.mp3")
    assert rate == RATE
    assert len(samples) / rate == pytest.approx(listen(tmp_path / "x.mp3").duration, abs=0.05)
    assert np.corrcoef(samples[RATE // 2 : RATE], stereo.mean(axis=1)[RATE // 2 : RATE])[0, 1] > 0.99


def test_mu_law_sphere(tmp_path):
    sphere(tmp_path / "x.sph", "ulaw", 1, bytes([0xFF, 0x80, 0x00] * 1000), 3000)
    samples, _ = read_audio(tmp_path / "x.sph")
    assert samples[:3] == pytest.approx([0.0, 32124 / 32768, -32124 / 32768], abs=1e-4)


def test_a_path_with_a_colon_is_no_protocol(tmp_path, stereo, need):
    need("ffmpeg")
    soundfile.write(tmp_path / "x.wav", stereo, RATE)
    target = tmp_path / "a: b.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "x.wav", f"file:{target}"], check=True)
    samples, rate = read_audio(target)
    assert rate == RATE
    assert len(samples) / rate == pytest.approx(2.0, abs=0.3)
    assert listen(target).channels == 2


@pytest.mark.parametrize("name", ["x.wav", "x.aiff", "x.w64"])
def test_gsm_which_cannot_be_sought_in(tmp_path, stereo, name):
    # wav with GSM 06.10 inside is what Asterisk calls wav49.
    soundfile.write(tmp_path / name, stereo[:, 0], RATE, subtype="GSM610")
    assert listen(tmp_path / name).duration == pytest.approx(2.0, abs=0.1)
    whole, rate = read_audio(tmp_path / name)
    assert rate == RATE
    assert np.corrcoef(whole[1000:15000], stereo[1000:15000, 0])[0, 1] > 0.95
    np.testing.assert_array_equal(read_audio(tmp_path / name, start=0.5, end=1.5)[0], whole[4000:12000])


def test_truncated_gsm(tmp_path, stereo):
    soundfile.write(tmp_path / "x.wav", stereo[:, 0], RATE, subtype="GSM610")
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:2000])
    info = listen(tmp_path / "x.wav")
    assert info.duration == pytest.approx(1.2, abs=0.05)
    assert re.search(r"cut off, .* states 3250 bytes of sound, 1940 are there", info.remarks[0])


def test_one_channel(tmp_path, stereo):
    soundfile.write(tmp_path / "x.wav", stereo, RATE)
    for channel in (1, 2):
        samples, _ = read_audio(tmp_path / "x.wav", channel=channel)
        np.testing.assert_allclose(samples, stereo[:, channel - 1], atol=1e-4)
    for channel in (0, 3):
        with pytest.raises(InputError, match=f"no such channel; expected 1 to 2, got {channel}"):
            read_audio(tmp_path / "x.wav", channel=channel)


def test_parts_are_the_whole(tmp_path, stereo):
    soundfile.write(tmp_path / "x.flac", stereo, RATE)
    whole, _ = read_audio(tmp_path / "x.flac")
    parts = [read_audio(tmp_path / "x.flac", start=t, end=t + 0.3)[0] for t in np.arange(7) * 0.3]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    with pytest.raises(InputError, match=r"no audio from 2\.500 s to 2\.000 s; expected a part of 0 to 2\.000 s"):
        read_audio(tmp_path / "x.flac", start=2.5, end=3.0)


@pytest.mark.parametrize("new_rate", [16000, 11025, 6000])
def test_resampling_keeps_the_tone_and_is_deterministic(tmp_path, stereo, new_rate):
    soundfile.write(tmp_path / "x.wav", stereo[:, :1], RATE)
    samples, rate = read_audio(tmp_path / "x.wav", sample_rate=new_rate)
    assert rate == new_rate
    assert samples.dtype == np.float32
    assert len(samples) == -(-2 * RATE * new_rate // RATE)
    expected = 0.4 * np.sin(2 * np.pi * 200 * np.arange(len(samples)) / new_rate)
    inner = slice(new_rate // 4, -new_rate // 4)
    np.testing.assert_allclose(samples[inner], expected[inner], atol=5e-3)
    again = resample(read_audio(tmp_path / "x.wav")[0], RATE, new_rate)
    np.testing.assert_array_equal(samples, again)


def test_commands_run_in_a_shell_with_pipes(tmp_path, stereo):
    path = tmp_path / "mit leer.wav"
    soundfile.write(path, stereo, RATE)
    for command in (f"cat '{path}' |", f"cat '{path}' | cat |"):
        np.testing.assert_array_equal(read_audio(command)[0], read_audio(path)[0])


def test_wav_written_to_a_pipe_by_sox_is_whole(tmp_path, stereo, need):
    need("sox")
    soundfile.write(tmp_path / "x.wav", stereo, RATE)
    entry = f"sox {tmp_path}/x.wav -t wav - |"
    np.testing.assert_allclose(read_audio(entry)[0], read_audio(tmp_path / "x.wav")[0], atol=1e-4)
    assert listen(entry).duration == 2.0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo first >&2; echo no such tape >&2; exit 3 |", "exit code 3; got no such tape"),
        ("cat /nonexistent.wav | cat |", "exit code 1; got .*nonexistent.wav"),
        ("true |", "empty file"),
        ("echo hello |", "cannot be decoded as audio"),
    ],
)
def test_failing_commands(command, message):
    with pytest.raises(InputError, match=message) as caught:
        read_audio(command)
    assert command in str(caught.value)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.sph", "x.mp3", "x.aiff", "x.au", "x.ogg"])
def test_of_truncated_files_what_is_there_is_read_and_told(tmp_path, name, caplog):
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (3 * RATE, 1))
    options = {"format": "NIST", "subtype": "PCM_16"} if name == "x.sph" else {}
    soundfile.write(tmp_path / name, noise, RATE, **options)
    whole, _ = read_audio(tmp_path / name)
    assert not caplog.records and not listen(tmp_path / name).remarks
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    info = listen(tmp_path / name)
    assert 1.0 < info.duration < 2.2
    assert "cut off" in " ".join(info.remarks)
    for entry in (tmp_path / name, f"cat {tmp_path / name} |"):
        caplog.clear()
        part, _ = read_audio(entry)
        assert len(part) == pytest.approx(info.duration * RATE)
        np.testing.assert_allclose(part[: RATE // 2], whole[: RATE // 2], atol=1e-3)
        assert all(record.message.startswith(f"{entry}: ") for record in caplog.records)
        assert "cut off" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path, value):
    samples = np.zeros(RATE, np.float32)
    samples[123] = value
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(InputError, match=r"x\.wav: sample 123 is not a finite number"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("name", ["x.wav", "x.raw", "x.flac"])
def test_what_is_no_audio(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=f"{name}: no such file"):
        read_audio(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"{name}: empty file; expected audio"):
        read_audio(path)
    path.write_text("Dear diary\n" * 50)
    with pytest.raises(InputError, match=f"{name}: cannot be decoded as audio"):
        read_audio(path)
    with pytest.raises(InputError, match="is a folder"):
        read_audio(tmp_path)


def test_header_without_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(InputError, match="no samples"):
        listen(tmp_path / "x.wav")


def test_recordings_of_a_data_directory(tmp_path, stereo):
    soundfile.write(tmp_path / "x y.wav", stereo, RATE)
    (tmp_path / "wav.scp").write_text(f"b cat '{tmp_path}/x y.wav' |\na {tmp_path}/x y.wav\n")
    assert list(load_recordings(tmp_path, allow_commands=True)) == ["a", "b"]
    assert load_recordings(tmp_path, allow_commands=True)["a"].duration is None
    assert load_recordings(tmp_path, allow_commands=True)["a"].seconds() == 2.0
    (tmp_path / "reco2dur").write_text("a 2.0\nb 1.5\n")
    (tmp_path / "reco2channel").write_text("b 2\n")
    recordings = load_recordings(tmp_path, allow_commands=True)
    assert recordings["b"].seconds() == 1.5
    np.testing.assert_allclose(recordings["a"].read()[0], stereo.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(recordings["b"].read(end=1.0)[0], stereo[:RATE, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("wav.scp", "a /nonexistent/x.wav\n", r"wav\.scp:1: no such file for recording a; got /nonexistent/x\.wav"),
        ("wav.scp", "\n", r"wav\.scp: no recordings"),
        ("reco2dur", "b 3\n", r"reco2dur: unknown recording; expected one of wav\.scp, got b"),
        ("reco2dur", "", r"reco2dur: no duration of recording a"),
        ("reco2channel", "a 0\n", r"reco2channel:1: bad channel; expected a whole number from 1, got 0"),
        ("reco2channel", "c 1\n", r"reco2channel: unknown recording"),
    ],
)
def test_bad_data_directories(tmp_path, table, text, message):
    (tmp_path / "wav.scp").write_text("a true |\n")
    (tmp_path / table).write_text(text)
    with pytest.raises(InputError, match=message):
        load_recordings(tmp_path, allow_commands=True)


def test_sides_of_a_call_that_nothing_cuts_out_are_not_mixed(tmp_path, stereo):
    soundfile.write(tmp_path / "x.wav", stereo, RATE)
    (tmp_path / "wav.scp").write_text(f"x-A {tmp_path}/x.wav\nx-B {tmp_path}/x.wav\n")
    (tmp_path / "reco2file_and_channel").write_text("x-A x A\nx-B x B\n")
    with pytest.raises(InputError, match=r"reco2file_and_channel:1: x-A is side A.*\n.*reco2channel: a line 'x-A 1'"):
        load_recordings(tmp_path)
    (tmp_path / "reco2channel").write_text("x-A 1\nx-B 2\n")
    assert [recording.channel for recording in load_recordings(tmp_path).values()] == [1, 2]
    (tmp_path / "reco2channel").unlink()
    soundfile.write(tmp_path / "x.wav", stereo[:, 0], RATE)
    assert load_recordings(tmp_path)["x-A"].channel is None


def test_blocks_of_a_codec_that_leans_on_earlier_frames_are_the_whole(tmp_path, monkeypatch):
    """Each block once began with a seek, after which MP3 of variable bit rate lacks what earlier frames hold."""
    random = np.random.default_rng(2)
    speech = np.repeat(random.uniform(0, 1, 100) ** 4, RATE // 10) * 0.2 * random.standard_normal(10 * RATE)
    soundfile.write(tmp_path / "x.mp3", speech, RATE, bitrate_mode="VARIABLE", compression_level=0.5)
    whole, _ = read_audio(tmp_path / "x.mp3")
    np.testing.assert_allclose(whole, soundfile.read(tmp_path / "x.mp3", dtype="float32")[0], atol=1e-4)
    monkeypatch.setattr("ssdiar.io.audio._BLOCK", 5000)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.mp3")[0], whole)


def mp3_frames(path):
    """Return where the frames of an MP3 begin."""
    with av.open(str(path)) as file:
        return [packet.pos for packet in file.demux(audio=0) if packet.size]


def test_an_mp3_without_its_beginning_has_a_remark(tmp_path):
    soundfile.write(tmp_path / "x.mp3", 0.1 * np.random.default_rng(0).standard_normal(8 * RATE), RATE)
    data = (tmp_path / "x.mp3").read_bytes()
    assert not listen(tmp_path / "x.mp3").remarks
    (tmp_path / "x.mp3").write_bytes(data[mp3_frames(tmp_path / "x.mp3")[20] - 7 :])
    info = listen(tmp_path / "x.mp3")
    assert info.duration == pytest.approx(8 - 20 * 576 / RATE, abs=0.2)
    assert "cut off at its beginning" in " ".join(info.remarks)
    (tmp_path / "x.mp3").write_bytes(bytes(3000) + data)  # zeros before it are harmless
    assert listen(tmp_path / "x.mp3").duration == pytest.approx(8, abs=0.2) and not listen(tmp_path / "x.mp3").remarks


def test_what_the_mp3_decoder_complains_of_is_a_remark_and_not_on_the_terminal(tmp_path, capfd):
    soundfile.write(tmp_path / "x.mp3", 0.1 * np.random.default_rng(0).standard_normal(8 * RATE), RATE)
    data = bytearray((tmp_path / "x.mp3").read_bytes())
    for place in mp3_frames(tmp_path / "x.mp3")[20:60]:
        data[place + 6 : place + 9] = b"\xff\xff\xff"  # of the side information: lengths beyond any frame
    (tmp_path / "x.mp3").write_bytes(data)
    info = listen(tmp_path / "x.mp3")
    assert re.fullmatch(r"damaged \(.*\): 8\.00 s decode and are read", info.remarks[-1])
    assert capfd.readouterr().err == ""


def test_padding_of_the_last_block_is_no_sound(tmp_path, stereo):
    """A block of IMA ADPCM holds 0.25 s of telephone speech; the fact chunk says where it ends."""
    soundfile.write(tmp_path / "x.wav", stereo[:, 0], RATE, subtype="IMA_ADPCM")
    assert soundfile.info(tmp_path / "x.wav").frames > len(stereo)
    data = (tmp_path / "x.wav").read_bytes()
    fact = struct.pack("<I", len(stereo))
    place = data.index(b"fact") + 8
    (tmp_path / "x.wav").write_bytes(data[:place] + fact + data[place + 4 :])
    assert (listen(tmp_path / "x.wav").duration, len(read_audio(tmp_path / "x.wav")[0])) == (2.0, len(stereo))
    (tmp_path / "x.wav").write_bytes(data[:place] + bytes(4) + data[place + 4 :])
    assert listen(tmp_path / "x.wav").duration > 2.0


def test_a_number_of_channels_that_nobody_has_is_told_of(tmp_path, stereo):
    soundfile.write(tmp_path / "x.wav", np.repeat(stereo[:, :1], 20, axis=1), RATE)
    assert "20 channels are unusual" in listen(tmp_path / "x.wav").remarks[0]


def test_an_mp4_ends_where_it_says_and_not_where_its_last_packet_does(tmp_path, stereo, need):
    soundfile.write(tmp_path / "x.wav", stereo[:15900], RATE)
    command = [need("ffmpeg"), "-v", "error", "-i", tmp_path / "x.wav", "-c:a", "aac", tmp_path / "x.mp4"]
    subprocess.run(command, check=True)
    info = listen(tmp_path / "x.mp4")
    assert info.duration == pytest.approx(15900 / RATE, abs=0.002) and not info.remarks


def test_probing_decodes_nothing_and_knows_what_headers_state(tmp_path, stereo):
    for name in ("x.wav", "x.flac", "x.mp3"):
        soundfile.write(tmp_path / name, stereo, RATE)
        found = probe(tmp_path / name)
        assert (found.duration, found.rate, found.channels) == (2.0, RATE, 2)
    data = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(data[:40] + (4096).to_bytes(4, "little") + data[44:])
    assert probe(tmp_path / "x.wav").duration == 0.0 and listen(tmp_path / "x.wav").duration == 2.0


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.aiff", "x.sph", "x.m4a", "x.wma"])
def test_joined_files_are_read_one_after_the_other(tmp_path, stereo, name, need):
    soundfile.write(tmp_path / "one.wav", stereo, RATE)
    command = [need("sox" if name == "x.sph" else "ffmpeg"), *([] if name == "x.sph" else ["-v", "error", "-i"])]
    subprocess.run([*command, tmp_path / "one.wav", tmp_path / name], check=True)
    one, _ = read_audio(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() * 2)
    np.testing.assert_array_equal(read_audio(tmp_path / name)[0], np.concatenate([one, one]))
    assert listen(tmp_path / name).remarks == ("holds 2 joined files; all are read",)
    np.testing.assert_array_equal(read_audio(tmp_path / name, start=1.5, end=2.5)[0], np.tile(one, 2)[12000:20000])


def test_wrong_letters_in_a_title_do_not_matter(tmp_path, stereo):
    with soundfile.SoundFile(tmp_path / "x.wav", "w", RATE, 2) as file:
        file.title = "Gesprach"
        file.write(stereo)
    data = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(data.replace(b"Gesprach", b"Gespr\xe4ch"))  # Latin-1
    assert listen(tmp_path / "x.wav").remarks == ()


def test_a_part_at_the_end_of_a_flac_of_many_blocks(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * RATE)
    soundfile.write(tmp_path / "x.flac", samples, RATE)
    whole, _ = read_audio(tmp_path / "x.flac")
    for start in (31.7, 58.9, 59.5, 59.99):
        np.testing.assert_array_equal(read_audio(tmp_path / "x.flac", start=start)[0], whole[round(start * RATE) :])


@pytest.fixture
def film(tmp_path, stereo, need):
    """Return a function that makes a film of the given name, by ffmpeg's options; its sound is the left of 2 s."""
    ffmpeg = need("ffmpeg")
    soundfile.write(tmp_path / "left.wav", stereo[:, 0], RATE)
    soundfile.write(tmp_path / "right.wav", stereo[:, 1], RATE)

    def make(name, *options):
        command = [ffmpeg, "-nostdin", "-v", "error", "-y", *options, tmp_path / name]
        subprocess.run(command, check=True, cwd=tmp_path)
        return tmp_path / name

    return make


PICTURE = ("-f", "lavfi", "-i", "color=c=black:s=64x64:r=5:d=4")


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "libopus")])
def test_sound_that_begins_after_the_picture_keeps_its_times(film, suffix, codec):
    late = ("-itsoffset", "1.5", "-i", "left.wav", "-c:v", "mpeg4", "-c:a", codec)
    path = film(f"late.{suffix}", *PICTURE, *late)
    info, samples = listen(path), read_audio(path, RATE)[0]
    assert info.duration == pytest.approx(3.5, abs=0.03)
    assert np.abs(samples[: int(1.4 * RATE)]).max() < 1e-3 < 0.2 < np.abs(samples[int(1.6 * RATE) :]).max()
    assert len(info.remarks) == 1 and re.search(r"silence, for 1\.\d\d s: from 0\.00 to 1\.", info.remarks[0])
    part = read_audio(path, RATE, start=2.0, end=2.5)[0]
    np.testing.assert_array_equal(
        part[50:-50], samples[2 * RATE + 50 : 2 * RATE + 3950]
    )  # apart from the filter's ends


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_missing_packets_are_silence_and_not_cut_off(film, suffix, codec):
    whole = film(f"whole.{suffix}", "-stream_loop", "2", "-i", "left.wav", "-c:a", codec)
    assert not listen(whole).remarks
    drop = "noise=drop='between(pts*tb,2,4)'"
    info = listen(film(f"gap.{suffix}", "-i", whole, "-c", "copy", "-bsf:a", drop))
    assert info.duration == pytest.approx(6.0, abs=0.05)
    [remark] = info.remarks
    start, end = map(float, re.search(r"silence, .* from (\S+) to (\S+) s", remark).groups())
    assert (start, end) == (pytest.approx(2.0, abs=0.25), pytest.approx(4.0, abs=0.25))


def test_the_clock_of_a_live_stream_is_no_hours_of_silence(film):
    path = film("live.mkv", "-i", "left.wav", "-c:a", "libopus", "-output_ts_offset", "90000")
    assert listen(path).duration == pytest.approx(2.0, abs=0.05)


def test_a_film_may_be_longer_than_its_sound(film):
    path = film("longer.mkv", *PICTURE, "-i", "left.wav", "-c:v", "mpeg4", "-c:a", "libopus")
    info = listen(path)
    assert (info.duration, info.remarks) == (pytest.approx(2.0, abs=0.05), ())


def test_audio_tracks_are_channels(film, tmp_path, stereo):
    """Whatever their rates, channels and lengths; a track without packets is silent."""
    soundfile.write(tmp_path / "both.wav", np.repeat(stereo[:RATE, :1], 2, axis=1), 2 * RATE)
    inputs = ("-i", "left.wav", "-i", "both.wav", "-map", "0", "-map", "1", "-c:a", "flac")
    path = film("tracks.mka", *inputs, "-metadata:s:a:1", "title=My  mic")
    info = listen(path)
    assert (info.rate, info.channels, info.duration) == (2 * RATE, 2, pytest.approx(2.0, abs=0.01))
    assert info.remarks == ("has 2 audio tracks (1, 2 My mic); each is read as a channel",)
    samples, _ = read_audio(path, channel=2)
    np.testing.assert_allclose(samples[: RATE - 100], stereo[: RATE - 100, 0], atol=1e-3)
    assert not samples[RATE + 100 :].any() and np.abs(read_audio(path, channel=1)[0][3 * RATE :]).max() > 0.3
    with pytest.raises(InputError, match="expected 1 to 2, got 3"):
        read_audio(path, channel=3)
