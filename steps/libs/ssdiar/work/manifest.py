"""The manifest of one stage in one output directory; see the docstring of the package."""

from __future__ import annotations

import errno
import fcntl
import heapq
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.work.digests import FileDigest, cores, file_digest, identified_digest, remember

_LOG = logging.getLogger(__name__)
_FOLDER = ".manifest"  # of an output directory
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # errors of a file system without locks
_locks: dict[str, int] = {}  # that this process holds: lock file -> descriptor
_manifests: dict[tuple[Any, ...], _Content] = {}  # that this process has read: file and its identity ->


class Progress(NamedTuple):
    """How far the jobs of a plan are."""

    done: int  # recordings
    planned: int  # recordings
    share: float  # of the expected cost
    cost: float  # expected, of all
    unit: str  # of the cost, if people are to read it


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a manifest."""

    finished: bool
    inputs: dict[str, FileDigest]
    settings: dict[str, Any]
    outputs: dict[str, str | None]  # digests; None for a file that people may edit
    recordings: dict[str, str]  # digest of everything that decides the result
    costs: dict[str, float]  # of the recordings to do
    unit: str
    jobs: list[list[str]]
    threads: int


class _Receipt(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a receipt; the digest is empty if the files are to be made again."""

    digest: str = ""
    files: dict[str, str] = {}


