"""Print the settings of each system for run.sh, a line per system.

The cells, between bars: choice, name of its directory, suffix of its input's directories, overlap, changes, number of
speakers, turns. An option takes precedence over the system's file. Systems with one suffix share stages 2 to 4.
"""

from __future__ import annotations

import re
from pathlib import Path

import stage

from ssdiar.base.config import config_name
from ssdiar.base.errors import InputError
from ssdiar.clustering.config import read_system
from ssdiar.pipeline import parse_num_spk
from ssdiar.speech.source import SpeechSource


def main() -> None:
    """Read the systems' files and print the lines."""
    parser = stage.Parser(__doc__, prog="run.sh")  # whose options these are
    parser.set_defaults(verbose=0)
    parser.add_argument("--sad", default="pyannote", help="source of speech (pyannote)")
    parser.add_argument("--num-spk", default="", help="number of speakers")
    parser.add_argument("--turns", choices=("closed", "tight"), help="kind of turns")
    parser.add_argument("--tag", default="", help="suffix of the directories")
    parser.add_argument("systems", nargs="+", help="choices of conf/systems")
    options = parser.parse_args()
    number = options.num_spk
    if number and number != "oracle" and not Path(number).is_file() and parse_num_spk(number) is None:
        expected = "a number from 1, limits such as 2-8, estimate, oracle, or a file"
        raise InputError("bad --num-spk", expected=expected, got=number)
    if not re.fullmatch(r"[\w.-]*", options.tag, re.ASCII):
        raise InputError("bad --tag", expected="letters, digits and '_.-'", got=options.tag)
    names = []
    for choice in options.systems:
        system = read_system(choice)
        source = SpeechSource.of(options.sad, system.input.overlap, system.input.changes, strict=False)
        suffix = ("_cut" if source.cut else "") + ("_keep" if source.overlap == "keep" else "")
        names.append(config_name(choice) + (f"_{options.tag}" if options.tag else ""))
        if names[-1] in names[:-1]:
            hint = "Run them one after the other, with another --tag each."
            raise InputError("two systems whose results have one name", got=names[-1], hint=hint)
        cells = (choice, names[-1], suffix, source.overlap, source.changes)
        print(*cells, number or system.num_spk, options.turns or system.turns, sep="|")


if __name__ == "__main__":
    stage.run(main, "run.sh")
