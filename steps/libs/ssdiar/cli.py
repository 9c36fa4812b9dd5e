"""The command ``ssdiar``: a :class:`ssdiar.Diarizer` on audio files, with a progress bar, files and a table."""

from __future__ import annotations

import os

# Before anything imports NumPy: cores work on parts of a recording side by side, not within one part.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ssdiar.base import __version__, arguments
from ssdiar.base.errors import InputError
from ssdiar.base.publish import OwnFiles
from ssdiar.diarization import Diarizer, progress_bar
from ssdiar.io.names import recording_ids
from ssdiar.io.recordings import audio_below
from ssdiar.results.exports import FILE_NAMES, check_formats
from ssdiar.results.tables import as_text, talk_table

_LOG = logging.getLogger(__name__)
_SUFFIX = {form: Path(name).suffix for form, name in FILE_NAMES.items()}


def main() -> None:
    """Run the command; an error is one line on stderr, and the exit code is then 1."""
    arguments.run(_main, "ssdiar")


def _main() -> None:
    options = _parse()
    files = _recordings(options.audio)
    names = {reco: {form: reco + _SUFFIX[form] for form in options.format} for reco in files}
    results = OwnFiles(options.out)
    if options.stdout is None:
        results.check([name for own in names.values() for name in own.values()], options.overwrite)
        options.out.mkdir(parents=True, exist_ok=True)
    elif len(files) > 1 and options.stdout not in ("rttm", "json"):
        raise InputError(f"--stdout {options.stdout} takes one recording", expected="rttm or json", got=len(files))
    made = {name: getattr(options, name) for name in ("system", "sad", "xvector", "threads", "known")}
    diarizer = Diarizer(**made)
    given = {name: getattr(options, name) for name in ("num_spk", "channels", "turns", "seed")}
    shown = getattr(options, "verbose", 1) > 0
    entries = []
    for number, (reco, path) in enumerate(files.items(), 1):
        label = f"{number}/{len(files)} {path.name}" if len(files) > 1 else path.name
        try:
            with progress_bar(label, hidden=not (shown and sys.stderr.isatty())) as progress:
                result = diarizer(path, recording=reco, progress=progress, **given)
        except InputError as error:
            print(f"ssdiar: error: {error}", file=sys.stderr)
            continue
        entries.append(result.summary)
        if options.stdout is not None:
            print(result.to(options.stdout), end="", flush=True)
        else:
            for form, name in names[reco].items():
                results.write(name, result.to(form))
        for remark in result.remarks:
            _LOG.warning("%s: %s", path, remark)
    if entries and shown:
        print(as_text([talk_table(entries)]), end="", file=sys.stderr)
        if options.stdout is None:
            _LOG.info("results: %s", " ".join(f"{options.out}/*{_SUFFIX[form]}" for form in options.format))
    if len(entries) < len(files):
        sys.exit(1)


def _recordings(arguments: Iterable[Path]) -> dict[str, Path]:
    """Return files by recording id: a file's own name, or its name below the folder that was given.

    Raises:
        InputError: Two files have the same id, or a folder has no audio.
    """
    found: dict[str, Path] = {}
    for path in arguments:
        ids = recording_ids(audio_below(path), path) if path.is_dir() else recording_ids([path], path.parent)
        for reco, file in ids.items():
            if (other := found.setdefault(reco, file)) != file:
                hint = "Give the folder above both, or run ssdiar for each of them, with another --out."
                raise InputError(f"has the same name, {reco}, as {other}", path=file, hint=hint)
    return found


def _parse() -> argparse.Namespace:
    parser = arguments.Parser(
        prog="ssdiar",
        description="Find out who spoke when in recordings of conversations. Nothing leaves the machine.\n"
        "e.g.: ssdiar call.wav --format rttm,srt",
    )
    add, number = parser.add_argument, arguments.whole_number
    formats = ",".join(FILE_NAMES)
    text = "audio files (wav, flac, mp3, m4a ...), folders with such files, or - for audio from a pipe"
    add("audio", type=_path, nargs="+", help=text)
    add("--out", type=Path, default=Path("ssdiar"), metavar="DIR", help="folder of the results")
    add("--format", type=_formats, default=["rttm", "json"], help=f"some of {formats} (rttm,json)")
    text = "write this format to the standard output, and no files; of several recordings only rttm and json"
    add("--stdout", choices=tuple(FILE_NAMES), metavar="FORMAT", help=text)
    text = "true: replace files that ssdiar did not write, or that were changed since"
    add("--overwrite", type=arguments.boolean, default=False, help=text)
    add("--num-spk", type=_num_spk, metavar="N|A-B", help="number of speakers, or a range (1-8, by the system)")
    add(
        "--turns",
        choices=("closed", "tight"),
        help="closed: short pauses are part of a turn, as in references of telephone calls; tight: turns end where "
        "speech ends, for transcripts (closed, by the system)",
    )
    add("--channels", type=_channels, default="auto", help="auto, mix, parties (one per channel), or a number (auto)")
    add("--system", default="best", metavar="CHOICE", help="clustering, from conf/systems (best)")
    add("--sad", default="pyannote", metavar="CHOICE", help="speech detector, from conf/sad (pyannote)")
    add("--xvector", default="campplus", metavar="CHOICE", help="x-vector model, from conf/xvector (campplus)")
    add("--seed", type=number(0), default=0, help="seed of random numbers (0)")
    add("--threads", type=number(1), help="parts of a recording at a time (all cores)")
    text = "no progress and no table, only warnings and errors"
    add("--quiet", action="store_const", const=0, dest="verbose", default=argparse.SUPPRESS, help=text)
    add("--known", type=Path, metavar="DIR", help="name speakers by known voices: a recording, or a folder, per name")
    add("--version", action="version", version=f"ssdiar {__version__}")
    parser.epilog = (
        "A CHOICE is a name in that folder or a path, and may have changes: pyannote+gap=0.5, campplus+device=cuda.\n"
        "Recordings are done one after the other, each on all cores. A recording is named after its file, and in a\n"
        "folder after its folders, too. Exit status: 0, or 1 if a recording was left out; the others are done.\n"
        "For hundreds of recordings, the recipe's run.sh --audio DIR continues where it stopped, and uses a cluster."
    )
    return parser.parse_args()


def _path(text: str) -> Path:
    return Path("/dev/stdin" if text == "-" else text).absolute()


def _num_spk(text: str) -> int | str:
    if not re.fullmatch(r"[1-9]\d{0,8}(-[1-9]\d{0,8})?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 or a range such as 2-8, got {text}")
    return int(text) if text.isdigit() else text


def _channels(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() else text


def _formats(text: str) -> list[str]:
    names = text.replace(",", " ").split()
    try:
        check_formats(names, FILE_NAMES)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names
