"""Audio for a page: a link where a browser plays the file as it is, else a mono MP3 copy, beside the page or in it."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

from ssdiar.data import Recording
from ssdiar.io.audio import is_command
from ssdiar.io.publish import publish
from ssdiar.work import digest

# What Chromium, Firefox and Safari all play.
_PLAYABLE = frozenset((".wav", ".flac", ".mp3", ".m4a"))
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # that MP3 has


def link_audio(reco: str, recording: Recording, page_dir: Path) -> str:
    """Return a URL, relative to ``page_dir``, under which a browser plays the recording.

    A file that browsers know is linked where it is. A command, a format for other programs, or one channel of several
    is made into ``page_dir``/audio/RECO.DIGEST.mp3, once for as long as the source stays the same.

    Raises:
        InputError: The audio cannot be read.
    """
    if not is_command(recording.entry) and recording.channel is None:
        source = Path(recording.entry).resolve()
        if source.suffix.lower() in _PLAYABLE:
            return quote(os.path.relpath(source, page_dir.resolve()))
    folder = page_dir / "audio"
    copy = folder / f"{reco}.{digest(recording.content())[:12]}.mp3"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with publish(copy) as temporary:
            temporary.write_bytes(as_mp3(recording))
    for other in folder.glob(f"{reco}.*.mp3"):
        if other != copy and len(other.name) == len(copy.name):
            other.unlink()
    return quote(f"audio/{copy.name}")


def embed_audio(recording: Recording) -> str:
    """Return a data URL that holds the recording as MP3.

    Raises:
        InputError: The audio cannot be read.
    """
    return "data:audio/mpeg;base64," + base64.b64encode(as_mp3(recording)).decode()


def as_mp3(recording: Recording) -> bytes:
    """Return the recording as mono MP3, at its own rate or the nearest above that MP3 has, at most 16 kHz."""
    import soundfile

    samples, rate = recording.read()
    target = min(16000, next((known for known in _RATES if known >= rate), _RATES[-1]))
    if target != rate:
        from ssdiar.io.audio import resample

        samples = resample(samples, rate, target)
    stream = io.BytesIO()
    soundfile.write(stream, samples, target, format="MP3", subtype="MPEG_LAYER_III")
    return stream.getvalue()
