"""meta.json: what a directory's content came from, handed on and added to from stage to stage.

Keys that results are named by: speech_source (stage 2), xvector_model (4), system, num_spk_source, seed (5). Keys that
stage 6 acts on: second_speaker, close_pauses (stage 2; :class:`Decisions`), second_sure (5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text


class Decisions(NamedTuple):
    """What stage 2 decided that stage 6 does; nothing where speech was found by other means.

    Attributes:
        second_speaker: Whether overlapped speech gets a second speaker.
        close_pauses: Seconds; shorter pauses of a speaker in which nobody else talks are closed.
    """

    second_speaker: bool = False
    close_pauses: float = 0.0


def read_decisions(folder: str | Path) -> Decisions:
    """Return the decisions in ``folder``/meta.json.

    Raises:
        InputError: The file is no JSON object, or one of the two is not what it must be.
    """
    meta = read_meta(folder)
    found = Decisions(**{name: meta[name] for name in Decisions._fields if name in meta})
    path, gap = Path(folder) / "meta.json", found.close_pauses
    if not isinstance(found.second_speaker, bool):
        raise InputError("bad second_speaker", path=path, expected="true or false", got=found.second_speaker)
    if type(gap) not in (int, float) or not 0 <= gap < math.inf:
        raise InputError("bad close_pauses", path=path, expected="a number of seconds from 0", got=gap)
    return found


def read_second_sure(folder: str | Path) -> tuple[float, float] | None:
    """Return how sure the second speaker of overlapped speech is, from ``folder``/meta.json, where clustering knows it.

    Returns:
        The probability that it is right in recordings of two speakers, and in those of more.

    Raises:
        InputError: The file is no JSON object, or what it says is not two numbers from 0 to 1.
    """
    value = read_meta(folder).get("second_sure")
    if value is None:
        return None
    good = isinstance(value, list) and len(value) == 2
    if not good or not all(type(one) in (int, float) and 0 <= one <= 1 for one in value):
        path = Path(folder) / "meta.json"
        raise InputError("bad second_sure", path=path, expected="two numbers from 0 to 1", got=json.dumps(value))
    return value[0], value[1]


def read_meta(folder: str | Path) -> dict[str, Any]:
    """Return the content of ``folder``/meta.json; nothing where another toolkit's directory has no such file.

    Raises:
        InputError: The file is no JSON object.
    """
    path = Path(folder) / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise InputError("damaged", path=path, expected="a JSON object")
    return meta


def write_meta(folder: str | Path, meta: Mapping[str, Any]) -> bool:
    """Write ``folder``/meta.json; return whether it changed."""
    return publish_text(Path(folder) / "meta.json", json.dumps(meta, indent=1) + "\n")
