"""Corrections: the turns of recordings that a person has corrected, which stand in place of a system's own.

``<system>/corrections/<recording>.rttm`` has all turns of one recording; an empty file says that no one speaks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.timeline.spans import Turn, grouped
from ssdiar.timeline.turns import rename_speakers


def correction_files(system_dir: Path) -> dict[str, Path]:
    """Return the files with corrections of a system, by recording."""
    return {file.stem: file for file in sorted((system_dir / "corrections").glob("*.rttm"))}


def with_corrections(
    turns: Iterable[Turn], system_dir: Path, recordings: Container[str], names: Mapping[tuple[str, str], str]
) -> tuple[list[Turn], set[str]]:
    """Return a system's turns with the corrected ones in their place, and the corrected recordings.

    Args:
        turns: Turns of any recordings.
        system_dir: The folder of the system.
        recordings: Corrections of other recordings are ignored.
        names: New names by recording and speaker, for corrections.
    """
    files = {reco: file for reco, file in correction_files(system_dir).items() if reco in recordings}
    corrected = [turn for reco, file in files.items() for turn in read_rttm(file, lengths={reco: None})]
    kept = [turn for turn in turns if turn.reco not in files]
    return kept + rename_speakers(corrected, names), set(files)


def read_saved(path: Path, lengths: Mapping[str, float | None]) -> dict[str, list[Turn]]:
    """Return the turns by recording of an RTTM file, or of all in a folder (``*.rttm``).

    ``lengths`` are the seconds of the recordings that may occur, None if not known. A file without turns says that no
    one speaks in the recording that it is named after.

    Raises:
        InputError: There is no file; or one is malformed, has a turn of an unknown recording or after the recording's
            end, or is the second one of a recording.
    """
    files = sorted(path.glob("*.rttm")) if path.is_dir() else [path]
    if not files:
        raise InputError("no .rttm file", path=path, expected="files that the report page saved")
    saved: dict[str, list[Turn]] = {}
    sources: dict[str, Path] = {}
    for file in files:
        found = grouped(read_rttm(file, lengths=lengths))
        if not found:
            if file.stem not in lengths:
                expected = "turns, or an empty file named after a recording in which no one speaks"
                raise InputError("no SPEAKER line", path=file, expected=expected)
            found = {file.stem: []}
        if twice := found.keys() & sources.keys():
            what = f"a second correction of {min(twice)}, beside {sources[min(twice)].name}"
            raise InputError(what, path=file, expected="one for each recording")
        saved |= found
        sources |= dict.fromkeys(found, file)
    return saved
