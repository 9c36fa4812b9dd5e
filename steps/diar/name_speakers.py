#!/usr/bin/env python3
"""Give speakers their names, or find the same voice in several recordings.

Reads the folder of a system after make_rttm.sh. With --known, a folder with a recording or a folder of recordings for
each name, a speaker gets the name of the known voice that fits, or none. Without it, speakers of several recordings who
are one voice are called voice1, voice2 ... Writes <system-dir>/names.json, then rttm and result.json with the names.
make_rttm.sh keeps them until the clustering changes; without names.json it writes the speakers' first names again.
Several folders are named together, so that a voice has one name in all of them.
e.g.: name_speakers.sh --known voices exp/calls/best
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage

from msgspec.structs import replace

import make_rttm
from ssdiar.base.errors import InputError
from ssdiar.enrolment import known_voices, names_of, read_voice_model
from ssdiar.io.ark import read_xvector_dir
from ssdiar.io.meta import read_meta
from ssdiar.io.tables import check_same_ids, read_counts, read_sides
from ssdiar.pipeline import Speaker, mean_speakers
from ssdiar.results.names import FILE, write_names
from ssdiar.work import Manifest, check
from ssdiar.xvectors.models import read_model_config

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Name the speakers of all folders together; write each folder's names and results."""
    options, everyone = _parse(), {}
    made = {folder: make_rttm.options_of(folder) for folder in options.system_dirs}
    folders = {folder: _speakers(folder) for folder in made}
    for folder, own in folders.items():
        if twice := {reco for reco, _ in own} & {reco for reco, _ in everyone}:
            hint = "Name systems of one set one after the other."
            raise InputError(f"recording {min(twice)} is in two of the folders", path=folder, hint=hint)
        everyone |= own
    model, *others = {read_meta(folder).get("xvector_model") for folder in folders}
    if others:
        raise InputError("folders with x-vectors of different models", got=f"{model}, {others[0]}")
    calibration, known = read_voice_model(model), None
    if options.known is not None:
        extraction = Manifest(_xvector_dir(options.system_dirs[0]), "extract_xvectors").settings
        known = known_voices(options.known, "pyannote", read_model_config(extraction["xvector"]))
    names = dict(zip(everyone, names_of(everyone, calibration, known, options.shared), strict=True))
    for folder, own in folders.items():
        found = [names[key] for key in own]
        if options.vectors:
            vectors = (tuple(speaker.vector.tolist()) for speaker in own.values())
            found = [replace(one, vector=vector) for one, vector in zip(found, vectors, strict=True)]
        write_names(folder, found)
        given = [one.name for one in found if one.name is not None]
        counts = ", ".join(f"{name} ({given.count(name)})" for name in sorted(set(given))) or "none"
        _LOG.info("%s: %d of %d speakers have a name: %s", folder / FILE, len(given), len(found), counts)
        make_rttm.make(made[folder])


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("system_dirs", metavar="system-dir", type=Path, nargs="+")
    add("--known", type=Path, metavar="dir", help="known voices: a recording, or a folder of recordings, for each name")
    add("--shared", type=stage.boolean, default=False, help="let speakers of one recording have the same name")
    add("--vectors", type=stage.boolean, default=False, help="write each speaker's mean x-vector into result.json, too")
    return parser.parse_args()


def _xvector_dir(folder: Path) -> Path:
    return Path(Manifest(folder, "cluster_ssl").settings["xvector_dir"])


def _speakers(folder: Path) -> dict[tuple[str, str], Speaker]:
    """Return the speakers of a system, by recording and speaker of the clustering."""
    check(folder / "labels")
    segments, without, xvectors = read_xvector_dir(_xvector_dir(folder))
    labels = read_counts(folder / "labels", "sub-segment label")
    check_same_ids([*without, *(one for own in segments.values() for one in own)], labels, folder / "labels", "label")
    vectors = {side: xvectors.load([one.id for one in own]) for side, own in segments.items()}
    return mean_speakers(segments, labels, vectors, read_sides(xvectors.path.parent))


if __name__ == "__main__":
    stage.run(main)
