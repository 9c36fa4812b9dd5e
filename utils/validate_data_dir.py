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
from collections.abc import Collection, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import check_id, read_counts, read_durations, read_lines, read_rows, read_segments

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
READERS = {"ref.rttm": read_rttm, "all.uem": read_uem, "overlap.segments": read_segments}
FOR_SOME = {  # files that need not name all recordings, with the field (from 0) of the recording
    **{"reco2channel": 0, "reco2parties": 0, "reco2offset": 0, "side2reco": 0},
    **{"ref.rttm": 1, "all.uem": 0, "overlap.segments": 1},
}
BAD_LINES = {  # as a line of a Kaldi table must not be
    r"\r": "carriage return",
    r"^[ \t]*\n": "empty line",
    r"^[ \t]": "line begins with a blank",
    r"[^\n]\Z": "last line is not complete",
}


def read_table(path: Path, columns: str) -> dict[str, str]:
    """Return the rest of each line by its id; InputError if a line is malformed, or ids are not sorted and unique."""
    rows, last = {}, ""
    for line, (key, *fields) in read_rows(path, columns, strict=True):
        if key < last:
            hint = "Sort it under LC_ALL=C."
            raise InputError(f"not sorted: {key} comes after {last}", path=path, line=line, hint=hint)
        if path.name == "wav.scp" and fields[0].startswith("~"):
            raise InputError("'~' is not expanded in wav.scp", path=path, line=line, expected="the whole path")
        rows[key] = " ".join(fields)
        last = key
    text = path.read_bytes().decode()
    for pattern, problem in BAD_LINES.items():
        if found := re.search(pattern, text, re.MULTILINE):
            raise InputError(problem, path=path, line=text.count("\n", 0, found.start()) + 1)
    if columns.endswith(" number"):
        read_counts(path, columns)
    if columns.endswith(" seconds"):
        for line, seconds in enumerate(read_durations(path).values(), 1):
            if seconds == 0 and path.name == "reco2dur":
                raise InputError("bad duration", path=path, line=line, expected="more than 0", got=0)
    return rows


def check_ids(wanted: Collection[str], name: str, got: Mapping[str, str], path: Path) -> None:
    """Raise InputError unless a table has exactly the ids of the file ``name``."""
    missing, extra = [key for key in wanted if key not in got], [key for key in got if key not in wanted]
    if missing or extra:
        counts = f"{len(missing)} missing, {len(extra)} too many, first {[*missing, *extra][0]}"
        line = list(got).index(extra[0]) + 1 if extra else None
        raise InputError(f"ids differ from those of {name}: {counts}", path=path, line=line)


def check_speakers(folder: Path, tables: Mapping[str, dict[str, str]]) -> list[str]:
    """Check utt2spk, spk2utt and segments, and return the recordings that they name; InputError if they disagree."""
    utt2spk, path, by_speaker, last = tables["utt2spk"], folder / "utt2spk", {}, ""
    for line, (utterance, speaker) in enumerate(utt2spk.items(), 1):
        if not utterance.startswith(check_id(speaker, path, line)):
            raise InputError(f"utterance {utterance} does not begin with its speaker", path=path, line=line)
        if speaker < last:  # Kaldi's programs rely on both orders
            raise InputError("sorted by utterance but not by speaker", path=path, line=line)
        last = speaker
        by_speaker.setdefault(speaker, []).append(utterance)
    check_ids(by_speaker, "utt2spk", tables["spk2utt"], folder / "spk2utt")
    for line, (speaker, utterances) in enumerate(tables["spk2utt"].items(), 1):
        if utterances.split() != by_speaker[speaker]:
            problem = f"utterances of {speaker} are not as in utt2spk"
            raise InputError(problem, path=folder / "spk2utt", line=line)
    if "segments" in tables:
        durations = {reco: float(seconds) for reco, seconds in tables.get("reco2dur", {}).items()}
        segments = read_segments(folder / "segments", tables.get("wav.scp"), durations)
        check_ids(utt2spk, "utt2spk", tables["segments"], folder / "segments")
        for line, segment in enumerate(segments, 1):
            if (speaker := utt2spk[segment.id]) != segment.reco:
                problem = f"speaker of {segment.id} is not the recording of its segment"
                raise InputError(problem, path=path, line=line, expected=segment.reco, got=speaker)
    return list(by_speaker)


def validate(folder: Path, needs_audio: bool) -> None:
    """Check a data directory.

    Raises:
        InputError: A file is missing, malformed or disagrees with another.
    """
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
    recordings = check_speakers(folder, tables) if has_speech else list(tables["wav.scp"])
    for name, other in (
        ("wav.scp", "segments" if "segments" in tables else "utt2spk"),
        ("reco2dur", source),
        ("reco2num_spk", source),
    ):
        if name in tables:
            check_ids(recordings, other, tables[name], folder / name)
    for name, field in FOR_SOME.items():
        path = folder / name
        if path.is_file():
            READERS.get(name, read_lines)(path)
            for line, text in read_lines(path):
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
