"""The manifest of one stage in one output directory; the package's docstring says what it is for."""

from __future__ import annotations

import heapq
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.work.digests import Mark, digest, file_digest, mark, remember
from ssdiar.work.locks import publishing, wait_for_other_runs

FOLDER = ".manifest"  # of an output directory
_FORMAT = 1  # part of the digest by which a file of the manifest is known to be whole
# What earlier versions kept in an output directory instead.
_EARLIER = (".plan.json", ".done", ".made", ".lock")


_manifests: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}  # those read, with what they were read as


class Progress(NamedTuple):
    """How far the jobs of a plan are.

    Attributes:
        done: Pieces of work that are done.
        planned: Those that the plan has.
        share: Share of the expected cost that is done.
        total: The expected cost.
        unit: What that is in, if it is for people to read.
    """

    done: int
    planned: int
    share: float
    total: float
    unit: str


class Manifest:
    """What one stage makes in one output directory.

    Args:
        out_dir: The directory.
        stage: Name of the stage's script without ``.sh``.
    """

    def __init__(self, out_dir: str | Path, stage: str) -> None:
        self.out_dir, self.stage = Path(out_dir), stage
        self._folder = self.out_dir / FOLDER
        self._file = self._folder / f"{stage}.json"
        self._receipts = self._folder / stage
        self._content: dict[str, Any] | None = None
        self._seen_done: set[str] = set()

    def plan(
        self,
        inputs: Mapping[str, Mark],
        settings: Mapping[str, Any],
        digests: Mapping[str, str] | None = None,
        costs: Mapping[str, float] | None = None,
        most_jobs: int = 1,
        overwrite: bool = False,
        unit: str = "",
    ) -> int:
        """Write the plan and return the number of jobs that it needs; 0 where everything is done.

        Waits while another run is at work in the directory. From here on, until :meth:`finish`, what the stage made
        earlier counts for nothing.

        Args:
            inputs: All files that are read, as :func:`check` gave them before they were.
            settings: Everything that jobs and gathering need to know, as JSON can hold it.
            digests: What decides the result of each recording. Without recordings, the stage is one piece of work.
            costs: Expected cost of each recording, in any unit; jobs are balanced by it.
            most_jobs: At most this many jobs, and never more than there are recordings to do.
            overwrite: Do everything again, whatever is there.
            unit: What the costs are in, if progress is to be told in it.

        Raises:
            InputError: The output directory cannot be made or written to.
        """
        try:
            (self._folder if digests is None else self._receipts).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError("is in the way of the output directory", path=self.out_dir, expected="a folder") from None
        except PermissionError as error:
            raise InputError("no write permission", path=error.filename) from None
        wait_for_other_runs(self.out_dir, self._folder / "run.lock")
        with publishing(self._folder / "publish.lock"):
            before = _read_or_nothing(self._file)
            wanted = digests or {}
            todo = [key for key in sorted(wanted) if overwrite or not self._is_done(key, wanted[key])]
            costs = {key: (costs or {}).get(key, 1.0) for key in todo}
            jobs = _balance(costs, min(most_jobs, len(todo)))
            is_current = digests is None and not overwrite and self.is_current(inputs, settings)
            self._write(
                {
                    "stage": self.stage,
                    "finished": is_current,
                    "inputs": self._noted(inputs),
                    "settings": _as_json(settings),
                    "recordings": dict(wanted),
                    "costs": costs,
                    "unit": unit,
                    "jobs": jobs,
                    "threads": most_jobs // max(1, len(jobs)),
                    "outputs": before["outputs"],
                }
            )
            for key in todo:
                self._invalidate(key)
            self._clear_earlier_version()
        return len(jobs) if digests is not None else int(not is_current)

    def is_current(self, inputs: Mapping[str, Mark], settings: Mapping[str, Any]) -> bool:
        """Tell whether what is here was made of these inputs with these settings, and is whole."""
        found = _read_or_nothing(self._file)
        return (
            found["finished"]
            and found["settings"] == _as_json(settings)
            and _digests(found["inputs"]) == _digests(self._noted(inputs))
            and all(_has(self.out_dir / name, known) for name, known in found["outputs"].items())
        )

    def is_planned(self) -> bool:
        """Tell whether this stage has worked here at all."""
        return self._file.is_file()

    @property
    def inputs(self) -> dict[str, Mark]:
        """The inputs of the plan, by absolute path.

        Raises:
            InputError: There is no plan.
        """
        return {str(self.out_dir.absolute() / path): known for path, known in self._load()["inputs"].items()}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the plan.

        Raises:
            InputError: There is no plan, or an input has changed since.
        """
        content = self._load()
        if path := _changed(self.out_dir, content["inputs"]):
            raise InputError("has changed since this run began", path=path, hint="Run the stage again.")
        return content["settings"]

    @property
    def threads(self) -> int:
        """Threads that a job may have: where there are fewer recordings than cores, what that leaves over.

        A queue may have given the job fewer cores.
        """
        return max(1, min(self._load()["threads"], cores()))

    def job(self, number: int) -> list[str]:
        """Return the recordings of job ``number`` (from 1) that are not done, in order.

        A job that runs again after a failure therefore goes on where it stopped.
        """
        content = self._load()
        if not 1 <= number <= len(content["jobs"]):
            raise InputError("no such job", path=self._file, expected=f"1 to {len(content['jobs'])}", got=number)
        return [key for key in content["jobs"][number - 1] if not self._is_done(key, content["recordings"][key])]

    def is_done(self, recording: str) -> bool:
        """Tell whether a recording of the plan is done by now, by whichever job."""
        return self._is_done(recording, self._load()["recordings"][recording])

    @contextmanager
    def done(self, recording: str) -> Iterator[Path]:
        """Yield an empty folder to write one recording's files to; a clean exit publishes them, then the receipt.

        Files go to the same relative place below the output directory. Nothing is published if the block raises, nor if
        another process has published the same meanwhile.

        Raises:
            InputError: Another run wants something else of this recording by now.
        """
        wanted = self._load()["recordings"][recording]
        folder = Path(tempfile.mkdtemp(prefix=".tmp.", dir=self.out_dir))
        try:
            yield folder
            files = {}
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                files[str(path.relative_to(folder))] = file_digest(path)
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
            with publishing(self._folder / "publish.lock"):
                if self._read()["recordings"].get(recording) != wanted:
                    what = f"another run was started here and wants recording {recording} anew"
                    raise InputError(what, path=self.out_dir)
                if not self._is_done(recording, wanted):
                    for name in files:
                        (self.out_dir / name).parent.mkdir(parents=True, exist_ok=True)
                        os.replace(folder / name, self.out_dir / name)
                    publish_text(self._receipt_file(recording), _sealed({"digest": wanted, "files": files}))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def progress(self) -> Progress:
        """Return how far the jobs of the plan are.

        Reads each receipt once and believes it without a look at its files: cheap enough for every second.

        Raises:
            InputError: There is no plan.
        """
        content = self._load()
        costs, wanted = content["costs"], content["recordings"]
        there = {name.removesuffix(".json") for name in os.listdir(self._receipts) if name.endswith(".json")}
        for key in (costs.keys() & there) - self._seen_done:
            if self._receipt(key).get("digest") == wanted[key]:
                self._seen_done.add(key)
        total = sum(costs.values())
        share = sum(costs[key] for key in self._seen_done) / total if total > 0 else 0.0
        return Progress(len(self._seen_done), len(costs), share, total, content["unit"])

    @contextmanager
    def finish(self, *names: str, editable: Sequence[str] = ()) -> Iterator[list[str]]:
        """Yield the recordings, all of which must be done, for the stage to write what it makes of all of them.

        Files of recordings that are no longer in the input, and of receipts that no longer count, are removed first. A
        clean exit writes the outputs into the manifest and marks it finished.

        Args:
            names: Files that the block writes, relative to the output directory; those of the recordings are known.
            editable: Files that people may change: their content is not checked.

        Raises:
            InputError: Some recordings are not done (their jobs failed), or another run was started here.
        """
        content = self._load()
        files: list[str] = []
        missing = []
        for key, wanted in content["recordings"].items():
            if self._is_done(key, wanted):
                files += self._receipt(key)["files"]
            else:
                missing.append(key)
        if missing:
            raise InputError(f"{len(missing)} recordings are not done, the first is {missing[0]}", path=self.out_dir)
        self._tidy(content["recordings"])
        yield sorted(content["recordings"])
        outputs: dict[str, Mark | None] = {name: None for name in editable if (self.out_dir / name).exists()}
        outputs |= {name: mark(self.out_dir / name) for name in (*names, *files)}
        with publishing(self._folder / "publish.lock"):
            if self._read() != content:
                raise InputError("another run was started here", path=self.out_dir)
            self._write(content | {"finished": True, "outputs": outputs})

    # ---- the manifest's file

    def _write(self, content: dict[str, Any]) -> None:
        publish_text(self._file, _sealed(content))
        self._content, self._seen_done = content, set()

    def _load(self) -> dict[str, Any]:
        """Return the manifest as it was when this object first read or wrote it: what this process works by."""
        if self._content is None:
            self._content = self._read()
        return self._content

    def _read(self) -> dict[str, Any]:
        """Return the manifest as it is now."""
        try:
            return read_manifest(self._file)
        except FileNotFoundError:
            raise InputError("no plan", path=self._file, hint=f"Run {self.stage}.sh, which plans first.") from None

    def _noted(self, inputs: Mapping[str, Mark]) -> dict[str, Mark]:
        """Return inputs by the names that are noted: relative in the output directory itself, which may be moved."""
        inside = f"{self.out_dir.absolute()}{os.sep}"
        return {path.removeprefix(inside): known for path, known in inputs.items()}

    # ---- receipts

    def _receipt_file(self, key: str) -> Path:
        return self._receipts / f"{key}.json"

    def _receipt(self, key: str) -> dict[str, Any]:
        return _read_receipt(self._receipt_file(key))

    def _is_done(self, key: str, wanted: str) -> bool:
        receipt = self._receipt(key)
        return receipt.get("digest") == wanted and all(
            _has(self.out_dir / name, [known]) for name, known in receipt["files"].items()
        )

    def _invalidate(self, key: str) -> None:
        """Make a receipt count for nothing; what it names stays known, for :meth:`finish` to remove."""
        if self._receipt_file(key).exists():
            self._remove_stale(key)
            os.replace(self._receipt_file(key), self._receipts / f"{key}.stale")

    def _remove_stale(self, key: str) -> None:
        """Remove the files that a stale receipt names and the present one does not, and the stale receipt."""
        stale = self._receipts / f"{key}.stale"
        kept = self._receipt(key).get("files", {})
        for name in _read_receipt(stale).get("files", {}):
            if name not in kept:
                (self.out_dir / name).unlink(missing_ok=True)
                for parent in Path(name).parents[:-1]:
                    _remove_if_empty(self.out_dir / parent)
        stale.unlink(missing_ok=True)

    def _tidy(self, recordings: Mapping[str, str]) -> None:
        """Remove what no recording of the plan has made, and what killed jobs left half-way."""
        for receipt in self._receipts.glob("*.json"):
            if receipt.stem not in recordings:
                self._invalidate(receipt.stem)
        for stale in self._receipts.glob("*.stale"):
            self._remove_stale(stale.stem)
        if self._receipts.is_dir():
            for left in (*self.out_dir.glob(".tmp.*"), *self.out_dir.glob(".*.tmp"), *self._folder.rglob(".*.tmp")):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _clear_earlier_version(self) -> None:
        for name in _EARLIER:
            path = self.out_dir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def check(*paths: str | Path) -> dict[str, Mark]:
    """See that files are what a stage made, and that nothing they were made of has changed since.

    What they were made of is checked in turn, back to the first file that a manifest names.

    Args:
        paths: Files that will be read. Those that no manifest names (another toolkit's) and those that are not there
            pass.

    Returns:
        Those that are there, by absolute path: the inputs of :meth:`Manifest.plan`.

    Raises:
        InputError: A file is damaged, half done or out of date; it says which stage to run.
    """
    inputs = {str(path.absolute()): mark(path) for path in map(Path, paths) if path.is_file()}
    waiting, seen = _by_folder(map(Path, paths)), set()
    while waiting:
        place, wanted = waiting.pop(0)
        for file in sorted((place / FOLDER).glob("*.json")):
            content = read_manifest(file)
            names = [name for name in sorted(wanted & content["outputs"].keys()) if (place / name).exists()]
            if not names:
                continue
            script = f"{content['stage'].split('.')[0]}.sh"
            _check_outputs(place, names, file, content, script)
            if file in seen:
                continue
            seen.add(file)
            if source := _changed(place, content["inputs"]):
                what = f"out of date: {source} has changed since {script} read it"
                raise InputError(what, path=place / names[0], hint=f"Run {script} again.")
            waiting += _by_folder(place / path for path in content["inputs"])
    return inputs


def _by_folder(paths: Iterable[Path]) -> list[tuple[Path, set[str]]]:
    """Return (folder with a manifest, names below it) of files, which lie in it or in a folder of it."""
    groups: dict[Path, list[str]] = {}
    for path in paths:
        groups.setdefault(path.parent, []).append(path.name)
    found = []
    for folder, names in groups.items():
        if (folder / ".made").is_dir() and not (folder / FOLDER).is_dir():
            what = "was made by an earlier version, whose manifests this one cannot read"
            raise InputError(what, path=folder, hint="Run the stages again, from the one that made it.")
        found.append((folder, set(names)))
        found.append((folder.parent, {f"{folder.name}/{name}" for name in names}))
    return [(folder, names) for folder, names in found if (folder / FOLDER).is_dir()]


def _check_outputs(place: Path, names: Sequence[str], file: Path, content: Mapping[str, Any], script: str) -> None:
    if not content["finished"]:
        what = f"not complete: {script} was to make it anew and has not ended"
        raise InputError(what, path=place / names[0], hint=f"Run {script} again.")
    for name in names:
        if not _has(place / name, content["outputs"][name]):
            hint = f"Run {script} again; if you changed it on purpose, remove {file}."
            raise InputError(f"damaged: not what {script} wrote", path=place / name, hint=hint)


def read_manifest(file: Path) -> dict[str, Any]:
    """Return a manifest, whose digests of files are then known.

    Raises:
        FileNotFoundError: There is none.
        InputError: It is damaged.
    """
    read_as = _identity(file)
    if file in _manifests and _manifests[file][0] == read_as:
        return _manifests[file][1]
    content = _unsealed(file)
    if not content:
        raise InputError("damaged", path=file, expected="a manifest", hint=f"Run {file.stem.split('.')[0]}.sh again.")
    for path, known in (content["inputs"] | content["outputs"]).items():
        if known is not None:
            remember(file.parent.parent / path, known)
    _manifests[file] = read_as, content
    return content


def _read_or_nothing(file: Path) -> dict[str, Any]:
    try:
        return read_manifest(file)
    except (FileNotFoundError, InputError):
        return {"finished": False, "outputs": {}}


def _sealed(content: Mapping[str, Any]) -> str:
    """Return the text of a file that tells by a digest of its own whether it is whole."""
    return json.dumps({"sealed": digest(_FORMAT, content), **content}, indent=1) + "\n"


def _unsealed(file: Path) -> dict[str, Any]:
    """Return the content of such a file; nothing if it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if content.pop("sealed") == digest(_FORMAT, content) else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IsADirectoryError):
        return {}


