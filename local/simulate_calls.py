#!/usr/bin/env python3
"""Simulate telephone recordings of one or more speakers from real voices, with an exact reference of who speaks when.

Input: a folder with one sub-folder per voice, each holding that person's recordings at any sample rate: wav, flac, ogg,
mp3, aiff, sph ..., and by name headerless .gsm (GSM 06.10), .ulaw, .alaw and .sln (16 bits), all 8 kHz.
Output: a data directory, wav/*.flac (8 kHz mono), wav.scp, utt2spk, spk2utt, reco2num_spk, reco2dur, ref.rttm,
all.uem. A speaker's name in ref.rttm is the voice's folder name.

Who speaks when is drawn from a model of turn taking, every distribution of which is an option (MEDIAN,SIGMA is a
log-normal of that median and log-standard deviation), or taken from the recordings of an RTTM with --turns-from, each
speaker of which gets a voice. The defaults approximate what conversation research reports (sources:
ssdiar/simulation/turns.py). What is said is cut from the voice's recordings at their pauses, and nothing is said twice:
a recording ends early, with a warning, when one of its voices has said everything. Each party has a telephone line of
its own; more than --lines parties share lines, like a family. Then the lines are added up, or with --channels parties
recorded on a channel each, as call centres do (reco2parties says so).

The same voices, options and --seed give the same bytes. Each recording depends only on the seed, its own id and its own
voices.

Examples: simulate_calls.py --num-calls 20 --duration 180 --codec gsm voices data/sim
          simulate_calls.py --num-calls 100 --num-spk 1-8 --duration 20-3600 voices data/count
          simulate_calls.py --channels parties --leakage 0.1 voices data/stereo
          simulate_calls.py --turns-from meetings.rttm --same-person "ann_home,ann_work" voices data/meetings
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import check_id
from ssdiar.simulation.casting import assign_voices, read_casts, read_persons
from ssdiar.simulation.channel import CODECS, Channel
from ssdiar.simulation.corpus import Call, CorpusWriter, generator, simulate_call
from ssdiar.simulation.planning import Plan, plan_by_model, plan_by_turns, usable_sources
from ssdiar.simulation.turns import TurnTaking
from ssdiar.simulation.voices import RATE, Voice, list_voices, load_voice
from ssdiar.timeline.spans import Turn, grouped

LOG = logging.getLogger(__name__)


def spans(convert: Callable[[str], float]) -> Callable[[str], list[tuple[float, float]]]:
    """Return a converter of an option's numbers and ranges, ``30,60,120-3600``, to (first, last) of each."""

    def convert_all(text: str) -> list[tuple[float, float]]:
        found = []
        for item in text.split(","):
            first, _, last = item.partition("-")
            found.append((convert(first), convert(last or first)))
            if found[-1][0] > found[-1][1]:
                raise argparse.ArgumentTypeError(f"expected the smaller number first, got {item}")
        return found

    return convert_all


def two_numbers(least: float, most: float = float("inf"), ordered: bool = True) -> Callable[[str], tuple[float, float]]:
    """Return a converter of an option's ``A,B``, both from ``least`` to ``most``, and A <= B if ``ordered``."""

    def convert(text: str) -> tuple[float, float]:
        parts = text.split(",")
        if len(parts) != 2:
            raise argparse.ArgumentTypeError(f"expected two numbers with a comma between, got {text}")
        first, second = (stage.number(least, most)(part) for part in parts)
        if ordered and first > second:
            raise argparse.ArgumentTypeError(f"expected the smaller number first, got {text}")
        return first, second

    return convert


def band(text: str) -> tuple[float, float]:
    """Convert ``--band``: two frequencies at least an octave apart."""
    low, high = two_numbers(20, 3950)(text)
    if high < 2 * low:
        raise argparse.ArgumentTypeError(f"expected frequencies at least an octave apart, got {text}")
    return low, high


def call_prefix(text: str) -> str:
    """Convert ``--prefix``: text that an id may start with."""
    try:
        return check_id(text, "--prefix")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def get_parser() -> stage.Parser:
    """Return the parser of the command line."""
    parser = stage.Parser(__doc__)
    parser.add_argument("voices_dir", metavar="<voices-dir>", type=Path)
    parser.add_argument("out_dir", metavar="<out-data-dir>", type=Path)
    add = parser.add_argument
    text = "number of recordings (10, or with --turns-from as many as it has)"
    add("--num-calls", type=stage.whole_number(1), help=text)
    text = (
        "speakers of a recording: a number, or a list or range (1-8) that each draws from; default: 2, or with "
        "--turns-from all of a recording there. With a number, those who speak most there are taken"
    )
    add("--num-spk", type=spans(stage.whole_number(1)), metavar="N", help=text)
    text = (
        "length in seconds: a number, or a list or range (20-3600) that each draws from, ranges evenly in the "
        "logarithm; default: 180, or with --turns-from the length of the recording there, which is also the largest"
    )
    add("--duration", type=spans(stage.number(5, 36000)), metavar="SECONDS", help=text)
    text = "file of lines '<recording> <voice> ...', a voice per speaker, used in turn (default: all voices evenly)"
    add("--pairs", type=Path, help=text)
    text = "voices that are one person and never meet: groups separated by spaces, voices in them by commas"
    add("--same-person", default="", metavar="'A,B C,D'", help=text)
    add("--prefix", type=call_prefix, default="sim", help="recordings are called PREFIX-0001 and so on (sim)")
    add("--seed", type=stage.whole_number(0), default=0, help="seed of all randomness (0)")
    add("--format", choices=("flac", "wav"), default="flac", help="format of the audio (flac)")
    add("--overwrite", type=stage.boolean, default=False, metavar="true|false", help="replace the output (false)")
    add("--min-speech", type=stage.number(1), default=20.0, help="least speech that a voice must have, seconds (20)")
    text = "read at most this much of a voice, seconds (300, or as long as the longest recording may be)"
    add("--max-speech", type=stage.number(1), help=text)
    text = "true: a voice that has said everything says it again; false: the recording ends there (false)"
    add("--repeat", type=stage.boolean, default=False, metavar="true|false", help=text)
    _add_turn_options(parser)
    _add_channel_options(parser)
    return parser


