"""Diarization error rate (DER) with the semantics of NIST's md-eval.pl, version 22.

Time is cut at every boundary of reference, system, UEM and collar; within a cell everybody either talks or does not, so
all sums are exact. Per recording:

1. The regions of the UEM are evaluated, or the extent of the reference turns where a recording has no region.
2. Reference and system speakers are mapped one to one so that their common time is largest. md-eval does this on the
   whole evaluated time, before collars and overlapped speech are taken out, so that the mapping is the same under every
   protocol. Where two mappings are equally good, the order of the speakers' names decides (in md-eval, chance).
3. The evaluated time is scored, without the collars (some seconds on each side of every reference boundary, also
   where turns of one speaker touch and inside overlapped speech) and, if overlap is ignored, without the time that two
   or more reference turns cover (md-eval counts turns: one speaker's overlapping turns are overlap).
4. With R and S the numbers of reference and system speakers who talk, and M the number of mapped pairs who both do:
   miss = max(R - S, 0), false alarm = max(S - R, 0), confusion = min(R, S) - M, each times the length of the cell;
   the denominator is the scored speaker time, the sum of R times length.

Differences from md-eval.pl, on purpose: a recording that is in the UEM but has no reference turn is scored (all its
system speech is false alarm; md-eval passes it over). Channels are not compared (a UEM of another channel makes md-eval
ignore the UEM). NOSCORE and NON-LEX lines of a reference, which take time out in md-eval, are ignored. With
collar 0 and overlap ignored, md-eval scores the overlapped speech at the end of a region if another overlap touches it
(A+B until 5 s, A+C from 5 s, region to 6 s: 5-6 s is scored); here it is ignored like all other overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.timeline.spans import Turn, grouped

Region = tuple[float, float]


@dataclass(frozen=True)
class Protocol:
    """What is left out of the score: ``collar`` seconds each side of reference boundaries, and overlapped speech."""

    name: str
    collar: float
    ignore_overlap: bool

    def describe(self) -> str:
        """Return the protocol in words, for the head of a table."""
        overlap = "overlapped speech ignored" if self.ignore_overlap else "overlapped speech scored"
        return f"{self.name}: collar {self.collar:g} s each side, {overlap}"


#: The three protocols under which results on CALLHOME are published (named so in BUTSpeechFIT/VBx).
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (Protocol("forgiving", 0.25, True), Protocol("fair", 0.25, False), Protocol("full", 0.0, False))
}


@dataclass(frozen=True)
class DiarizationError:
    """Speaker time in seconds, scored and in error; sum these over recordings, never average their rates.

    Raises:
        ValueError: The parts cannot belong together (negative, not finite, or more missed and confused than scored).
    """

    scored: float = 0.0
    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0

    def __post_init__(self) -> None:
        parts = [getattr(self, field.name) for field in fields(self)]
        # md-eval prints hundredths of seconds, so that its parts may exceed their sum by as much.
        slack = 0.02 + 1e-9 * self.scored
        if not all(math.isfinite(part) and part >= 0 for part in parts) or self.miss + self.confusion > (
            self.scored + slack
        ):
            raise ValueError(f"impossible diarization error: {self}")

    def __add__(self, other: DiarizationError) -> DiarizationError:
        return DiarizationError(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def error(self) -> float:
        """Seconds in error of any kind."""
        return self.miss + self.false_alarm + self.confusion

    def rate(self, seconds: float) -> float | None:
        """Return ``seconds`` as a fraction of the scored speaker time; None where nothing is scored."""
        return seconds / self.scored if self.scored > 0 else None

    @property
    def der(self) -> float | None:
        """Diarization error rate, a fraction (above 1 where false alarms abound); None where nothing is scored."""
        return self.rate(self.error)


@dataclass(frozen=True)
class Comparison:
    """A reference and a system output, by recording, and the regions to score (``uem`` None: reference extents)."""

    reference: dict[str, list[Turn]]
    system: dict[str, list[Turn]]
    uem: dict[str, list[Region]] | None

    @property
    def recordings(self) -> list[str]:
        """Recordings to score, in order: those with a reference turn or a UEM region."""
        return sorted(set(self.reference) | set(self.uem or ()))

    @property
    def without_system(self) -> list[str]:
        """Recordings with reference and no system turn, in order: all of their speech is missed."""
        return sorted(set(self.reference) - set(self.system))

    @property
    def outside_uem(self) -> list[str]:
        """Recordings with reference that a given UEM does not name, in order: scored over their reference's extent."""
        return [] if self.uem is None else sorted(set(self.reference) - set(self.uem))

    def regions(self, reco: str) -> list[Region]:
        """Return the evaluated regions of a recording, disjoint and in order."""
        if self.uem is not None and reco in self.uem:
            return self.uem[reco]
        turns = self.reference[reco]
        return [(min(turn.start for turn in turns), max(turn.end for turn in turns))]


def read_comparison(
    reference_file: str | Path, system_file: str | Path, uem_file: str | Path | None = None
) -> Comparison:
    """Read two RTTM files and a UEM, and check that they are about the same recordings.

    Raises:
        InputError: A file is malformed; there is nothing to score; or the system has recordings that neither the
            reference nor the UEM knows.
    """
    reference, system = grouped(read_rttm(reference_file)), grouped(read_rttm(system_file))
    comparison = Comparison(reference, system, None if uem_file is None else read_uem(uem_file))
    known = set(comparison.recordings)
    if not known:
        raise InputError("no SPEAKER line, so there is nothing to score", path=reference_file)
    unknown = sorted(set(system) - known)
    if unknown:
        shown = " ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        raise InputError(
            f"{len(unknown)} recordings have no reference: {shown}",
            path=system_file,
            expected=f"only recordings of {reference_file}" + (f" or {uem_file}" if uem_file is not None else ""),
            hint="If nobody speaks in a recording, name it in the UEM.",
        )
    return comparison


