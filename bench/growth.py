#!/usr/bin/env python3
"""Time and peak memory of the clustering stage against the number of sub-segments, on one core; and both paths' labels.

Whole stages (cluster_ssl.sh, one job), simulated x-vectors of two speakers. Sizes above labels.ahc_most take the path
"FINCH first". At the size where both are compared, the smaller ahc_most makes a recording that would not need it take
that path, too; "same" is the share of sub-segments whose labels agree once clusters are matched.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT, STAGES, run, simulate, write_row, write_xvector_dir

_SYSTEM = "conformer_finch_ahc_contrastive"
_SPEAKERS = 2
_FINCH_FIRST = "labels.ahc_most={}"
_GOALS = {40000: ("<=600", "<=4096")}


def main() -> None:
    """Print rows per size; draw them."""
    parser = measure.parser(__doc__)
    parser.add_argument("--sizes", default="500 2000 8000 40000")
    parser.add_argument("--compare", type=int, default=8000, help="size at which both paths are compared; 0: none")
    parser.add_argument("--figure", type=Path, help="file to draw, png or svg")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split()]
    measured = {}
    with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
        for size in sizes:
            work = Path(temporary) / str(size)
            measured[size] = _measure(work, size, "", options.repetitions)
            if size == options.compare:
                _compare(work, size, options.repetitions)
    if options.figure is not None:
        _draw(measured, options.figure)


def _measure(work: Path, size: int, system_options: str, repetitions: int) -> list[measure.Usage]:
    """Run the stage on one recording so long; print and return what it took."""
    vectors, truth = simulate(size, _SPEAKERS)
    if not (work / "vectors").exists():
        write_xvector_dir(work / "vectors", {"call": vectors})
    out = work / ("labels" + system_options)
    command = [STAGES / "cluster_ssl.sh", "--system", _SYSTEM, "--system-options", system_options, "--nj", "1"]
    command += ["--num-spk", str(_SPEAKERS), "--overwrite", "true", work / "vectors", out]
    used = [run(command) for _ in range(repetitions)]
    name = f"{size} sub-segments" + (", FINCH first" if system_options else "")
    time_goal, memory_goal = _GOALS.get(size, ("", ""))
    write_row("growth", name, [usage.wall for usage in used], "s", time_goal)
    write_row("growth", f"{name}, peak memory", [usage.peak for usage in used], "MB", memory_goal)
    write_row("growth", f"{name}, right", [100 * _agreement(_labels(out), truth)], "%")
    return used


def _compare(work: Path, size: int, repetitions: int) -> None:
    finch_first = _FINCH_FIRST.format(size // 2)
    _measure(work, size, finch_first, repetitions)
    same = _agreement(_labels(work / "labels"), _labels(work / f"labels{finch_first}"))
    write_row("growth", f"{size} sub-segments, same by both paths", [100 * same], "%")


def _labels(folder: Path) -> np.ndarray:
    lines = (folder / "labels").read_text().splitlines()
    return np.array([int(line.split()[1]) - 1 for line in lines])


def _agreement(left: np.ndarray, right: np.ndarray) -> float:
    """Return the share of places where two labellings agree, clusters matched one to one as well as can be."""
    from scipy.optimize import linear_sum_assignment

    both = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(both, (left, right), 1)
    return both[linear_sum_assignment(-both)].sum() / len(left)


def _draw(measured: dict[int, list[measure.Usage]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from ssdiar.clustering.config import read_system

    most = read_system(ROOT / "conf" / "systems" / f"{_SYSTEM}.yaml").labels.ahc_most
    sizes = np.array(sorted(measured))
    figure, all_axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axes, name, label, bound in zip(
        all_axes, ("wall", "peak"), ("seconds, start-up included", "peak memory, MB"), (600, 4096), strict=True
    ):
        values = np.array([np.median([getattr(usage, name) for usage in measured[size]]) for size in sizes])
        axes.loglog(sizes, values, "o-", color="#3273b8")
        axes.axhline(bound, color="#b5679b", linewidth=1, linestyle=":")
        axes.axvline(most, color="#8d949e", linewidth=1, linestyle="--")
        axes.annotate("FINCH first", (most, axes.get_ylim()[0]), (4, 4), textcoords="offset points", color="#5d646e")
        for size, value in zip(sizes, values, strict=True):
            axes.annotate(f"{value:,.0f}", (size, value), (0, 6), textcoords="offset points", ha="center", fontsize=8)
        axes.set(
            xlabel="sub-segments of one recording", ylabel=label, xticks=sizes, xticklabels=[f"{s:,}" for s in sizes]
        )
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    stage.run(main)
