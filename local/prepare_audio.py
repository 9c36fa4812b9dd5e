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

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.io.audio import AudioInfo, listen
from ssdiar.io.names import Names, recording_ids
from ssdiar.io.recordings import audio_below
from ssdiar.io.rttm import read_noscore, read_rttm, read_uem, write_rttm
from ssdiar.io.tables import check_id, read_counts, write_or_remove, write_table, write_tsv
from ssdiar.speech.channels import Levels, Use, use_of_channels
from ssdiar.timeline.spans import Turn

_LOG = logging.getLogger(__name__)
_SHOWN = 50  # lines of a list on the terminal
_REMEDY = "Copy it again from its source, or convert it to wav if a player plays it."
_HINTS = {
    "mixed": " (--channels parties or N: otherwise)",
    "one party per channel": " (--channels mix: all channels as one; --channels N: one of them)",
}


@dataclass(frozen=True)
class Decoded:
    """A file that was decoded to its end, and how its channels are used."""

    path: Path
    info: AudioInfo
    use: Use


@dataclass(frozen=True)
class LeftOut:
    """A file that cannot be used, with the reason and the remedy."""

    path: str
    reason: str
    remedy: str


def main() -> None:
    """Check all of the input, then write the data directory."""
    options = _parse()
    check_id(options.set, "--set")
    data_dir = options.data_root / options.set
    if (data_dir / "wav.scp").exists() and not (data_dir / "recordings.tsv").exists():
        hint = "Give another --set, or run the stages on this data directory: run.sh --set NAME --stage 2."
        raise InputError("was not made by this script, so it is not replaced", path=data_dir, hint=hint)
    paths, left_out = _usable_names(_find_audio(options.audio))
    root = options.audio.absolute() if options.audio.is_dir() else options.audio.absolute().parent
    files = recording_ids(paths, root)
    with ThreadPoolExecutor(options.nj) as pool:
        found = dict(zip(files, pool.map(lambda path: _decode(path, options.channels), files.values()), strict=True))
    audio = {reco: item for reco, item in found.items() if isinstance(item, Decoded)}
    left_out += [item for item in found.values() if isinstance(item, LeftOut)]
    left_out.sort(key=lambda file: file.path)
    _report_left_out(left_out, len(audio), options.bad_files)
    names = Names({reco: item.path for reco, item in audio.items()})
    turns = None if options.rttm is None else _read_reference(options.rttm, audio, names)
    uem = _scored_regions(options.uem, audio, turns, names)
    num_spk = _speaker_counts(options.num_spk_file, turns, audio, names)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError("is in the way of the data directory", path=data_dir, expected="a folder") from None
    write_or_remove(data_dir / "reco2num_spk", num_spk or {})
    if left_out:
        rows = ((file.path, file.reason, file.remedy) for file in left_out)
        write_tsv(data_dir / "left_out.tsv", ("file", "reason", "what to do"), rows)
    if turns is not None:
        noscore = {reco: own for reco, own in read_noscore(options.rttm, names).items() if reco in audio}
        write_rttm(data_dir / "ref.rttm", turns, noscore)
    if uem is not None:
        lines = [f"{reco} 1 {start:.3f} {end:.3f}\n" for reco in sorted(uem) for start, end in uem[reco]]
        publish_text(data_dir / "all.uem", "".join(lines))
    for name, is_made in (("left_out.tsv", left_out), ("ref.rttm", turns is not None), ("all.uem", uem is not None)):
        if not is_made:
            (data_dir / name).unlink(missing_ok=True)
    _write_recordings(data_dir, audio)
    _log_summary(data_dir, audio)


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
    help_text += " one party per channel; or only channel or audio track n, from 1. auto leaves out channels without a"
    help_text += " party (auto)"
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
    return audio_below(source.absolute())


