"""Publishing files: a reader sees the whole new file or the whole old one, never a part.

Everything is written to a temporary file in the destination's own folder, flushed to disk, and renamed. A process that
is killed half-way leaves at most a ``.tmp`` file that nothing reads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
