"""Systems of an experiment set as the report shows them, read from ``<exp-set-dir>/<system>/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.io.meta import read_meta
from ssdiar.results import read_result
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import ORIGIN_KEYS, Score, read_score
from ssdiar.work import check

# Files that must be current; a score that is not current is left out with a note instead.
_SHOWN = ("rttm", "result.json", "meta.json", "history/*.json")


@dataclass(frozen=True)
class ReportSystem:
    """One system of an experiment set.

    Attributes:
        name: The folder's name, with its tag if it has one.
        folder: The folder.
        origin: Sources of speech, speaker counts and x-vectors, as far as they are recorded.
        scores: By protocol name; empty without a reference.
        outdated: Protocols whose score is older than the RTTM, the reference or the UEM.
        count_sure: Probability of the number of speakers by recording, if it was estimated.
        turn_kind: Kind of its turns, closed or tight, as stage 6 made them; None if it is not recorded.
    """

    name: str
    folder: Path
    origin: dict[str, str]
    scores: dict[str, Score]
    outdated: frozenset[str]
    count_sure: dict[str, float]
    turn_kind: str | None = None

    @property
    def current_scores(self) -> list[Score]:
        """The scores that are not outdated, protocols in their usual order."""
        names = [*PROTOCOLS, *sorted(self.scores.keys() - PROTOCOLS.keys())]
        return [self.scores[name] for name in names if name in self.scores and name not in self.outdated]


def read_systems(exp_set_dir: str | Path, names: Sequence[str] = ()) -> list[ReportSystem]:
    """Read the systems of an experiment set; a folder that holds an ``rttm`` is a system.

    Args:
        exp_set_dir: For example ``exp/mini``.
        names: Which systems, in this order; empty: all, by name.

    Raises:
        InputError: No such folder or system, or a file of a system is damaged, unfinished or out of date.
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


def _read_system(folder: Path) -> ReportSystem:
    check(*(path for pattern in _SHOWN for path in folder.glob(pattern)))
    files = sorted((folder / "score").glob("*.json"))
    scores = {path.stem: read_score(path) for path in files}
    meta, result = read_meta(folder), folder / "result.json"
    origin = {key: str(meta[key]) for key in ORIGIN_KEYS if meta.get(key) is not None}
    for score in scores.values():
        origin.update(score.origin)
    content = read_result(result) if result.exists() else {"recordings": []}  # a foreign RTTM has no result
    sure = {entry["recording"]: entry["num_spk_probability"] for entry in content["recordings"]}
    return ReportSystem(
        folder.name,
        folder,
        origin,
        scores,
        frozenset(path.stem for path in files if not _is_current(path)),
        {reco: probability for reco, probability in sure.items() if probability is not None},
        content.get("turn_kind"),
    )


def _is_current(score: Path) -> bool:
    try:
        check(score)
    except InputError:
        return False
    return True
