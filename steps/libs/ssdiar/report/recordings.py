"""What there is to show of each recording of a set, read from the data directory and the systems' folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssdiar.clustering.vectors import length_normalise
from ssdiar.data import Recording, load_recordings
from ssdiar.errors import InputError
from ssdiar.io.ark import XVectors
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import read_counts, read_segments
from ssdiar.report.systems import System
from ssdiar.scoring.der import Region
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped
from ssdiar.work import Manifest


@dataclass(frozen=True)
class Vectors:
    """Vectors of one recording's sub-segments, with what to call them.

    Args:
        title: For example "Latent vectors before training".
        system: The system that they are of; empty for x-vectors, which all systems share.
        values: (S, d), in order of time.
        pieces: (S,) the sub-segments.
        labels: (S,) the system's labels from 0; None where it has none.
    """

    title: str
    system: str
    values: np.ndarray
    pieces: list[Segment]
    labels: list[int] | None


@dataclass(frozen=True)
class Shown:
    """One recording of the report.

    Args:
        id: Its id.
        seconds: Its length; without reco2dur, the end of the last turn.
        audio: Its entry of wav.scp; None without a data directory.
        reference: Reference turns; None where there is no reference.
        regions: Regions that were evaluated.
        turns: Turns by system; a system that has none for this recording has an empty list.
        histories: ``history/RECO.json`` by system, where there is one.
    """

    id: str
    seconds: float
    audio: Recording | None
    reference: list[Turn] | None
    regions: list[Region]
    turns: dict[str, list[Turn]]
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_recordings(
    systems: Sequence[System], data_dir: str | Path | None = None, allow_commands: bool = False
) -> list[Shown]:
    """Read everything but audio and vectors, for every recording that the data directory or a system names.

    Args:
        systems: The systems to show.
        data_dir: Folder with wav.scp, and reco2dur, ref.rttm and all.uem where they exist; None: systems alone.
        allow_commands: Whether entries of wav.scp may be commands.

    Raises:
        InputError: A file is malformed, or wav.scp has a command that is not allowed.
    """
    audio: Mapping[str, Recording] = {}
    reference: dict[str, list[Turn]] | None = None
    uem: dict[str, list[Region]] = {}
    if data_dir is not None:
        data_dir = Path(data_dir)
        audio = load_recordings(data_dir, allow_commands)
        if (data_dir / "ref.rttm").exists():
            reference = grouped(read_rttm(data_dir / "ref.rttm"))
        uem = read_uem(data_dir / "all.uem") if (data_dir / "all.uem").exists() else {}
    turns = {system.name: grouped(read_rttm(system.folder / "rttm")) for system in systems}
    names = {*audio, *(reference or ()), *(reco for group in turns.values() for reco in group)}
    shown = []
    for reco in sorted(names):
        own = {name: group.get(reco, []) for name, group in turns.items()}
        true = None if reference is None or (reco not in reference and reco not in uem) else reference.get(reco, [])
        last = max((turn.end for group in (true or [], *own.values()) for turn in group), default=0.0)
        length = audio[reco].duration if reco in audio else None
        regions = uem.get(reco) or ([(min(t.start for t in true), max(t.end for t in true))] if true else [])
        histories = {system.name: _read_history(system.folder / "history" / f"{reco}.json") for system in systems}
        known = {name: history for name, history in histories.items() if history}
        shown.append(Shown(reco, length or last, audio.get(reco), true, regions, own, known))
    return shown


class VectorReader:
    """The latent vectors that systems left in ``latent/RECO.npz``, and the x-vectors that they were made from.

    An npz has the arrays ``before`` and ``after`` what the system does to vectors before their last clustering, (S, d)
    each, rows in order of time. Where no system has one for a recording, its x-vectors (centred and scaled to length 1)
    are there to show.
    """

    def __init__(self, systems: Sequence[System]) -> None:
        self._systems = systems
        self._labels = {s.name: read_counts(s.folder / "labels", "sub-segment label") for s in self._with_labels()}
        self._xvectors: dict[str, tuple[dict[str, list[Segment]], XVectors]] = {}

    def read(self, reco: str) -> list[Vectors]:
        """Return the vectors to show of a recording; nothing where there are fewer than 3 sub-segments.

        Raises:
            InputError: A file is damaged, or does not fit to the sub-segments.
        """
        found = []
        for system in self._with_labels():
            file = system.folder / "latent" / f"{reco}.npz"
            pieces = self._pieces(system).get(reco, [])
            if file.exists() and len(pieces) > 2:
                arrays = _read_latent(file, len(pieces))
                titles = _latent_titles(_read_history(system.folder / "history" / f"{reco}.json"))
                labels = [self._labels[system.name].get(piece.id, 1) - 1 for piece in pieces]
                found += [Vectors(titles[name], system.name, arrays[name], pieces, labels) for name in arrays]
        return found or self._xvectors_of(reco)

    def _xvectors_of(self, reco: str) -> list[Vectors]:
        for system in self._with_labels():
            pieces = self._pieces(system).get(reco, [])
            if len(pieces) > 2:
                vectors = self._load(system)[1].load([piece.id for piece in pieces])
                labels = [self._labels[system.name].get(piece.id, 1) - 1 for piece in pieces]
                centred = length_normalise(vectors - vectors.mean(axis=0))
                return [Vectors("X-vectors", "", centred, pieces, labels)]
        return []

    def _with_labels(self) -> list[System]:
        """Return the systems that were made by this recipe's clustering stage, and so know where x-vectors are."""
        return [s for s in self._systems if _clustering(s).is_planned() and (s.folder / "labels").exists()]

    def _pieces(self, system: System) -> dict[str, list[Segment]]:
        return self._load(system)[0]

    def _load(self, system: System) -> tuple[dict[str, list[Segment]], XVectors]:
        folder = _clustering(system).settings["xvector_dir"]
        if folder not in self._xvectors:
            segments = read_segments(Path(folder) / "segments")
            self._xvectors[folder] = by_recording(segments), XVectors(Path(folder) / "xvector.scp")
        return self._xvectors[folder]


