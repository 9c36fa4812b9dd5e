"""The command ``ssdiar``: :func:`ssdiar.diarize` on audio files, with a progress bar, files and a table."""

from __future__ import annotations

import os

# Before anything imports NumPy: cores work on parts of a recording side by side, not within one part.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import re
import sys
from pathlib import Path

from ssdiar.base import __version__, arguments
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.diarization import Diarization, diarize
from ssdiar.io.names import recording_ids
from ssdiar.results.exports import FILE_NAMES, check_formats, csv_text
from ssdiar.results.tables import as_text, talk_table

# Options that diarize() has under the same name.
_DIARIZE = ("num_spk", "system", "sad", "xvector", "channels", "turns", "seed", "threads", "known")


def main() -> None:
    """Run the command; an error is one line on stderr, and the exit code is then 1."""
    arguments.run(_main, "ssdiar")


def _main() -> None:
    options = _parse()
    names = recording_ids(options.audio, Path(os.path.commonpath([path.parent for path in options.audio])))
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for number, (reco, path) in enumerate(names.items(), 1):
        label = f"{number}/{len(names)} {path.name}" if len(names) > 1 else path.name
        try:
            result = _diarize(path, reco, label, options)
        except InputError as error:
            print(f"ssdiar: error: {error}", file=sys.stderr)
            continue
        results.append(result)
        for name in options.format:
            if name != "csv":  # one file of all recordings
                publish_text(options.out / FILE_NAMES[name].format(reco=reco), result.to(name))
        for remark in result.remarks:
            print(f"ssdiar: WARNING: {path}: {remark}", file=sys.stderr)
    if "csv" in options.format and results:
        publish_text(options.out / FILE_NAMES["csv"], csv_text([turn for result in results for turn in result.turns]))
    if results:
        print(as_text([talk_table(result.summary for result in results)]), end="")
    if len(results) < len(names):
        sys.exit(1)


def _parse() -> argparse.Namespace:
    parser = arguments.Parser(
        prog="ssdiar",
        description="Find out who spoke when in recordings of conversations. Nothing leaves the machine.\n"
        "e.g.: ssdiar call.wav --out results --format rttm,srt",
    )
    add, number = parser.add_argument, arguments.whole_number
    formats = ",".join(FILE_NAMES)
    add("audio", type=_path, nargs="+", help="audio files (wav, flac, mp3, m4a ...); - or a pipe: audio from a program")
    add("--out", type=Path, default=Path(), metavar="DIR", help="folder of the results (the current one)")
    add("--format", type=_formats, default=["rttm", "json"], help=f"some of {formats} (rttm,json)")
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
    add("--known", type=Path, metavar="DIR", help="name speakers by known voices: a recording, or a folder, per name")
    add("--version", action="version", version=f"ssdiar {__version__}")
    parser.epilog = (
        "A CHOICE is a name in that folder or a path, and may have changes: pyannote+gap=0.5, campplus+device=cuda."
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


def _diarize(path: Path, reco: str, label: str, options: argparse.Namespace) -> Diarization:
    """Diarize one file, with a progress bar in seconds of audio if stderr is a terminal."""
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    quiet = not sys.stderr.isatty() or getattr(options, "verbose", 1) == 0
    with tqdm(desc=label, total=1, bar_format=form, leave=False, disable=quiet, file=sys.stderr) as bar:

        def progress(done: float, of: float) -> None:
            bar.total = of
            bar.update(done - bar.n)

        return diarize(path, progress=progress, recording=reco, **{name: getattr(options, name) for name in _DIARIZE})
