"""Runs of systems under ``<exp-set-dir>/paper/``: which there will be, which are done, and what they scored.

A run is one system, with changed options perhaps, one source of speaker counts and one seed. Its folder holds what
stages 5 to 7 write. It is done when their manifests say that all of it is of this set and these options, and current.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from ssdiar.clustering.config import SystemConfig, name_of, read_system
from ssdiar.errors import InputError
from ssdiar.io.meta import read_meta
from ssdiar.scoring.score_file import Score, read_score
from ssdiar.work import Manifest, check

#: Sources of the number of speakers.
COUNTS = ("oracle", "estimate")


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        system: The system's file of conf/systems.
        count: ``oracle`` or ``estimate``.
        seed: Seed of the training.
        changes: Options that override the file, such as ``stop.threshold=0.3``.
        reading: A file of conf/readings, or None for what the system's file says.
    """

    system: Path
    count: str
    seed: int
    changes: tuple[str, ...] = ()
    reading: Path | None = None

    @property
    def name(self) -> str:
        """The system's name, with its reading."""
        return name_of(self.system, self.reading)

    def config(self) -> SystemConfig:
        """Return the system with its reading and options; for errors see :func:`read_system`."""
        return read_system(self.system, self.changes, self.reading)

    def folder(self, root: Path) -> Path:
        """Return its folder below ``root``: ``<system>[/<options>]/<count>/seed<N>``."""
        options = ["_".join(self.changes).replace("=", "_")] if self.changes else []
        return root.joinpath(self.name, *options, self.count, f"seed{self.seed}")


@dataclass(frozen=True)
class Inputs:
    """What all runs of a set read.

    Args:
        data_dir: With ref.rttm; all.uem and reco2num_spk where there are any.
        subsegments_dir: What stage 3 wrote.
        xvector_dir: What stage 4 wrote.
    """

    data_dir: Path
    subsegments_dir: Path
    xvector_dir: Path

    def check(self, counts: Iterable[str]) -> None:
        """Raise InputError where stages 1 to 4 have not left what runs need."""
        needed = {
            self.data_dir / "ref.rttm": "the reference, which scoring needs",
            self.subsegments_dir / "segments": "sub-segments (stage 3)",
            self.xvector_dir / "xvector.scp": "x-vectors (stage 4)",
        }
        if "oracle" in counts:
            needed[self.data_dir / "reco2num_spk"] = "reference counts, for --num-spk oracle"
        options = {
            "--set": self.data_dir.name,
            "--xvector": self.xvector_dir.name.removeprefix("xvectors_"),
            "--data-root": str(self.data_dir.parent),
            "--exp-root": str(self.xvector_dir.parent.parent),
        }
        command = " ".join(["./run.sh", *(f"{key} {shlex.quote(value)}" for key, value in options.items())])
        command += " --stop-stage 4"
        hint = f"Prepare the set first: {command} (with --audio or --corpus-dir where the set has them)."
        for path, what in needed.items():
            if not path.is_file():
                raise InputError("no such file", path=path, expected=what, hint=hint)

    def by_stage(self, count: str, protocols: Iterable[str]) -> dict[str, list[Path]]:
        """Return what each stage of a run, by the name of its manifest, is to have read."""
        of_set = [path for path in (self.data_dir / "ref.rttm", self.data_dir / "all.uem") if path.is_file()]
        counts = [self.data_dir / "reco2num_spk"] if count == "oracle" else []
        return {
            "cluster_ssl": [self.xvector_dir / "xvector.scp", *counts],
            "make_rttm": [self.subsegments_dir / "segments"],
            **{f"score_der.{protocol}": of_set for protocol in protocols},
        }


def make_runs(
    systems: Sequence[Path],
    counts: Sequence[str],
    seeds: Sequence[int],
    readings: Sequence[Path | None] = (None,),
    changes: Sequence[str] = (),
) -> list[Run]:
    """Return the runs of systems with every count source and seed, in an order that completes a seed at a time.

    A system without randomness runs once per count source, with the first seed. What trains nothing, and [18] as
    published, has one reading of the paper.

    Args:
        systems: Files of conf/systems.
        counts: Some of :data:`COUNTS`.
        seeds: Seeds of the training.
        readings: Files of conf/readings; None: as the system's file says.
        changes: Options that override those of all systems.

    Raises:
        InputError: A system's file is missing or bad, two have the same name, or no system has a reading.
    """
    configs = {system: read_system(system, changes) for system in systems}
    names = [system.stem for system in systems]
    for system in systems:
        if names.count(system.stem) > 1:
            raise InputError("two systems have one name", path=system, expected="different names", got=system.stem)
    chosen = [
        (system, reading)
        for reading in readings
        for system, config in configs.items()
        if reading is None or None not in readings or _has_readings(config)
    ]
    return [
        Run(system, count, seed, tuple(changes), reading if _has_readings(configs[system]) else None)
        for count in counts
        for seed in seeds
        for system, reading in chosen
        if uses_seed(configs[system].method) or seed == seeds[0]
    ]