def _read_receipt(file: Path) -> dict[str, Any]:
    """Return a receipt; nothing if there is none, or none to be believed."""
    try:
        receipt = _unsealed(file)
    except FileNotFoundError:
        return {}
    names = map(Path, receipt.get("files", {}))
    return {} if any(name.is_absolute() or ".." in name.parts for name in names) else receipt


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as JSON gives it back: tuples as lists, keys as text."""
    return json.loads(json.dumps(value))


def _digests(inputs: Mapping[str, Mark]) -> dict[str, str]:
    return {path: known[0] for path, known in inputs.items()}


def _changed(place: Path, inputs: Mapping[str, Mark]) -> Path | None:
    """Return the first of a manifest's inputs that is not what it was; one that is gone is not checked."""
    for path, known in inputs.items():
        if os.path.exists(place / path) and not _has(place / path, known):
            return place / path
    return None


def _has(path: Path, known: Mark | None) -> bool:
    """Tell whether a file is there, with a content; None: with any."""
    try:
        return path.is_file() if known is None else file_digest(path) == known[0]
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def _identity(file: Path) -> tuple[int, ...]:
    status = os.stat(file)
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _balance(costs: Mapping[str, float], jobs: int) -> list[list[str]]:
    """Spread recordings over ``jobs`` lists of about equal total cost; the same input gives the same lists.

    The most expensive recording goes first, each to the list that is cheapest so far.
    """
    heap: list[tuple[float, int]] = [(0.0, job) for job in range(jobs)]
    lists: list[list[str]] = [[] for _ in range(jobs)]
    for key in sorted(costs, key=lambda key: (-costs[key], key)):
        total, job = heapq.heappop(heap)
        lists[job].append(key)
        heapq.heappush(heap, (total + costs[key], job))
    return lists
