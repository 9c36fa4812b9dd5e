"""What files were made of: noted by the stage that makes them, asked for by the stage that reads them.

``<folder>/.made/<stage>.json`` names the files that a stage made in a folder, with their checksums, and the files that
it made them of, as they were then. A reader asks :func:`check`, and so does not take for a result what is damaged, what
a run left half done, or what belongs to inputs that have changed since. A folder without notes (another toolkit's) is
taken as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text


def file_stamp(path: str | Path) -> list[object]:
    """Return what identifies the content of a large file without reading it: absolute path, size, modification time."""
    status = os.stat(path)
    return [str(Path(path).absolute()), status.st_size, status.st_mtime_ns]


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def marks(files: Iterable[str | Path] = (), large: Iterable[str | Path] = ()) -> dict[str, Any]:
    """Return what tells later whether input files are still the same, by absolute path; files not there are left out.

    Args:
        files: Tables and the like, told by their content.
        large: Audio and weights, told by size and modification time.
    """
    found = {str(Path(path).absolute()): file_digest(path) for path in files if Path(path).is_file()}
    return found | {str(Path(path).absolute()): file_stamp(path)[1:] for path in large if Path(path).is_file()}


def changed(inputs: Mapping[str, Any]) -> str | None:
    """Return the first of some inputs (as of :func:`marks`) that is not what it was; one that is gone is not asked."""
    for path, mark in inputs.items():
        try:
            now = file_digest(path) if isinstance(mark, str) else file_stamp(path)[1:]
        except FileNotFoundError:
            continue
        if now != mark:
            return path
    return None


def note(folder: str | Path, stage: str, outputs: Mapping[str, str | None], inputs: Mapping[str, Any]) -> None:
    """Note that ``stage`` has made ``outputs``.

    Args:
        folder: Where they are.
        stage: Name of the stage's script without ``.sh``; ``.<part>`` may follow, of what it makes one by one.
        outputs: Checksum by name relative to ``folder``; None for a file that people may edit.
        inputs: Of what, as of :func:`marks`.
    """
    _write(Path(folder), stage, {"finished": True, "outputs": dict(outputs), "inputs": dict(inputs)})


def note_begun(folder: str | Path, stage: str) -> None:
    """Note that ``stage`` is at work: until it is done, what it made earlier counts for nothing."""
    folder = Path(folder)
    before = _read(folder / ".made" / f"{stage}.json")
    _write(folder, stage, before | {"finished": False})


def check(folder: str | Path, *names: str) -> None:
    """See that files are what the stage made that noted them, and that nothing they were made of has changed since.

    What they were made of is asked in turn, back to the first noted file.

    Args:
        folder: Where they are.
        names: Relative to ``folder``. Files that no note names, and files that are not there, pass.

    Raises:
        InputError: A file is damaged, half done or out of date; it says which stage to run.
    """
    folder = Path(folder)
    there = [name for name in names if (folder / name).exists()]
    for path in sorted((folder / ".made").glob("*.json")):
        content = _read(path)
        mine = [name for name in there if name in content["outputs"]]
        if mine:
            _check_note(folder, mine, path, content)
            inputs = [Path(name) for name in content["inputs"]]
            for parent in sorted({name.parent for name in inputs}):
                check(parent, *(name.name for name in inputs if name.parent == parent))


def _check_note(folder: Path, names: list[str], note_file: Path, content: Mapping[str, Any]) -> None:
    script = f"{note_file.name.split('.')[0]}.sh"
    again = f"Run {script} again"
    if not content["finished"]:
        what = f"not complete: {script} was to make it anew and has not ended"
        raise InputError(what, path=folder / names[0], hint=f"{again}.")
    for name in names:
        checksum = content["outputs"][name]
        if checksum is not None and file_digest(folder / name) != checksum:
            hint = f"{again}; if you changed it on purpose, remove {note_file}."
            raise InputError(f"damaged: not what {script} wrote", path=folder / name, hint=hint)
    if source := changed(content["inputs"]):
        what = f"out of date: {source} has changed since {script} read it"
        raise InputError(what, path=folder / names[0], hint=f"{again}.")


def _write(folder: Path, stage: str, content: Mapping[str, Any]) -> None:
    (folder / ".made").mkdir(exist_ok=True)
    publish_text(folder / ".made" / f"{stage}.json", json.dumps(content) + "\n")


def _read(path: Path) -> dict[str, Any]:
    """Return a note; of a damaged one, that nothing is known."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content["outputs"], dict) and isinstance(content["inputs"], dict) and "finished" in content:
            return content
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return {"finished": True, "outputs": {}, "inputs": {}}
