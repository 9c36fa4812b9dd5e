"""Work done per recording in one output directory: what is left to do, who does it, and when it counts as done.

A stage with jobs (speech detection, x-vectors, clustering) goes through three processes that share only the output
directory: ``plan`` checks every input and writes which recordings each job takes, ``run`` does one job, ``gather``
merges what the jobs left. A recording counts as done when its receipt ``.done/<reco>.json`` exists, carries the
fingerprint of the present options and inputs, and names files that are there with their recorded checksums. The receipt
is written last and by rename, so a job killed at any moment leaves nothing that looks finished; a rerun does what is
missing or stale, and nothing else.

Two runs of one directory do not mix. A stage's .sh script opens ``.lock`` in it (jobs.sh); ``plan`` locks it through
the descriptor that it inherits, or waits, and the lock lasts until the script and all jobs that it started on this
machine have ended, killed or not. A job that outlives its run elsewhere (Slurm) does no harm: what it was planned to do
counts only if the present plan still wants exactly that, and under a second lock, held for each publishing.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import heapq
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.made import changed, file_digest, note, note_begun

_LOG = logging.getLogger(__name__)
_LOCK_DESCRIPTOR = 9  # what jobs.sh opens .lock as
# Of a file system that has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def fingerprint(*parts: object) -> str:
    """Return a short digest of ``parts``: bytes as they are, anything else as JSON with sorted keys."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


def balance(weights: Mapping[str, float], jobs: int) -> list[list[str]]:
    """Spread recordings over ``jobs`` lists of about equal total weight; the same input gives the same lists.

    The heaviest recording goes first, each to the list that is lightest so far.
    """
    heap: list[tuple[float, int]] = [(0.0, job) for job in range(jobs)]
    lists: list[list[str]] = [[] for _ in range(jobs)]
    for reco in sorted(weights, key=lambda reco: (-weights[reco], reco)):
        total, job = heapq.heappop(heap)
        lists[job].append(reco)
        heapq.heappush(heap, (total + weights[reco], job))
    return lists


class Progress(NamedTuple):
    """How far the jobs of a plan are: recordings done, recordings planned, and the share of the expected cost done."""

    done: int
    planned: int
    share: float


