#!/usr/bin/env python3
"""Make a data directory of a folder of audio; the Python side of prepare_audio.sh."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage
from ssdiar.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, AudioInfo, probe
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import Turn, read_rttm, read_uem, write_rttm
from ssdiar.io.tables import check_id, read_counts, read_lines, write_table

_LOG = logging.getLogger(__name__)
Table = TypeVar("Table")


def main() -> None:
    """Look at all the input first, then write the data directory."""
    options = _parse()
    check_id(options.set, "--set")
    files = _name_recordings(_find_audio(options.audio_dir))
    audio = _probe_all(files, options.channel)
    turns = None if options.rttm is None else _read_reference(options.rttm, audio)
    uem = _scored_regions(options.uem, audio, turns is not None)
    num_spk = _speaker_counts(options.num_spk_file, turns, audio)
    data_dir = options.data_root / options.set
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError("is in the way of the data directory", path=data_dir, expected="a folder") from None
    channels = None if options.channel is None else dict.fromkeys(audio, options.channel)
    _write_optional(data_dir / "reco2channel", channels)
    _write_optional(data_dir / "reco2num_spk", num_spk)
    if turns is None:
        (data_dir / "ref.rttm").unlink(missing_ok=True)
    else:
        write_rttm(data_dir / "ref.rttm", turns)
    if uem is None:
        (data_dir / "all.uem").unlink(missing_ok=True)
    else:
        lines = [f"{reco} 1 {start:.3f} {end:.3f}\n" for reco in sorted(uem) for start, end in uem[reco]]
        publish_text(data_dir / "all.uem", "".join(lines))
    write_table(data_dir / "reco2dur", {reco: f"{info.duration:.4f}" for reco, info in audio.items()})
    for name in ("utt2spk", "spk2utt"):  # an utterance is a whole recording
        write_table(data_dir / name, {reco: reco for reco in files})
    write_table(data_dir / "wav.scp", {reco: str(path) for reco, path in files.items()})
    hours = sum(info.duration for info in audio.values()) / 3600
    rates = ", ".join(str(rate) for rate in sorted({info.rate for info in audio.values()}))
    _LOG.info("%s: %d recordings, %.2f hours, sample rates %s", data_dir, len(audio), hours, rates)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--set", required=True)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--rttm", type=Path)
    parser.add_argument("--uem", type=Path)
    parser.add_argument("--num-spk-file", type=Path)
    parser.add_argument("--channel", type=stage.whole_number(1))
    parser.add_argument("audio_dir", type=Path)
    return parser.parse_args()


def _legal_id(text: str) -> str:
    """Return a recording id: ``text`` with every character replaced that an id must not have."""
    return re.sub(r"^[.-]", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", text))


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders (links too, each folder once), but no hidden ones."""
    seen = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not name.startswith("."))
        if real not in seen:
            yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        seen.add(real)


def _find_audio(audio_dir: Path) -> list[Path]:
    if not audio_dir.is_dir():
        problem = "is not a folder" if audio_dir.exists() else "no such folder"
        raise InputError(problem, path=audio_dir, expected="a folder of audio files")
    files = list(_files_below(audio_dir.absolute()))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise InputError("no audio files", path=audio_dir, expected=f"files named {kinds}", got=f"{len(files)} others")
    if len(files) > len(audio):
        _LOG.info("%s: %d files that are no audio by their names are left out", audio_dir, len(files) - len(audio))
    return audio


def _name_recordings(paths: list[Path]) -> dict[str, Path]:
    """Return the files by recording id, in order of ids."""
    files: dict[str, Path] = {}
    for path in paths:
        shown = str(path).encode(errors="replace").decode()
        if shown != str(path) or "\n" in shown or path.name != path.name.strip():
            raise InputError("file name is not usable in wav.scp", path=shown, expected="one line of UTF-8 text")
        reco = check_id(_legal_id(path.stem), path)
        if reco in files:
            raise InputError(
                f"two files for recording {reco}: {files[reco]} and {path}",
                path=path,
                expected="file names that differ in letters, digits or '_.-' before the extension",
            )
        files[reco] = path
    return dict(sorted(files.items()))


