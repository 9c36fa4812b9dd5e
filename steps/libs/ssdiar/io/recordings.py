"""The recordings of a data directory: their audio, the channels to use, their lengths.

wav.scp names the audio. Two optional tables choose channels, from 1: ``reco2channel`` (``<recording> <channel>``) the
only one to use, ``reco2parties`` (``<recording> <channel> <channel> ...``) those with a party of a call each; other
recordings are mixed to mono. Kaldi's ``reco2file_and_channel`` names the side that a recording is; it is an error if
neither a command of wav.scp nor one of these tables takes this side out of a file of several channels. Every stage
reads audio with :func:`load_recordings` and :meth:`Recording.read`, so all stages process the same signal.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, AudioInfo, is_command, listen, probe, read_audio
from ssdiar.io.tables import parse_count, read_durations, read_if_there, read_rows
from ssdiar.work import file_digest

_LOG = logging.getLogger(__name__)

_SIDES = {"A": "1", "B": "2"}  # channels by their letters in reco2file_and_channel
_DURATION_TOLERANCE = 0.05  # seconds


@dataclass(frozen=True)
class Recording:
    """A recording as the tables of a data directory describe it.

    Attributes:
        entry: A path, or ``command |``.
        channel: The only one to use, from 1; None: all are mixed.
        duration: Length in seconds; None: not in reco2dur.
        parties: Channels with a party each; may be empty.
        is_told: Whether its remarks are known, so that reading it logs none.
    """

    entry: str
    channel: int | None = None
    duration: float | None = None
    parties: tuple[int, ...] = ()
    is_told: bool = False

    def read(
        self, sample_rate: int | None = None, start: float | None = None, end: float | None = None, warn: bool = True
    ) -> tuple[np.ndarray, int]:
        """Return (samples (n,) float32 mono, rate) of its channel; see :func:`ssdiar.io.audio.read_audio`.

        Raises:
            InputError: See there; or the whole recording is read and its length is not that in reco2dur.
        """
        samples, rate = read_audio(self.entry, sample_rate, self.channel, start, end, warn and not self.is_told)
        if start is None and end is None:
            self._check_duration(len(samples) / rate)
        return samples, rate

    def _check_duration(self, seconds: float) -> None:
        """Raise InputError if the audio, ``seconds`` long, has another length in reco2dur."""
        if self.duration is not None and abs(seconds - self.duration) > _DURATION_TOLERANCE:
            what, expected = "its audio is not as long as reco2dur states", f"{self.duration:.3f} s"
            hint = "Has the file changed since? Prepare the data directory again."
            raise InputError(what, path=self.entry, expected=expected, got=f"{seconds:.3f} s", hint=hint)

    def seconds(self) -> float:
        """Return the length in seconds: from reco2dur if it is there, else by decoding the audio."""
        return self.info().duration if self.duration is None else self.duration

    def info(self) -> AudioInfo:
        """Return the properties of the file, which is decoded only if its header does not agree with reco2dur.

        Raises:
            InputError: The audio is broken, or not as long as reco2dur states.
        """
        found = probe(self.entry)
        if self.duration is None or abs(found.duration - self.duration) > _DURATION_TOLERANCE:
            found = listen(self.entry)
        self._check_duration(found.duration)
        return found

    def content(self) -> list[object]:
        """Return the values that identify the signal: the digest of its file, or its command, and its channels."""
        source = self.entry if is_command(self.entry) else file_digest(self.entry)
        return [source, self.channel, list(self.parties)]

    def of_channel(self, channel: int) -> Recording:
        """Return this recording with only one of its channels."""
        return replace(self, channel=channel, parties=())

    def of_side(self, side: str) -> Recording:
        """Return the channel of a side (:func:`ssdiar.timeline.sides.side_id`); a recording without parties itself."""
        return self.of_channel(int(side.rpartition(".channel")[2])) if self.parties else self


def load_recordings(data_dir: str | Path, allow_commands: bool = False) -> dict[str, Recording]:
    """Read wav.scp of a data directory, and reco2dur, reco2channel and reco2parties if they exist; ordered by id.

    Args:
        data_dir: The directory.
        allow_commands: Whether entries of wav.scp may be commands, which are run when the recording is read.

    Raises:
        InputError: A table is malformed, wav.scp is empty, names a missing file or has a command that is not allowed,
            another table names a recording that wav.scp lacks, reco2dur lacks one, there are only features, or both
            sides of a call would be mixed although reco2file_and_channel names one.
    """
    data_dir = Path(data_dir)
    wav_scp = data_dir / "wav.scp"
    check_not_features_only(data_dir)
    entries = {}
    for line, (reco, entry) in read_rows(wav_scp, "recording path-or-command..."):
        if is_command(entry) and not allow_commands:
            expected = "a path, or --allow-commands true if you trust the commands of this file"
            raise InputError(f"recording {reco} is a command", path=wav_scp, line=line, expected=expected, got=entry)
        if not is_command(entry) and not os.path.isfile(entry):  # of any text, however long
            in_archive = re.search(r"\.(ark|scp):\d+(\[.*\])?$", entry)
            hint = "wav-copy makes audio files of a Kaldi archive; docs/kaldi.md shows how." if in_archive else None
            raise InputError(f"no such file for recording {reco}", path=wav_scp, line=line, got=entry, hint=hint)
        entries[reco] = entry
    if not entries:
        raise InputError("no recordings", path=wav_scp, expected="a line per recording")
    readers = {"reco2dur": read_durations, "reco2channel": read_channels, "reco2parties": read_parties}
    tables = {name: read_if_there(reader, data_dir / name, {}) for name, reader in readers.items()}
    for name, table in tables.items():
        if unknown := next((reco for reco in table if reco not in entries), None):
            raise InputError("unknown recording", path=data_dir / name, expected="one of wav.scp", got=unknown)
    durations, channels, parties = tables.values()
    _check_sides(data_dir, entries, channels.keys() | parties.keys())
    missing = next((reco for reco in entries if reco not in durations), None)
    if missing is not None and (data_dir / "reco2dur").exists():
        raise InputError(f"no duration of recording {missing}", path=data_dir / "reco2dur", hint="Or remove the file.")
    return {
        reco: Recording(entries[reco], channels.get(reco), durations.get(reco), parties.get(reco, ()))
        for reco in sorted(entries)
    }


def _check_sides(data_dir: Path, entries: Mapping[str, str], chosen: Set[str]) -> None:
    """Raise InputError if reco2file_and_channel names a side of a file with several channels that no table chooses."""
    path = data_dir / "reco2file_and_channel"
    for line, (reco, _, side) in read_rows(path, "recording file channel") if path.exists() else ():
        entry = entries.get(reco)
        if entry is None or reco in chosen or is_command(entry) or probe(entry).channels == 1:
            continue
        hint = f"Choose it in {data_dir / 'reco2channel'}: a line '{reco} {_SIDES.get(side, side)}' per recording."
        what = f"{reco} is side {side} of a file of several channels, which wav.scp does not cut out"
        raise InputError(what, path=path, line=line, hint=hint)


def audio_files(recordings: Mapping[str, Recording]) -> list[str]:
    """Return the files of recordings, except those of commands, which are unknown."""
    return [recording.entry for recording in recordings.values() if not is_command(recording.entry)]


def check_not_features_only(data_dir: str | Path) -> None:
    """Raise InputError if a Kaldi directory has features (feats.scp) but no audio (wav.scp)."""
    data_dir = Path(data_dir)
    if (data_dir / "feats.scp").exists() and not (data_dir / "wav.scp").exists():
        what = "a directory of features only; speech and x-vectors are made from audio here, not from feats.scp"
        raise InputError(what, path=data_dir, expected="wav.scp", got="feats.scp")


def read_channels(path: str | Path) -> dict[str, int]:
    """Read reco2channel: ``<recording> <channel from 1>``."""
    rows = read_rows(path, "recording channel")
    return {reco: parse_count(text, "channel", path, line) for line, (reco, text) in rows}


def read_parties(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Read reco2parties: ``<recording> <channel from 1> <channel> ...``, at least two and each once."""
    parties = {}
    for line, (reco, text) in read_rows(path, "recording channels..."):
        channels = tuple(parse_count(field, "channel", path, line) for field in text.split())
        if len(set(channels)) < 2 or len(set(channels)) < len(channels):
            raise InputError("bad channels", path=path, line=line, expected="two or more, each once", got=text)
        parties[reco] = channels
    return parties


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders in order: links too, each folder once, without hidden ones."""
    seen = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not name.startswith("."))
        if real not in seen:
            yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        seen.add(real)


def audio_below(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders that are audio by their names (:func:`files_below`).

    Raises:
        InputError: There is none.
    """
    files = list(files_below(folder))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise InputError("no audio files", path=folder, expected=f"files named {kinds}", got=f"{len(files)} others")
    if len(files) > len(audio):
        _LOG.info("%s: %d files that are no audio by their names are left out", folder, len(files) - len(audio))
    return audio
