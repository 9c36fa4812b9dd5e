"""``names``: the names of the speakers of a system, which make_rttm.sh puts over those of the clustering.

The first line has the digest of the labels that the names belong to. Every other line is a speaker:
``<recording> <speaker> <name> <probability>``, ``<NA>`` for both without a name, and perhaps the mean x-vector, its
numbers separated by commas.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.tables import parse_share, read_lines
from ssdiar.work import file_digest

_LOG = logging.getLogger(__name__)
FILE = "names"
_NONE = "<NA>"


class SpeakerName(NamedTuple):
    """The name of a speaker and its probability, or None; and the speaker's mean x-vector, if it is asked for."""

    name: str | None
    probability: float | None
    vector: tuple[float, ...] | None = None


Names = Mapping[str, Mapping[str, SpeakerName]]  # by recording and speaker


def write_names(folder: Path, names: Mapping[tuple[str, str], SpeakerName]) -> None:
    """Write the names of the speakers of a system, by recording and speaker, into its folder."""
    lines = [f"# labels {file_digest(folder / 'labels')}"]
    for (reco, speaker), (name, probability, vector) in sorted(names.items()):
        known = [_NONE, _NONE] if name is None else [name, f"{probability:.4f}"]
        more = [] if vector is None else [",".join(f"{value:.5g}" for value in vector)]
        lines.append(" ".join([reco, speaker, *known, *more]))
    publish_text(folder / FILE, "".join(f"{line}\n" for line in lines))


def read_names(folder: Path) -> Names:
    """Return the names of the speakers of a system; none, and a warning, if its labels have changed since.

    Raises:
        InputError: A line is malformed.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    (_, first), *rows = read_lines(path)
    if first.split()[-1] != file_digest(folder / "labels"):
        _LOG.warning("WARNING: %s: the speakers have changed, so it is not used; run name_speakers.sh again", path)
        return {}
    names: dict[str, dict[str, SpeakerName]] = {}
    for line, text in rows:
        fields = text.split()
        if len(fields) not in (4, 5):
            expected = "recording speaker name probability, and perhaps a vector"
            raise InputError("wrong number of fields", path=path, line=line, expected=expected, got=len(fields))
        reco, speaker, name, probability, *vector = fields
        sure = None if probability == _NONE else parse_share(probability, "probability", path, line)
        try:
            numbers = tuple(map(float, vector[0].split(","))) if vector else None
        except ValueError:
            raise InputError("bad vector", path=path, line=line, expected="numbers and commas") from None
        names.setdefault(reco, {})[speaker] = SpeakerName(None if name == _NONE else name, sure, numbers)
    return names
