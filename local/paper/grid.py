"""Call run.sh for systems, sources of speaker counts and seeds, and read the results.

run.sh skips finished work, so nothing here records which runs are done.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssdiar.base.config import config_name
from ssdiar.clustering.config import read_system
from ssdiar.io.meta import read_meta
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, read_score

_SOURCES = ("speech_source", "num_spk_source", "xvector_model")

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call of run.sh."""

    systems: tuple[str, ...]  # choices such as dnn_ahc_triplet+literal
    count: str  # source of speaker counts
    seed: int
    changes: tuple[str, ...] = ()  # of options in all systems, such as stop.threshold=0.3


@dataclass(frozen=True)
class Result:
    """One system's result."""

    system: str  # row and reading: dnn_ahc_triplet+literal
    seed: int | None  # None if the system has no randomness
    changes: tuple[str, ...]  # as in Call
    meta: dict[str, Any]  # its meta.json
    scores: dict[str, Score]  # by protocol name
    histories: dict[str, dict[str, Any]]  # history/RECO.json by recording

    @property
    def row(self) -> str:
        """The system without its reading."""
        return self.system.partition("+")[0]

    @property
    def reading(self) -> str:
        """The reading; empty for the robust one."""
        return self.system.partition("+")[2]

    @property
    def iterations(self) -> dict[str, list[dict[str, Any]]]:
        """The outer iterations of each recording that was trained on."""
        return {reco: history["iterations"] for reco, history in self.histories.items() if history.get("iterations")}


class Grid:
    """Calls of run.sh on one set.

    Args:
        options: Options of run.sh that all calls share, by name, among them ``set``, ``sad``, ``xvector``,
            ``data_root`` and ``exp_root``; None leaves one to run.sh.

    Attributes:
        command: run.sh with these options.
        data_dir: The set's data directory.
        paper_dir: Folder of tables and figures.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items() if value is not None]
        self.command = ["./run.sh", *(word for pair in given for word in pair)]
        self._folder = Path(options["exp_root"], options["set"])
        self.data_dir = Path(options["data_root"], options["set"])
        # Results with other speech or x-vectors than by default have names of their own.
        others = {"sad": "oracle", "xvector": "campplus"}
        self._inputs = [config_name(options[name]) for name, default in others.items() if options[name] != default]
        self.paper_dir = self._folder / "_".join(["paper", *self._inputs])

    def run(self, call: Call) -> list[Result]:
        """Run stages 5 to 7 and return a result per system.

        Raises:
            SystemExit: run.sh failed, and has printed why.
            InputError: A score is missing or damaged.
        """
        changes = [change.replace("=", "_") for change in call.changes]
        tag = "_".join([*self._inputs, *changes, call.count, f"seed{call.seed}"])
        systems = " ".join("+".join([system, *call.changes]) for system in call.systems)
        command = [*self.command, "--systems", systems, "--num-spk", call.count, "--seed", str(call.seed)]
        command += ["--tag", tag, "--stage", "5", "--stop-stage", "7", "--python", sys.executable]
        if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
            sys.exit(1)
        return [self._read(system, self._folder / f"{config_name(system)}_{tag}", call) for system in call.systems]

    def _read(self, system: str, folder: Path, call: Call) -> Result:
        scores = {protocol: read_score(folder / "score" / f"{protocol}.json") for protocol in PROTOCOLS}
        files = sorted((folder / "history").glob("*.json"))
        histories = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
        seed = call.seed if is_random(system) else None
        row, *parts = system.split("+")
        name = "+".join([config_name(row), *(part for part in parts if "=" not in part)])
        return Result(name, seed, call.changes, read_meta(folder), scores, histories)


def is_random(system: str) -> bool:
    """Return whether a system's result depends on the seed."""
    return read_system(system).method != "ahc"


def with_readings(systems: Sequence[str], readings: Sequence[str]) -> list[str]:
    """Return the choices of systems in the readings: ``robust``, or files of conf/readings such as ``literal``.

    A system without the paper's networks has one reading and stands with the first.

    Raises:
        InputError: A system's file is missing or bad.
    """
    choices = []
    for reading, system in ((reading, system) for reading in readings for system in systems):
        config = read_system(system)
        if config.method == "ssl" and config.encoder.type != "baseline2":
            choices.append(system if reading == "robust" else f"{system}+{reading}")
        elif reading == readings[0]:
            choices.append(system)
    return choices


def table_calls(choices: Sequence[str], counts: Sequence[str], seeds: Sequence[int]) -> list[Call]:
    """Return the calls that complete a seed at a time; a system without randomness has the first seed only."""
    calls = [
        Call(tuple(choice for choice in choices if seed == seeds[0] or is_random(choice)), count, seed)
        for count in counts
        for seed in seeds
    ]
    return [call for call in calls if call.systems]


def describe(set_name: str, results: Sequence[Result]) -> dict[str, str]:
    """Return the terms of results (at least one) that have one source of speaker counts."""
    score = next(iter(results[0].scores.values()))
    return {
        "set": set_name,
        "recordings": str(len(score.recordings)),
        **{key: str(results[0].meta.get(key, "not recorded")) for key in _SOURCES},
        "seeds": " ".join(map(str, sorted({result.seed for result in results if result.seed is not None}))) or "none",
        "uem": "yes" if score.uem is not None else "no",
    }


def caption(origin: Mapping[str, str]) -> str:
    """Return these terms in a sentence."""
    return (
        f"Set {origin['set']} ({origin['recordings']} recordings); speech: {origin['speech_source']}; "
        f"speaker count: {origin['num_spk_source']}; x-vectors: {origin['xvector_model']}; seeds: {origin['seeds']}; "
        f"UEM: {origin['uem']}."
    )


def tsv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, all with the same keys, as tab-separated text under a line of names; None and NaN are empty."""

    def cell(value: object) -> str:
        if value is None or value != value:
            return ""
        return f"{value:.4f}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]) if rows else [], *([cell(value) for value in row.values()] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)
