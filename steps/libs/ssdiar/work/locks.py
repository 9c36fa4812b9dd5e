"""The two locks of an output directory: one run at a time, and one process at a time that puts files in place."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOG = logging.getLogger(__name__)
_DESCRIPTOR = 9  # what jobs.sh opens run.lock as
# The errors of a file system that has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def wait_for_other_runs(out_dir: Path, lock: Path) -> None:
    """Lock a directory through the descriptor that the stage's script has opened; without one, do nothing.

    The script and the jobs that it starts on this machine inherit the descriptor, so that the lock lasts until the last
    of them has ended, killed or not.
    """
    try:
        if not os.path.samestat(os.fstat(_DESCRIPTOR), os.stat(lock)):
            return
    except OSError:
        return
    try:
        try:
            fcntl.flock(_DESCRIPTOR, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read_text(errors="replace").strip() or "another run"
            _LOG.warning("WARNING: %s is in use by %s; waiting until it and its jobs have ended", out_dir, holder)
            fcntl.flock(_DESCRIPTOR, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _LOG.warning("WARNING: %s: the file system has no locks; run no stage here twice at once", out_dir)
    os.ftruncate(_DESCRIPTOR, 0)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = f"{Path(sys.argv[0]).stem}, process {os.getppid()} on {socket.gethostname()}, since {now}\n"
    os.write(_DESCRIPTOR, holder.encode())


@contextmanager
def publishing(lock: Path) -> Iterator[None]:
    """Hold the lock under which a plan is written and files are put in place."""
    with open(lock, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
