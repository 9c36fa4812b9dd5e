"""docs/audio.md's list of formats: each of them is read, with no program of the system."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssdiar.io.audio import read_audio

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "audio.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\.\w+)([^|]*) \|$", TEXT, re.MULTILINE)
RATE = 16000
# How ffmpeg makes one, beyond the name.
MAKE = {
    ".wav GSM 06.10, ADPCM": ["-c:a", "adpcm_ms"],
    ".wav with MP3 inside": ["-c:a", "libmp3lame"],
    ".ogg Vorbis": ["-c:a", "libvorbis"],
    ".opus": ["-c:a", "libopus"],
    ".mp4": ["-c:a", "aac"],
    ".3gp AAC": ["-c:a", "aac"],
    ".webm Opus": ["-c:a", "libopus"],
    ".wma": ["-c:a", "wmav2"],
    ".mka": ["-c:a", "flac"],
}


def test_the_table_is_there():
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0] + row[1])
def test_a_row_is_true(row, tmp_path, need, monkeypatch):
    suffix, form = row
    ffmpeg, path = need("ffmpeg"), tmp_path / f"ein Änruf{suffix}"
    time = np.arange(2 * RATE) / RATE
    clean = 0.3 * np.sin(2 * np.pi * (200 + 150 * time) * time) * (1 + np.sin(9 * time)) / 2
    source = tmp_path / "x.wav"
    soundfile.write(source, clean, RATE)
    if suffix == ".sph":
        soundfile.write(path, clean, RATE, format="NIST", subtype="PCM_16")
    else:
        subprocess.run([ffmpeg, "-v", "error", "-i", source, *MAKE.get(suffix + form, []), path], check=True)
    monkeypatch.setenv("PATH", os.devnull)
    samples, _ = read_audio(path, RATE)
    assert len(samples) == pytest.approx(len(clean), abs=0.1 * RATE)
    spectrum = np.fft.rfft(samples, 1 << 17) * np.conj(np.fft.rfft(clean, 1 << 17))
    assert np.fft.irfft(spectrum).max() > 0.9 * np.linalg.norm(samples) * np.linalg.norm(clean)
