"""Sorts and filters the files of a data directory: the work of fix_data_dir.sh, whose usage text has the options."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from data_dir import (
    ABOUT_RECORDINGS,
    BY_RECORDING,
    BY_SOME_RECORDINGS,
    BY_SPEAKER,
    BY_UTTERANCE,
    check_sorted_by_speaker,
    recording_lines,
    stage,
)

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.io.tables import read_lines

Lines = dict[str, str]


def read_table(path: Path, fields: int | None = None) -> Lines:
    """Read a table as {id: line}, sorted by id; blank lines and repeated equal lines are left out.

    Raises:
        InputError: Two different lines have the same id, or a line has not ``fields`` fields.
    """
    first: dict[str, int] = {}
    lines: Lines = {}
    for number, text in read_lines(path):
        text = text.lstrip()
        key, count = text.split(None, 1)[0], len(text.split())
        if fields is not None and count != fields:
            raise InputError("wrong number of fields", path=path, line=number, expected=f"{fields}", got=f"{count}")
        if lines.setdefault(key, text).split() != text.split():
            raise InputError(
                f"{key} has another line already, line {first[key]}",
                path=path,
                line=number,
                hint="Remove one of the two: only you know which is right.",
            )
        first.setdefault(key, number)
    return {key: lines[key] for key in sorted(lines, key=str.encode)}


def is_positive(line: str) -> bool:
    """Return whether a line of utt2dur or utt2num_frames has two fields, the second a number above 0."""
    fields = line.split()
    try:
        return len(fields) == 2 and float(fields[1]) > 0
    except ValueError:
        return False


def read_directory(folder: Path, extra: list[str]) -> dict[str, Lines]:
    """Read all tables of ``folder`` but spk2utt, which follows from utt2spk.

    Raises:
        InputError: There is nothing to go by, or a table cannot be mended.
    """
    if not folder.is_dir():
        raise InputError("no such directory", path=folder)
    fields = {"utt2spk": 2, "segments": 4}
    tables = {
        name: read_table(folder / name, fields.get(name))
        for name in ["utt2spk", *BY_UTTERANCE, *BY_SPEAKER, *BY_RECORDING, *BY_SOME_RECORDINGS, *extra]
        if (folder / name).is_file()
    }
    for name in ("utt2dur", "utt2num_frames"):
        if name in tables:
            tables[name] = {key: line for key, line in tables[name].items() if is_positive(line)}
    if "segments" in tables:
        for name in ("utt2spk", "wav.scp"):
            if name not in tables:
                raise InputError("no such file, but there are segments", path=folder / name)
    elif "utt2spk" not in tables and "wav.scp" not in tables:
        raise InputError("neither utt2spk nor wav.scp is there", path=folder)
    return tables


def second_field(lines: Lines) -> dict[str, str]:
    """Return {id: second field} of a table."""
    return {key: line.split(None, 2)[1] for key, line in lines.items()}


def common(tables: dict[str, Lines], names: Iterable[str], first: set[str]) -> set[str]:
    """Return the ids of ``first`` that are in each of the tables ``names`` that are there."""
    return first.intersection(*(tables[name] for name in names if name in tables))


def common_ids(tables: dict[str, Lines]) -> tuple[set[str], set[str], set[str]]:
    """Return the utterances, speakers and recordings that all tables can agree on.

    An utterance needs its speaker and its recording, and a speaker and a recording an utterance, so this goes on until
    nothing more falls out.
    """
    if "utt2spk" not in tables:
        return set(), set(), common(tables, BY_RECORDING, set(tables["wav.scp"]))
    speaker_of = second_field(tables["utt2spk"])
    recording_of = second_field(tables["segments"]) if "segments" in tables else {key: key for key in speaker_of}
    utterances = common(tables, BY_UTTERANCE, set(speaker_of))
    while True:
        speakers = common(tables, BY_SPEAKER, {speaker_of[key] for key in utterances})
        recordings = common(tables, BY_RECORDING, {recording_of[key] for key in utterances})
        kept = {key for key in utterances if speaker_of[key] in speakers and recording_of[key] in recordings}
        if kept == utterances:
            return utterances, speakers, recordings
        utterances = kept


def fixed_files(folder: Path, utt_extra: list[str], spk_extra: list[str]) -> dict[str, str]:
    """Return the content that the files of ``folder`` should have.

    Raises:
        InputError: Nothing would remain, or the files cannot be mended.
    """
    tables = read_directory(folder, utt_extra + spk_extra)
    utterances, speakers, recordings = common_ids(tables)
    if not recordings:
        raise InputError("nothing that all files have in common would remain; not touched", path=folder)
    ids = dict.fromkeys([*BY_RECORDING, *BY_SOME_RECORDINGS], recordings)
    ids |= dict.fromkeys(["utt2spk", *BY_UTTERANCE, *utt_extra], utterances)
    ids |= dict.fromkeys([*BY_SPEAKER, *spk_extra], speakers)
    kept = {name: {key: line for key, line in lines.items() if key in ids[name]} for name, lines in tables.items()}
    files = {name: "".join(f"{line}\n" for line in lines.values()) for name, lines in kept.items()}
    if "utt2spk" in kept:
        check_sorted_by_speaker(folder / "utt2spk", enumerate(kept["utt2spk"].values(), 1))
        by_speaker: dict[str, list[str]] = {}
        for utterance, speaker in second_field(kept["utt2spk"]).items():
            by_speaker.setdefault(speaker, []).append(utterance)
        spk2utt = {key: f"{key} {' '.join(by_speaker[key])}" for key in sorted(by_speaker, key=str.encode)}
        files["spk2utt"] = "".join(f"{line}\n" for line in spk2utt.values())
    for name in ABOUT_RECORDINGS:
        if (folder / name).is_file():
            lines = recording_lines(folder / name)
            files[name] = "".join(f"{text}\n" for _, text, reco in lines if reco is None or reco in recordings)
    return files


def is_right(name: str, old: str, new: str) -> bool:
    """Return whether a file may stay as it is: its lines are right but for blanks that its readers pass over."""
    if name == "spk2utt":
        return old.endswith("\n") and [line.split() for line in old.splitlines()] == [
            line.split() for line in new.splitlines()
        ]
    if name in ABOUT_RECORDINGS:
        return [line for line in old.splitlines() if line.strip()] == new.splitlines()
    return old == new


def fix(folder: Path, utt_extra: list[str], spk_extra: list[str]) -> list[str]:
    """Mend the directory; return notes on what was done.

    Raises:
        InputError: It cannot be mended; nothing was touched.
    """
    notes = []
    for name, new in fixed_files(folder, utt_extra, spk_extra).items():
        path = folder / name
        old = path.read_bytes().decode() if path.is_file() else ""
        if is_right(name, old, new):
            continue
        if path.is_file():
            (folder / ".backup").mkdir(exist_ok=True)
            shutil.copy2(path, folder / ".backup" / name)
        publish_text(path, new)
        before, after = len(list(filter(str.strip, old.split("\n")))), new.count("\n")
        notes.append(f"{name}: " + (f"kept {after} of {before} lines" if after < before else "put in order"))
    notes.append(f"old files are kept in {folder}/.backup" if notes else f"nothing to fix in {folder}")
    return notes


def main() -> None:
    """Mend the directory that the command line names."""
    parser = stage.Parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utt-extra-files", default="")
    parser.add_argument("--spk-extra-files", default="")
    args = parser.parse_args()
    for note in fix(args.folder, args.utt_extra_files.split(), args.spk_extra_files.split()):
        print(f"fix_data_dir.sh: {note}")


if __name__ == "__main__":
    stage.run(main)
