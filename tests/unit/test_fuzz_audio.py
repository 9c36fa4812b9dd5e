"""Damaged audio of twelve formats: the right samples, or one clear line; never a part of them in silence.

SSDIAR_FUZZ=10000 .venv/bin/python -m pytest tests/unit/test_fuzz_audio.py tries that many mutations.
"""

import os
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssdiar.base.errors import InputError
from ssdiar.io.audio import listen, read_audio

RATE, SECONDS = 16000, 3
BY_SOUNDFILE = {
    "wav": {},
    "flac": {},
    "mp3": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "au": {},
    "caf": {},
    "w64": {},
    "sph": {"format": "NIST", "subtype": "PCM_16"},
}
# A length that these state wrongly is not noticed (docs/audio.md).
NOT_NOTICED = {("caf", "cut"), ("caf", "hole"), ("caf", "joined to another"), ("w64", "cut"), ("w64", "hole")}
NOT_NOTICED.add(("m4a", "header"))  # if it is the sound that changes: AAC has no checksum
BY_FFMPEG = {"m4a": ["-c:a", "aac", "-b:a", "64k"], "webm": ["-c:a", "libopus"]}


@cache
def clean():
    """Return 3 s of noise whose pitch and level change all the time, so that no two parts of it are alike."""
    time = np.arange(SECONDS * RATE) / RATE
    random = np.random.default_rng(5)
    tones = sum(np.sin(2 * np.pi * (200 + 400 * number + 90 * time) * time + number) for number in range(6))
    level = np.interp(time, np.arange(0, SECONDS + 0.2, 0.1), random.uniform(0.2, 1, 32))
    return (0.08 * tones * level + 0.01 * random.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the bytes of the clean signal by format, of those that can be written here."""
    folder = tmp_path_factory.mktemp("whole")
    made = {}
    for name, options in BY_SOUNDFILE.items():
        soundfile.write(folder / f"x.{name}", clean(), RATE, **options)
    if shutil.which("ffmpeg"):
        for name, options in BY_FFMPEG.items():
            command = ["ffmpeg", "-v", "error", "-i", folder / "x.wav", *options, folder / f"x.{name}"]
            subprocess.run(command, check=True)
    for path in folder.iterdir():
        made[path.suffix[1:]] = path.read_bytes()
    return made


def mutations():
    """Return strategies of (what is done, two numbers from 0 to 1, some bytes)."""
    share = st.floats(0, 1)
    kinds = ["whole", "cut", "joined", "joined to another", "header", "header", "header", "hole", "tail"]
    return st.tuples(st.sampled_from(kinds), share, share, st.binary(min_size=1, max_size=8))


def mutate(data, other, kind, first, second, noise):
    """Return a damaged copy, and how often the clean signal should be in it; None: not as a whole."""
    at = int(first * len(data))
    if kind == "cut":
        return data[:at], 1 if at == len(data) else None
    if kind == "joined":
        return data + data, 2
    if kind == "joined to another":
        return data + other, 2 if data[:4] == other[:4] else 1
    if kind == "header":
        at = int(first * min(len(data), 200))
        return data[:at] + noise + data[at + len(noise) :], 1
    if kind == "hole":
        end = min(len(data), at + 1 + int(second * 20000))
        return data[:at] + data[end:], None
    if kind == "tail":
        return data + noise * int(1 + second * 400), 1
    return data, 1


def is_right(samples, times, tolerance=0.1):
    """Tell whether samples are the clean signal that many times, with ``tolerance`` seconds more or less each time."""
    expected = np.tile(clean(), times)
    if abs(len(samples) - len(expected)) > tolerance * RATE * times:
        return False
    size = 1 << (len(samples) + len(expected)).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(expected, size))
    return np.fft.irfft(spectrum, size).max() > 0.9 * np.linalg.norm(samples) * np.linalg.norm(expected)


def outcome(path, times):
    """Return what became of a file: right, told (in how many lines), refused, or silent."""
    try:
        info = listen(path)
        samples, _ = read_audio(path, RATE)
    except InputError as error:
        assert "\n" not in str(error).removesuffix(f"\n{error.hint}")
        return "refused"
    assert abs(len(samples) / RATE - info.duration) < 0.001
    if info.remarks:
        assert all("\n" not in remark for remark in info.remarks) and len(info.remarks) <= 4, info.remarks
        return "told"
    # The header of MP3 states how much silence to leave out: up to 0.25 s at this rate.
    return "right" if is_right(samples, times or 1, 0.3 if path.suffix == ".mp3" else 0.1) else "silent"


@settings(
    max_examples=int(os.environ.get("SSDIAR_FUZZ", "200")),
    deadline=None,
    derandomize="SSDIAR_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from([*BY_SOUNDFILE, *BY_FFMPEG]), other=st.sampled_from([*BY_SOUNDFILE]), how=mutations())
def test_right_samples_or_one_clear_line(files, tmp_path, name, other, how):
    if name not in files:
        return  # no ffmpeg, no m4a and webm
    data, times = mutate(files[name], files[other], *how)
    path = tmp_path / f"x.{name}"
    path.write_bytes(data)
    assert outcome(path, times) != "silent" or (name, how[0]) in NOT_NOTICED


@pytest.mark.parametrize("name", [*BY_SOUNDFILE, *BY_FFMPEG])
def test_whole_files_are_right_without_a_word(files, need, tmp_path, name):
    if name in BY_FFMPEG:
        need("ffmpeg")
    (tmp_path / f"x.{name}").write_bytes(files[name])
    assert outcome(tmp_path / f"x.{name}", 1) == "right"
