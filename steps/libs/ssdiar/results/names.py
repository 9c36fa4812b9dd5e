"""``names.json``: the names of a system's speakers, which make_rttm.sh puts over the clustering's."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, field

from ssdiar.base.config import Share
from ssdiar.base.publish import publish_text
from ssdiar.io.meta import read_meta
from ssdiar.work import file_digest

_LOG = logging.getLogger(__name__)
FILE = "names.json"


class SpeakerName(msgspec.Struct, frozen=True, omit_defaults=True):
    """A speaker of the clustering, the name or None, its probability, and the mean x-vector if it is asked for."""

    reco: str = field(name="recording")
    speaker: str
    name: Annotated[str, Meta(pattern=r"^\S+$")] | None = None
    probability: Share | None = None
    vector: tuple[float, ...] | None = None


class _Content(msgspec.Struct):
    labels: str = ""  # digest of the file that the names belong to
    speakers: list[SpeakerName] = []


def new_names(names: Iterable[SpeakerName]) -> dict[tuple[str, str], str]:
    """Return the names by recording and speaker of the clustering."""
    return {(one.reco, one.speaker): one.name for one in names if one.name is not None}


def write_names(folder: Path, names: Sequence[SpeakerName]) -> None:
    """Write the names of the speakers of a system into its folder."""
    content = msgspec.to_builtins(_Content(file_digest(folder / "labels"), list(names)))
    publish_text(folder / FILE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_names(folder: Path) -> list[SpeakerName]:
    """Return the names of a system; none, and a warning, if its labels have changed since.

    Raises:
        InputError: The file is malformed.
    """
    content = read_meta(folder, _Content, FILE)
    if not content.speakers or content.labels == file_digest(folder / "labels"):
        return content.speakers
    problem = "%s: the speakers have changed, so it is not used; run name_speakers.sh again"
    _LOG.warning(problem, folder / FILE)
    return []
