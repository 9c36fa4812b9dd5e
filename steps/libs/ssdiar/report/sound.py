"""Audio of the page (copied beside it, linked, or inside the page) and the outline of its waveform."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ssdiar.base.publish import publish
from ssdiar.io.audio import is_command, probe
from ssdiar.io.recordings import Recording
from ssdiar.work import digest

#: How a page gets its audio: copied into its folder, linked where it is, embedded in the page.
WAYS = ("copy", "link", "embed")
_PLAYABLE = frozenset((".wav", ".flac", ".mp3", ".m4a"))  # by Chromium, Firefox and Safari
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # of MP3
_HEADER_ERROR = 0.1  # seconds; browsers go by the header
_PEAKS_PER_SECOND = 20
_MAX_PEAKS = 72_000  # of one recording: an hour


def page_audio(reco: str, recording: Recording, sound: tuple[np.ndarray, int], page_dir: Path, way: str) -> str:
    """Return the URL, relative to ``page_dir``, under which a browser plays the recording.

    copy: an MP3 in ``page_dir``/audio, made once per state of the source, so that the folder can be moved. link: the
    file itself, if browsers play it; commands, other formats, files with a wrong header or of several parts, and single
    channels are copied all the same. embed: a data URL that holds an MP3.

    Args:
        reco: The recording's id.
        recording: The recording.
        sound: Its samples (n,) and their rate.
        page_dir: The page's folder.
        way: One of :data:`WAYS`.
    """
    if way == "embed":
        return "data:audio/mpeg;base64," + base64.b64encode(_as_mp3(*sound)).decode()
    if way == "link" and not is_command(recording.entry) and recording.channel is None:
        source = Path(recording.entry).resolve()
        seconds = len(sound[0]) / sound[1]
        if source.suffix.lower() in _PLAYABLE and abs(probe(source).duration - seconds) < _HEADER_ERROR:
            return quote(os.path.relpath(source, page_dir.resolve()))
    folder = page_dir / "audio"
    copy = folder / f"{reco}.{digest(recording.content())[:12]}.mp3"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with publish(copy) as temporary:
            temporary.write_bytes(_as_mp3(*sound))
    for other in folder.glob(f"{reco}.*.mp3"):
        if other != copy and len(other.name) == len(copy.name):
            other.unlink()
    return quote(f"audio/{copy.name}")


def peaks(samples: np.ndarray, rate: int) -> str:
    """Return the outline of the waveform: the peak of each of equal spans, as bytes in base64.

    There are 20 spans a second, fewer in recordings of more than an hour. 255 is the recording's loudest sample.
    """
    if not len(samples):
        return ""
    number = min(_MAX_PEAKS, max(1, round(len(samples) / rate * _PEAKS_PER_SECOND)))
    starts = np.linspace(0, len(samples), number, endpoint=False).astype(int)
    loudest = np.maximum.reduceat(np.abs(samples), starts)
    return base64.b64encode(np.round(255 * loudest / max(loudest.max(), 1e-6)).astype(np.uint8).tobytes()).decode()


def _as_mp3(samples: np.ndarray, rate: int) -> bytes:
    """Return mono MP3 at the recording's rate, or the next higher rate of MP3, at most 16 kHz.

    The bit rate is constant, since browsers seek only roughly in a long MP3 of variable rate.
    """
    import soundfile

    target = min(16000, next((known for known in _RATES if known >= rate), _RATES[-1]))
    if target != rate:
        from ssdiar.io.audio import resample

        samples = resample(samples, rate, target)
    stream = io.BytesIO()
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.75}
    soundfile.write(stream, samples, target, **options)
    return stream.getvalue()
