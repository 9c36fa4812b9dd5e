"""Sides of a recording with one party per channel: each is a recording of its own from stage 2 to stage 5.

The table ``side2reco`` has the recording of each side; stage 6 joins the sides of a recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ssdiar.timeline.spans import Turn

#: Prefix of every speaker's name; the label's number follows.
SPEAKER = "speaker"


def side_id(reco: str, channel: int) -> str:
    """Return the id of the side that a channel (from 1) of a recording is."""
    return f"{reco}.channel{channel}"


def speaker_name(label: int) -> str:
    """Return the speaker's name for a label."""
    return f"{SPEAKER}{label}"


def join_sides(turns: Iterable[Turn], sides: Mapping[str, str]) -> list[Turn]:
    """Return the turns with the sides of each recording joined.

    A speaker of a side is named after its channel; if the side has several, also by the speaker's number there.

    Args:
        turns: Of recordings and of sides.
        sides: Recording by side.
    """
    turns, speakers = list(turns), defaultdict(set)
    for turn in turns:
        speakers[turn.reco].add(turn.speaker)

    def name(turn: Turn) -> str:
        channel = turn.reco.rpartition(".")[2]
        return channel if len(speakers[turn.reco]) == 1 else f"{channel}-{turn.speaker.removeprefix(SPEAKER)}"

    return [replace(turn, reco=sides[turn.reco], speaker=name(turn)) if turn.reco in sides else turn for turn in turns]