class Manifest:
    """The results of a stage (its script without ``.sh``) in one output directory."""

    def __init__(self, out_dir: str | Path, stage: str) -> None:
        self.out_dir, self.stage = Path(out_dir), stage
        self._file = self.out_dir / _FOLDER / f"{stage}.json"
        self._receipts = self.out_dir / _FOLDER / stage
        self._lock = self.out_dir / _FOLDER / "lock"
        self._content: _Content | None = None
        self._seen_done: set[str] = set()

    def plan(
        self,
        inputs: Mapping[str, FileDigest],
        settings: Mapping[str, Any],
        digests: Mapping[str, str] | None = None,
        costs: Mapping[str, float] | None = None,
        max_jobs: int = 1,
        overwrite: bool = False,
        unit: str = "",
    ) -> int:
        """Lock the directory, write the plan, and return the number of jobs that it needs; 0 if everything is done.

        Waits for another run in the directory. Until :meth:`finish`, earlier outputs of the stage are not valid.

        Args:
            inputs: All files that are read, as :func:`check` returned them before they were.
            settings: Everything that jobs and gathering need to know, as JSON can hold it.
            digests: Everything that decides the result of each recording. Without them, the stage is one piece of work.
            costs: Expected cost of each recording; jobs are balanced by it, and progress is shown in its ``unit``.
            max_jobs: At most this many jobs, and never more than recordings to do.
            overwrite: Do everything again.
            unit: See ``costs``; without one, progress is shown in recordings.
        """
        try:
            (self._file.parent if digests is None else self._receipts).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError("is in the way of the output directory", path=self.out_dir, expected="a folder") from None
        except PermissionError as error:
            raise InputError("no write permission", path=error.filename) from None
        self._take_lock()
        wanted = dict(digests or {})
        is_current = digests is None and not overwrite and self.is_current(inputs, settings)
        todo = [key for key in sorted(wanted) if overwrite or not self._is_done(key, wanted[key])]
        costs = {key: (costs or {}).get(key, 1.0) for key in todo}
        jobs = _balance(costs, min(max_jobs, len(todo)))
        outputs = before.outputs if (before := _read_or_nothing(self._file)) else {}
        plan = (is_current, self._relative(inputs), _as_json(settings), outputs, wanted, costs, unit, jobs)
        self._write(_Content(*plan, max_jobs // max(1, len(jobs))))
        for key in todo:
            if (receipt := self._receipt(key)).digest == wanted[key]:  # damaged, or to be overwritten
                _publish(self._receipts / f"{key}.json", _Receipt("", receipt.files))
        if is_current:
            self._release_lock()
        return len(jobs) if digests is not None else int(not is_current)

    def is_current(self, inputs: Mapping[str, FileDigest], settings: Mapping[str, Any]) -> bool:
        """Return whether the directory holds the whole result of these inputs and settings."""
        found = _read_or_nothing(self._file)
        return (
            found is not None
            and found.finished
            and found.settings == _as_json(settings)
            and {name: known[0] for name, known in found.inputs.items()}
            == {name: known[0] for name, known in self._relative(inputs).items()}
            and all(_has(self.out_dir / name, known) for name, known in found.outputs.items())
        )

    def is_planned(self) -> bool:
        """Return whether this stage has ever worked here."""
        return self._file.is_file()

    @property
    def inputs(self) -> dict[str, FileDigest]:
        """The inputs of the plan, by absolute path; InputError without a plan."""
        return {str(self.out_dir.absolute() / path): known for path, known in self._load().inputs.items()}

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
    def todo(self) -> list[str]:
        """The recordings that the plan has to do."""
        return list(self._load().costs)

    @property
    def lock(self) -> int:
        """The descriptor of the lock; processes that inherit it keep the directory locked."""
        return _locks[os.path.realpath(self._lock)]

    def job(self, number: int) -> list[str]:
        """Return the recordings of job ``number`` (from 1) that are not done, in order."""
        content = self._load()
        if not 1 <= number <= len(content.jobs):
            raise InputError("no such job", path=self._file, expected=f"1 to {len(content.jobs)}", got=number)
        return [key for key in content.jobs[number - 1] if not self.is_done(key)]

    def is_done(self, recording: str) -> bool:
        """Return whether a recording of the plan is done by now, by any job."""
        return self._is_done(recording, self._load().recordings[recording])

    @contextmanager
    def done(self, recording: str) -> Iterator[Path]:
        """Yield an empty folder for one recording's files; a clean exit publishes them, then the receipt.

        Nothing is published if the block raises, if another process has published the same meanwhile, or if another run
        has been planned that needs a different result (InputError).
        """
        wanted = self._load().recordings[recording]
        folder = Path(tempfile.mkdtemp(prefix=".tmp.", dir=self.out_dir))
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
            if not self._is_done(recording, wanted):
                for name in files:
                    (self.out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(folder / name, self.out_dir / name)
                self._remove_files(self._receipt(recording).files.keys() - files.keys())
                _publish(self._receipts / f"{recording}.json", _Receipt(wanted, files))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def progress(self) -> Progress:
        """Return how far the jobs of the plan are; cheap, because receipts are read once and trusted."""
        content = self._load()
        there = {name.removesuffix(".json") for name in os.listdir(self._receipts) if name.endswith(".json")}
        for key in (content.costs.keys() & there) - self._seen_done:
            if self._receipt(key).digest == content.recordings[key]:
                self._seen_done.add(key)
        cost = sum(content.costs.values())
        share = sum(content.costs[key] for key in self._seen_done) / cost if cost > 0 else 0.0
        return Progress(len(self._seen_done), len(content.costs), share, cost, content.unit)

    @contextmanager
    def finish(self, *names: str, editable: Sequence[str] = ()) -> Iterator[list[str]]:
        """Yield the recordings for the stage to write their joint results: the files ``names``.

        Files of recordings that have left the input are removed first. A clean exit notes the outputs, marks the
        manifest as finished and releases the lock. The content of ``editable`` files will not be checked.

        Raises:
            InputError: Some recordings are not done, or another run was started here.
        """
        content = self._load()
        missing = [key for key in content.recordings if not self.is_done(key)]
        if missing:
            raise InputError(f"{len(missing)} recordings are not done, the first is {missing[0]}", path=self.out_dir)
        self._tidy(content.recordings)
        outputs: dict[str, str | None] = {}
        for key in content.recordings:
            outputs |= self._receipt(key).files
        yield sorted(content.recordings)
        outputs |= {name: file_digest(self.out_dir / name) for name in names}
        outputs |= {name: None for name in editable if (self.out_dir / name).exists()}
        if self._read() != content:
            raise InputError("another run was started here", path=self.out_dir)
        self._write(msgspec.structs.replace(content, finished=True, outputs=outputs))
        self._release_lock()

    # ---- the lock, the manifest's file

    def _take_lock(self) -> None:
        """Lock the directory for this process and those that inherit the descriptor; wait for another run."""
        name = os.path.realpath(self._lock)
        if name in _locks:
            return
        descriptor = _locks[name] = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "another run"
                _LOG.warning("WARNING: %s is in use by %s; waiting until it has ended", self.out_dir, holder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning("WARNING: %s: the file system has no locks; do not run two stages here at once", self.out_dir)
        os.ftruncate(descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"{self.stage}, process {os.getpid()} on {socket.gethostname()}, since {since}\n"
        os.pwrite(descriptor, text.encode(), 0)

    def _release_lock(self) -> None:
        if (descriptor := _locks.pop(os.path.realpath(self._lock), None)) is not None:
            os.close(descriptor)

    def _write(self, content: _Content) -> None:
        _publish(self._file, content)
        self._content, self._seen_done = content, set()

    def _load(self) -> _Content:
        """Return the manifest as this object first read or wrote it."""
        if self._content is None:
            self._content = self._read()
        return self._content

    def _read(self) -> _Content:
        """Return the manifest as it is now."""
        try:
            return _read_manifest(self._file)
        except FileNotFoundError:
            raise InputError("no plan", path=self._file, hint=f"Run {self.stage}.sh, which plans first.") from None

    def _relative(self, inputs: Mapping[str, FileDigest]) -> dict[str, FileDigest]:
        """Return inputs with relative names in the output directory itself, which may be moved."""
        inside = f"{self.out_dir.absolute()}{os.sep}"
        return {path.removeprefix(inside): known for path, known in inputs.items()}

    # ---- receipts

    def _receipt(self, key: str) -> _Receipt:
        """Return a receipt; an empty one if it is missing or damaged."""
        try:
            receipt = msgspec.convert(json.loads((self._receipts / f"{key}.json").read_bytes()), _Receipt)
        except (OSError, ValueError, RecursionError):
            return _Receipt()
        is_own = not any(Path(name).is_absolute() or ".." in Path(name).parts for name in receipt.files)
        return receipt if is_own else _Receipt()

    def _is_done(self, key: str, wanted: str) -> bool:
        receipt = self._receipt(key)
        return receipt.digest == wanted and all(_has(self.out_dir / name, d) for name, d in receipt.files.items())

    def _remove_files(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):  # the folders that are not empty
                (self.out_dir / name).unlink(missing_ok=True)
                for parent in Path(name).parents[:-1]:
                    (self.out_dir / parent).rmdir()

    def _tidy(self, recordings: Mapping[str, str]) -> None:
        """Remove the files of recordings that are not in the plan, and temporary files of killed jobs."""
        kept = {name for key in recordings for name in self._receipt(key).files}
        for file in self._receipts.glob("*.json"):
            if file.stem not in recordings:
                self._remove_files(self._receipt(file.stem).files.keys() - kept)
                file.unlink()
        if self._receipts.is_dir():
            for left in (
                *self.out_dir.glob(".tmp.*"),
                *self.out_dir.glob(".*.tmp"),
                *self._file.parent.rglob(".*.tmp"),
            ):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def check(*paths: str | Path) -> dict[str, FileDigest]:
    """Return the digests of the files that exist, by absolute path: the inputs of :meth:`Manifest.plan`.

    Files that no manifest names, such as those of another toolkit, are not checked further.

    Raises:
        InputError: A file differs from the output of its stage, or the inputs of that stage, checked in turn, have
            changed since; the hint names the stage to run.
    """
    inputs = {str(path.absolute()): identified_digest(path) for path in map(Path, paths) if path.is_file()}
    waiting, seen = _by_folder(map(Path, paths)), set()
    while waiting:
        place, wanted = waiting.pop(0)
        for file in sorted((place / _FOLDER).glob("*.json")):
            content, script = _read_manifest(file), _script(file)
            names = [name for name in sorted(wanted & content.outputs.keys()) if (place / name).exists()]
            if not names:
                continue
            if not content.finished:
                what = f"not complete: {script} was started again and has not finished"
                raise InputError(what, path=place / names[0], hint=f"Run {script} again.")
            for name in names:
                if not _has(place / name, content.outputs[name]):
                    hint = f"Run {script} again; if you changed it on purpose, remove {file}."
                    raise InputError(f"damaged: not what {script} wrote", path=place / name, hint=hint)
            if file in seen:
                continue
            seen.add(file)
            if source := _changed(place, content.inputs):
                what = f"out of date: {source} has changed since {script} read it"
                raise InputError(what, path=place / names[0], hint=f"Run {script} again.")
            waiting += _by_folder(place / path for path in content.inputs)
    return inputs


def _by_folder(paths: Iterable[Path]) -> list[tuple[Path, set[str]]]:
    """Return (folder with manifests, names below it) of files in it or in a folder of it."""
    groups: dict[Path, set[str]] = {}
    for path in paths:
        groups.setdefault(path.parent, set()).add(path.name)
        groups.setdefault(path.parent.parent, set()).add(f"{path.parent.name}/{path.name}")
    return [(folder, names) for folder, names in groups.items() if (folder / _FOLDER).is_dir()]


def _script(file: Path) -> str:
    """Return the script that writes a manifest; score_der.full.json is one of score_der.sh."""
    return f"{file.name.partition('.')[0]}.sh"


def _read_manifest(file: Path) -> _Content:
    """Return a manifest, and remember the digests of its inputs; FileNotFoundError, or InputError if it is damaged."""
    status = os.stat(file)
    key = (str(file), status.st_ino, status.st_size, status.st_ctime_ns)
    if key not in _manifests:
        try:
            content = msgspec.convert(json.loads(file.read_bytes()), _Content)
        except (IsADirectoryError, ValueError, RecursionError):
            hint = f"Run {_script(file)} again."
            raise InputError("damaged", path=file, expected="a manifest", hint=hint) from None
        for path, known in content.inputs.items():
            remember(file.parent.parent / path, known)
        _manifests[key] = content
    return _manifests[key]


def _read_or_nothing(file: Path) -> _Content | None:
    with suppress(FileNotFoundError, InputError):
        return _read_manifest(file)
    return None


def _publish(path: Path, content: msgspec.Struct) -> None:
    publish_text(path, json.dumps(msgspec.to_builtins(content), indent=1) + "\n")


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as JSON returns it: tuples as lists, keys as text."""
    return json.loads(json.dumps(value))


def _changed(place: Path, inputs: Mapping[str, FileDigest]) -> Path | None:
    """Return the first input of a manifest that has changed; a missing one has not."""
    for path, known in inputs.items():
        if os.path.exists(place / path) and not _has(place / path, known[0]):
            return place / path
    return None


def _has(path: Path, known: str | None) -> bool:
    """Return whether a file exists and has a digest; None: any."""
    try:
        return path.is_file() if known is None else file_digest(path) == known
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def _balance(costs: Mapping[str, float], jobs: int) -> list[list[str]]:
    """Spread recordings over lists of about equal cost: the dearest first, each into the cheapest list so far."""
    heap: list[tuple[float, int]] = [(0.0, job) for job in range(jobs)]
    lists: list[list[str]] = [[] for _ in range(jobs)]
    for key in sorted(costs, key=lambda key: (-costs[key], key)):
        total, job = heapq.heappop(heap)
        lists[job].append(key)
        heapq.heappush(heap, (total + costs[key], job))
    return lists
