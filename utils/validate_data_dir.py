"""Checks a data directory: the work of validate_data_dir.sh, whose usage text has the options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import check_id, parse_count, parse_float, read_rows, read_segments


@dataclass(frozen=True)
class Table:
    """A sorted table: per id its line number and its other fields."""

    path: Path
    line: dict[str, int]
    fields: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path, columns: str) -> Table:
        """Read and check the form of a table: complete lines, right number of fields, sorted unique ids.

        Raises:
            InputError: The form is not right.
        """
        check_form(path)
        table = cls(path, {}, {})
        last = ""
        for line, (key, *fields) in read_rows(path, columns, strict=True):
            if key < last:
                raise InputError(
                    f"not sorted: {key} comes after {last}",
                    path=path,
                    line=line,
                    hint="Sort it under LC_ALL=C, or run utils/fix_data_dir.sh.",
                )
            table.line[key], table.fields[key], last = line, fields, key
        return table


def check_form(path: Path) -> None:
    """Check that a text file has no incomplete last line, blank line, leading blanks or carriage returns.

    Raises:
        InputError: It has.
    """
    data = path.read_bytes()
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1] if data.endswith(b"\n") or not data else lines, 1):
        if number == len(lines):
            raise InputError("last line is not complete", path=path, line=number, expected="a newline at its end")
        if b"\r" in line:
            raise InputError("carriage return", path=path, line=number, expected="Unix line ends")
        if not line.strip():
            raise InputError("empty line", path=path, line=number)
        if line[:1].isspace():
            raise InputError("line begins with a blank", path=path, line=number, expected="an id")


def compare_ids(want: Table, got: Table) -> None:
    """Check that ``got`` has the ids of ``want``.

    Raises:
        InputError: It has not; the hint shows a few of the differing ids and the lengths of both files.
    """
    missing = [key for key in want.line if key not in got.line]
    extra = [key for key in got.line if key not in want.line]
    if not missing and not extra:
        return
    shown = [f"- {key} (not in {got.path.name})" for key in missing[:3]]
    shown += ["..."] if len(missing) > 3 else []
    shown += [f"+ {key} (not in {want.path.name})" for key in extra[:3]]
    shown += ["..."] if len(extra) > 3 else []
    shown.append(f"[Lengths are {want.path.name}={len(want.line)} versus {got.path.name}={len(got.line)}]")
    raise InputError(
        f"ids differ from those of {want.path.name}: {len(missing)} missing, {len(extra)} too many",
        path=got.path,
        line=got.line[extra[0]] if extra else None,
        hint="\n".join(shown),
    )


def _at_least_something(text: str, name: str, path: Path, line: int) -> None:
    if parse_float(text, name, path, line) == 0:
        raise InputError(f"bad {name}", path=path, line=line, expected="more than 0", got=text)


def _warp(text: str, name: str, path: Path, line: int) -> None:
    if not 0.5 < parse_float(text, name, path, line) < 1.5:
        raise InputError(f"bad {name}", path=path, line=line, expected="a factor between 0.5 and 1.5", got=text)


def _one_of(*allowed: str) -> Callable[[str, str, Path, int], None]:
    def check(text: str, name: str, path: Path, line: int) -> None:
        if text not in allowed:
            raise InputError(f"bad {name}", path=path, line=line, expected=" or ".join(allowed), got=text)

    return check


def _no_tilde(text: str, name: str, path: Path, line: int) -> None:
    if text.startswith("~"):
        raise InputError("'~' is not expanded in wav.scp", path=path, line=line, expected="the whole path", got=text)


# What the last column of a table may hold.
VALUE_CHECKS: dict[str, Callable[[str, str, Path, int], object]] = {
    "wav.scp": _no_tilde,
    "reco2dur": _at_least_something,
    "reco2num_spk": parse_count,
    "reco2channel": parse_count,
    "reco2offset": parse_float,
    "reco2file_and_channel": _one_of("A", "B", "1"),
    "utt2dur": _at_least_something,
    "utt2num_frames": parse_count,
    "utt2warp": _warp,
    "spk2warp": _warp,
    "spk2gender": _one_of("m", "f"),
}


def read_tables(folder: Path, no_text: bool, non_print: bool) -> dict[str, Table]:
    """Read the tables that ``folder`` has, each checked by itself.

    Raises:
        InputError: One of them is not right.
    """
    kinds = {"utt2spk": "utterance speaker", **BY_UTTERANCE, **BY_SPEAKER, **BY_RECORDING, **BY_SOME_RECORDINGS}
    tables = {}
    for name, columns in kinds.items():
        path = folder / name
        if not path.is_file() or (name == "text" and no_text):
            continue
        table = tables[name] = Table.read(path, columns)
        check = VALUE_CHECKS.get(name)
        if check is not None:
            for key, fields in table.fields.items():
                check(fields[-1], columns.split()[-1].rstrip("."), path, table.line[key])
    if "text" in tables:
        _check_text(tables["text"], non_print)
    return tables


def _check_text(text: Table, non_print: bool) -> None:
    for key, (words,) in text.fields.items():
        if not non_print and not all(char.isprintable() or char.isspace() for char in words):
            raise InputError("non-printing character (see --non-print)", path=text.path, line=text.line[key])
        for symbol in {"<s>", "</s>", "#0"}.intersection(words.split()):
            raise InputError(f"{symbol} is not allowed in text", path=text.path, line=text.line[key])


def check_speakers(utt2spk: Table, folder: Path) -> dict[str, list[str]]:
    """Check utt2spk (ids that begin with the speaker, order by speaker) and spk2utt against it.

    Returns:
        Utterances per speaker.

    Raises:
        InputError: Something is not right.
    """
    by_speaker: dict[str, list[str]] = {}
    for utterance, (speaker,) in utt2spk.fields.items():
        line = utt2spk.line[utterance]
        check_id(speaker, utt2spk.path, line)
        if not utterance.startswith(speaker):
            raise InputError(
                f"utterance {utterance} does not begin with its speaker (here: recording)",
                path=utt2spk.path,
                line=line,
                expected=f"{speaker}-...",
            )
        by_speaker.setdefault(speaker, []).append(utterance)
    check_sorted_by_speaker(utt2spk.path, enumerate(utt2spk.path.read_text(encoding="utf-8").splitlines(), 1))
    spk2utt = Table.read(folder / "spk2utt", "speaker utterances...")
    compare_ids(Table(utt2spk.path, dict.fromkeys(by_speaker, 1), {}), spk2utt)
    for speaker, (utterances,) in spk2utt.fields.items():
        if utterances.split() != by_speaker[speaker]:
            raise InputError(
                f"utterances of {speaker} differ from those of utt2spk",
                path=spk2utt.path,
                line=spk2utt.line[speaker],
                expected=f"{len(by_speaker[speaker])}, the first {by_speaker[speaker][0]}",
                got=f"{len(utterances.split())}, the first {utterances.split()[0]}",
            )
    return by_speaker


def check_segments(tables: dict[str, Table], allow_no_speech: bool) -> Iterable[str]:
    """Check segments against utt2spk, wav.scp and reco2dur; return the recordings of the directory.

    Raises:
        InputError: Something is not right.
    """
    segments, utt2spk, wav_scp = tables["segments"], tables["utt2spk"], tables.get("wav.scp")
    durations = (
        {key: float(fields[0]) for key, fields in tables["reco2dur"].fields.items()} if "reco2dur" in tables else {}
    )
    read_segments(segments.path, None if wav_scp is None else wav_scp.line, durations)
    compare_ids(utt2spk, segments)
    recordings: dict[str, int] = {}
    for key, (recording, _, _) in segments.fields.items():
        speaker = utt2spk.fields[key][0]
        if speaker != recording:
            raise InputError(
                f"speaker of {key} is not the recording of its segment (diarization directories name recordings there)",
                path=utt2spk.path,
                line=utt2spk.line[key],
                expected=recording,
                got=speaker,
            )
        recordings.setdefault(recording, segments.line[key])
    if wav_scp is None:
        return recordings
    if not allow_no_speech:
        compare_ids(Table(segments.path, recordings, {}), wav_scp)
    return wav_scp.line


def _unknown_recording(path: Path, line: int, reco: str) -> InputError:
    return InputError("unknown recording", path=path, line=line, expected="one of the recordings of wav.scp", got=reco)


def check_about_recordings(folder: Path, recordings: Iterable[str], durations: dict[str, float]) -> list[str]:
    """Check ref.rttm, all.uem and overlap.segments; return warnings.

    Raises:
        InputError: A line is malformed or is about an unknown recording.
    """
    known, warnings = set(recordings), []
    for name in ABOUT_RECORDINGS:
        path = folder / name
        if not path.is_file():
            continue
        if name == "overlap.segments":
            if path.read_bytes():
                read_segments(path, known, durations)
            continue
        regions = (
            [(turn.reco, turn.end) for turn in read_rttm(path)]
            if name == "ref.rttm"
            else [(reco, end) for reco, parts in read_uem(path).items() for _, end in parts]
        )
        for line, _, reco in recording_lines(path):
            if reco is not None and reco not in known:
                raise _unknown_recording(path, line, reco)
        missing = len(known - {reco for reco, _ in regions})
        if missing:
            warnings.append(f"{path}: {missing} of {len(known)} recordings are not in it")
        late = sum(end > durations.get(reco, math.inf) + 0.05 for reco, end in regions)
        if late:
            warnings.append(f"{path}: {late} of {len(regions)} regions end after their recording")
    return warnings


def check_presence(folder: Path, no_feats: bool, no_text: bool, no_wav: bool, allow_no_speech: bool) -> None:
    """Check that the files that must be there are there and not empty.

    Raises:
        InputError: They are not.
    """
    if not folder.is_dir():
        raise InputError("no such directory", path=folder)
    has_speakers = (folder / "utt2spk").is_file()
    need = [] if no_wav else ["wav.scp"]
    for names, waived in ((["feats.scp"], no_feats), (["text"], no_text)):
        need += [] if waived else names
    if has_speakers or (folder / "segments").exists() or (folder / "spk2utt").exists():
        need += ["utt2spk", "spk2utt"]
    for name in need:
        if not (folder / name).is_file():
            option = {"wav.scp": "--no-wav", "feats.scp": "--no-feats", "text": "--no-text"}.get(name)
            raise InputError(
                "no such file", path=folder / name, hint=option and f"If this is by design, specify {option}."
            )
    speech = {"utt2spk", "spk2utt", "segments"}
    for name in sorted(set(need) | ({"segments"} if (folder / "segments").is_file() else set())):
        if (folder / name).stat().st_size == 0 and not (allow_no_speech and name in speech):
            raise InputError("empty file", path=folder / name)


def validate(folder: Path, no_text: bool, non_print: bool, allow_no_speech: bool) -> list[str]:
    """Check what is in ``folder``, whose necessary files are there; return warnings.

    Raises:
        InputError: Something is not right.
    """
    tables = read_tables(folder, no_text, non_print)
    utt2spk = tables.get("utt2spk")
    if utt2spk is None:
        if not tables:
            raise InputError("nothing to check", path=folder, expected="wav.scp, or utt2spk and spk2utt")
        utterances = recordings = next(tables[name] for name in ("wav.scp", *tables) if name in tables)
        speakers = None
    else:
        by_speaker = check_speakers(utt2spk, folder)
        speakers = Table(folder / "spk2utt", dict.fromkeys(by_speaker, 1), {})
        utterances = utt2spk
        in_segments = check_segments(tables, allow_no_speech) if "segments" in tables else utt2spk.line
        source = tables.get("wav.scp", tables.get("segments", utt2spk))
        recordings = Table(source.path, dict.fromkeys(in_segments, 1), {})
    for names, want in ((BY_UTTERANCE, utterances), (BY_SPEAKER, speakers), (BY_RECORDING, recordings)):
        for name in names:
            if name in tables and want is not None:
                compare_ids(want, tables[name])
    for name in set(BY_SOME_RECORDINGS).intersection(tables):
        for reco, line in tables[name].line.items():
            if reco not in recordings.line:
                raise _unknown_recording(tables[name].path, line, reco)
    reco2dur = tables.get("reco2dur")
    durations = {} if reco2dur is None else {key: float(fields[0]) for key, fields in reco2dur.fields.items()}
    return check_about_recordings(folder, recordings.line, durations)


def main() -> None:
    """Check the directory that the command line names."""
    parser = stage.Parser(__doc__)
    parser.add_argument("folder", type=Path)
    for option in ("--no-feats", "--no-text", "--no-wav", "--non-print", "--allow-no-speech"):
        parser.add_argument(option, action="store_true")
    args = parser.parse_args()
    check_presence(args.folder, args.no_feats, args.no_text, args.no_wav, args.allow_no_speech)
    for warning in validate(args.folder, args.no_text, args.non_print, args.allow_no_speech):
        print(f"validate_data_dir.sh: WARNING {warning}")
    print(f"validate_data_dir.sh: Successfully validated data-directory {args.folder}")


if __name__ == "__main__":
    stage.run(main)