def _add_turn_options(parser: stage.Parser) -> None:
    default, add = TurnTaking(), parser.add_argument_group("turn taking").add_argument
    shape, positive = two_numbers(0, 60, ordered=False), stage.number(0, 60)
    add("--turns-from", type=Path, metavar="RTTM", help="take the turns of these recordings instead of the model's")
    add("--spurt", type=shape, default=default.spurt, metavar="MEDIAN,SIGMA", help="length of a spurt, s (1.6,0.8)")
    add("--pause", type=shape, default=default.pause, metavar="MEDIAN,SIGMA", help="before going on, s (0.6,0.5)")
    add("--hold", type=stage.number(0, 1), default=default.hold, help="probability of going on after a pause (0.3)")
    offset = two_numbers(-10, 10, ordered=False)
    add("--transfer", type=offset, default=default.transfer, metavar="MEAN,SD", help="floor-transfer offset, s (0,0.6)")
    add("--backchannel-rate", type=positive, default=default.backchannel_rate, help="per minute of speech heard (6)")
    add("--backchannel", type=two_numbers(0.2, 5), default=default.backchannel, metavar="LO,HI", help="s (0.3,0.8)")
    text = "spread of the parties' shares of talk, standard deviation of the logarithm (0.8)"
    add("--dominance", type=stage.number(0, 3), default=default.dominance, help=text)
    text = "with 3 or more parties: how much likelier the one before the last is to speak next (4)"
    add("--recency", type=stage.number(1, 1000), default=default.recency, help=text)
    text = "with 3 or more parties: seconds that each speaks at least, if there is time (2)"
    add("--least-talk", type=stage.number(0, 60), default=default.least_talk, help=text)


def _add_channel_options(parser: stage.Parser) -> None:
    default, add = Channel(), parser.add_argument_group("telephone line").add_argument
    add("--lines", type=stage.whole_number(1), default=2, help="parties beyond this number share lines (2)")
    text = "how lines are recorded: added up, or one per channel (mix)"
    add("--channels", choices=("mix", "parties"), default="mix", help=text)
    text = "share of the other lines' amplitudes in each channel: 0.1 is 20 dB below (0)"
    add("--leakage", type=stage.number(0, 1), default=0.0, metavar="SHARE", help=text)
    add("--codec", choices=tuple(CODECS), default=default.codec, help="codec of a line (mulaw)")
    add("--band", type=band, default=default.band, metavar="LO,HI", help="pass band of a line, Hz (300,3400)")
    add("--snr", type=two_numbers(-20, 100), default=default.snr, metavar="LO,HI", help="speech to noise, dB (18,32)")
    add("--gain", type=stage.number(0, 20), default=default.gain, help="a line's level is -26 dB +- at most this (5)")
    text = "parties who share a line differ from its level by at most this, dB (3)"
    add("--party-gain", type=stage.number(0, 20), default=default.party_gain, help=text)
    add("--tilt", type=stage.number(0, 12), default=default.tilt, help="largest tilt, up or down, dB per octave (2)")


def plan_all(args: argparse.Namespace, people: int, casts: list[tuple[str, ...]]) -> list[Plan | None]:
    """Return a plan of every recording to be made; None where the turns of an RTTM do not suffice.

    Args:
        args: The options.
        people: How many there are to speak.
        casts: The voices listed by ``--pairs``, used in turn; may be none.

    Raises:
        InputError: There are too few voices, or no recording of the RTTM can be used.
    """
    spans = args.num_spk or ([] if args.turns_from or casts else [(2, 2)])
    if (needed := max((last for _, last in spans), default=1)) > people:
        expected = f"at least {needed} sub-folders, one per voice, with audio inside"
        raise InputError("too few voices", path=args.voices_dir, expected=expected, got=f"{people} that can meet")
    numbers = {number for first, last in spans for number in range(first, last + 1)} or {len(cast) for cast in casts}
    sources = source_turns(args, numbers, people) if args.turns_from else []
    model = turn_taking(args)
    plans = []
    for index in range(args.num_calls or len(sources) or 10):
        reco = f"{args.prefix}-{index + 1:04d}"
        wanted = {len(casts[index % len(casts)])} if casts else numbers
        if sources:
            source = sources[index % len(sources)]
            plans.append(plan_by_turns(reco, source, args.duration or [], wanted, args.seed))
            if plans[-1] is None:
                LOG.warning("WARNING: %s left out: too few speakers in its part of %s", reco, source[0])
        else:
            plans.append(plan_by_model(reco, model, args.duration or [(180.0, 180.0)], wanted, args.seed))
    return plans


