#!/usr/bin/env python3
"""Put corrected turns in place of a system's own, or take them back.

Reads RTTM that the report page saved, or any other: a file, or a folder of them. A recording whose turns are the same
as in <system-dir>/rttm is left alone; a file without turns says that no one speaks in the recording that it is named
after. Writes <system-dir>/corrections/<recording>.rttm, and then rttm and result.json again as make_rttm.sh made them,
with the corrected turns. Words and exports follow, and scores and the report when run.sh runs again, which keeps the
corrections. With --drop, corrections are removed and the system's own turns come back.
e.g.: use_corrections.sh exp/calls/best calls.rttm
      use_corrections.sh --drop all exp/calls/best
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import stage

import make_rttm
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.rttm import read_rttm, rttm_text
from ssdiar.results import read_result
from ssdiar.results.corrections import correction_files, read_saved, with_corrections
from ssdiar.results.names import new_names, read_names
from ssdiar.results.tables import plural
from ssdiar.timeline.spans import grouped

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Check everything, change <system-dir>/corrections, and make rttm and result.json again."""
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("system_dir", type=Path)
    add("saved", metavar="rttm-or-dir", type=Path, nargs="?")
    add("--drop", metavar='all|"a b"', help="take back the corrections of all, or of these recordings")
    options = parser.parse_args()
    if (options.saved is None) == (options.drop is None):
        parser.error("expected either <rttm-or-dir> or --drop")
    folder = options.system_dir
    made = make_rttm.options_of(folder)
    lengths = {entry["recording"]: entry["duration"] for entry in read_result(folder / "result.json")["recordings"]}
    _check_unedited(folder, made.turns, lengths)
    files = correction_files(folder)
    if options.drop is not None:
        names = sorted(files) if options.drop == "all" else options.drop.split()
        if unknown := [reco for reco in names if reco not in files]:
            expected = f"all, or some of: {' '.join(files) or 'none'}"
            raise InputError("no corrections of this recording", path=folder, expected=expected, got=unknown[0])
        for reco in names:
            files[reco].unlink()
        done = "took back the corrections of"
    else:
        texts = {reco: rttm_text(turns) for reco, turns in read_saved(options.saved, lengths).items()}
        now = grouped(read_rttm(folder / "rttm"))
        names = sorted(reco for reco, text in texts.items() if text != rttm_text(now.get(reco, [])))
        (folder / "corrections").mkdir(exist_ok=True)
        for reco in names:
            publish_text(folder / "corrections" / f"{reco}.rttm", texts[reco])
        done = "took corrections of"
    make_rttm.make(made)
    more = "; run run.sh again as before for scores and report" if names else ""
    _LOG.info("%s: %s %s: %s%s", folder, done, plural(len(names), "recording"), " ".join(names) or "none differs", more)


def _check_unedited(folder: Path, kind: str, recordings: Collection[str]) -> None:
    """Raise InputError if the RTTM, with this kind of turns, was edited by hand, because it will be written again."""
    rttm, names = folder / "rttm", new_names(read_names(folder))
    made, _ = with_corrections(read_rttm(folder / f"rttm.{kind}"), folder, recordings, names)
    if rttm_text(made) != rttm_text(read_rttm(rttm)):
        hint = "Move it away, run make_rttm.sh again, and give it to use_corrections.sh as the corrected file."
        raise InputError("was edited by hand", path=rttm, hint=hint)


if __name__ == "__main__":
    stage.run(main)
