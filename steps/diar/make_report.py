"""Collect the scores of an experiment set into <out-dir>/table.md, and print the same table."""

from __future__ import annotations

import logging
from pathlib import Path

import stage
from ssdiar.io.publish import publish_text
from ssdiar.report.systems import read_systems
from ssdiar.report.table import as_markdown, as_text, table_parts


def main() -> None:
    """Write table.md; the aligned table goes to stdout, everything else to the log."""
    parser = stage.Parser(__doc__)
    parser.add_argument("exp_set_dir", type=Path, help="folder of the systems, for example exp/mini")
    parser.add_argument("out_dir", type=Path, help="where table.md goes")
    parser.add_argument("--systems", default="", help="which systems, in this order (default: all, by name)")
    options = parser.parse_args()
    systems = read_systems(options.exp_set_dir, options.systems.split())
    for system in systems:
        if system.outdated:
            names = " ".join(sorted(system.outdated))
            logging.warning("WARNING: %s has a newer rttm than its scores: %s; run score_der.sh", system.folder, names)
    parts = table_parts(systems)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    publish_text(options.out_dir / "table.md", as_markdown(parts, f"Results of {options.exp_set_dir.resolve().name}"))
    print(as_text(parts), end="")
    logging.info("wrote %s", options.out_dir / "table.md")


if __name__ == "__main__":
    stage.run(main)
