#!/usr/bin/env python3
"""How well speakers are counted: recordings of 1 to 8 speakers, half a minute to an hour, made from free voices.

Makes <out-dir>/data/counting with the simulator, runs the stages of run.sh on it from audio to RTTM for every seed,
with the number of speakers estimated and with it given (oracle), and prints a table by number of speakers and by
length: how often the number is right, its mean absolute error, how many too many (+) or too few (-) there are on
average, and DER and confusion (forgiving). <out-dir>/counting.md has the table, <out-dir>/counting.tsv every recording
of every seed. What is there already is not made again.

The voices are those of local/fetch_prompts.py, seven people: an eighth is one of theirs played slower, which lowers
pitch and formants (x-vector training makes new speakers so: Yamamoto et al., Interspeech 2019). Nothing is said twice:
parties who talk much get the voices that have much to say, and a long recording of few speakers ends when a voice has
said everything.

e.g.: bench/counting.py exp/counting
      bench/counting.py --grid 30x2,60x2 --numbers 1-3 --seeds 0 exp/counting_small
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.scoring.der import PROTOCOLS, DiarizationError, count_speakers, read_comparison, score
from ssdiar.simulation.casting import read_persons
from ssdiar.simulation.channel import Channel
from ssdiar.simulation.corpus import STAGE, CorpusWriter, generator, simulate_call
from ssdiar.simulation.turns import Spurt, TurnTaking
from ssdiar.simulation.voices import RATE, Prompt, Voice, list_voices, load_voice
from ssdiar.work import Manifest

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent

# Of local/fetch_prompts.py: one person in two languages; who is played slower, and how much.
_SAME_PERSON = "allison_en,allison_es"
_SLOWED, _SPEED = "ivrvoice_ru", (22, 25)
_SPARE = 1.15  # a voice must have this many times what its party is planned to say: pieces do not fit exactly


@dataclass(frozen=True)
class Row:
    """One recording with one seed: speakers in the reference and found, its error, and that with the number given."""

    reco: str
    number: int
    length: int
    seed: int
    found: int
    error: DiarizationError
    given: DiarizationError


def main() -> None:
    """Simulate, run, score, print."""
    options = _parse()
    data = options.out_dir / "data" / "counting"
    lengths = {str(seconds): count for seconds, count in options.grid.items()}
    settings = {"grid": lengths, "numbers": options.numbers, "seed": options.sim_seed}
    if Manifest(data, STAGE).is_current({}, settings):
        LOG.info("%s is there already", data)
    else:
        simulate(options, data, settings)
    rows = []
    for index, seed in enumerate(options.seeds):
        names = [_run(options, seed, number, first=index == 0) for number in ("estimate", "oracle")]
        rows += read_rows(options, data, [options.out_dir / "exp" / "counting" / name for name in names], seed)
    table = format_table(rows)
    publish_text(options.out_dir / "counting.md", table)
    publish_text(options.out_dir / "counting.tsv", _format_rows(rows))
    print(table, end="")


def grid(text: str) -> dict[int, int]:
    """Convert ``--grid``: recordings by their length in seconds, of ``30x8,60x8``."""
    pairs = [part.split("x") for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise argparse.ArgumentTypeError(f"expected SECONDSxRECORDINGS with commas between, got {text}")
    return {stage.whole_number(10)(seconds): stage.whole_number(1)(count) for seconds, count in pairs}


def numbers(text: str) -> list[int]:
    """Convert ``--numbers``: a number of speakers or a range of them."""
    first, _, last = text.partition("-")
    found = list(range(stage.whole_number(1)(first), stage.whole_number(1)(last or first) + 1))
    if not found or found[-1] > 8:
        raise argparse.ArgumentTypeError(f"expected a number or a range from 1 to 8, got {text}")
    return found


def seeds(text: str) -> list[int]:
    """Convert ``--seeds``: whole numbers separated by spaces."""
    return [stage.whole_number(0)(part) for part in text.split()]


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add, default = parser.add_argument, "30x8,60x8,180x6,600x2,1800x1,3600x1"
    add("--grid", type=grid, default=default, metavar="SECONDSxRECORDINGS,...", help=f"per number ({default})")
    add("--numbers", type=numbers, default="1-8", metavar="N-N", help="numbers of speakers (1-8)")
    add("--sim-seed", type=stage.whole_number(0), default=0, help="seed of the simulation (0)")
    add("--seeds", type=seeds, default="0 1 2 3 4", help="seeds, separated by spaces (0 1 2 3 4)")
    add("--system", default="best", help="a file of conf/systems (best)")
    add("--nj", type=stage.whole_number(1), default=2, help="jobs (2)")
    add("--prompts", type=Path, default=ROOT / "data" / "local" / "prompts", help="voices, fetched if not there")
    add("out_dir", metavar="<out-dir>", type=Path)
    return parser.parse_args()


def recordings(options: argparse.Namespace) -> Iterator[tuple[str, int, int]]:
    """Yield id, number of speakers and length in seconds of every recording of the grid."""
    for number in options.numbers:
        for seconds, count in options.grid.items():
            for index in range(count):
                yield f"count-{number}spk-{seconds:04d}s-{index + 1}", number, seconds


def simulate(options: argparse.Namespace, data: Path, settings: dict[str, Any]) -> None:
    """Make the data directory of all recordings of the grid."""
    _call([ROOT / "local" / "fetch_prompts.py", options.prompts])
    voices = _read_voices(options.prompts, options.sim_seed)
    persons = read_persons(_SAME_PERSON, voices)
    with CorpusWriter(data, overwrite=True, settings=settings) as corpus:
        for reco, number, seconds in recordings(options):
            plan = TurnTaking().draw(float(seconds), generator(options.sim_seed, reco, "turns"), number)
            cast = assign_by_supply(plan, number, voices, persons, generator(options.sim_seed, reco, "voices"))
            call = simulate_call(reco, cast, plan, float(seconds), Channel(), options.sim_seed)
            corpus.add(reco, call.samples, RATE, call.turns)
            LOG.info("%s: %.0f s, %s", reco, len(call.samples) / RATE, ", ".join(voice.id for voice in cast))


def _read_voices(prompts: Path, seed: int) -> dict[str, Voice]:
    """Return all that each voice has to say, and the slowed one."""
    voices = {}
    for name, folder in list_voices(prompts).items():
        voices[name], _ = load_voice(name, folder, generator(seed, "voice", name), 20.0, float("inf"))
    slowed = f"{_SLOWED}_slowed"
    voices[slowed] = replace(voices[_SLOWED], id=slowed, prompts=tuple(map(_slow_down, voices[_SLOWED].prompts)))
    return voices


def _slow_down(prompt: Prompt) -> Prompt:
    from scipy.signal import resample_poly

    speed, original = _SPEED
    samples = resample_poly(prompt.samples, original, speed).astype(np.float32)
    frame = RATE // 100
    return Prompt(samples, np.minimum(prompt.pieces * original // speed // frame, len(samples) // frame) * frame)


def assign_by_supply(
    plan: Sequence[Spurt], number: int, voices: dict[str, Voice], persons: dict[str, str], rng: np.random.Generator
) -> list[Voice]:
    """Choose a voice per party by chance among those that have enough to say, or else the one with the most.

    Args:
        plan: Who speaks when.
        number: How many parties there are.
        voices: All there are.
        persons: Whose voice it is, where two belong to one person; those two never meet. The slowed voice comes last.
        rng: Source of chance.
    """
    talk = np.zeros(number)
    for spurt in plan:
        talk[spurt.party] += spurt.end - spurt.start
    chosen: dict[int, str] = {}
    for party in np.argsort(-talk, kind="stable").tolist():
        taken = {persons.get(name, name) for name in chosen.values()}
        free = [name for name in voices if persons.get(name, name) not in taken]
        real = [name for name in free if not name.endswith("_slowed")] or free
        enough = [name for name in real if voices[name].seconds >= _SPARE * talk[party]]
        chosen[party] = str(rng.choice(enough)) if enough else max(real, key=lambda name: voices[name].seconds)
    return [voices[chosen[party]] for party in range(number)]


def _run(options: argparse.Namespace, seed: int, num_spk: str, first: bool) -> str:
    """Run the stages up to the RTTM, those before the clustering once; return the name of the system's directory."""
    tag = f"{num_spk}{seed}"
    out_dir = options.out_dir.resolve()
    command = [ROOT / "run.sh", "--set", "counting", "--data-root", out_dir / "data", "--exp-root", out_dir / "exp"]
    command += ["--systems", options.system, "--num-spk", num_spk, "--seed", seed, "--tag", tag, "--nj", options.nj]
    command += ["--stage", 1 if first and num_spk == "estimate" else 5, "--stop-stage", 6, "--python", sys.executable]
    _call(command)
    return f"{Path(options.system).stem}_{tag}"


