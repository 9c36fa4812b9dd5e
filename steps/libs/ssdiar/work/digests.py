"""Digests: checksums of the content of files and values."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

_SETTLED = 2_000_000_000  # nanoseconds: more than a tick of the coarsest clock of a file system
_known: dict[tuple[str, tuple[int, ...]], str] = {}  # absolute path and identity -> digest


def digest(*parts: object) -> str:
    """Return the digest of values: bytes as they are, anything else as JSON with sorted keys."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:32]


def file_digest(path: str | Path) -> str:
    """Return the digest of a file's content (sha256, in hexadecimal); a file whose identity is known is not read.

    A file that changed less than two seconds ago is read again next time, because it may change again within one tick
    of the clock.
    """
    name = os.path.abspath(path)
    if found := _known.get((name, identity(os.stat(path)))):
        return found
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED
        while block := stream.read(1 << 20):
            content.update(block)
    if settled:
        _known[name, identity(status)] = content.hexdigest()
    return content.hexdigest()


def identity(status: os.stat_result) -> tuple[int, ...]:
    """Return the identity of a file: size, modification time, change time and inode.

    Writing to a file changes its change time, replacing it its inode, even if size and modification time stay.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def identities(digests: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the identities of the files that are known to have these digests, for :func:`remember`."""
    found = {path: identity(os.stat(path)) for path in digests}
    return {path: list(own) for path, own in found.items() if _known.get((os.path.abspath(path), own)) == digests[path]}


def remember(path: str | Path, own: list[int], known: str) -> None:
    """Keep the digest of a file for as long as it has this identity."""
    _known[os.path.abspath(path), tuple(own)] = known


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
