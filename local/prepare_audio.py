#!/usr/bin/env python3
"""Stage 1 for any folder of audio, or one file: make its data directory.

Reads each audio file in the folder and below it (wav, flac, mp3, ogg, sph ...; docs/audio.md) to its end. Writes
<data-root>/<set>/{wav.scp,utt2spk,spk2utt,reco2dur}, recordings.tsv (file, length, channels and remarks of each
recording), and if they apply reco2channel and reco2parties (which channels are used), left_out.tsv (files that cannot
be used, and why), ref.rttm, reco2num_spk and all.uem. A recording is named after its folders below <audio> and its
file, transliterated; reference, UEM and counts may use that name or the file's. Exit code 0 if the data directory is
made, even without files that cannot be used; 1 if none can be used.
e.g.: prepare_audio.sh --set calls --rttm calls.rttm ~/calls
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage
from ssdiar.data import files_below
from ssdiar.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, AudioInfo, probe
from ssdiar.io.names import Names, recording_ids
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import read_rttm, read_uem, write_rttm
from ssdiar.io.tables import check_id, read_counts, write_or_remove, write_table, write_tsv
from ssdiar.speech.channels import Levels, Use, use_of_channels
from ssdiar.timeline.spans import Turn

_LOG = logging.getLogger(__name__)
_SHOWN = 50  # lines of a list on the terminal
_MEND = "Copy it again from where it is from, or convert it to wav if a player plays it."


@dataclass(frozen=True)
class Listened:
    """A file that was read to its end: what it is, and what is done with its channels."""

    path: Path
    info: AudioInfo
    use: Use


@dataclass(frozen=True)
class LeftOut:
    """A file that cannot be used: why, and what to do about it."""

    path: str
    reason: str
    what_to_do: str


def main() -> None:
    """Look at all the input first, then write the data directory."""
    options = _parse()
    check_id(options.set, "--set")
    paths, left_out = _usable_names(_find_audio(options.audio))
    root = options.audio.absolute() if options.audio.is_dir() else options.audio.absolute().parent
    audio, unusable = _listen_to_all(recording_ids(paths, root), options.channels, options.nj)
    left_out = sorted([*left_out, *unusable], key=lambda file: file.path)
    _stop_or_go_on(left_out, len(audio), options.bad_files)
    names = Names({reco: found.path for reco, found in audio.items()})
    turns = None if options.rttm is None else _read_reference(options.rttm, audio, names)
    uem = _scored_regions(options.uem, audio, turns, names)
    num_spk = _speaker_counts(options.num_spk_file, turns, audio, names)
    data_dir = options.data_root / options.set
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError("is in the way of the data directory", path=data_dir, expected="a folder") from None
    _write_left_out(data_dir / "left_out.tsv", left_out)
    write_or_remove(data_dir / "reco2num_spk", num_spk or {})
    _write_channels(data_dir, audio)
    if turns is None:
        (data_dir / "ref.rttm").unlink(missing_ok=True)
    else:
        write_rttm(data_dir / "ref.rttm", turns)
    if uem is None:
        (data_dir / "all.uem").unlink(missing_ok=True)
    else:
        lines = [f"{reco} 1 {start:.3f} {end:.3f}\n" for reco in sorted(uem) for start, end in uem[reco]]
        publish_text(data_dir / "all.uem", "".join(lines))
    write_table(data_dir / "reco2dur", {reco: f"{found.info.duration:.4f}" for reco, found in audio.items()})
    for name in ("utt2spk", "spk2utt"):  # an utterance is a whole recording
        write_table(data_dir / name, {reco: reco for reco in audio})
    write_table(data_dir / "wav.scp", {reco: str(found.path) for reco, found in audio.items()})
    _tell(data_dir, audio)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("audio", type=Path)
    add("--set", required=True, metavar="name", help="name the data directory")
    add("--data-root", type=Path, default=Path("data"), metavar="dir", help="make it in this folder")
    help_text = "write this reference as ref.rttm, and count its speakers into reco2num_spk"
    add("--rttm", type=Path, metavar="file", help=help_text)
    help_text = "write these scored regions as all.uem (whole recordings, with a reference)"
    add("--uem", type=Path, metavar="file", help=help_text)
    help_text = "read lines <recording> <number of speakers> for reco2num_spk, instead of the reference"
    add("--num-spk-file", type=Path, metavar="file", help=help_text)
    help_text = (
        "use one party per channel if channels hardly share speech, else their mix (auto); always the mix; always"
    )
    help_text += " one party per channel; or only channel n, from 1. auto leaves out channels without a party (auto)"
    add("--channels", type=_channels, default="auto", metavar="auto|mix|parties|n", help=help_text)
    help_text = "skip files that cannot be used and list them, or stop before anything is written"
    add("--bad-files", choices=("skip", "stop"), default="skip", help=help_text)
    add("--nj", type=stage.whole_number(1), default=1, help="read this many files at a time")
    return parser.parse_args()


def _channels(text: str) -> str | int:
    if text in ("auto", "mix", "parties"):
        return text
    try:
        return stage.whole_number(1)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected auto, mix, parties or a whole number from 1, got {text}") from None


def _find_audio(source: Path) -> list[Path]:
    if source.is_file():
        return [source.absolute()]
    if not source.is_dir():
        raise InputError("no such folder or file", path=source, expected="a folder of audio files, or one of them")
    files = list(files_below(source.absolute()))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise InputError("no audio files", path=source, expected=f"files named {kinds}", got=f"{len(files)} others")
    if len(files) > len(audio):
        _LOG.info("%s: %d files that are no audio by their names are left out", source, len(files) - len(audio))
    return audio


def _usable_names(paths: list[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Return the files that wav.scp can name, and the others."""
    usable, left_out = [], []
    for path in paths:
        shown = str(path).encode(errors="replace").decode()
        if shown != str(path) or "\n" in shown or "\r" in shown or path.name != path.name.strip():
            reason = "its name is not usable in wav.scp; expected one line of UTF-8 text without blanks at its ends"
            left_out.append(LeftOut(repr(shown)[1:-1], reason, "Rename it."))
        else:
            usable.append(path)
    return usable, left_out


