#!/usr/bin/env python3
"""Plan the runs of the paper's figures, and draw those figures; the Python side of run_figures.sh.

plan  checks options and input, prints the runs that are left to do (see runs.py)
plot  writes figure<N>.png and figure<N>.tsv
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "steps" / "diar"))

import stage
from paper.figures import FIGURES, draw, figure_rows, figure_runs
from paper.options import SYSTEMS, add_inputs, checked_inputs, words
from paper.runs import COUNTS, Experiment, Inputs, Run, caption, describe, tsv
from ssdiar.errors import InputError
from ssdiar.io.publish import publish, publish_text
from ssdiar.scoring.der import PROTOCOLS

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Run one of the two sub-commands."""
    options = _parse()
    inputs = checked_inputs(options, (options.num_spk,))
    if options.action == "plan":
        runs = dict.fromkeys(run for figure in options.figures for run in _runs(figure, options))
        experiment = Experiment(options.out_dir, inputs, tuple(PROTOCOLS), tuple(runs))
        for line in experiment.plan_lines(options.overwrite):
            print(line)
        return
    folder = options.out_dir / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for figure in options.figures:
        _plot(figure, inputs, folder, options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    actions = parser.add_actions()
    for action in ("plan", "plot"):
        sub = actions.add_parser(action)
        sub.add_argument("--figures", type=words("figure", FIGURES), required=True)
        sub.add_argument("--num-spk", choices=COUNTS, default="oracle")
        sub.add_argument("--protocol", choices=tuple(PROTOCOLS), default="forgiving")
        add_inputs(sub)
    return parser.parse_args()


def _runs(figure: str, options: argparse.Namespace) -> list[Run]:
    return figure_runs(figure, SYSTEMS, options.num_spk, options.seeds)


def _plot(figure: str, inputs: Inputs, folder: Path, options: argparse.Namespace) -> None:
    runs = _runs(figure, options)
    results = Experiment(options.out_dir, inputs, tuple(PROTOCOLS), tuple(runs)).results()
    if len(results) < len(runs):
        what = f"{len(runs) - len(results)} of {len(runs)} runs of Figure {figure} are not done"
        raise InputError(what, path=options.out_dir, hint="Run local/run_figures.sh.")
    try:
        rows = figure_rows(figure, results, options.protocol)
    except ValueError as error:
        raise InputError(f"Figure {figure}: {error}", path=options.out_dir) from None
    origin = describe(options.data_dir.name, results)
    source = str(results[0].meta["num_spk_source"])
    note = caption(origin, source)
    origin |= {"num_spk_source": source}
    if figure in ("4", "5"):
        protocol = PROTOCOLS[options.protocol].describe()
        note += f" {protocol[0].upper()}{protocol[1:]}."
        origin |= {"protocol": options.protocol}
    publish_text(folder / f"figure{figure}.tsv", tsv([origin | row for row in rows]))
    with publish(folder / f"figure{figure}.png") as path:
        draw(figure, rows, options.protocol, note, path)
    _LOG.info("%s", folder / f"figure{figure}.png")


if __name__ == "__main__":
    stage.run(main)
