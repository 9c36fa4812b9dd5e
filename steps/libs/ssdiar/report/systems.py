"""What the systems of one experiment set are and scored, read from their folders ``<exp-set-dir>/<system>/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.results import read_result
from ssdiar.scoring.score_file import ORIGIN_KEYS, Score, read_score
from ssdiar.work import check

# What a page shows of a system, and refuses if it is damaged or out of date; an outdated score is told instead.
_SHOWN = ("rttm", "result.json", "labels", "meta.json", "history/*.json", "latent/*.npz")


@dataclass(frozen=True)
class System:
    """One system of an experiment set.

    Args:
        name: The folder's name, with its tag if it has one.
        folder: The folder.
        origin: Where speech, speaker counts and x-vectors came from; what is not recorded is not in it.
        scores: By protocol name; empty if there was no reference.
        outdated: Names of the protocols whose score is of an RTTM, reference or UEM that has changed since.
        sure: How sure the number of speakers is, by recording, where that is known (result.json).
    """

    name: str
    folder: Path
    origin: dict[str, str]
    scores: dict[str, Score]
    outdated: frozenset[str]
    sure: dict[str, float]


def read_systems(exp_set_dir: str | Path, names: Sequence[str] = ()) -> list[System]:
    """Read the systems of an experiment set; a folder that holds an ``rttm`` is a system.

    Args:
        exp_set_dir: For example ``exp/mini``.
        names: Which systems, in this order; empty: all, by name.

    Raises:
        InputError: There is no such folder or system, or what a system holds is damaged, half done or out of date.
    """
    exp_set_dir = Path(exp_set_dir)
    if not exp_set_dir.is_dir():
        raise InputError("no such folder", path=exp_set_dir, expected="the folder of an experiment set")
    found = sorted(path.parent.name for path in exp_set_dir.glob("*/rttm"))
    unknown = [name for name in names if name not in found]
    if unknown or not found:
        raise InputError(
            f"no system {unknown[0]}" if unknown else "no system",
            path=exp_set_dir,
            expected=f"one of: {' '.join(found)}" if found else "folders with an rttm file (stage 6)",
        )
    return [_read_system(exp_set_dir / name) for name in (names or found)]


def _read_system(folder: Path) -> System:
    check(*(path for pattern in _SHOWN for path in folder.glob(pattern)))
    scores = {path.stem: read_score(path) for path in sorted((folder / "score").glob("*.json"))}
    origin = _read_origin(folder / "meta.json")
    for score in scores.values():
        origin.update(score.origin)
    outdated = frozenset(name for name in scores if not _is_current(folder / "score" / f"{name}.json"))
    return System(folder.name, folder, origin, scores, outdated, _read_sure(folder / "result.json"))


def _read_sure(file: Path) -> dict[str, float]:
    """Return how sure the number of speakers is by recording; nothing without a file (an RTTM of somebody else)."""
    entries = read_result(file)["recordings"] if file.exists() else []
    found = {entry["recording"]: entry["num_spk_probability"] for entry in entries}
    return {reco: sure for reco, sure in found.items() if sure is not None}


def _is_current(score: Path) -> bool:
    try:
        check(score)
    except InputError:
        return False
    return True


def _read_origin(meta_file: Path) -> dict[str, str]:
    """Return what clustering noted of its input, nothing where it made no note (x-vectors of somebody else)."""
    if not meta_file.exists():
        return {}
    try:
        meta = json.loads(meta_file.read_text(encoding="utf-8"))
        return {key: str(meta[key]) for key in ORIGIN_KEYS if meta.get(key) is not None}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError("not a JSON object", path=meta_file, hint="Run the clustering stage again.") from None
