"""Stage 8: write the report of an experiment set: one page that needs no network, and a table.

Reads <exp-set-dir>/*/{rttm,result.json,meta.json,score/*.json,history/*.json}. Writes into <out-dir>: index.html, with
the scores of all systems, recordings worst first, and for each recording a player, timelines with errors marked and
talk time; table.md, also printed, with a row per system for each protocol. Without a reference, both lead with the
speakers of each recording, the least certain first. Speakers and turns can be corrected in the page and saved. Audio is
copied as MP3 into <out-dir>/audio, so that the folder can be moved.
e.g.: make_report.sh --data-dir data/mini exp/mini exp/mini/report
"""

from __future__ import annotations

import argparse
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import stage

from ssdiar.base.publish import publish_text
from ssdiar.io.recordings import audio_files
from ssdiar.io.tables import read_tsv
from ssdiar.report import page
from ssdiar.report.recordings import ReportRecording, read_recordings
from ssdiar.report.sound import WAYS, page_audio, peaks
from ssdiar.report.systems import ReportSystem, read_systems
from ssdiar.report.table import report_tables
from ssdiar.results.tables import as_markdown, as_text
from ssdiar.work import Manifest, check

_LOG = logging.getLogger(__name__)
# Inputs of the page in the folder of a system and in a data directory.
_SYSTEM_FILES = ("rttm", "result.json", "meta.json", "score/*.json", "history/*.json")
_ORIGINS = ("recordings.tsv", "left_out.tsv")  # by prepare_audio.sh
_DATA_FILES = ("wav.scp", "reco2dur", "reco2channel", "reco2parties", "ref.rttm", "all.uem", *_ORIGINS)
_CODE = ("*.py", "templates/*")


def main() -> None:
    """Write the page and table.md; the aligned table goes to stdout, everything else to the log."""
    options = _parse()
    systems = read_systems(options.exp_set_dir, options.systems.split())
    for system in systems:
        if system.outdated:
            names = " ".join(sorted(system.outdated))
            _LOG.warning(
                "%s has a newer rttm, reference or UEM than its scores: %s; run score_der.sh",
                system.folder,
                names,
            )
    name = options.exp_set_dir.resolve().name
    recordings = read_recordings(systems, options.data_dir, options.allow_commands)
    tables = report_tables(systems, recordings)
    settings = {
        "place": str(options.out_dir.absolute()) if options.audio == "link" else None,
        "systems": {system.name: sorted(system.outdated) for system in systems},
        "audio": options.audio,
    }
    work, file = Manifest(options.out_dir, "make_report"), options.out_dir / "index.html"
    inputs = check(*_inputs(options, systems, recordings))
    if work.is_current(inputs, settings):
        _LOG.info("%s is there and up to date", file)
    else:
        media = _media(options, recordings)
        listed = {table: read_tsv(options.data_dir / table) if options.data_dir else [] for table in _ORIGINS}
        origins = {row["recording"]: row for row in listed["recordings.tsv"]}
        text = page.render(name, systems, recordings, media, origins, listed["left_out.tsv"])
        work.plan(inputs, settings)
        copies = [unquote(one.url) for one in media.values() if one.url.startswith("audio/")]
        with work.finish(file.name, "table.md", *copies):
            publish_text(file, text)
            publish_text(options.out_dir / "table.md", as_markdown(tables, f"Results of {name}"))
        _LOG.info("wrote %s (%.1f MB)", file, len(text.encode()) / 1e6)
    if _LOG.isEnabledFor(logging.INFO):
        print(as_text(tables), end="")


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("exp_set_dir", type=Path)
    add("out_dir", type=Path)
    add("--systems", default="", metavar="names", help="show these systems, in this order (all with an rttm, by name)")
    help_text = "read wav.scp, reco2dur, ref.rttm and all.uem there; without it, no player and no reference"
    add("--data-dir", type=Path, metavar="dir", help=help_text)
    help_text = "copy audio as MP3 beside the page, link the original files, or embed MP3 in the page"
    add("--audio", choices=WAYS, default="copy", help=help_text)
    add("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp, entries that end in |")
    add("--nj", type=stage.whole_number(1), default=1, help="copy the audio of this many recordings at a time")
    return parser.parse_args()


def _media(options: argparse.Namespace, recordings: list[ReportRecording]) -> dict[str, page.Media]:
    """Return the sound of each recording that has any, and make the copies that the page plays."""

    def medium(reco: ReportRecording) -> page.Media:
        sound = reco.audio.read(warn=False)  # stages 1 and 2 have warned
        return page.Media(page_audio(reco.id, reco.audio, sound, options.out_dir, options.audio), peaks(*sound))

    heard = [reco for reco in recordings if reco.audio is not None]
    with ThreadPoolExecutor(options.nj) as pool:  # of a stage's time most goes into MP3
        return dict(zip([reco.id for reco in heard], pool.map(medium, heard), strict=True))


def _inputs(
    options: argparse.Namespace, systems: list[ReportSystem], recordings: list[ReportRecording]
) -> list[Path | str]:
    """Return the files that the page is made of: systems, but for scores that are not shown, data, audio and code."""
    files = [path for system in systems for pattern in _SYSTEM_FILES for path in system.folder.glob(pattern)]
    hidden = {system.folder / "score" / f"{name}.json" for system in systems for name in system.outdated}
    if options.data_dir is not None:
        files += [options.data_dir / name for name in _DATA_FILES]
    files += [path for pattern in _CODE for path in Path(page.__file__).parent.glob(pattern)]
    audio = audio_files({reco.id: reco.audio for reco in recordings if reco.audio is not None})
    return [path for path in files if path not in hidden] + audio


if __name__ == "__main__":
    stage.run(main)