def _has_readings(config: SystemConfig) -> bool:
    """Return whether a system is one that the paper trains, of which there is more than one reading."""
    return config.method == "ssl" and config.encoder.type != "baseline2"


def uses_seed(method: str) -> bool:
    """Return whether a system of that method depends on randomness."""
    return method != "ahc"


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Args:
        run: The run.
        meta: Its meta.json.
        scores: By protocol name.
        histories: ``history/RECO.json`` by recording.
    """

    run: Run
    meta: dict[str, Any]
    scores: dict[str, Score]
    histories: dict[str, dict[str, Any]]

    @property
    def iterations(self) -> dict[str, list[dict[str, Any]]]:
        """The outer iterations by recording; of recordings that trained."""
        return {reco: history["iterations"] for reco, history in self.histories.items() if history.get("iterations")}


@dataclass(frozen=True)
class Experiment:
    """Runs on the same input, below one folder.

    Args:
        root: The folder.
        inputs: What all of them read.
        protocols: Names of the protocols they are scored by.
        runs: The runs, in the order in which they will be done.
    """

    root: Path
    inputs: Inputs
    protocols: tuple[str, ...]
    runs: tuple[Run, ...]

    def plan_lines(self, overwrite: bool = False) -> list[str]:
        """Return a line per run that is left to do, tabs between: folder, count, seed, system, reading, options.

        Raises:
            InputError: An option of a run is bad.
        """
        left = [run for run in self.runs if overwrite or not self._is_done(run)]
        return ["\t".join([str(run.folder(self.root)), *_arguments(run)]) for run in left]

    def results(self) -> list[Result]:
        """Return the results of the runs that are done, in order.

        Raises:
            InputError: A file is damaged.
        """
        done = [run for run in self.runs if self._is_done(run)]
        return [_read_result(run, run.folder(self.root), self.protocols) for run in done]

    def _is_done(self, run: Run) -> bool:
        folder = run.folder(self.root)
        files = [folder / name for name in ("labels", "rttm", "meta.json")]
        files += [folder / "score" / f"{name}.json" for name in self.protocols]
        config = json.loads(json.dumps(to_builtins(run.config())))
        wanted = {"system": run.name, "config": config, "counts": run.count, "seed": run.seed}
        try:
            check(*files)
            for stage, inputs in self.inputs.by_stage(run.count, self.protocols).items():
                if not {str(path.absolute()) for path in inputs} <= Manifest(folder, stage).inputs.keys():
                    return False
            settings = Manifest(folder, "cluster_ssl").settings
        except InputError:
            return False
        return wanted.items() <= settings.items() and all(file.is_file() for file in files)


def _arguments(run: Run) -> list[str]:
    """Return what run_system.sh is told about a run."""
    reading = "robust" if run.reading is None else run.reading.stem
    return [run.count, str(run.seed), str(run.system), reading, " ".join(run.changes)]


def _read_result(run: Run, folder: Path, protocols: Sequence[str]) -> Result:
    scores = {name: read_score(folder / "score" / f"{name}.json") for name in protocols}
    histories = {}
    for path in sorted((folder / "history").glob("*.json")):
        try:
            histories[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise InputError("damaged", path=path, hint="Run it again with --overwrite true.") from None
    return Result(run, read_meta(folder), scores, histories)


def error_seconds(results: Sequence[Result], protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (R,) seconds in error and (R,) seconds scored per recording, in order of id, averaged over ``results``."""
    seconds = [
        [(rates.seconds.error, rates.seconds.scored) for _, rates in sorted(result.scores[protocol].recordings.items())]
        for result in results
    ]
    error, scored = np.mean(seconds, axis=0).T
    return error, scored


def describe(set_name: str, results: Sequence[Result]) -> dict[str, str]:
    """Return what every table of results (one at least) of one experiment has to say of them."""
    meta, score = results[0].meta, next(iter(results[0].scores.values()))
    return {
        "set": set_name,
        "recordings": str(len(score.recordings)),
        "speech_source": str(meta.get("speech_source", "not recorded")),
        "xvector_model": str(meta.get("xvector_model", "not recorded")),
        "seeds": " ".join(map(str, sorted({result.run.seed for result in results}))),
        "scorer": score.scorer,
        "uem": "yes" if score.uem is not None else "no",
    }


def caption(origin: Mapping[str, str], num_spk_source: str) -> str:
    """Return the same in words, for results with one source of speaker counts."""
    return (
        f"Set {origin['set']} ({origin['recordings']} recordings); speech: {origin['speech_source']}; "
        f"speaker count: {num_spk_source}; x-vectors: {origin['xvector_model']}; seeds: {origin['seeds']}; "
        f"scorer: {origin['scorer']}, UEM: {origin['uem']}."
    )


def tsv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, all with the same keys, as tab-separated text under a line of names; None and NaN are empty."""

    def cell(value: object) -> str:
        if value is None or value != value:
            return ""
        return f"{value:.4f}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]) if rows else [], *([cell(value) for value in row.values()] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)
