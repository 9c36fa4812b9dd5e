#!/usr/bin/env python3
"""Show on the terminal how far the jobs of a stage are, as a bar with rate and remaining time; jobs.sh starts it.

Reads from stdin what the command that runs the jobs has to say, writes it above the bar, and ends where that ends.
The jobs may run on any machine: what is done is seen from the receipts in the output directory.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from tqdm import tqdm

import stage
from ssdiar.work import Manifest

_INTERVAL = 1.0  # seconds between two looks
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}, {rate_fmt}]"


def main() -> None:
    """Show the bar until stdin ends."""
    parser = stage.Parser(__doc__)
    parser.add_argument("label", help="the stage; what the bar is called")
    parser.add_argument("out_dir", type=Path, help="output directory of the stage")
    options = parser.parse_args()
    work = Manifest(options.out_dir, options.label)
    sized = sys.stderr.isatty() and os.get_terminal_size(2).columns > 0  # some terminals do not tell
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    # The bar counts in the unit of the plan's costs, or else in recordings of average cost, so that rate and remaining
    # time hold for long and short ones; jobs of a queue start late and end in bursts, hence the mean rate since the
    # start (smoothing=0).
    first = work.progress()
    with tqdm(
        desc=options.label,
        total=first.total if first.unit else first.planned,
        unit=first.unit.partition(" ")[0] or "rec",
        bar_format=_FORMAT,
        colour=None if plain else "cyan",
        smoothing=0,
        ncols=None if sized else 80,
        nrows=None if sized else 24,
        dynamic_ncols=sized,
        leave=False,
        file=sys.stderr,
    ) as bar:
        rest, going_on = b"", True
        while going_on:
            cost = _show(bar, options.label, work)
            # Looking at very many receipts takes at most a tenth of a core.
            if select.select([0], [], [], max(_INTERVAL, 10 * cost))[0]:
                data = os.read(0, 65536)
                going_on = bool(data)
                lines, newline, rest = (rest + data).rpartition(b"\n")
                _write(lines + newline + (rest + b"\n" if rest and not data else b""))
        _show(bar, options.label, work)
        bar.leave = bar.n == bar.total


def _show(bar: tqdm, label: str, work: Manifest) -> float:
    """Draw the bar as things stand, and return the seconds that this took."""
    started = time.monotonic()
    now = work.progress()
    bar.n = bar.total if now.done == now.planned else round(now.share * bar.total, 3)
    told = f"{bar.n:.0f} of {bar.total:.0f} {now.unit}" if now.unit else f"{now.done} of {now.planned} recordings"
    bar.set_description_str(f"{label}: {told}", refresh=False)
    bar.refresh()
    return time.monotonic() - started


def _write(text: bytes) -> None:
    if text:
        with tqdm.external_write_mode(file=sys.stderr):
            sys.stderr.write(text.decode(errors="replace"))
            sys.stderr.flush()


if __name__ == "__main__":
    stage.run(main)