def source_turns(args: argparse.Namespace, numbers: set[int], people: int) -> list[tuple[str, Sequence[Turn]]]:
    """Return (recording, turns) of the recordings of ``--turns-from`` that can be used.

    Raises:
        InputError: None can.
    """
    turns = grouped(read_rttm(args.turns_from))
    longest = max(last for _, last in args.duration) if args.duration else None
    sources = usable_sources(turns, longest, numbers, people)
    if not sources:
        expected = f"at least {min(numbers)} speakers" if numbers else f"1 to {people} speakers"
        raise InputError("no recording that can be used", path=args.turns_from, expected=expected)
    return sources


def turn_taking(args: argparse.Namespace) -> TurnTaking:
    """Return the model that the options describe."""
    return TurnTaking(**{field.name: getattr(args, field.name) for field in fields(TurnTaking)})


def most_speech(args: argparse.Namespace) -> float:
    """Return how much of a voice is read, seconds: enough for the longest recording that the options allow.

    It depends on the options alone, so that a recording does not depend on how many others are made.
    """
    if args.max_speech:
        return args.max_speech
    ends = [last for _, last in args.duration or []]
    if args.turns_from and not ends:
        ends = [turn.end for turn in read_rttm(args.turns_from)]
    return max([300.0, *ends])


def load_voices(args: argparse.Namespace, names: set[str], folders: dict[str, Path]) -> dict[str, Voice]:
    """Read the voices that have a part; warn of files that cannot be read."""
    voices, most = {}, most_speech(args)
    for name in sorted(names):
        rng = generator(args.seed, "voice", name)
        voices[name], problems = load_voice(name, folders[name], rng, args.min_speech, most)
        for problem in problems:
            LOG.warning("WARNING: skipped: %s", problem)
        LOG.info("voice %s: %.0f s of speech in %d files", name, voices[name].seconds, len(voices[name].prompts))
    skipped = sum(voice.num_unreadable for voice in voices.values())
    if skipped:
        LOG.warning("WARNING: %d files could not be read and were skipped", skipped)
    return voices


def tell(plan: Plan, call: Call, repeat: bool) -> None:
    """Log what was made, and who had nothing more to say."""
    for voice, seconds in call.ran_out.items():
        if repeat:
            LOG.warning("WARNING: %s: voice %s says things again from %.0f s on", plan.reco, voice, seconds)
        elif seconds == min(call.ran_out.values()):
            text = "WARNING: %s ends after %.0f s of %.0f: voice %s has nothing more to say (--max-speech, --repeat)"
            LOG.warning(text, plan.reco, seconds, plan.duration, voice)
    names = ", ".join(sorted({turn.speaker for turn in call.turns}))
    seconds = len(call.samples) / RATE
    LOG.info("%s: %s; turns from %s, %d turns in %.0f s", plan.reco, names, plan.source, len(call.turns), seconds)


def main() -> None:
    """Make the corpus."""
    parser = get_parser()
    args = parser.parse_args()
    if args.pairs and (args.num_spk or args.same_person):
        parser.error("--pairs says who speaks; --num-spk and --same-person cannot go with it")
    if args.leakage and args.channels == "mix":
        parser.error("--leakage goes with --channels parties")
    leakage = args.leakage if args.channels == "parties" else None
    folders = list_voices(args.voices_dir)
    persons = read_persons(args.same_person, folders)
    casts = read_casts(args.pairs, folders) if args.pairs else []
    plans = plan_all(args, len({persons.get(voice, voice) for voice in folders}), casts)
    if casts:
        chosen = [casts[index % len(casts)] for index in range(len(plans))]
    else:
        chosen = assign_voices(list(folders), [plan.parties if plan else 0 for plan in plans], args.seed, persons)
    corpus = CorpusWriter(args.out_dir, args.overwrite, args.format)
    voices = load_voices(args, {name for cast in chosen for name in cast}, folders)
    channel = Channel(args.band, args.gain, args.tilt, args.snr, args.codec, args.party_gain)
    made = 0
    with corpus:
        for plan, cast in zip(plans, chosen, strict=True):
            if plan is None:
                continue
            parts = [voices[name] for name in cast]
            call = simulate_call(
                plan.reco, parts, plan.spurts, plan.duration, channel, args.seed, args.lines, args.repeat, leakage
            )
            corpus.add(plan.reco, call.samples, RATE, call.turns)
            tell(plan, call, args.repeat)
            made += 1
    LOG.info("made %d recordings in %s", made, args.out_dir)


if __name__ == "__main__":
    stage.run(main)
