"""Diarization error rate (DER) with the semantics of NIST's md-eval.pl, version 22.

Time is cut into cells at every boundary of reference, system, UEM and collar, so all sums are exact. Per recording:

1. The regions of the UEM are evaluated; without any, the extent of the reference turns. NOSCORE regions of the
   reference are not.
2. Reference and system speakers are mapped one to one so that their common time is largest. As in md-eval, this uses
   the whole evaluated time, before collars and overlapped speech are excluded, so the mapping is the same under every
   protocol. If two mappings are equally good, the order of the speakers' names decides (in md-eval, chance).
3. Excluded from scoring are the collars (some seconds on each side of every reference boundary, also where turns of one
   speaker touch and inside overlapped speech) and, if overlap is ignored, the time covered by two or more reference
   turns (md-eval counts turns: one speaker's overlapping turns are overlap).
4. R and S are the numbers of reference and system speakers who talk in a cell, and M the number of mapped pairs of
   which both talk. Then miss = max(R - S, 0), false alarm = max(S - R, 0) and confusion = min(R, S) - M, each times the
   length of the cell. The denominator is the scored speaker time, the sum of R times length.

Intended differences from md-eval.pl: a recording that is in the UEM but has no reference turn is scored (its system
speech is false alarm; md-eval skips it). Channels are not compared (a UEM of another channel makes md-eval ignore the
UEM). NON-LEX lines of a reference, which exclude time in md-eval, are ignored. A NOSCORE region ends where it ends;
md-eval leaves out all time after it, too, unless a reference turn begins or ends later. With collar 0 and overlap
ignored, md-eval scores the overlapped speech at the end of a region if another overlap touches it (A+B until 5 s, A+C
from 5 s, region to 6 s: 5-6 s is scored); here it is ignored like all other overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_noscore, read_rttm, read_uem
from ssdiar.timeline.regions import subtract
from ssdiar.timeline.spans import Turn, grouped

Region = tuple[float, float]


@dataclass(frozen=True)
class Protocol:
    """Exclusions from the score: ``collar`` seconds on each side of reference boundaries, and overlapped speech."""

    name: str
    collar: float
    ignore_overlap: bool

    def describe(self) -> str:
        """Return a description for the head of a table."""
        overlap = "overlapped speech ignored" if self.ignore_overlap else "overlapped speech scored"
        return f"{self.name}: collar {self.collar:g} s each side, {overlap}"


#: The three protocols under which results on CALLHOME are published, with the names of BUTSpeechFIT/VBx.
PROTOCOLS = {
    name: Protocol(name, *terms)
    for name, terms in {"forgiving": (0.25, True), "fair": (0.25, False), "full": (0.0, False)}.items()
}


@dataclass(frozen=True)
class DiarizationError:
    """Speaker time in seconds, scored and in error; sum these over recordings, never average their rates.

    Raises:
        ValueError: A part is negative or not finite, or more is missed and confused than scored.
    """

    scored: float = 0.0
    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0

    def __post_init__(self) -> None:
        parts = [getattr(self, field.name) for field in fields(self)]
        # md-eval prints hundredths of seconds, so its parts may exceed their sum by as much.
        excess = self.miss + self.confusion - self.scored * (1 + 1e-9)
        if not all(math.isfinite(part) and part >= 0 for part in parts) or excess > 0.02:
            raise ValueError(f"impossible diarization error: {self}")

    def __add__(self, other: DiarizationError) -> DiarizationError:
        return DiarizationError(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def error(self) -> float:
        """Seconds in error of any kind."""
        return self.miss + self.false_alarm + self.confusion

    def rate(self, seconds: float) -> float | None:
        """Return ``seconds`` as a fraction of the scored speaker time; None if nothing is scored."""
        return seconds / self.scored if self.scored > 0 else None

    @property
    def der(self) -> float | None:
        """Diarization error rate, a fraction (may exceed 1); None if nothing is scored."""
        return self.rate(self.error)


@dataclass(frozen=True)
class Comparison:
    """A reference and a system output, by recording, and the regions to score.

    ``uem`` None stands for the extents of the reference; ``noscore`` is left out of either.
    """

    reference: dict[str, list[Turn]]
    system: dict[str, list[Turn]]
    uem: dict[str, list[Region]] | None
    noscore: dict[str, list[Region]] = field(default_factory=dict)

    @property
    def recordings(self) -> list[str]:
        """Recordings to score, in order: those with a reference turn or a UEM region."""
        return sorted(set(self.reference) | set(self.uem or ()))

    @property
    def without_system(self) -> list[str]:
        """Recordings with a reference and no system turn, in order; all their speech is missed."""
        return sorted(set(self.reference) - set(self.system))

    @property
    def outside_uem(self) -> list[str]:
        """Recordings with a reference that a given UEM lacks, in order; their reference's extent is scored."""
        return [] if self.uem is None else sorted(set(self.reference) - set(self.uem))

    def regions(self, reco: str) -> list[Region]:
        """Return the evaluated regions of a recording, disjoint and in order."""
        turns, regions = self.reference.get(reco), (self.uem or {}).get(reco)
        if regions is None:
            regions = [(min(turn.start for turn in turns), max(turn.end for turn in turns))]
        return [(a, b) for a, b in subtract(regions, self.noscore[reco]).tolist()] if reco in self.noscore else regions

    def parts(self, reco: str) -> tuple[list[Turn], list[Turn], list[Region]]:
        """Return a recording's reference turns, system turns and evaluated regions."""
        return self.reference.get(reco, []), self.system.get(reco, []), self.regions(reco)


