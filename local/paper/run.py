#!/usr/bin/env python3
"""Make the paper's Tables II and III and Figures 2 to 5 on a set whose stages 1 to 4 are done.

Runs systems with every source of speaker counts and every seed, by run.sh; a rerun only does the missing work.
Writes to <exp-root>/<set>/paper:
  table.md, table.tsv       DER of each system, mean and standard deviation over seeds, beside the paper's
  bootstrap.tsv             paired differences between systems with confidence intervals, and the paper's rankings
  figures/figure<n>.png     2: clusters per outer iteration, 3: loss over the training, both for first labels by AHC and
  figures/figure<n>.tsv     by FINCH; 4: DER by attention heads and width; 5: DER by threshold, robust: of the loss
                            within an outer iteration, literal: of L^i / L^0. figure<n>_literal has that reading
e.g.: ./run.sh --sad oracle --stop-stage 4 && local/paper/run.sh --set mini --readings "robust literal"
"""

from __future__ import annotations

import argparse
import itertools
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "steps" / "diar"))

import stage

from paper.figures import FIGURES, draw, figure_calls, figure_rows
from paper.grid import Grid, Result, caption, describe, table_calls, tsv, with_readings
from paper.summary import PAPER
from paper.tables import make_tables
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish, publish_text
from ssdiar.io.tables import read_voices

_COUNTS, _MADE, _READINGS = ("oracle", "estimate"), ("tables", *FIGURES), ("robust", "literal", "literal+uncentred")
_LOG = logging.getLogger(__name__)


def main() -> None:
    """Make the tables, then the figures."""
    options = _parse()
    choices = with_readings(options.systems, options.readings)
    shared = ("set", "sad", "xvector", "data_root", "exp_root", "nj", "cmd", "verbose")
    grid = Grid({name: getattr(options, name, None) for name in shared})
    reference = grid.data_dir / "ref.rttm"
    if not reference.is_file():
        hint = f"Prepare the set first: {shlex.join([*grid.command, '--stop-stage', '4'])}"
        raise InputError("no such file", path=reference, expected="the reference", hint=hint)
    (grid.paper_dir / "figures").mkdir(parents=True, exist_ok=True)
    if "tables" in options.make:
        _make_tables(grid, choices, options)
    for figure, reading in itertools.product(FIGURES, options.readings):
        if figure in options.make:
            _make_figure(figure, reading, grid, options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)

    def add_list(name: str, convert: Callable[[str], Any], default: Sequence[Any], text: str, *known: str) -> None:
        shown = " ".join(map(str, default))
        parser.add_argument(name, type=_several(convert, known), default=shown, metavar="a b", help=text)

    readings = (
        "robust: as in conf/systems; literal: to the letter of the paper; literal+uncentred: x-vectors as they come"
    )
    parser.add_argument("--set", required=True, metavar="name", help="name of the set")
    add_list("--make", str, _MADE, "the tables, and figures by their numbers", *_MADE)
    add_list("--systems", str, tuple(PAPER), "systems of the tables")
    add_list("--readings", str, _READINGS[:1], readings, *_READINGS)
    add_list("--num-spk", str, _COUNTS, "sources of speaker counts; the figures use the first", *_COUNTS)
    add_list("--seeds", stage.whole_number(0), (0, 1, 2, 3, 4), "seeds of the clustering")
    for name, default, metavar, text in (
        ("--sad", "oracle", "choice", "source of speech; see run.sh"),
        ("--xvector", "campplus", "choice", "x-vector model; see run.sh"),
        ("--data-root", "data", "dir", "where data directories are"),
        ("--exp-root", "exp", "dir", "where results go"),
        ("--nj", None, "n", "parallel jobs; see run.sh"),
        ("--cmd", None, "command", "how jobs run; see run.sh"),
    ):
        parser.add_argument(name, default=default, metavar=metavar, help=text)
    return parser.parse_args()


def _several(convert: Callable[[str], Any], known: Sequence[str]) -> Callable[[str], tuple[Any, ...]]:
    """Return a converter of an option's list of different values, which must be among ``known`` if any are."""

    def convert_all(text: str) -> tuple[Any, ...]:
        values = tuple(convert(word) for word in text.split())
        if not values or len(set(values)) < len(values) or (known and not set(values) <= set(known)):
            expected = f"some of: {' '.join(known)}" if known else "one or more, none twice"
            raise argparse.ArgumentTypeError(f"expected {expected}; got {text.strip() or 'nothing'}")
        return values

    return convert_all


def _make_tables(grid: Grid, choices: Sequence[str], options: argparse.Namespace) -> None:
    """Write the tables after each seed, so that a long grid can be watched."""
    results: list[Result] = []
    for call in table_calls(choices, options.num_spk, options.seeds):
        results += grid.run(call)
        tables = make_tables(options.set, results, read_voices(grid.data_dir))
        for name, text in tables.items():
            publish_text(grid.paper_dir / name, text)
    _LOG.info("%s, of %d runs:\n%s", grid.paper_dir / "table.md", len(results), tables["table.md"].rstrip("\n"))


def _make_figure(figure: str, reading: str, grid: Grid, options: argparse.Namespace) -> None:
    calls = figure_calls(figure, reading, options.num_spk[0], options.seeds)
    results = [result for call in calls for result in grid.run(call)]
    suffix = "" if reading == "robust" else "_" + reading.replace("+", "_")
    path = grid.paper_dir / "figures" / f"figure{figure}{suffix}.png"
    rows = figure_rows(figure, results)
    origin = describe(options.set, results)
    publish_text(path.with_suffix(".tsv"), tsv([origin | row for row in rows]))
    with publish(path) as temporary:
        draw(figure, rows, f"Reading: {reading}. {caption(origin)}", temporary)
    _LOG.info("%s", path)


if __name__ == "__main__":
    stage.run(main)
