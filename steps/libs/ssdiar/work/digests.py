"""Digests: checksums of the content of files and values."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

#: A file's digest, and its identity when it was read; without an identity it is read again next time.
FileDigest = tuple[str, list[int] | None]

_SETTLED = 2_000_000_000  # nanoseconds: more than a tick of the coarsest clock of a file system
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
    return identified_digest(path)[0]


def identified_digest(path: str | Path) -> FileDigest:
    """Return a file's digest and identity; a file whose identity is known is not read.

    The identity is size, modification time, change time and inode. Writing to a file changes its change time, replacing
    it its inode, even if size and modification time stay. A file that changed less than two seconds ago has no identity
    yet, because it may change again within one tick of the clock.
    """
    identity = _identity(os.stat(path))
    if found := _known.get((os.path.abspath(path), identity)):
        return found, list(identity)
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED
        while block := stream.read(1 << 20):
            content.update(block)
    result = content.hexdigest(), list(_identity(status)) if settled else None
    remember(path, result)
    return result


def remember(path: str | Path, known: FileDigest) -> None:
    """Keep a file's digest for as long as its identity is the same."""
    if known[1] is not None:
        _known[os.path.abspath(path), tuple(known[1])] = known[0]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
