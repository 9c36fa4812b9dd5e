"""Digests: what a file or a value is, told by its content and by nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

#: A file's digest, and its identity when it was read; without an identity it is read again next time.
Mark = list  # [str, list[int] | None], as JSON has it

_SETTLED = 2_000_000_000  # nanoseconds: more than the coarsest clock of a file system
_known: dict[tuple[str, tuple[int, ...]], str] = {}


def digest(*parts: object) -> str:
    """Return the digest of values: bytes as they are, anything else as JSON with sorted keys."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:32]


def file_digest(path: str | Path) -> str:
    """Return the digest of a file's content: its sha256, in hexadecimal."""
    return mark(path)[0]


def mark(path: str | Path) -> Mark:
    """Return a file's digest and identity; a file whose identity is known is not read.

    The identity is size, modification time, change time and inode. A file that is written to gets another change time,
    one that is replaced another inode too, whatever its size and modification time, so neither passes for the old one.
    A file that changed less than two seconds ago may change again within one tick of the clock: it has no identity yet.
    """
    identity = _identity(os.stat(path))
    if found := _known.get((os.path.abspath(path), identity)):
        return [found, list(identity)]
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED
        while block := stream.read(1 << 20):
            content.update(block)
    result: Mark = [content.hexdigest(), list(_identity(status)) if settled else None]
    remember(path, result)
    return result


def remember(path: str | Path, known: Mark) -> None:
    """Take a digest from an earlier :func:`mark`: the file is not read as long as its identity is the same."""
    if known[1] is not None:
        _known[os.path.abspath(path), tuple(known[1])] = known[0]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
