"""Work done per recording in one output directory: what is left to do, who does it, and when it counts as done.

A stage with jobs (speech detection, x-vectors, clustering) goes through three processes that share only the output
directory: ``plan`` checks every input and writes which recordings each job takes, ``run`` does one job, ``gather``
merges what the jobs left. A recording counts as done when its receipt ``.done/<reco>.json`` exists, carries the
fingerprint of the present options and inputs, and names files that are there with their recorded checksums. The receipt
is written last and by rename, so a job killed at any moment leaves nothing that looks finished; a rerun does what is
missing or stale, and nothing else.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text


def fingerprint(*parts: object) -> str:
    """Return a short digest of ``parts``: bytes as they are, anything else as JSON with sorted keys."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


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

    def plan(
        self,
        settings: Mapping[str, Any],
        fingerprints: Mapping[str, str],
        weights: Mapping[str, float],
        max_jobs: int,
        overwrite: bool = False,
    ) -> tuple[int, int]:
        """Write the plan and return (number of jobs, number of recordings left to do).

        Args:
            settings: Everything that ``run`` and ``gather`` need to know, as JSON can hold it.
            fingerprints: Digest of the options and inputs of every recording of the input.
            weights: Expected cost per recording, in any unit; jobs are balanced by it.
            max_jobs: At most so many jobs; never more than there are recordings to do.
            overwrite: Do everything again, whatever is there.

        Raises:
            InputError: The output directory cannot be made or written to.
        """
        try:
            self._done_dir.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError("is in the way of the output directory", path=self.out_dir, expected="a folder") from None
        except PermissionError as error:
            raise InputError("no write permission", path=error.filename) from None
        todo = [reco for reco in sorted(fingerprints) if overwrite or not self._is_done(reco, fingerprints[reco])]
        costs = {reco: weights[reco] for reco in todo}
        jobs = balance(costs, min(max_jobs, len(todo)))
        plan = {"settings": dict(settings), "fingerprints": dict(fingerprints), "jobs": jobs, "costs": costs}
        publish_text(self._plan_file, json.dumps(plan, indent=1) + "\n")
        for reco in todo:
            # What is no longer valid counts for nothing, but what it left behind stays known: should the recording
            # leave the input before it is done again, its files have to go.
            if receipt := self._receipt(reco):
                publish_text(self._done_dir / f"{reco}.json", json.dumps(receipt | {"fingerprint": None}) + "\n")
        return len(jobs), len(todo)

    def load(self) -> dict[str, Any]:
        """Return the settings that :meth:`plan` was given.

        Raises:
            InputError: There is no plan.
        """
        return self._load()["settings"]

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

        Files go to the same relative place below the output directory. Nothing is published if the block raises.
        """
        stamp = self._load()["fingerprints"][reco]
        folder = Path(tempfile.mkdtemp(prefix=".tmp.", dir=self.out_dir))
        try:
            yield folder
            receipt: dict[str, Any] = {"fingerprint": stamp, "files": {}}
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = path.relative_to(folder)
                receipt["files"][str(name)] = file_digest(path)
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
                (self.out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, self.out_dir / name)
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
        for left_over in self.out_dir.glob(".tmp.*"):
            shutil.rmtree(left_over, ignore_errors=True)
        return sorted(plan["fingerprints"])

    def _load(self) -> dict[str, Any]:
        try:
            return json.loads(self._plan_file.read_text())
        except FileNotFoundError:
            raise InputError(
                "no plan", path=self._plan_file, hint="Run the stage's .sh script, which plans first."
            ) from None
        except ValueError:
            raise InputError("damaged plan", path=self._plan_file, hint="Run the stage's .sh script again.") from None

    def _receipt(self, reco: str) -> dict[str, Any]:
        try:
            return json.loads((self._done_dir / f"{reco}.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def _is_done(self, reco: str, stamp: str) -> bool:
        receipt = self._receipt(reco)
        if receipt.get("fingerprint") != stamp:
            return False
        for name, checksum in receipt["files"].items():
            path = self.out_dir / name
            if not path.is_file() or file_digest(path) != checksum:
                return False
        return True
