#!/usr/bin/env python3
"""Which runs the paper's tables need, and those tables; the Python side of run_paper.sh.

plan    checks options and input, prints the runs that are left to do (see ssdiar/report/runs.py)
tables  writes table.md, table.tsv and bootstrap.tsv of the runs that are done
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage
from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.report.paper_text import make_tables
from ssdiar.report.runs import COUNTS, Experiment, Inputs, make_runs
from ssdiar.scoring.der import PROTOCOLS

_LOG = logging.getLogger(__name__)
_SYSTEMS = Path(__file__).resolve().parent.parent / "conf" / "systems"


def main() -> None:
    """Run one of the two sub-commands."""
    options = _parse()
    experiment = _experiment(options)
    if options.action == "plan":
        for line in experiment.plan_lines(options.overwrite):
            print(line)
        return
    results = experiment.results()
    if not results:
        raise InputError("no run is done", path=options.out_dir, hint="Run local/run_paper.sh.")
    tables = make_tables(options.data_dir.name, results)
    for name, text in tables.items():
        publish_text(options.out_dir / name, text)
    _LOG.info("%s, of %d runs:\n%s", options.out_dir / "table.md", len(results), tables["table.md"].rstrip("\n"))


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    actions = parser.add_actions()
    for action in ("plan", "tables"):
        sub = actions.add_parser(action)
        sub.add_argument("--systems", type=words("system"), required=True)
        sub.add_argument("--num-spk", type=words("source", COUNTS), default=COUNTS)
        sub.add_argument("--seeds", type=seed_list, required=True)
        sub.add_argument("--protocols", type=words("protocol", tuple(PROTOCOLS)), default=tuple(PROTOCOLS))
        sub.add_argument("--overwrite", type=stage.boolean, default=False)
        for name in ("data_dir", "subsegments_dir", "xvector_dir", "out_dir"):
            sub.add_argument(name, type=Path)
    return parser.parse_args()


def words(what: str, known: tuple[str, ...] | None = None) -> Callable[[str], tuple[str, ...]]:
    """Return a converter of an option's list of different words."""

    def convert(text: str) -> tuple[str, ...]:
        names = tuple(text.split())
        unknown = [name for name in names if known is not None and name not in known]
        if unknown or not names or len(set(names)) < len(names):
            expected = f"some of: {' '.join(known)}" if known is not None else f"a {what} or more, none twice"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text.strip() or 'nothing'}")
        return names

    return convert


def seed_list(text: str) -> tuple[int, ...]:
    """Convert an option's list of different seeds."""
    seeds = tuple(stage.whole_number(0)(name) for name in words("seed")(text))
    if len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"expected seeds, none twice, got {text}")
    return seeds


def system_file(name: str) -> Path:
    """Return the file of a system that was named, or given as a file."""
    return Path(name) if name.endswith(".yaml") else _SYSTEMS / f"{name}.yaml"


def _experiment(options: argparse.Namespace) -> Experiment:
    inputs = Inputs(options.data_dir, options.subsegments_dir, options.xvector_dir)
    inputs.check(options.num_spk)
    runs = make_runs([system_file(name) for name in options.systems], options.num_spk, options.seeds)
    return Experiment(options.out_dir, inputs, options.protocols, tuple(runs))


if __name__ == "__main__":
    stage.run(main)
