#!/usr/bin/env python3
"""Give the speakers of recordings their names, or find the same voice in several recordings.

Reads the folders of a system after make_rttm.sh. With --known, a folder with a recording or a folder of recordings for
each name, a speaker gets the name of the known voice that fits, or none. Without, speakers of different recordings who
are one voice are called voice1, voice2 ... Writes <system-dir>/names, a line per speaker: recording, speaker of the
clustering, name and probability. rttm and result.json are written again with the names; make_rttm.sh keeps the names
until the clustering changes. To take them away, remove the file and run make_rttm.sh again. Several folders are named
together, so that a voice has one name in all of them.
e.g.: name_speakers.sh --known voices exp/calls/best
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage

import make_rttm
from ssdiar.base.errors import InputError
from ssdiar.enrolment import known_voices, names_of, read_voice_model
from ssdiar.io.ark import read_xvector_dir
from ssdiar.io.meta import read_meta
from ssdiar.io.tables import check_same_ids, read_counts, read_sides
from ssdiar.pipeline import Speaker, mean_speakers
from ssdiar.results.names import FILE, SpeakerName, write_names
from ssdiar.work import Manifest, check
from ssdiar.xvectors.models import read_model_config

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Name the speakers of all folders, write each folder's names and results."""
    options = _parse()
    speakers = {folder: _speakers(folder) for folder in dict.fromkeys(options.system_dirs)}
    everyone: dict[tuple[str, str], Speaker] = {}
    for folder, own in speakers.items():
        if twice := {reco for reco, _ in own} & {reco for reco, _ in everyone}:
            problem = f"recording {min(twice)} is also in a folder before it"
            raise InputError(problem, path=folder, hint="Name systems of one set one after the other.")
        everyone |= own
    [model, *others] = {read_meta(folder).get("xvector_model") for folder in speakers}
    if others:
        raise InputError("x-vectors of different models", path=options.system_dirs[0], got=f"{model}, {others[0]}")
    calibration, known = read_voice_model(model), None
    if options.known is not None:
        [choice, *others] = {
            Manifest(_xvector_dir(folder), "extract_xvectors").settings["xvector"] for folder in speakers
        }
        known = known_voices(options.known, options.sad, read_model_config(choice))
    names = names_of(everyone, calibration, known, options.shared)
    for folder, own in speakers.items():
        found = {key: names[key] for key in own}
        if options.vectors:
            found = {key: one._replace(vector=tuple(own[key].vector.tolist())) for key, one in found.items()}
        write_names(folder, found)
        _report(folder, found)
        make_rttm.again(folder)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("system_dirs", metavar="system-dir", type=Path, nargs="+")
    add("--known", type=Path, metavar="dir", help="known voices: a recording, or a folder of recordings, for each name")
    add("--shared", type=stage.boolean, default=False, help="let speakers of one recording have the same name")
    add("--vectors", type=stage.boolean, default=False, help="write each speaker's mean x-vector into result.json, too")
    help_text = "find the speech of known voices by a detector of conf/sad"
    add("--sad", default="pyannote", metavar="choice", help=help_text)
    return parser.parse_args()


def _xvector_dir(folder: Path) -> Path:
    return Path(Manifest(folder, "cluster_ssl").settings["xvector_dir"])


def _speakers(folder: Path) -> dict[tuple[str, str], Speaker]:
    """Return the speakers of a system, by recording and speaker of the clustering."""
    check(folder / "labels", folder / "meta.json")
    segments, without, xvectors = read_xvector_dir(_xvector_dir(folder))
    labels = read_counts(folder / "labels", "sub-segment label")
    check_same_ids([*without, *(one for own in segments.values() for one in own)], labels, folder / "labels", "label")
    vectors = {side: xvectors.load([one.id for one in own]) for side, own in segments.items()}
    return mean_speakers(segments, labels, vectors, read_sides(xvectors.path.parent))


def _report(folder: Path, found: dict[tuple[str, str], SpeakerName]) -> None:
    """Log how many speakers have each name."""
    names = [one.name for one in found.values() if one.name is not None]
    counts = ", ".join(f"{name} ({names.count(name)})" for name in sorted(set(names))) or "none"
    _LOG.info("%s: %d of %d speakers have a name: %s", folder / FILE, len(names), len(found), counts)


if __name__ == "__main__":
    stage.run(main)
