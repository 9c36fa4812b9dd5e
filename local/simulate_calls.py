#!/usr/bin/env python3
"""Simulate telephone recordings of one or more speakers from real voices, with an exact reference of who speaks when.

Input: a folder with one sub-folder per voice, each with that person's recordings in any format (headerless .gsm, .ulaw,
.alaw and .sln at 8 kHz); local/fetch_prompts.py fetches eight free voices.
Output: a data directory with wav/*.flac (8 kHz), wav.scp, utt2spk, spk2utt, reco2num_spk, reco2dur, reco2voices,
ref.rttm, all.uem.
Speakers in ref.rttm have the names of the voices' folders.

Turns are drawn from a model of conversation (simulation/turns.py). Speech is cut from the voice's recordings at
their pauses and used once: a recording ends early, with a warning, when a voice has none left. Each party has a line;
more than two share two lines, like families. The lines are added up, or with --channels parties recorded on a channel
each, as in call centres (reco2parties). The same voices, options and --seed give the same bytes; a recording depends
only on the seed, its id and its voices.

Examples: simulate_calls.py --num-calls 20 --duration 180 voices data/sim
          simulate_calls.py --num-calls 100 --num-spk 1-8 --duration 20-3600 voices data/count
          simulate_calls.py --channels parties --leakage 0.1 voices data/stereo
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # with PYTHONSAFEPATH it is not there
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from simulation.casting import assign_voices, read_casts, read_persons
from simulation.channel import CODECS, Channel
from simulation.corpus import Call, generator, simulate_call, write_corpus
from simulation.turns import TurnTaking, draw_duration
from simulation.voices import RATE, Voice, list_voices, load_voice
from ssdiar.base.errors import InputError
from ssdiar.io.tables import check_id

LOG = logging.getLogger(__name__)


def span(convert: Callable[[str], float]) -> Callable[[str], tuple[float, float]]:
    """Return a converter of an option's number or range, ``180`` or ``20-3600``, to (first, last)."""

    def convert_both(text: str) -> tuple[float, float]:
        first, _, last = text.partition("-")
        found = convert(first), convert(last or first)
        if found[0] > found[1]:
            raise argparse.ArgumentTypeError(f"expected the smaller number first, got {text}")
        return found

    return convert_both


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = stage.Parser(__doc__)
    parser.add_argument("voices_dir", metavar="<voices-dir>", type=Path)
    parser.add_argument("out_dir", metavar="<out-data-dir>", type=Path)
    add = parser.add_argument
    add("--num-calls", type=stage.whole_number(1), default=10, help="number of recordings")
    text = "speakers of a recording: a number, or a range (1-8) to draw from (2)"
    add("--num-spk", type=span(stage.whole_number(1)), metavar="n|a-b", help=text)
    text = "seconds: a number, or a range (20-3600) to draw from, uniform in the logarithm (180)"
    add("--duration", type=span(stage.number(5, 36000)), default="180", metavar="s|a-b", help=text)
    add("--pairs", type=Path, metavar="file", help="lines '<recording> <voice> ...', used in turn, not drawn voices")
    text = "voices of one person, which never meet: groups separated by spaces, voices in them by commas"
    add("--same-person", default="", metavar="'A,B C,D'", help=text)
    add("--prefix", default="sim", help="recordings are called PREFIX-0001 and so on")
    add("--seed", type=stage.whole_number(0), default=0, help="seed of all randomness")
    add("--overwrite", type=stage.boolean, default=False, help="replace the output")
    add("--min-speech", type=stage.number(1), default=20.0, metavar="seconds", help="minimum speech of a voice")
    text = "maximum speech to read of a voice (300, or the longest possible recording)"
    add("--max-speech", type=stage.number(1), metavar="seconds", help=text)
    text = "true: a voice repeats itself when it has no unused speech left; false: the recording ends there"
    add("--repeat", type=stage.boolean, default=False, help=text)
    add("--channels", choices=("mix", "parties"), default="mix", help="lines are added up, or have a channel each")
    text = "share of the other lines' amplitudes in each channel: 0.1 is 20 dB below"
    add("--leakage", type=stage.number(0, 1), default=0.0, metavar="share", help=text)
    add("--codec", choices=tuple(CODECS), default="mulaw", help="codec of a line")
    args = parser.parse_args()
    check_id(args.prefix, "--prefix")
    if args.pairs and (args.num_spk or args.same_person):
        parser.error("--pairs lists the speakers; --num-spk and --same-person cannot go with it")
    if args.leakage and args.channels == "mix":
        parser.error("--leakage goes with --channels parties")
    return args