def _clustering(system: System) -> Manifest:
    return Manifest(system.folder, "cluster_ssl")


def _latent_titles(history: Mapping[str, Any]) -> dict[str, str]:
    """Return what to call the vectors before and after: those of training, or x-vectors and what was done to them."""
    options = history.get("options", {})
    if options.get("method", "ssl") == "ssl":
        return {name: f"Latent vectors {name} training" for name in ("before", "after")}
    prepare = options["prepare"]
    done = {
        "centred": prepare["centre"] != "none",
        "whitened": prepare["whiten_input"],
        "averaged with their neighbours": prepare["average"],
    }
    words = " and ".join(word for word, is_done in done.items() if is_done)
    return {"before": "X-vectors as they come", "after": f"X-vectors {words or 'prepared'}"}


def _read_latent(file: Path, pieces: int) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            latent = {name: np.asarray(arrays[name], np.float64) for name in ("before", "after")}
    except Exception:  # zip, zlib and NumPy each have errors of their own for damaged bytes
        raise InputError("not a file of latent vectors", path=file, expected="arrays before and after") from None
    for name, array in latent.items():
        if array.ndim != 2 or len(array) != pieces or not np.isfinite(array).all():
            raise InputError(f"bad array {name}", path=file, expected=f"{pieces} finite rows", got=str(array.shape))
    return latent


def _read_history(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
        steps = [
            {**step, "clusters": int(step["clusters"]), "losses": [float(loss) for loss in step["losses"]]}
            for step in history.get("iterations", [])
        ]
        counted = {
            key: {int(number): float(share) for number, share in history[key].items()}
            for key in ("num_spk_probabilities", "num_spk_odds")
            if key in history
        }
        return {**history, "iterations": steps, **counted}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError("not a history", path=file, hint="Run the clustering stage again.") from None
