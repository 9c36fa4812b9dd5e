"""Recording ids from the names of files, and recordings from the names that references call them by.

An id consists of the file's folders below the folder of audio and its name, transliterated to ASCII. It does not depend
on other files, unless two would have the same id.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from ssdiar.base.errors import InputError

_MAX_LENGTH = 100


def legal_id(text: str) -> str:
    """Return ``text`` as an id: transliterated, with ``_`` for characters other than letters, digits and ``_.-``.

    An id never ends in ``.channel`` and a number, as the sides of a call do (:mod:`ssdiar.timeline.sides`).
    """
    from anyascii import anyascii

    plain = anyascii(unicodedata.normalize("NFC", text))
    legal = re.sub(r"^[.-]", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", plain)) or "_"
    legal = re.sub(r"\.(channel[0-9]+)$", r"_\1", legal)
    return legal if len(legal) <= _MAX_LENGTH else f"{legal[: _MAX_LENGTH - 9]}-{_digest(text)}"


def recording_ids(paths: Iterable[Path], root: Path) -> dict[str, Path]:
    """Return the files of a folder by recording id, in order of ids.

    Files that would have the same id get their extensions, and a digest of their names if that is not enough.

    Args:
        paths: The files, each once.
        root: The folder that they are in or below.
    """
    names = {path: path.relative_to(root) for path in paths}
    ids = {path: legal_id("-".join([*name.parts[:-1], name.stem])) for path, name in names.items()}
    for more in (lambda name: name.suffix[1:], lambda name: _digest(str(name))):
        count: dict[str, int] = {}
        for reco in ids.values():
            count[reco] = count.get(reco, 0) + 1
        ids = {path: f"{reco}-{legal_id(more(names[path]))}" if count[reco] > 1 else reco for path, reco in ids.items()}
    return {reco: path for path, reco in sorted(ids.items(), key=lambda item: item[1])}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


class Names:
    """The names of recordings: their ids, and the names of their files with or without extension and folders.

    Args:
        files: Entries of wav.scp by id; commands give no names.
        more: Ids of other recordings.
    """

    def __init__(self, files: Mapping[str, str | Path], more: Iterable[str] = ()) -> None:
        self._ids = {*files, *more}
        self._meant: dict[str, set[str]] = {}
        for reco, file in files.items():
            if not str(file).rstrip().endswith("|"):
                for name in _names_of(Path(file)):
                    self._meant.setdefault(name, set()).add(reco)

    def __contains__(self, name: str) -> bool:
        """Return whether some recording has the name."""
        plain = unicodedata.normalize("NFC", name)
        return any(one in known for known in (self._ids, self._meant) for one in (name, plain, legal_id(plain)))

    def find(self, name: str) -> str:
        """Return the id of the recording with a name, or the id that an unknown name would get.

        Raises:
            InputError: Several recordings have this name.
        """
        if name in self._ids:
            return name
        plain = unicodedata.normalize("NFC", name)
        meant = self._meant.get(plain) or self._meant.get(legal_id(plain)) or {legal_id(plain)}
        if len(meant) > 1:
            some = ", ".join(sorted(meant)[:3])
            raise InputError(f"{name} may mean {len(meant)} recordings", expected=f"one of {some}", got=name)
        return next(iter(meant))


def _names_of(path: Path) -> set[str]:
    """Return the names of a file: the last parts of its path, and its name as an id."""
    parts = unicodedata.normalize("NFC", str(path)).strip("/").split("/")
    stem = parts[-1][: len(parts[-1]) - len(path.suffix)] if path.suffix else parts[-1]
    names = {stem, parts[-1], legal_id(stem), re.sub(r"^[.-]", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", stem))}
    for first in range(len(parts) - 1):
        folder = "/".join(parts[first:-1])
        names |= {f"{folder}/{stem}", f"{folder}/{parts[-1]}", f"/{folder}/{parts[-1]}"}
    return names