def _listen_to_all(
    files: Mapping[str, Path], channels: str | int, jobs: int
) -> tuple[dict[str, Listened], list[LeftOut]]:
    """Return what was found in every file that can be used, by recording, and the others."""
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda path: _listen_to(path, channels), files.values()))
    audio = {reco: item for reco, item in zip(files, found, strict=True) if isinstance(item, Listened)}
    return audio, [item for item in found if isinstance(item, LeftOut)]


def _listen_to(path: Path, channels: str | int) -> Listened | LeftOut:
    levels = Levels()
    try:
        info = probe(path, levels.add)
    except InputError as error:
        reason = str(error).split("\n")[0].removeprefix(f"{path}: ")
        return LeftOut(str(path), reason, error.hint or _MEND)
    except OSError as error:
        return LeftOut(str(path), error.strerror or str(error), "See that it can be read.")
    if isinstance(channels, int) and channels > info.channels:
        return LeftOut(str(path), f"no channel {channels}; expected 1 to {info.channels}", "Choose another --channels.")
    return Listened(path, info, use_of_channels(levels, channels))


def _stop_or_go_on(left_out: list[LeftOut], usable: int, bad_files: str) -> None:
    """Tell of the files that cannot be used; raise InputError if that is all or not to be passed over."""
    if not left_out:
        return
    lines = [f"{file.path}: {file.reason}. {file.what_to_do}" for file in left_out]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    if bad_files == "stop" or not usable:
        what = f"{len(lines)} of {len(lines) + usable} files cannot be used: {lines[0]}"
        raise InputError(what, hint="\n".join(lines[1:_SHOWN] + more) or None)
    for line in lines[:_SHOWN] + more:
        _LOG.warning("WARNING: left out: %s", line)


def _write_left_out(path: Path, left_out: list[LeftOut]) -> None:
    if not left_out:
        path.unlink(missing_ok=True)
        return
    rows = ((file.path, file.reason, file.what_to_do) for file in left_out)
    write_tsv(path, ("file", "reason", "what to do"), rows)


