"""Stretches of a recording: speech regions, sub-segments and speakers' turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording, ``start`` to ``end`` in seconds: a speech region or a sub-segment of one.

    ``region`` is the id of the speech region that a sub-segment was cut from; None if it is not known.
    """

    id: str
    reco: str
    start: float
    end: float
    region: str | None = None

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Turn:
    """``speaker`` talks in recording ``reco`` from ``start`` to ``end`` seconds.

    ``confidence`` is the probability that it is this speaker if anyone talks, from 0 to 1; None if it is not known.
    """

    reco: str
    speaker: str
    start: float
    end: float
    confidence: float | None = None


class OfRecording(Protocol):
    """Anything that belongs to a recording: a segment, a turn, a word."""

    @property
    def reco(self) -> str:
        """The recording's id."""


_Item = TypeVar("_Item", bound=OfRecording)


def grouped(items: Iterable[_Item]) -> dict[str, list[_Item]]:
    """Group segments, turns or words by recording, without changing their order."""
    groups: dict[str, list[_Item]] = {}
    for item in items:
        groups.setdefault(item.reco, []).append(item)
    return groups


def by_recording(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    """Group segments by recording, both in order: recordings by id, segments by (start, end, id)."""
    groups = grouped(segments)
    return {reco: sorted(groups[reco], key=lambda s: (s.start, s.end, s.id)) for reco in sorted(groups)}