def _usable_names(paths: list[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Return the files that wav.scp can name, and the others."""
    usable, left_out = [], []
    for path in paths:
        shown = str(path).encode(errors="replace").decode()
        if not path.is_file() and path.exists():
            left_out.append(LeftOut(shown, "is a pipe or a device; expected a file", "Copy its sound into a file."))
        elif shown != str(path) or "\n" in shown or "\r" in shown or path.name != path.name.strip():
            reason = "its name is not usable in wav.scp; expected one line of UTF-8 text without blanks at its ends"
            left_out.append(LeftOut(repr(shown)[1:-1], reason, "Rename it."))
        else:
            usable.append(path)
    return usable, left_out


def _decode(path: Path, channels: str | int) -> Decoded | LeftOut:
    levels = Levels()
    try:
        info = listen(path, levels.add)
    except InputError as error:
        reason = str(error).split("\n")[0].removeprefix(f"{path}: ")
        return LeftOut(str(path), reason, error.hint or _REMEDY)
    except OSError as error:
        return LeftOut(str(path), error.strerror or str(error), "Check that it can be read.")
    if isinstance(channels, int) and channels > info.channels:
        return LeftOut(str(path), f"no channel {channels}; expected 1 to {info.channels}", "Choose another --channels.")
    return Decoded(path, info, use_of_channels(levels, channels))


def _report_left_out(left_out: list[LeftOut], usable: int, bad_files: str) -> None:
    """Log the files that cannot be used; raise InputError if all are such, or none may be."""
    lines = [f"{file.path}: {file.reason}. {file.remedy}" for file in left_out]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    if lines and (bad_files == "stop" or not usable):
        what = f"{len(lines)} of {len(lines) + usable} files cannot be used: {lines[0]}"
        raise InputError(what, hint="\n".join(lines[1:_SHOWN] + more) or None)
    for line in lines[:_SHOWN] + more:
        _LOG.warning("left out: %s", line)


def _write_recordings(data_dir: Path, audio: Mapping[str, Decoded]) -> None:
    """Write the tables of recordings and channels; recordings.tsv shows them to people."""
    uses = {reco: item.use for reco, item in audio.items()}
    write_or_remove(data_dir / "reco2channel", {reco: use.channel for reco, use in uses.items() if use.channel})
    parties = {reco: " ".join(map(str, use.parties)) for reco, use in uses.items() if use.parties}
    write_or_remove(data_dir / "reco2parties", parties)
    rows = []
    for reco, item in audio.items():
        info, used = item.info, item.use.in_words(item.info.channels)
        remarks = "; ".join(filter(None, [*info.remarks, item.use.remark]))
        seconds, rate, channels = f"{info.duration:.2f}", str(info.rate), str(info.channels)
        rows.append((reco, str(item.path), seconds, rate, channels, info.coding, used, remarks))
    names = ("recording", "file", "seconds", "rate", "channels", "coding", "used", "remarks")
    write_tsv(data_dir / "recordings.tsv", names, rows)
    write_table(data_dir / "reco2dur", {reco: f"{item.info.duration:.4f}" for reco, item in audio.items()})
    for name in ("utt2spk", "spk2utt"):  # an utterance is a whole recording
        write_table(data_dir / name, {reco: reco for reco in audio})
    write_table(data_dir / "wav.scp", {reco: str(item.path) for reco, item in audio.items()})


def _log_summary(data_dir: Path, audio: Mapping[str, Decoded]) -> None:
    """Log the remarks on each recording, the totals, and how channels are used."""
    for item in audio.values():
        for remark in [*item.info.remarks, *([item.use.remark] if item.use.odd else [])]:
            _LOG.warning("%s: %s", item.path, remark)
    hours = sum(item.info.duration for item in audio.values()) / 3600
    rates = ", ".join(map(str, sorted({item.info.rate for item in audio.values()})))
    _LOG.info("%s: %d recordings, %.2f hours, sample rates %s", data_dir, len(audio), hours, rates)
    uses = Counter((item.info.channels, item.use.in_words(item.info.channels)) for item in audio.values())
    for (channels, used), count in sorted(uses.items()):
        many = "1 channel" if channels == 1 else f"{channels} channels"
        _LOG.info("%s: %d recordings of %s: %s%s", data_dir, count, many, used, _HINTS.get(used, ""))


def _read_reference(path: Path, audio: Mapping[str, Decoded], names: Names) -> list[Turn]:
    turns = read_rttm(path, names)
    _compare(path, {turn.reco for turn in turns}, audio)
    kept = [turn for turn in turns if turn.reco in audio]
    late = {turn.reco for turn in kept if turn.end > audio[turn.reco].info.duration + 0.05}
    if late:
        _LOG.warning("%s: turns end after the audio does in %s", path, _count(late))
    return kept


def _scored_regions(
    path: Path | None, audio: Mapping[str, Decoded], turns: list[Turn] | None, names: Names
) -> dict[str, list[tuple[float, float]]] | None:
    """Return the regions of a UEM file; without one, all of every recording that has a reference."""
    if path is None:
        return None if turns is None else {turn.reco: [(0.0, audio[turn.reco].info.duration)] for turn in turns}
    regions = read_uem(path, names)
    _compare(path, regions.keys(), audio)
    return {reco: parts for reco, parts in regions.items() if reco in audio}


def _speaker_counts(
    path: Path | None, turns: list[Turn] | None, audio: Mapping[str, Decoded], names: Names
) -> dict[str, int]:
    """Return the number of speakers in a file; without one, in the reference."""
    if path is None:
        return Counter(reco for reco, _ in {(turn.reco, turn.speaker) for turn in turns or ()})
    counts = read_counts(path, "recording number", names)
    _compare(path, counts.keys(), audio)
    return {reco: count for reco, count in counts.items() if reco in audio}


def _compare(path: Path, named: Set[str], audio: Mapping[str, Decoded]) -> None:
    """Warn of recordings that only the file or only the audio has; raise InputError if they share none."""
    unknown, missing = set(named) - audio.keys(), audio.keys() - set(named)
    if len(missing) == len(audio):
        got = f"for example {min(unknown)}" if unknown else "none"
        raise InputError("names none of the recordings", path=path, expected=f"names such as {min(audio)}", got=got)
    if unknown:
        _LOG.warning("%s: %s have no audio, left out", path, _count(unknown))
    if missing:
        shown = " ".join(sorted(missing)[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        _LOG.warning("%s: does not name %d recordings: %s", path, len(missing), shown)


def _count(recos: Set[str]) -> str:
    return f"{len(recos)} recordings (e.g. {min(recos)})"


if __name__ == "__main__":
    stage.run(main)