class WorkDir:
    """The receipts and the plan of one output directory (see the module's docstring)."""

    def __init__(self, out_dir: str | Path) -> None:
        self.out_dir = Path(out_dir)
        self._done_dir = self.out_dir / ".done"
        self._plan_file = self.out_dir / ".plan.json"
        self._plan: dict[str, Any] | None = None

    def plan(
        self,
        settings: Mapping[str, Any],
        fingerprints: Mapping[str, str],
        weights: Mapping[str, float],
        max_jobs: int,
        overwrite: bool = False,
        stage: str = "stage",
        inputs: Mapping[str, Any] | None = None,
    ) -> tuple[int, int]:
        """Write the plan and return (number of jobs, number of recordings left to do).

        Waits while another run is at work in the directory.

        Args:
            settings: Everything that ``run`` and ``gather`` need to know, as JSON can hold it.
            fingerprints: Digest of the options and inputs of every recording of the input.
            weights: Expected cost per recording, in any unit; jobs are balanced by it.
            max_jobs: At most so many jobs; never more than there are recordings to do.
            overwrite: Do everything again, whatever is there.
            stage: Name of the stage's script without ``.sh``.
            inputs: What all is made of, as of :func:`ssdiar.made.marks`; if any of it changes, ``run`` and ``gather``
                refuse to go on.

        Raises:
            InputError: The output directory cannot be made or written to.
        """
        try:
            self._done_dir.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError("is in the way of the output directory", path=self.out_dir, expected="a folder") from None
        except PermissionError as error:
            raise InputError("no write permission", path=error.filename) from None
        self._wait_for_other_runs()
        with self._publishing():
            note_begun(self.out_dir, stage)
            todo = [reco for reco in sorted(fingerprints) if overwrite or not self._is_done(reco, fingerprints[reco])]
            costs = {reco: weights[reco] for reco in todo}
            jobs = balance(costs, min(max_jobs, len(todo)))
            self._plan = {
                "stage": stage,
                "settings": dict(settings),
                "inputs": dict(inputs or {}),
                "fingerprints": dict(fingerprints),
                "jobs": jobs,
                "costs": costs,
            }
            publish_text(self._plan_file, json.dumps(self._plan, indent=1) + "\n")
            for reco in todo:
                # What is no longer valid counts for nothing, but what it left behind stays known: should the recording
                # leave the input before it is done again, its files have to go.
                if receipt := self._receipt(reco):
                    publish_text(self._done_dir / f"{reco}.json", json.dumps(receipt | {"fingerprint": None}) + "\n")
        return len(jobs), len(todo)

    def load(self) -> dict[str, Any]:
        """Return the settings that :meth:`plan` was given.

        Raises:
            InputError: There is no plan, or an input has changed since.
        """
        plan = self._load()
        if path := changed(plan.get("inputs", {})):
            raise InputError("has changed since this run began", path=path, hint="Run the stage again.")
        return plan["settings"]

    def job(self, number: int) -> list[str]:
        """Return the recordings of job ``number`` (from 1) that are not done, in order.

        A job that runs again after a failure therefore goes on where it stopped.
        """
        plan = self._load()
        if not 1 <= number <= len(plan["jobs"]):
            raise InputError("no such job", path=self._plan_file, expected=f"1 to {len(plan['jobs'])}", got=number)
        return [reco for reco in plan["jobs"][number - 1] if not self._is_done(reco, plan["fingerprints"][reco])]

    def progress(self) -> Progress:
        """Return how far the jobs of the plan are.

        Believes the receipts without a look at the files that they name: cheap enough to ask every second.

        Raises:
            InputError: There is no plan.
        """
        plan = self._load()
        costs, stamps = plan["costs"], plan["fingerprints"]
        done = [reco for reco in costs if self._receipt(reco).get("fingerprint") == stamps[reco]]
        total = sum(costs.values())
        return Progress(len(done), len(costs), sum(costs[reco] for reco in done) / total if total > 0 else 0.0)

    @contextmanager
    def recording(self, reco: str) -> Iterator[Path]:
        """Yield an empty folder to write one recording's files to; a clean exit publishes them and the receipt.

        Files go to the same relative place below the output directory. Nothing is published if the block raises, nor if
        another process has published the same meanwhile.

        Raises:
            InputError: Another run wants something else of this recording by now.
        """
        stamp = self._load()["fingerprints"][reco]
        folder = Path(tempfile.mkdtemp(prefix=".tmp.", dir=self.out_dir))
        try:
            yield folder
            receipt: dict[str, Any] = {"fingerprint": stamp, "files": {}}
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                receipt["files"][str(path.relative_to(folder))] = file_digest(path)
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
            with self._publishing():
                if self._read_plan()["fingerprints"].get(reco) != stamp:
                    raise InputError(f"another run was started here and wants recording {reco} anew", path=self.out_dir)
                if not self._is_done(reco, stamp):
                    for name in receipt["files"]:
                        (self.out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                        os.replace(folder / name, self.out_dir / name)
                    publish_text(self._done_dir / f"{reco}.json", json.dumps(receipt) + "\n")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def finish(self) -> list[str]:
        """Return the recordings of the plan, all of which must be done; forget those that are no longer in the input.

        Raises:
            InputError: Some recordings are not done (their jobs failed).
        """
        plan = self._load()
        missing = [reco for reco, stamp in plan["fingerprints"].items() if not self._is_done(reco, stamp)]
        if missing:
            raise InputError(f"{len(missing)} recordings are not done, the first is {missing[0]}", path=self.out_dir)
        for receipt_file in self._done_dir.glob("*.json"):
            if receipt_file.stem not in plan["fingerprints"]:
                for name in self._receipt(receipt_file.stem).get("files", {}):
                    (self.out_dir / name).unlink(missing_ok=True)
                receipt_file.unlink()
        for left_over in (*self.out_dir.glob(".tmp.*"), *self.out_dir.glob(".*.tmp"), *self._done_dir.glob(".*.tmp")):
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
        return sorted(plan["fingerprints"])

    def complete(self, *names: str, editable: Sequence[str] = ()) -> None:
        """Note what the directory now holds and of what that was made, for those who read it (:mod:`ssdiar.made`).

        Args:
            names: Files that ``gather`` wrote; those of the recordings are known.
            editable: Such as people may change, with no say about their content.
        """
        plan = self._load()
        outputs: dict[str, str | None] = dict.fromkeys(editable)
        outputs |= {name: file_digest(self.out_dir / name) for name in names}
        for reco in plan["fingerprints"]:
            outputs |= self._receipt(reco)["files"]
        note(self.out_dir, plan["stage"], outputs, plan["inputs"])

    def _wait_for_other_runs(self) -> None:
        """Lock the directory through the descriptor that the stage's script has opened; without one, do nothing."""
        try:
            if not os.path.samestat(os.fstat(_LOCK_DESCRIPTOR), os.stat(self.out_dir / ".lock")):
                return
        except OSError:
            return
        try:
            try:
                fcntl.flock(_LOCK_DESCRIPTOR, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = (self.out_dir / ".lock").read_text(errors="replace").strip() or "another run"
                _LOG.warning(
                    "WARNING: %s is in use by %s; waiting until it and its jobs have ended", self.out_dir, holder
                )
                fcntl.flock(_LOCK_DESCRIPTOR, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning("WARNING: %s: the file system has no locks; run no stage here twice at once", self.out_dir)
        os.ftruncate(_LOCK_DESCRIPTOR, 0)
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = f"{Path(sys.argv[0]).stem}, process {os.getppid()} on {socket.gethostname()}, since {now}\n"
        os.write(_LOCK_DESCRIPTOR, holder.encode())

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """Hold the lock under which a plan is written and a recording's files are put in place."""
        with open(self._done_dir / ".lock", "a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            yield

    def _load(self) -> dict[str, Any]:
        """Return the plan, as it was when this object was first asked."""
        if self._plan is None:
            self._plan = self._read_plan()
        return self._plan

    def _read_plan(self) -> dict[str, Any]:
        try:
            plan = json.loads(self._plan_file.read_text())
            if {"settings", "fingerprints", "jobs", "costs"} <= plan.keys():
                return plan
        except FileNotFoundError:
            raise InputError(
                "no plan", path=self._plan_file, hint="Run the stage's .sh script, which plans first."
            ) from None
        except (ValueError, AttributeError, RecursionError):
            pass
        raise InputError("damaged plan", path=self._plan_file, hint="Run the stage's .sh script again.")

    def _receipt(self, reco: str) -> dict[str, Any]:
        """Return a recording's receipt; nothing if there is none, or none to be believed."""
        try:
            receipt = json.loads((self._done_dir / f"{reco}.json").read_text())
            names = [Path(name) for name in receipt["files"]]
            inside = not any(name.is_absolute() or ".." in name.parts for name in names)
            return receipt if inside and "fingerprint" in receipt else {}
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return {}

    def _is_done(self, reco: str, stamp: str) -> bool:
        receipt = self._receipt(reco)
        if receipt.get("fingerprint") != stamp:
            return False
        return all(_has_digest(self.out_dir / name, checksum) for name, checksum in receipt["files"].items())


def _has_digest(path: Path, checksum: str) -> bool:
    return path.is_file() and file_digest(path) == checksum
