#!/usr/bin/env python3
"""Measure how well systems count speakers, on sets after stages 1 to 4.

Every recording is clustered with its number of speakers estimated and given (from the reference). Prints a Markdown
table per system, over all recordings and by number of speakers: the share of right numbers, their mean absolute error
and bias, DER and confusion (forgiving), and confusion with the number given.

e.g.: bench/counting.py --systems "best nmesc" mini callhome_sim
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import common
from common import Source

import numpy as np

from ssdiar.base.arguments import Parser, run, whole_number
from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.scoring.der import PROTOCOLS, DiarizationError

_COLUMNS = ("runs", "right", "mean absolute error", "bias", "DER %", "confusion %", "with number given")


class Row(NamedTuple):
    """One recording and seed: true and estimated number of speakers, errors with the number estimated and given."""

    number: int
    found: int
    error: DiarizationError
    given: DiarizationError


def main() -> None:
    """Print a table per system."""
    options = _parse()
    sets = [common.load(name, options) for name in options.sets]
    for system in options.systems.split():
        config = read_system(system)
        rows = [row for sources in sets for seed in range(options.seeds) for row in count(sources, config, seed)]
        print(format_table(system, rows), flush=True)


def _parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    common.add_places(parser)
    parser.add_argument("--systems", default="best", help="as in run.sh")
    parser.add_argument("--seeds", type=whole_number(1), default=1, help="number of seeds")
    parser.add_argument("sets", nargs="+", metavar="set", help="names of sets, as in run.sh")
    return parser.parse_args()


def count(sources: Sequence[Source], config: SystemConfig, seed: int) -> list[Row]:
    """Cluster the recordings of a set with the number of speakers estimated and given; return a row per recording."""
    both = [common.cluster_all(sources, config, given, seed) for given in (False, True)]
    rows = []
    for one, *results in zip(sources, *both, strict=True):
        errors = [one.error(one.turns(result), PROTOCOLS["forgiving"]) for result in results]
        rows.append(Row(one.num_spk, results[0].history["clusters"], *errors))
    return rows


def format_table(system: str, rows: Sequence[Row]) -> str:
    """Return the table of a system."""
    groups = [("all", list(rows))]
    for number in sorted({row.number for row in rows}):
        groups.append((f"{number} speaker{'s' * (number > 1)}", [row for row in rows if row.number == number]))
    lines = [f"| {system} | {' | '.join(_COLUMNS)} |", "| --- |" + " ---: |" * len(_COLUMNS)]
    lines += [f"| {name} | {' | '.join(_cells(group))} |" for name, group in groups]
    return "".join(f"{line}\n" for line in lines)


def _cells(rows: Sequence[Row]) -> list[str]:
    off = np.array([row.found - row.number for row in rows])
    found, given = (sum((getattr(row, name) for row in rows), DiarizationError()) for name in ("error", "given"))
    rates = (found.der, found.rate(found.confusion), given.rate(given.confusion))
    cells = [f"{len(rows)}", f"{100 * np.mean(off == 0):.0f} %"]
    cells += [f"{np.mean(np.abs(off)):.2f}", f"{np.mean(off):+.2f}"]
    return cells + ["-" if rate is None else f"{100 * rate:.1f}" for rate in rates]


if __name__ == "__main__":
    run(main)
