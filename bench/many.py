#!/usr/bin/env python3
"""Stages 5 to 8 on very many recordings of a minute: time per recording must not grow with their number.

x-vectors of two simulated speakers per recording, the system `best` with two speakers given; whole stages. "again" is a
second run, which finds everything done.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import stage

import measure
from measure import STAGES, run, simulate, write_row, write_xvector_dir
from ssdiar.io.meta import write_meta
from ssdiar.io.rttm import write_rttm
from ssdiar.timeline.spans import Turn

_PIECES = 80  # of 0.75 s


def main() -> None:
    """Print rows per number of recordings."""
    parser = measure.parser(__doc__)
    parser.add_argument("--recordings", default="300 1000 10000", help="numbers of recordings, separated by spaces")
    parser.add_argument("--nj", type=stage.whole_number(1), default=2)
    options = parser.parse_args()
    for number in map(int, options.recordings.split()):
        with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
            _measure(Path(temporary), number, options.nj)


def _measure(root: Path, number: int, jobs: int) -> None:
    _write_set(root, number)
    exp, options = root / "exp", ["--nj", str(jobs), "--num-spk", "2"]
    stages = {
        "clustering": [STAGES / "cluster_ssl.sh", "--system", "best", *options, root / "vectors", exp / "best"],
        "RTTM": [STAGES / "make_rttm.sh", root / "vectors", exp / "best"],
        "score": [STAGES / "score_der.sh", root / "data", exp / "best"],
        "report": [STAGES / "make_report.sh", exp, root / "report"],
    }
    for run_name in ("", ", again"):
        total = 0.0
        for title, command in stages.items():
            used = run([*command[:1], "--python", sys.executable, "--verbose", "0", *command[1:]])
            total += used.wall
            name = f"{number} recordings, {title}{run_name}"
            write_row("many", name, [used.wall], "s")
            write_row("many", f"{name}, processor per recording", [1000 * used.cpu / number], "ms")
            write_row("many", f"{name}, peak memory", [used.peak], "MB", "<=2048")
        write_row("many", f"{number} recordings, all{run_name}", [total], "s", "<=60" if run_name else "")


def _write_set(root: Path, number: int) -> None:
    """Write x-vectors of ``number`` recordings, and a data directory with the reference."""
    recordings, turns = {}, []
    for index in range(number):
        reco = f"call{index:06d}"
        recordings[reco], truth = simulate(_PIECES, 2, seed=index)
        turns += [Turn(reco, f"{reco}_{who}", 0.75 * piece, 0.75 * piece + 0.75) for piece, who in enumerate(truth)]
    write_xvector_dir(root / "vectors", recordings)
    write_meta(root / "vectors", {"speech_source": "simulated", "xvector_model": "simulated"})
    (root / "data").mkdir()
    write_rttm(root / "data" / "ref.rttm", turns)


if __name__ == "__main__":
    stage.run(main)