def _call(command: Sequence[object]) -> None:
    """Run a command of the repository; what it prints goes to stderr.

    Raises:
        InputError: It fails.
    """
    words = [str(word) for word in command]
    if words[0].endswith(".py"):
        words.insert(0, sys.executable)
    done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        raise InputError(f"{Path(str(command[0])).name} failed, see above")


def read_rows(options: argparse.Namespace, data: Path, systems: Sequence[Path], seed: int) -> list[Row]:
    """Score the RTTM of two systems, the second with the number of speakers given; return a row per recording."""
    compared = [read_comparison(data / "ref.rttm", system / "rttm", data / "all.uem") for system in systems]
    errors = [score(comparison, PROTOCOLS["forgiving"]) for comparison in compared]
    rows = []
    for reco, _, length in recordings(options):
        true, found = (count_speakers(turns.get(reco, ())) for turns in (compared[0].reference, compared[0].system))
        rows.append(Row(reco, true, length, seed, found, errors[0][reco], errors[1][reco]))
    return rows


def format_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table: of all recordings, by number of speakers, by length; means over the seeds."""
    head = [
        "recordings",
        "how many",
        "right",
        "mean absolute error",
        "bias",
        "DER %",
        "confusion %",
        "with number given",
    ]
    groups = [("all", list(rows))]
    for number in sorted({row.number for row in rows}):
        groups.append((f"{number} speaker{'s' * (number > 1)}", [row for row in rows if row.number == number]))
    for length in sorted({row.length for row in rows}):
        groups.append((_duration(length), [row for row in rows if row.length == length]))
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += [f"| {name} | {' | '.join(_cells(group))} |" for name, group in groups]
    return "".join(f"{line}\n" for line in lines)


def _cells(rows: Sequence[Row]) -> list[str]:
    off = np.array([row.found - row.number for row in rows])
    found = sum((row.error for row in rows), DiarizationError())
    given = sum((row.given for row in rows), DiarizationError())
    cells = [f"{len({row.reco for row in rows})}", f"{100 * np.mean(off == 0):.0f} %"]
    cells += [f"{np.mean(np.abs(off)):.2f}", f"{np.mean(off):+.2f}"]
    rates = (found.der, found.rate(found.confusion), given.rate(given.confusion))
    return [*cells, *("-" if rate is None else f"{100 * rate:.1f}" for rate in rates)]


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds % 60 or seconds < 120 else f"{seconds // 60} min"


def _format_rows(rows: Sequence[Row]) -> str:
    head = "recording speakers seconds seed found scored miss false_alarm confusion confusion_given"
    lines = [head.replace(" ", "\t")]
    for row in rows:
        seconds = (row.error.scored, row.error.miss, row.error.false_alarm, row.error.confusion, row.given.confusion)
        numbers = (row.reco, row.number, row.length, row.seed, row.found, *(f"{value:.2f}" for value in seconds))
        lines.append("\t".join(map(str, numbers)))
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    stage.run(main)
