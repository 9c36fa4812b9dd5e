"""Options that run_paper.py and run_figures.py share, and the converters of their lists."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import stage
from paper.runs import Inputs

SYSTEMS = Path(__file__).resolve().parents[2] / "conf" / "systems"
#: Files of conf/readings by their names on the command line.
READINGS = {"robust": None, "literal": SYSTEMS.parent / "readings" / "literal.yaml"}


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the seeds, the directories that all runs read, and the one that they are written to."""
    parser.add_argument("--seeds", type=seed_list, required=True)
    parser.add_argument("--overwrite", type=stage.boolean, default=False)
    for name in ("data_dir", "subsegments_dir", "xvector_dir", "out_dir"):
        parser.add_argument(name, type=Path)


def checked_inputs(options: argparse.Namespace, counts: tuple[str, ...]) -> Inputs:
    """Return what all runs read.

    Raises:
        InputError: Stages 1 to 4 have not left what runs with these sources of speaker counts need.
    """
    inputs = Inputs(options.data_dir, options.subsegments_dir, options.xvector_dir)
    inputs.check(counts)
    return inputs


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
    return Path(name) if name.endswith(".yaml") else SYSTEMS / f"{name}.yaml"
