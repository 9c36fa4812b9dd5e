"""The recordings of a data directory: where their audio is, which channel of it counts, how long they are.

wav.scp alone says where the audio is. ``reco2channel`` (``<recording> <channel from 1>``, optional, recordings that it
does not name are mixed to mono) says which channel of that audio is meant. Kaldi's ``reco2file_and_channel`` is not
used for this: there it names the side of a telephone call for scoring, next to wav.scp entries that have already cut
that side out. Every stage that reads audio gets it through :func:`load_recordings` and :meth:`Recording.read`, so that
all stages hear the same signal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.audio import is_command, probe, read_audio
from ssdiar.io.tables import parse_count, read_durations, read_rows
from ssdiar.work import file_digest


@dataclass(frozen=True)
class Recording:
    """One line of wav.scp: path or ``command |``, channel (None: mixed), length in seconds (None: not in reco2dur)."""

    entry: str
    channel: int | None = None
    duration: float | None = None

    def read(
        self, sample_rate: int | None = None, start: float | None = None, end: float | None = None
    ) -> tuple[np.ndarray, int]:
        """Return (samples (n,) float32 mono, rate): :func:`ssdiar.io.audio.read_audio` of this recording's channel."""
        return read_audio(self.entry, sample_rate, self.channel, start, end)

    def seconds(self) -> float:
        """Return the length in seconds: of reco2dur, or else of the audio itself."""
        return probe(self.entry).duration if self.duration is None else self.duration

    def content(self) -> list[object]:
        """Return what the signal is, for a digest: that of its file, or the command; and the channel."""
        return [self.entry if is_command(self.entry) else file_digest(self.entry), self.channel]


def load_recordings(data_dir: str | Path, allow_commands: bool = False) -> dict[str, Recording]:
    """Read wav.scp, and reco2dur and reco2channel where they exist, of a data directory; ordered by id.

    Args:
        data_dir: The directory.
        allow_commands: Whether entries of wav.scp may be commands, which are run when the recording is read.

    Raises:
        InputError: A table is malformed, wav.scp is empty, names a file that is not there or has a command that is not
            allowed, or the tables name recordings that wav.scp does not, or reco2dur leaves out one that it does; or
            there are only features.
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
            raise InputError(f"no such file for recording {reco}", path=wav_scp, line=line, got=entry)
        entries[reco] = entry
    if not entries:
        raise InputError("no recordings", path=wav_scp, expected="a line per recording")
    durations = read_durations(data_dir / "reco2dur") if (data_dir / "reco2dur").exists() else None
    channels = read_channels(data_dir / "reco2channel") if (data_dir / "reco2channel").exists() else {}
    if durations is not None:
        _check_known(durations, entries, data_dir / "reco2dur")
        for reco in entries:
            if reco not in durations:
                raise InputError(f"no duration of recording {reco}", path=data_dir / "reco2dur", hint="Or remove it.")
    _check_known(channels, entries, data_dir / "reco2channel")
    return {
        reco: Recording(entries[reco], channels.get(reco), None if durations is None else durations[reco])
        for reco in sorted(entries)
    }


def audio_files(recordings: Mapping[str, Recording]) -> list[str]:
    """Return the files that recordings are read from; what commands read is not known."""
    return [recording.entry for recording in recordings.values() if not is_command(recording.entry)]


def check_not_features_only(data_dir: str | Path) -> None:
    """Refuse a directory of Kaldi that has features (feats.scp) and no audio (wav.scp).

    Raises:
        InputError: It is one.
    """
    data_dir = Path(data_dir)
    if (data_dir / "feats.scp").exists() and not (data_dir / "wav.scp").exists():
        what = "a directory of features only; speech and x-vectors are made from audio here, not from feats.scp"
        raise InputError(what, path=data_dir, expected="wav.scp", got="feats.scp")


def read_channels(path: str | Path) -> dict[str, int]:
    """Read reco2channel: ``<recording> <channel from 1>``."""
    rows = read_rows(path, "recording channel")
    return {reco: parse_count(text, "channel", path, line) for line, (reco, text) in rows}


def _check_known(table: dict[str, object], entries: dict[str, str], path: Path) -> None:
    for reco in table:
        if reco not in entries:
            raise InputError("unknown recording", path=path, expected="one of wav.scp", got=reco)
