"""Recordings of a set as the report shows them, read from the data directory and from the systems' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ssdiar.base.errors import InputError
from ssdiar.io.recordings import Recording, load_recordings
from ssdiar.io.rttm import read_noscore, read_rttm, read_uem
from ssdiar.io.tables import read_if_there
from ssdiar.report.systems import ReportSystem
from ssdiar.scoring.der import Comparison, Region
from ssdiar.timeline.spans import Turn, grouped


class Iteration(msgspec.Struct, frozen=True):
    """An outer iteration of training: the number of clusters that it ended with, and its epochs."""

    clusters: int
    epochs: int


class History(msgspec.Struct, frozen=True):
    """The part of ``history/RECO.json`` that the page shows; see :mod:`ssdiar.clustering.systems` for its keys."""

    sub_segments: int | None = None
    num_spk: int | None = None
    num_spk_probabilities: dict[int, float] = {}
    first_clusters: int | None = None
    iterations: tuple[Iteration, ...] = ()
    stop_reason: str = "-"
    fallback: str | None = None
    finch_first: tuple[str, ...] = ()
    background: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ReportRecording:
    """One recording of the report.

    Attributes:
        id: Its id.
        seconds: Its length; without reco2dur, the end of the last turn.
        audio: Its entry of wav.scp; None without a data directory.
        reference: Reference turns; None without a reference.
        regions: Scored regions.
        turns: Turns by system.
        histories: Clustering history by system, if there is one.
    """

    id: str
    seconds: float
    audio: Recording | None
    reference: list[Turn] | None
    regions: list[Region]
    turns: dict[str, list[Turn]]
    histories: dict[str, History] = field(default_factory=dict)


def read_recordings(
    systems: Sequence[ReportSystem], data_dir: str | Path | None = None, allow_commands: bool = False
) -> list[ReportRecording]:
    """Read everything but audio, for every recording that the data directory or a system names.

    Args:
        systems: The systems to show.
        data_dir: Folder with wav.scp, and with reco2dur, ref.rttm and all.uem if they exist; None: only systems.
        allow_commands: Whether entries of wav.scp may be commands.

    Raises:
        InputError: A file is malformed, or wav.scp has a command that is not allowed.
    """
    audio: Mapping[str, Recording] = {}
    reference: dict[str, list[Turn]] | None = None
    uem: dict[str, list[Region]] = {}
    noscore: dict[str, list[Region]] = {}
    if data_dir is not None:
        data_dir = Path(data_dir)
        audio = load_recordings(data_dir, allow_commands)
        reference = read_if_there(lambda path: grouped(read_rttm(path)), data_dir / "ref.rttm", None)
        uem = read_if_there(read_uem, data_dir / "all.uem", {})
        noscore = read_if_there(read_noscore, data_dir / "ref.rttm", {})
    turns = {system.name: grouped(read_rttm(system.folder / "rttm")) for system in systems}
    names = {*audio, *(reference or ()), *(reco for group in turns.values() for reco in group)}
    comparison = Comparison(reference or {}, {}, uem, noscore)
    recordings = []
    for reco in sorted(names):
        own = {name: group.get(reco, []) for name, group in turns.items()}
        true = None if reference is None or (reco not in reference and reco not in uem) else reference.get(reco, [])
        last = max((turn.end for group in (true or [], *own.values()) for turn in group), default=0.0)
        length = audio[reco].duration if reco in audio else None
        regions = [] if true is None else comparison.regions(reco)
        files = {system.name: system.folder / "history" / f"{reco}.json" for system in systems}
        histories = {name: read_history(file) for name, file in files.items() if file.exists()}
        recordings.append(ReportRecording(reco, length or last, audio.get(reco), true, regions, own, histories))
    return recordings


def read_history(file: Path) -> History:
    """Read a ``history/RECO.json``.

    Raises:
        InputError: It is not one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=History)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("not a history", path=file, hint="Run the clustering stage again.") from None