def _write_channels(data_dir: Path, audio: Mapping[str, Listened]) -> None:
    """Write which channel counts, which are parties, and recordings.tsv, which tells it all to people."""
    single = {reco: found.use.channel for reco, found in audio.items() if found.use.channel is not None}
    write_or_remove(data_dir / "reco2channel", single)
    parties = {reco: " ".join(map(str, found.use.parties)) for reco, found in audio.items() if found.use.parties}
    write_or_remove(data_dir / "reco2parties", parties)
    rows = []
    for reco, found in audio.items():
        info, remarks = found.info, [*found.info.remarks, *([found.use.remark] if found.use.remark else [])]
        numbers = (f"{info.duration:.2f}", str(info.rate), str(info.channels))
        rows.append(
            (reco, str(found.path), *numbers, info.coding, found.use.in_words(found.info.channels), "; ".join(remarks))
        )
    names = ("recording", "file", "seconds", "rate", "channels", "coding", "used", "remarks")
    write_tsv(data_dir / "recordings.tsv", names, rows)


def _tell(data_dir: Path, audio: Mapping[str, Listened]) -> None:
    """Log what there is, how its channels are used, and what is odd about each recording."""
    for found in audio.values():
        odd = [found.use.remark] if found.use.odd else []
        for remark in [*found.info.remarks, *odd]:
            _LOG.warning("WARNING: %s: %s", found.path, remark)
    hours = sum(found.info.duration for found in audio.values()) / 3600
    rates = ", ".join(str(rate) for rate in sorted({found.info.rate for found in audio.values()}))
    _LOG.info("%s: %d recordings, %.2f hours, sample rates %s", data_dir, len(audio), hours, rates)
    done = Counter((found.info.channels, found.use.in_words(found.info.channels)) for found in audio.values())
    change = {
        "mixed": "--channels parties or N: otherwise",
        "one party per channel": "--channels mix: all channels as one; --channels N: one of them",
    }
    for (channels, what), count in sorted(done.items()):
        hint = f" ({change[what]})" if what in change else ""
        many = "1 channel" if channels == 1 else f"{channels} channels"
        _LOG.info("%s: %d recordings of %s: %s%s", data_dir, count, many, what, hint)


def _read_reference(path: Path, audio: Mapping[str, Listened], names: Names) -> list[Turn]:
    turns = read_rttm(path, names)
    kept = [turn for turn in turns if turn.reco in audio]
    _report_difference(path, {turn.reco for turn in turns}, audio)
    late = {turn.reco for turn in kept if turn.end > audio[turn.reco].info.duration + 0.05}
    if late:
        _LOG.warning("WARNING: %s: turns end after the audio does in %s", path, _count(late, "recordings"))
    return kept


def _scored_regions(
    path: Path | None, audio: Mapping[str, Listened], turns: list[Turn] | None, names: Names
) -> dict[str, list[tuple[float, float]]] | None:
    """Return the scored regions: those of a file, or all of every recording that has a reference."""
    if path is None:
        if turns is None:
            return None
        return {reco: [(0.0, audio[reco].info.duration)] for reco in sorted({turn.reco for turn in turns})}
    regions = read_uem(path, names)
    _report_difference(path, regions.keys(), audio)
    return {reco: parts for reco, parts in regions.items() if reco in audio}


def _speaker_counts(
    path: Path | None, turns: list[Turn] | None, audio: Mapping[str, Listened], names: Names
) -> dict[str, int] | None:
    if path is not None:
        counts = read_counts(path, "recording number", names)
        _report_difference(path, counts.keys(), audio)
        return {reco: count for reco, count in counts.items() if reco in audio}
    if turns is None:
        return None
    speakers: dict[str, set[str]] = {}
    for turn in turns:
        speakers.setdefault(turn.reco, set()).add(turn.speaker)
    return {reco: len(names) for reco, names in speakers.items()}


def _report_difference(path: Path, named: Set[str], audio: Mapping[str, Listened]) -> None:
    """Warn of recordings that only one side knows; raise InputError if there is none that both do."""
    strange, silent = set(named) - audio.keys(), audio.keys() - set(named)
    if len(silent) == len(audio):
        got = f"for example {min(strange)}" if strange else "none"
        raise InputError("names none of the recordings", path=path, expected=f"names such as {min(audio)}", got=got)
    if strange:
        _LOG.warning("WARNING: %s: %s have no audio, left out", path, _count(strange, "recordings"))
    if silent:
        shown = " ".join(sorted(silent)[:_SHOWN]) + (" ..." if len(silent) > _SHOWN else "")
        _LOG.warning("WARNING: %s: says nothing of %d recordings: %s", path, len(silent), shown)


def _count(names: Set[str], what: str) -> str:
    return f"{len(names)} {what} (e.g. {min(names)})"


if __name__ == "__main__":
    stage.run(main)