def cast_all(args: argparse.Namespace, recos: list[str], folders: dict[str, Path]) -> list[tuple[str, ...]]:
    """Return the voices of each recording.

    Raises:
        InputError: There are too few voices, or ``--pairs`` or ``--same-person`` names unknown ones.
    """
    if args.pairs:
        casts = read_casts(args.pairs, folders)
        return [casts[index % len(casts)] for index in range(len(recos))]
    persons = read_persons(args.same_person, folders)
    people = len({persons.get(voice, voice) for voice in folders})
    first, last = args.num_spk or (2, 2)
    if last > people:
        expected = f"at least {last} sub-folders, one per voice, with audio inside"
        raise InputError("too few voices", path=args.voices_dir, expected=expected, got=f"{people} that can meet")
    parties = [int(generator(args.seed, reco, "speakers").choice(range(first, last + 1))) for reco in recos]
    return assign_voices(list(folders), parties, args.seed, persons)


def load_voices(args: argparse.Namespace, names: set[str], folders: dict[str, Path]) -> dict[str, Voice]:
    """Read the voices that have a part; warn about files that cannot be read."""
    # The amount depends on the options only, so that a recording does not depend on the number of others.
    maximum = args.max_speech or max(300.0, args.duration[1])
    voices = {}
    for name in sorted(names):
        rng = generator(args.seed, "voice", name)
        voices[name], problems = load_voice(name, folders[name], rng, args.min_speech, maximum)
        for problem in problems:
            LOG.warning("WARNING: skipped: %s", problem)
        LOG.info("voice %s: %.0f s of speech in %d files", name, voices[name].seconds, len(voices[name].prompts))
    return voices


def report(call: Call, duration: float, repeat: bool) -> None:
    """Log the recording, and the voices that ran out of speech."""
    effect = "repeats itself" if repeat else "has no unused speech left (--max-speech, --repeat), so the recording ends"
    for voice, seconds in call.ran_out.items():
        LOG.warning("WARNING: %s: voice %s %s after %.0f s of %.0f", call.reco, voice, effect, seconds, duration)
    names = ", ".join(sorted({turn.speaker for turn in call.turns}))
    LOG.info("%s: %s; %d turns in %.0f s", call.reco, names, len(call.turns), len(call.samples) / RATE)


def main() -> None:
    """Make the corpus."""
    args = parse()
    folders = list_voices(args.voices_dir)
    recos = [f"{args.prefix}-{number:04d}" for number in range(1, args.num_calls + 1)]
    casts = cast_all(args, recos, folders)
    channel = Channel(leakage=args.leakage if args.channels == "parties" else None, codec=args.codec)
    with write_corpus(args.out_dir, args.overwrite) as corpus:
        voices = load_voices(args, {name for cast in casts for name in cast}, folders)
        for reco, cast in zip(recos, casts, strict=True):
            duration = draw_duration(*args.duration, generator(args.seed, reco, "duration"))
            plan = TurnTaking().draw(duration, generator(args.seed, reco, "turns"), len(cast))
            parts = [voices[name] for name in cast]
            call = simulate_call(reco, parts, plan, duration, channel, args.seed, args.repeat)
            corpus.add(reco, call.samples, RATE, call.turns)
            report(call, duration, args.repeat)
    LOG.info("made %d recordings in %s", len(recos), args.out_dir)


if __name__ == "__main__":
    stage.run(main)
