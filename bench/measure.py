"""What every part of bench/run.sh has in common: whole processes timed, rows of results, simulated x-vectors."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
STAGES = ROOT / "steps" / "diar"
_MEGABYTE = 1024 if sys.platform == "darwin" else 1
_RANK = 40.0  # how fast the spread of simulated vectors falls over their dimensions


@dataclass(frozen=True)
class Usage:
    """What one command took: seconds by the clock, seconds of processor, MB of its largest process."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str | Path], **environment: str) -> Usage:
    """Run a command to its end; what it and the processes that it waited for took is the kernel's own account.

    Raises:
        InputError: It fails; with the last line that it printed.
    """
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHON": sys.executable} | environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines() or [""]
            raise InputError(f"{Path(command[0]).name} left with {process.returncode}", got=lines[-1])
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024 / _MEGABYTE)


def write_row(part: str, figure: str, values: Sequence[float], unit: str, goal: str = "") -> None:
    """Print one line of results: the median of ``values``, their range, and whether it meets ``goal`` (``<=1.5``)."""
    median = statistics.median(values)
    met = ""
    if goal:
        met = "yes" if (median <= float(goal[2:]) if goal.startswith("<=") else median >= float(goal[2:])) else "no"
    numbers = [f"{value:.4g}" for value in (median, min(values), max(values))]
    print("\t".join([part, figure, *numbers, str(len(values)), unit, goal, met]), flush=True)


def parser(description: str | None) -> stage.Parser:
    """Return a parser with the option that every part has."""
    options = stage.Parser(description)
    options.add_argument("--repetitions", type=stage.whole_number(1), default=5, help="counted runs (default 5)")
    return options


def simulate(size: int, speakers: int, seed: int = 0, dimension: int = 192):
    """Return x-vectors (size, dimension) float32 of speakers who take turns of 2 to 12 sub-segments, and who each is.

    Speakers, turns and sub-segments differ by normal deviates with standard deviations 1, 1 and 2, of a spread that
    falls over the dimensions. Cosines within and between speakers, and how pure FINCH's first partition is, are then
    about those of CAM++'s vectors of telephone calls.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 13, size)
    changes = np.cumsum(rng.integers(1, speakers, size)) if speakers > 1 else np.zeros(size, np.int64)
    turns = np.repeat(np.arange(size), lengths)[:size]
    truth = changes[turns] % speakers
    spread = np.exp(-np.arange(dimension) / _RANK)
    voices, moods = rng.standard_normal((speakers, dimension)), rng.standard_normal((turns[-1] + 1, dimension))
    vectors = (voices[truth] + moods[turns] + 2 * rng.standard_normal((size, dimension))) * spread
    return vectors.astype(np.float32), truth


def write_xvector_dir(folder: Path, recordings: Mapping[str, Sequence]) -> None:
    """Write a directory as extract_xvectors.sh does, of vectors (S, D) per recording, a sub-segment every 0.75 s."""
    from ssdiar.io.ark import write_xvector_scp, write_xvectors
    from ssdiar.io.tables import write_segments
    from ssdiar.timeline.spans import Segment

    folder.mkdir(parents=True)
    segments, places = [], {}
    for reco, vectors in recordings.items():
        ids = [f"{reco}-{75 * n:07d}-{75 * (n + 1):07d}" for n in range(len(vectors))]
        segments += [Segment(key, reco, 0.75 * n, 0.75 * (n + 1)) for n, key in enumerate(ids)]
        ark = folder / f"xvector.{reco}.ark"
        offsets = write_xvectors(ark, dict(zip(ids, vectors, strict=True)))
        places |= {key: (ark, offset) for key, offset in offsets.items()}
    write_segments(folder, segments)
    write_xvector_scp(folder / "xvector.scp", places)
