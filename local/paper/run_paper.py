#!/usr/bin/env python3
"""Plan the runs of the paper's tables, and make those tables; the Python side of run_paper.sh.

plan    checks options and input, prints the runs that are left to do (see runs.py)
tables  writes table.md, table.tsv and bootstrap.tsv of the runs that are done
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "steps" / "diar"))

import stage
from paper.options import READINGS, add_inputs, checked_inputs, system_file, words
from paper.runs import COUNTS, Experiment, make_runs
from paper.tables import make_tables
from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.scoring.der import PROTOCOLS

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Run one of the two sub-commands."""
    options = _parse()
    inputs = checked_inputs(options, options.num_spk)
    runs = make_runs(
        [system_file(name) for name in options.systems],
        options.num_spk,
        options.seeds,
        [READINGS[name] for name in options.reading],
        options.system_options.split(),
    )
    experiment = Experiment(options.out_dir, inputs, options.protocols, tuple(runs))
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
        sub.add_argument("--reading", type=words("reading", tuple(READINGS)), default=("robust",))
        sub.add_argument("--system-options", default="")
        sub.add_argument("--num-spk", type=words("source", COUNTS), default=COUNTS)
        sub.add_argument("--protocols", type=words("protocol", tuple(PROTOCOLS)), default=tuple(PROTOCOLS))
        add_inputs(sub)
    return parser.parse_args()


if __name__ == "__main__":
    stage.run(main)