def count_speakers(turns: Sequence[Turn]) -> int:
    """Return how many speakers have a turn, wherever it is."""
    return len({turn.speaker for turn in turns})


def score(comparison: Comparison, protocol: Protocol) -> dict[str, DiarizationError]:
    """Return the errors of each recording, in order of their ids; ``sum(..., DiarizationError())`` pools them."""
    return {
        reco: score_recording(
            comparison.reference.get(reco, []), comparison.system.get(reco, []), comparison.regions(reco), protocol
        )
        for reco in comparison.recordings
    }


@dataclass(frozen=True)
class Cells:
    """The time of one recording, cut so that within a cell everybody either talks or does not.

    Attributes:
        times: (n + 1,) seconds, the boundaries of the cells.
        scored: (n,) booleans, whether the protocol scores a cell.
        speakers: (n,) number of reference speakers who talk.
        miss: (n,) number of speakers who are missed.
        false_alarm: (n,) number of speakers who are falsely heard.
        confusion: (n,) number of speakers who are confused.
        matches: The reference speaker of each system speaker that has one and ever talks at the same time.
    """

    times: np.ndarray
    scored: np.ndarray
    speakers: np.ndarray
    miss: np.ndarray
    false_alarm: np.ndarray
    confusion: np.ndarray
    matches: dict[str, str]


def cut_cells(
    reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region], protocol: Protocol
) -> Cells:
    """Cut the time of one recording at every boundary and compare cell by cell, as the module's docstring says.

    Args:
        reference: Reference turns, in any order; turns of one speaker may touch or overlap.
        system: System turns, likewise.
        regions: Evaluated regions in seconds, disjoint.
        protocol: Collar, and whether overlapped speech is left out.
    """
    ref_spans, sys_spans, evaluated_spans = _spans(reference), _spans(system), np.reshape(regions, (-1, 2))
    collars = ref_spans.reshape(-1, 1) + np.array([[-protocol.collar, protocol.collar]])
    times = np.unique(np.concatenate([spans.ravel() for spans in (ref_spans, sys_spans, evaluated_spans, collars)]))
    times = times if len(times) else np.zeros(1)
    scored = evaluated = _count(evaluated_spans, times) > 0
    if protocol.collar > 0:
        scored = scored & (_count(collars, times) == 0)
    if protocol.ignore_overlap:
        scored = scored & (_count(ref_spans, times) < 2)
    ref_names, ref_talks = _talks(reference, ref_spans, times)
    sys_names, sys_talks = _talks(system, sys_spans, times)
    n_ref, n_sys, n_mapped, matches = ref_talks.sum(0), sys_talks.sum(0), np.zeros(len(scored), int), {}
    for ref_row, sys_row in _map_speakers(ref_talks, sys_talks, np.diff(times) * evaluated):
        both = ref_talks[ref_row] & sys_talks[sys_row]
        n_mapped += both
        if both.any():
            matches[sys_names[sys_row]] = ref_names[ref_row]
    return Cells(
        times,
        scored,
        n_ref,
        miss=np.maximum(n_ref - n_sys, 0),
        false_alarm=np.maximum(n_sys - n_ref, 0),
        confusion=np.minimum(n_ref, n_sys) - n_mapped,
        matches=matches,
    )


def score_recording(
    reference: Sequence[Turn], system: Sequence[Turn], regions: Sequence[Region], protocol: Protocol
) -> DiarizationError:
    """Score one recording; arguments as :func:`cut_cells` takes them."""
    cells = cut_cells(reference, system, regions, protocol)
    seconds = np.diff(cells.times) * cells.scored
    counts = (cells.speakers, cells.miss, cells.false_alarm, cells.confusion)
    return DiarizationError(*(float(seconds @ count) for count in counts))


def _map_speakers(ref_talks: np.ndarray, sys_talks: np.ndarray, seconds: np.ndarray) -> list[tuple[int, int]]:
    """Map speakers one to one so that the time in which both of a pair talk is largest in total.

    Args:
        ref_talks: (reference speakers, cells) booleans.
        sys_talks: (system speakers, cells) booleans.
        seconds: (cells,) evaluated time per cell.

    Returns:
        Pairs of rows (reference, system); speakers left over are in no pair.
    """
    from scipy.optimize import linear_sum_assignment

    common = (ref_talks * seconds) @ sys_talks.T.astype(float)
    return list(zip(*linear_sum_assignment(common, maximize=True), strict=True))


def _spans(turns: Sequence[Turn]) -> np.ndarray:
    return np.array([(turn.start, turn.end) for turn in turns], dtype=float).reshape(-1, 2)


def _count(spans: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return how many of ``spans`` (n, 2) cover each cell between neighbours of ``times``, which holds their ends."""
    steps = np.zeros(len(times), int)
    np.add.at(steps, np.searchsorted(times, spans[:, 0]), 1)
    np.add.at(steps, np.searchsorted(times, spans[:, 1]), -1)
    return np.cumsum(steps)[:-1]


def _talks(turns: Sequence[Turn], spans: np.ndarray, times: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the speakers in order of name, and whether each talks in each cell, (speakers, cells) booleans."""
    names = np.array([turn.speaker for turn in turns], dtype=object)
    speakers = sorted(set(names))
    rows = [_count(spans[names == name], times) > 0 for name in speakers]
    return speakers, np.array(rows, dtype=bool).reshape(len(rows), len(times) - 1)
