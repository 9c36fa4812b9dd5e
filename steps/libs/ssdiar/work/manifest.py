"""The manifest of one stage in one output directory; see the docstring of the package."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.work.digests import cores, digest, file_digest, identities, identity, remember

_LOG = logging.getLogger(__name__)
_FOLDER = ".manifest"  # of an output directory
_locks: dict[str, int] = {}  # that this process holds: lock file -> descriptor


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a manifest; paths in its directory are relative to it."""

    finished: bool
    inputs: dict[str, str]  # digests
    identities: dict[str, list[int]]  # of the inputs that need not be read again
    settings: dict[str, Any]
    outputs: dict[str, str | None]  # digests; None for a file that people may edit
    recordings: dict[str, str]  # digest of everything that decides the result
    costs: dict[str, float] = {}  # of the recordings to do
    jobs: list[list[str]] = []
    threads: int = 1  # of a job


class _Receipt(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a receipt; the digest is empty if the files are to be made again."""

    digest: str = ""
    files: dict[str, str] = {}


_Writer = tuple[Path, _Content, str | None]  # a manifest's file and content, and the digest of one output


class Manifest:
    """The results of a stage (its script without ``.sh``) in one output directory."""

    def __init__(self, out_dir: str | Path, stage: str) -> None:
        self.out_dir, self.stage = Path(out_dir), stage
        self._file = self.out_dir / _FOLDER / f"{stage}.json"
        self._receipts = self.out_dir / _FOLDER / stage
        self._lock = os.path.realpath(self.out_dir / _FOLDER / "lock")
        self._content: _Content | None = None  # as this object first read or wrote it

    def plan(
        self,
        inputs: Mapping[str, str],  # all files that are read, as check returned them before they were
        settings: Mapping[str, Any],  # everything that jobs and gathering need to know, as JSON can hold it
        digests: Mapping[str, str] | None = None,  # of all that decides each recording's result; None: without jobs
        costs: Mapping[str, float] | None = None,  # expected, of each recording (1); jobs are balanced by them
        max_jobs: int = 1,  # and never more than recordings to do
        overwrite: bool = False,  # do all recordings again
    ) -> int:
        """Lock the directory, write the plan, and return the number of jobs that it needs; 0 if everything is done.

        Waits for another run in the directory. Until :meth:`finish`, earlier outputs of the stage are not valid.
        """
        try:
            (self._file.parent if digests is None else self._receipts).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError("is in the way of the output directory", path=self.out_dir, expected="a folder") from None
        except PermissionError as error:
            raise InputError("no write permission", path=error.filename) from None
        self._take_lock()
        before, costs, wanted = _read_manifest(self._file), costs or {}, dict(sorted((digests or {}).items()))
        known, outputs = self._relative(identities(inputs)), before.outputs if before else {}
        plan = self._content = _Content(False, self._relative(inputs), known, dict(settings), outputs, wanted)
        plan.costs = {key: costs.get(key, 1.0) for key in wanted if overwrite or not self.is_done(key)}
        plan.jobs = _balance(plan.costs, max_jobs)
        plan.threads = max_jobs // max(1, len(plan.jobs))
        _publish(self._file, plan)
        self._content = self._read()
        for key in plan.costs:
            if (receipt := self._receipt(key)).digest == wanted[key]:  # damaged, or to be overwritten
                _publish(self._receipts / f"{key}.json", _Receipt("", receipt.files))
        return len(plan.jobs)

    def is_current(self, inputs: Mapping[str, str], settings: Mapping[str, Any]) -> bool:
        """Return whether the directory holds the whole result of these inputs and settings."""
        found = _read_manifest(self._file)
        return (
            found is not None
            and found.finished
            and digest(found.settings) == digest(settings)
            and found.inputs == self._relative(inputs)
            and self._has(found.outputs)
        )

    def is_planned(self) -> bool:
        """Return whether this stage has ever worked here."""
        return self._file.is_file()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the plan; InputError without a plan, or if an input has changed since."""
        content = self._load()
        if path := _changed(self.out_dir, content.inputs):
            raise InputError("has changed since this run began", path=path, hint="Run the stage again.")
        return content.settings

    @property
    def threads(self) -> int:
        """Threads that a job may use: with fewer recordings than cores, each gets several."""
        return max(1, min(self._load().threads, cores()))

    @property
    def costs(self) -> dict[str, float]:
        """The recordings that the plan has to do, with their expected costs."""
        return self._load().costs

    @property
    def lock(self) -> int:
        """The descriptor of the lock; processes that inherit it keep the directory locked."""
        return _locks[self._lock]

    def job(self, number: int) -> list[str]:
        """Return the recordings of job ``number`` (from 1) that are not done, in order."""
        jobs = self._load().jobs
        if not 1 <= number <= len(jobs):
            raise InputError("no such job", path=self._file, expected=f"1 to {len(jobs)}", got=number)
        return [key for key in jobs[number - 1] if not self.is_done(key)]

    def is_done(self, recording: str) -> bool:
        """Return whether a recording of the plan is done by now, by any job."""
        receipt = self._receipt(recording)
        return receipt.digest == self._load().recordings[recording] and self._has(receipt.files)

    def done_so_far(self) -> set[str]:
        """Return the recordings that jobs of the plan have done; reads receipts only, not their files."""
        content = self._load()
        return {key for key in content.costs if self._receipt(key).digest == content.recordings[key]}

    @contextmanager
    def done(self, recording: str) -> Iterator[Path]:
        """Yield an empty folder for one recording's files; a clean exit publishes them, then the receipt.

        Nothing is published if the block raises, if another process has published the same meanwhile, or if another run
        has been planned that needs a different result (InputError).
        """
        wanted = self._load().recordings[recording]
        folder = Path(tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=self.out_dir))
        try:
            yield folder
            files = {}
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                files[str(path.relative_to(folder))] = file_digest(path)
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
            if self._read().recordings.get(recording) != wanted:
                what = f"another run was started here and needs a different result of recording {recording}"
                raise InputError(what, path=self.out_dir)
            if not self.is_done(recording):
                for name in files:
                    (self.out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(folder / name, self.out_dir / name)
                self._remove_files(self._receipt(recording).files.keys() - files.keys())
                _publish(self._receipts / f"{recording}.json", _Receipt(wanted, files))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def finish(self, *names: str, editable: Sequence[str] = ()) -> Iterator[list[str]]:
        """Yield the recordings for the stage to write their joint results: the files ``names``.

        Files of recordings that have left the input are removed first. A clean exit notes the outputs, marks the
        manifest as finished and releases the lock. The content of ``editable`` files will not be checked.

        Raises:
            InputError: Some recordings are not done, or another run was started here.
        """
        content = self._load()
        if missing := [key for key in content.recordings if not self.is_done(key)]:
            raise InputError(f"{len(missing)} recordings are not done, the first is {missing[0]}", path=self.out_dir)
        outputs: dict[str, str | None] = {}
        for key in content.recordings:
            outputs |= self._receipt(key).files
        self._tidy(outputs)
        yield list(content.recordings)
        outputs |= {name: file_digest(self.out_dir / name) for name in names}
        outputs |= {name: None for name in editable if (self.out_dir / name).exists()}
        if self._read() != content:
            raise InputError("another run was started here", path=self.out_dir)
        _publish(self._file, msgspec.structs.replace(content, finished=True, outputs=outputs))
        if (descriptor := _locks.pop(self._lock, None)) is not None:
            os.close(descriptor)

    def _take_lock(self) -> None:
        """Lock the directory for this process and those that inherit the descriptor; wait for another run."""
        if self._lock in _locks:
            return
        descriptor = _locks[self._lock] = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "another run"
                _LOG.warning("WARNING: %s is in use by %s; waiting until it has ended", self.out_dir, holder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:  # of a file system without locks
            problem = "WARNING: %s cannot be locked (%s); do not run two stages there at once"
            _LOG.warning(problem, self.out_dir, error.strerror)
        os.ftruncate(descriptor, 0)
        place = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%F %T')}"
        os.pwrite(descriptor, f"{self.stage}, {place}\n".encode(), 0)

    def _load(self) -> _Content:
        self._content = self._content or self._read()
        return self._content

    def _read(self) -> _Content:
        """Return the manifest as it is now."""
        if (content := _read_manifest(self._file)) is None:
            raise InputError("no plan, or a damaged one", path=self._file, hint=f"Run {self.stage}.sh, which makes it.")
        return content

    def _relative(self, files: Mapping[str, Any]) -> dict[str, Any]:
        """Return values by path, with relative paths in the output directory itself, which may be moved."""
        inside = f"{self.out_dir.absolute()}{os.sep}"
        return {path.removeprefix(inside): value for path, value in files.items()}

    def _receipt(self, key: str) -> _Receipt:
        """Return a receipt; an empty one if it is missing or damaged."""
        try:
            receipt = msgspec.convert(json.loads((self._receipts / f"{key}.json").read_bytes()), _Receipt)
        except (OSError, ValueError, RecursionError):
            return _Receipt()
        is_own = not any(Path(name).is_absolute() or ".." in Path(name).parts for name in receipt.files)
        return receipt if is_own else _Receipt()

    def _has(self, files: Mapping[str, str | None]) -> bool:
        return all(_has_digest(self.out_dir / name, known) for name, known in files.items())

    def _remove_files(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):  # the folders that are not empty
                (self.out_dir / name).unlink(missing_ok=True)
                for parent in Path(name).parents[:-1]:
                    (self.out_dir / parent).rmdir()

    def _tidy(self, kept: Mapping[str, Any]) -> None:
        """Remove recordings that are not in the plan, except for the files ``kept``, and files of killed jobs."""
        for receipt in self._receipts.glob("*.json"):
            if receipt.stem not in self._load().recordings:
                self._remove_files(self._receipt(receipt.stem).files.keys() - kept.keys())
                receipt.unlink()
        for left in (*self.out_dir.glob(".*.tmp"), *self._file.parent.rglob(".*.tmp")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def check(*paths: str | Path, stage: str = "") -> dict[str, str]:
    """Return the digests of the files that exist, by absolute path: the inputs of :meth:`Manifest.plan`.

    A file that no manifest names, such as one of another toolkit, is not checked further. An unreadable manifest beside
    it may have named it, unless it is one of ``stage``, the stage that asks: that reads no output of its own.

    Raises:
        InputError: A file differs from the output of its stage, or the inputs of that stage, checked in turn, have
            changed since; the hint names the stage to run.
    """
    inputs = {str(path.absolute()): file_digest(path) for path in map(Path, paths) if path.is_file()}
    writers, seen = partial(_writers, cache(_manifests), stage), set()
    for path in paths:
        _check(Path(path), writers, seen)
    return inputs


def _check(path: Path, writers: Callable[[Path], list[_Writer]], seen: set[Path]) -> None:
    """Raise InputError about a file, or rather about a file that it was made from, unless all are as written."""
    if path in seen or not path.exists():
        return
    seen.add(path)
    for file, content, known in writers(path):
        script, place, problem = _script(file), file.parent.parent, ""
        hint = f"Run {script} again"
        if not content.finished:
            problem = f"not complete: {script} was started again and has not finished"
        elif not _has_digest(path, known):
            problem = f"damaged: not as {script} wrote it"
            hint += f"; if you changed it on purpose, remove {file}"
        elif file not in seen:
            seen.add(file)
            for each in content.inputs:
                _check(place / each, writers, seen)
            if source := _changed(place, content.inputs):
                problem = f"out of date: {source} has changed since {script} read it"
        if problem:
            raise InputError(problem, path=path, hint=f"{hint}.")


def _writers(manifests: Callable[[Path], dict[Path, _Content | None]], stage: str, path: Path) -> list[_Writer]:
    """Return the manifests that name a file, each with the digest there; see :func:`check` for ``stage``."""
    found, unreadable = [], []
    for folder, name in ((path.parent, path.name), (path.parent.parent, f"{path.parent.name}/{path.name}")):
        for file, content in manifests(folder).items():
            if content is None:
                unreadable += [file] if _script(file) != f"{stage}.sh" else []
            elif name in content.outputs:
                found.append((file, content, content.outputs[name]))
    if unreadable and not found:
        hint = f"Run {_script(unreadable[0])} again; if it did not write {path}, remove the manifest."
        raise InputError("damaged, or of another version", path=unreadable[0], expected="a manifest", hint=hint)
    return found


def _manifests(folder: Path) -> dict[Path, _Content | None]:
    """Return the manifests of a folder; None for one that cannot be read."""
    return {file: _read_manifest(file) for file in sorted((folder / _FOLDER).glob("*.json"))}


def _script(file: Path) -> str:
    """Return the script that writes a manifest; score_der.full.json is one of score_der.sh."""
    return f"{file.name.partition('.')[0]}.sh"


def _read_manifest(file: Path) -> _Content | None:
    """Return a manifest, or None if there is none that can be read."""
    try:
        return _parsed(file, identity(os.stat(file)))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None


@lru_cache
def _parsed(file: Path, _: tuple[int, ...]) -> _Content:
    """Return a manifest, parsed once per identity of its file, and remember the digests of its inputs."""
    content = msgspec.convert(json.loads(file.read_bytes()), _Content)
    for path, known in content.identities.items():
        remember(file.parent.parent / path, known, content.inputs[path])
    return content


def _publish(path: Path, content: msgspec.Struct) -> None:
    publish_text(path, json.dumps(msgspec.to_builtins(content), indent=1) + "\n")


def _changed(place: Path, inputs: Mapping[str, str]) -> Path | None:
    """Return the first input of a manifest that has changed; a missing one has not."""
    paths = ((place / path, known) for path, known in inputs.items())
    return next((path for path, known in paths if path.exists() and not _has_digest(path, known)), None)


def _has_digest(path: Path, known: str | None) -> bool:
    """Return whether a file exists and has a digest; None: any."""
    try:
        return path.is_file() if known is None else file_digest(path) == known
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def _balance(costs: Mapping[str, float], jobs: int) -> list[list[str]]:
    """Spread recordings over at most so many lists of about equal cost: the dearest first, each into the cheapest."""
    lists: list[list[str]] = [[] for _ in range(min(jobs, len(costs)))]
    totals = [0.0] * len(lists)
    for key in sorted(costs, key=lambda key: (-costs[key], key)):
        cheapest = totals.index(min(totals))
        lists[cheapest].append(key)
        totals[cheapest] += costs[key]
    return lists