def _probe_all(files: Mapping[str, Path], channel: int | None) -> dict[str, AudioInfo]:
    """Return what the files' headers say; one error lists everything that is wrong with any of them."""
    audio, problems = {}, []
    for reco, path in files.items():
        try:
            audio[reco] = probe(path)
            if channel is not None and channel > audio[reco].channels:
                problems.append(f"{path}: no channel {channel}; expected 1 to {audio[reco].channels}")
        except InputError as error:
            problems.append(str(error).split("\n")[0])
    if problems:
        hidden = [f"and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise InputError(
            f"{len(problems)} of {len(files)} files cannot be used: {problems[0]}",
            hint="\n".join(problems[1:20] + hidden) or None,
        )
    return audio


def _read_with_legal_ids(read: Callable[[Path], Table], path: Path, field: int) -> Table:
    """Return what ``read`` makes of a text file whose recordings (column ``field`` from 0) may go by raw file names."""
    numbered = dict(read_lines(path))
    lines = [_with_legal_id(numbered.get(number, ""), field) for number in range(1, max(numbered, default=0) + 1)]
    with tempfile.TemporaryDirectory(prefix="ssdiar.") as folder:
        copy = Path(folder) / path.name
        copy.write_text("\n".join(lines))
        try:
            return read(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(path))) from None


def _with_legal_id(line: str, field: int) -> str:
    fields = line.split()
    if line.startswith(";;") or len(fields) <= field:
        return line
    fields[field] = _legal_id(fields[field])
    return " ".join(fields)


def _read_reference(path: Path, audio: Mapping[str, AudioInfo]) -> list[Turn]:
    turns = _read_with_legal_ids(read_rttm, path, 1)
    kept = [turn for turn in turns if turn.reco in audio]
    _report_difference(path, {turn.reco for turn in turns}, audio)
    late = {turn.reco for turn in kept if turn.end > audio[turn.reco].duration + 0.05}
    if late:
        _LOG.warning("WARNING: %s: turns end after the audio does in %s", path, _count(late, "recordings"))
    return kept


def _scored_regions(
    path: Path | None, audio: Mapping[str, AudioInfo], has_reference: bool
) -> dict[str, list[tuple[float, float]]] | None:
    if path is None:
        return {reco: [(0.0, info.duration)] for reco, info in audio.items()} if has_reference else None
    regions = _read_with_legal_ids(read_uem, path, 0)
    _report_difference(path, regions.keys(), audio)
    return {reco: parts for reco, parts in regions.items() if reco in audio}


def _speaker_counts(
    path: Path | None, turns: list[Turn] | None, audio: Mapping[str, AudioInfo]
) -> dict[str, int] | None:
    if path is not None:
        counts = _read_with_legal_ids(lambda copy: read_counts(copy, "recording number"), path, 0)
        _report_difference(path, counts.keys(), audio)
        return {reco: count for reco, count in counts.items() if reco in audio}
    if turns is None:
        return None
    speakers: dict[str, set[str]] = {}
    for turn in turns:
        speakers.setdefault(turn.reco, set()).add(turn.speaker)
    return {reco: len(names) for reco, names in speakers.items()}


def _report_difference(path: Path, named: Set[str], audio: Mapping[str, AudioInfo]) -> None:
    """Warn of recordings that only one side knows; raise InputError if there is none that both do."""
    strange, silent = set(named) - audio.keys(), audio.keys() - set(named)
    if len(silent) == len(audio):
        got = f"for example {min(strange)}" if strange else "none"
        raise InputError("names none of the recordings", path=path, expected=f"names such as {min(audio)}", got=got)
    if strange:
        _LOG.warning("WARNING: %s: %s have no audio, left out", path, _count(strange, "recordings"))
    if silent:
        _LOG.warning("WARNING: %s: says nothing of %s", path, _count(silent, "recordings"))


def _count(names: Set[str], what: str) -> str:
    return f"{len(names)} {what} (e.g. {min(names)})"


def _write_optional(path: Path, rows: Mapping[str, object] | None) -> None:
    if rows is None:
        path.unlink(missing_ok=True)
    else:
        write_table(path, rows)


if __name__ == "__main__":
    stage.run(main)
