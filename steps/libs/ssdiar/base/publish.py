"""Publishing files: a reader sees the whole new file or the whole old one, never a part.

Everything is written to a temporary file in the destination's own folder, flushed to disk, and renamed. A process that
is killed half-way leaves at most a ``.tmp`` file that nothing reads.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ssdiar.base.errors import InputError

_OWN = ".ssdiar.sha256"  # in a user's folder


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on a clean exit it becomes ``path``, on an exception it is removed.

    Raises:
        OSError: The folder cannot be written to, or the disk is full; ``path`` is then as it was.
    """
    path = Path(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on a clean exit it becomes ``path``, on an exception it is removed.

    Raises:
        OSError: The folder above cannot be written to, or the disk is full; ``path`` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as aside:
        new, old = Path(aside, "new"), Path(aside, "old")
        new.mkdir()
        yield new
        # A folder that holds something cannot be replaced by one rename, so the old one steps aside first.
        if path.exists():
            os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            if old.exists():
                os.rename(old, path)
            raise


class OwnFiles:
    """The files of a program in a user's folder; other files there, or changed ones, are not replaced unasked.

    ``.ssdiar.sha256`` has the digests of the files as they were written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._record = self.folder / _OWN
        self._known = set(self._record.read_bytes().splitlines()) if self._record.is_file() else set()

    def check(self, names: Iterable[str], overwrite: bool = False) -> None:
        """Raise InputError if :meth:`write` would replace a file that it did not write, unless ``overwrite``."""
        files = [path for name in names if (path := self.folder / name).exists()]
        others = [path for path in files if _line(path.name, path.read_bytes()) not in self._known]
        if others and not overwrite:
            more = f" (nor are {len(others) - 1} more)" if len(others) > 1 else ""
            what = f"exists and is not as this program wrote it{more}, so nothing is written"
            hint = "Choose another folder, or replace such files by --overwrite true."
            raise InputError(what, path=others[0], hint=hint)

    def write(self, name: str, text: str) -> None:
        """Write a file, and its digest."""
        line = _line(name, text.encode())
        if line not in self._known:
            with open(self._record, "ab") as stream:
                stream.write(line + b"\n")
            self._known.add(line)
        publish_text(self.folder / name, text)


def _line(name: str, data: bytes) -> bytes:
    """Return the line that sha256sum prints for a file."""
    return f"{hashlib.sha256(data).hexdigest()}  {name}".encode()


def publish_text(path: str | Path, text: str) -> bool:
    """Write ``text`` to ``path`` (UTF-8) unless it holds exactly that already; return whether it changed.

    An unchanged file keeps its modification time, so that a rerun of a stage does not make later stages look stale.
    """
    path, data = Path(path), text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    with publish(path) as temporary:
        temporary.write_bytes(data)
    return True