def read_comparison(
    reference_file: str | Path, system_file: str | Path, uem_file: str | Path | None = None
) -> Comparison:
    """Read two RTTM files and a UEM, and check that they are about the same recordings.

    Raises:
        InputError: A file is malformed; there is nothing to score; or the system has recordings that neither the
            reference nor the UEM has.
    """
    reference, system = grouped(read_rttm(reference_file)), grouped(read_rttm(system_file))
    uem = None if uem_file is None else read_uem(uem_file)
    comparison = Comparison(reference, system, uem, read_noscore(reference_file))
    known = set(comparison.recordings)
    if not known:
        raise InputError("no SPEAKER line, so there is nothing to score", path=reference_file)
    if unknown := sorted(set(system) - known):
        what = f"{len(unknown)} recordings have no reference: {shown(unknown)}"
        expected = f"only recordings of {reference_file}" + (f" or {uem_file}" if uem_file is not None else "")
        hint = "If a recording has no speech, list it in the UEM."
        raise InputError(what, path=system_file, expected=expected, hint=hint)
    return comparison


def shown(names: Sequence[str]) -> str:
    """Return the first five names, for a message."""
    return " ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def count_speakers(turns: Sequence[Turn]) -> int:
    """Return the number of speakers."""
    return len({turn.speaker for turn in turns})


def score(comparison: Comparison, protocol: Protocol) -> dict[str, DiarizationError]:
    """Return the errors of each recording, in order of their ids; ``sum(..., DiarizationError())`` pools them."""
    return {reco: score_recording(*comparison.parts(reco), protocol) for reco in comparison.recordings}


@dataclass(frozen=True)
class Cells:
    """The time of one recording, cut so that each speaker talks in all of a cell or in none of it."""

    times: np.ndarray  # (n + 1,) seconds, the boundaries of the cells
    scored: np.ndarray  # (n,) booleans, whether the protocol scores a cell
    speakers: np.ndarray  # (n,) number of reference speakers who talk
    miss: np.ndarray  # (n,) number of missed speakers
    false_alarm: np.ndarray  # (n,) number of false-alarm speakers
    confusion: np.ndarray  # (n,) number of confused speakers
    matches: dict[str, str]  # mapped reference speaker by system speaker, for pairs that ever talk at the same time


def cut_cells(
    reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region], protocol: Protocol
) -> Cells:
    """Cut the time of one recording into cells and compare each, by the rules above.

    Args:
        reference: Reference turns, in any order; turns of one speaker may touch or overlap.
        system: System turns, likewise.
        regions: Evaluated regions in seconds, disjoint.
        protocol: Collar, and whether overlapped speech is ignored.
    """
    from scipy.optimize import linear_sum_assignment

    ref_spans, evaluated_spans = _spans(reference), np.reshape(regions, (-1, 2))
    collars = ref_spans.reshape(-1, 1) + np.array([[-protocol.collar, protocol.collar]])
    times = boundaries(reference, system, evaluated_spans, collars)
    scored = evaluated = cover(evaluated_spans, times) > 0
    if protocol.collar > 0:
        scored = scored & (cover(collars, times) == 0)
    if protocol.ignore_overlap:
        scored = scored & (cover(ref_spans, times) < 2)
    ref_names, ref_talks = talks(reference, times)
    sys_names, sys_talks = talks(system, times)
    n_ref, n_sys, n_mapped, matches = ref_talks.sum(0), sys_talks.sum(0), np.zeros(len(scored), int), {}
    common = (ref_talks * (np.diff(times) * evaluated)) @ sys_talks.T.astype(float)
    for ref_row, sys_row in zip(*linear_sum_assignment(common, maximize=True), strict=True):
        both = ref_talks[ref_row] & sys_talks[sys_row]
        n_mapped += both
        if both.any():
            matches[sys_names[sys_row]] = ref_names[ref_row]
    miss, false_alarm = np.maximum(n_ref - n_sys, 0), np.maximum(n_sys - n_ref, 0)
    return Cells(times, scored, n_ref, miss, false_alarm, np.minimum(n_ref, n_sys) - n_mapped, matches)


def score_recording(
    reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region], protocol: Protocol
) -> DiarizationError:
    """Score one recording; arguments as for :func:`cut_cells`."""
    cells = cut_cells(reference, system, regions, protocol)
    seconds = np.diff(cells.times) * cells.scored
    counts = (cells.speakers, cells.miss, cells.false_alarm, cells.confusion)
    return DiarizationError(*(float(seconds @ count) for count in counts))


def _spans(turns: Sequence[Turn]) -> np.ndarray:
    return np.array([(turn.start, turn.end) for turn in turns], dtype=float).reshape(-1, 2)


def boundaries(reference: Sequence[Turn], system: Sequence[Turn], *spans: np.ndarray) -> np.ndarray:
    """Return the start and end times of turns and ``spans`` (n, 2), sorted and unique."""
    times = np.unique(np.concatenate([_spans(reference), _spans(system), *spans], axis=None))
    return times if len(times) else np.zeros(1)


def cover(spans: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the number of ``spans`` (n, 2) that cover each cell between ``times``, which include all their ends."""
    steps = np.zeros(len(times), int)
    np.add.at(steps, np.searchsorted(times, spans[:, 0]), 1)
    np.add.at(steps, np.searchsorted(times, spans[:, 1]), -1)
    return np.cumsum(steps)[:-1]


def talks(turns: Sequence[Turn], times: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the speakers in order of name, and (speakers, cells) booleans: whether each talks in each cell."""
    speakers = sorted({turn.speaker for turn in turns})
    rows = [cover(_spans([turn for turn in turns if turn.speaker == name]), times) > 0 for name in speakers]
    return speakers, np.array(rows, dtype=bool).reshape(len(rows), len(times) - 1)
