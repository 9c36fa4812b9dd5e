#!/usr/bin/env python3
"""Check a data directory, with the command line of Kaldi's validate_data_dir.sh.

Checks wav.scp, segments, utt2spk, spk2utt (a "speaker" is a recording), reco2dur, reco2num_spk, reco2channel,
reco2parties, reco2offset, side2reco, ref.rttm, all.uem and overlap.segments. Tables must be sorted and unique, ids must
agree, and segments must lie inside their recordings. A directory with segments that passes here also passes
Kaldi's own script with --no-feats --no-text. feats.scp and text are not checked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import check_id, parse_count, parse_float, read_lines, read_rows, read_segments

TABLES = {
    "wav.scp": "recording path-or-command...",
    "utt2spk": "utterance speaker",
    "spk2utt": "speaker utterances...",
    "segments": "utterance recording start end",
    "reco2dur": "recording seconds",
    "reco2num_spk": "recording number",
    "reco2channel": "recording number",
    "reco2parties": "recording channels...",
    "reco2offset": "recording seconds",
    "side2reco": "side recording",
}
# The field (from 0) of the recording in files that need not name all recordings, and the readers of those formats.
FOR_SOME = {"reco2channel": 0, "reco2parties": 0, "reco2offset": 0, "side2reco": 0}
FOR_SOME |= {"ref.rttm": 1, "all.uem": 0, "overlap.segments": 1}
READERS = {"ref.rttm": read_rttm, "all.uem": read_uem, "overlap.segments": read_segments}
BAD_TEXT = {
    r"\r": "carriage return",
    r"^[ \t]*\n": "empty line",
    r"^[ \t]": "line begins with a blank",
    r"[^\n]\Z": "last line is not complete",
    r"^\S+[ \t]+~": "'~' is not expanded in wav.scp",
}


def read_table(path: Path, columns: str) -> dict[str, str]:
    """Return the rest of each line by its id; InputError if a line is malformed, or ids are not sorted and unique."""
    rows, last = {}, ""
    for line, (key, *fields) in read_rows(path, columns, strict=True):
        if key < last:
            hint = "Sort it under LC_ALL=C."
            raise InputError(f"not sorted: {key} comes after {last}", path=path, line=line, hint=hint)
        if columns.endswith("seconds"):
            seconds = parse_float(fields[0], "seconds", path, line)
            if seconds == 0 and path.name == "reco2dur":
                raise InputError("bad seconds", path=path, line=line, expected="more than 0", got=0)
        if columns.endswith("number"):
            parse_count(fields[0], "number", path, line)
        rows[key], last = " ".join(" ".join(fields).split()), key
    text = path.read_bytes().decode()
    for pattern, problem in BAD_TEXT.items():
        if found := re.search(pattern, text, re.MULTILINE):
            raise InputError(problem, path=path, line=text.count("\n", 0, found.start()) + 1)
    return rows


def check_rows(wanted: Mapping[str, str | None], name: str, got: Mapping[str, str | None], path: Path) -> None:
    """Raise InputError unless a table has exactly the rows that it must have by the file ``name``."""
    missing, extra = [key for key in wanted if key not in got], [key for key in got if key not in wanted]
    if missing or extra:
        counts = f"{len(missing)} missing, {len(extra)} too many, first {[*missing, *extra][0]}"
        line = list(got).index(extra[0]) + 1 if extra else None
        raise InputError(f"ids differ from {name}: {counts}", path=path, line=line)
    for line, key in enumerate(got, 1):
        if got[key] != wanted[key]:
            raise InputError(f"row of {key} disagrees with {name}", path=path, line=line)


def check_speakers(folder: Path, tables: Mapping[str, dict[str, str]]) -> list[str]:
    """Check utt2spk, spk2utt and segments, and return the recordings that they name; InputError if they disagree."""
    path, by_speaker, last = folder / "utt2spk", {}, ""
    for line, (utterance, speaker) in enumerate(tables["utt2spk"].items(), 1):
        if not utterance.startswith(check_id(speaker, path, line)):
            raise InputError(f"utterance {utterance} does not begin with its speaker", path=path, line=line)
        if speaker < last:  # Kaldi's programs rely on both orders
            raise InputError("sorted by utterance but not by speaker", path=path, line=line)
        last = speaker
        by_speaker.setdefault(speaker, []).append(utterance)
    utterances = {speaker: " ".join(own) for speaker, own in by_speaker.items()}
    check_rows(utterances, "utt2spk", tables["spk2utt"], folder / "spk2utt")
    if "segments" in tables:
        durations = {reco: float(seconds) for reco, seconds in tables.get("reco2dur", {}).items()}
        segments = read_segments(folder / "segments", tables.get("wav.scp"), durations)
        check_rows(tables["utt2spk"], "utt2spk", {one.id: one.reco for one in segments}, folder / "segments")
    return list(by_speaker)


def validate(folder: Path, needs_audio: bool) -> None:
    """Check a data directory; InputError if a file is missing, malformed or disagrees with another."""
    if not folder.is_dir():
        raise InputError("no such directory", path=folder)
    has_speech = any((folder / name).exists() for name in ("utt2spk", "spk2utt", "segments"))
    for name in ("wav.scp",) * needs_audio + ("utt2spk", "spk2utt") * (has_speech or not needs_audio):
        if not (folder / name).is_file():
            raise InputError("no such file", path=folder / name, hint="Give --no-wav." if name == "wav.scp" else None)
    tables = {name: read_table(folder / name, TABLES[name]) for name in TABLES if (folder / name).is_file()}
    for name in ("wav.scp", "utt2spk", "segments"):
        if name in tables and not tables[name]:
            raise InputError("empty file", path=folder / name)
    source = "wav.scp" if "wav.scp" in tables else "utt2spk"
    recordings = dict.fromkeys(check_speakers(folder, tables) if has_speech else tables["wav.scp"])
    of_speech = "segments" if "segments" in tables else "utt2spk"
    for name, other in {"wav.scp": of_speech, "reco2dur": source, "reco2num_spk": source}.items():
        if name in tables:
            check_rows(recordings, other, dict.fromkeys(tables[name]), folder / name)
    for name, field in FOR_SOME.items():
        path = folder / name
        if path.is_file() and name in READERS:
            READERS[name](path)
        for line, text in read_lines(path) if path.is_file() else ():
            if not text.startswith(";;") and (reco := text.split()[field]) not in recordings:
                raise InputError("unknown recording", path=path, line=line, expected=f"one of {source}", got=reco)


def main() -> None:
    """Check the directory of the command line."""
    parser = stage.Parser(__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--no-feats", action="store_true", help="accepted for Kaldi's sake")
    parser.add_argument("--no-text", action="store_true", help="accepted for Kaldi's sake")
    parser.add_argument("--no-wav", action="store_true", help="accept a directory without wav.scp")
    parser.set_defaults(verbose=0)
    options = parser.parse_args()
    validate(options.data_dir, not options.no_wav)
    print(f"validate_data_dir.sh: Successfully validated data-directory {options.data_dir}")


if __name__ == "__main__":
    stage.run(main)
