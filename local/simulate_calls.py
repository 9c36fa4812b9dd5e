#!/usr/bin/env python3
"""Simulate two-party telephone calls from real voices, with an exact reference of who speaks when.

Input: a folder with one sub-folder per voice, each holding that person's recordings at any sample rate: wav, flac, ogg,
mp3, aiff, sph ..., and by name headerless .gsm (GSM 06.10), .ulaw, .alaw and .sln (16 bits), all 8 kHz.
Output: a data directory, wav/*.flac (8 kHz mono), wav.scp, utt2spk, spk2utt, reco2num_spk, reco2dur, ref.rttm,
all.uem. A speaker's name in ref.rttm is the voice's folder name.

Who speaks when is drawn from a model of turn taking, every distribution of which is an option (MEDIAN,SIGMA is a
log-normal of that median and log-standard deviation), or taken from the calls of an RTTM with --turns-from. The
defaults approximate what conversation research reports (sources: ssdiar/simulation/turns.py). What is said is cut from
the voice's recordings at their pauses. Each side passes its own telephone line; then the two are added up.

One --seed is one corpus: the same voices, options and seed give the same bytes, and each call depends on the seed, its
own id and its own voices alone.

Example: simulate_calls.py --num-calls 20 --duration 180 --codec gsm voices data/sim
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
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import check_id
from ssdiar.simulation.channel import CODECS, Channel
from ssdiar.simulation.corpus import CorpusWriter, assign_pairs, generator, read_pairs, simulate_call
from ssdiar.simulation.turns import Spurt, TurnTaking, spurts_from_turns
from ssdiar.simulation.voices import RATE, Voice, list_voices, load_voice

LOG = logging.getLogger(__name__)


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
    add("--num-calls", type=stage.whole_number(1), help="calls to make; 10, or with --turns-from as many as it has")
    add("--duration", type=stage.number(5, 36000), help="seconds; 180, or with --turns-from as long as the call there")
    add("--pairs", type=Path, help="file of '<call> <voice> <voice>' lines, used in turn; default: all voices evenly")
    add("--prefix", type=call_prefix, default="sim", help="calls are called PREFIX-0001 and so on (sim)")
    add("--seed", type=stage.whole_number(0), default=0, help="(0)")
    add("--format", choices=("flac", "wav"), default="flac", help="of the audio (flac)")
    add("--overwrite", type=stage.boolean, default=False, metavar="true|false", help="replace the output (false)")
    add("--min-speech", type=stage.number(1), default=20.0, help="least speech of a voice, seconds (20)")
    add("--max-speech", type=stage.number(1), default=300.0, help="no more of a voice is read, seconds (300)")
    _add_turn_options(parser)
    _add_channel_options(parser)
    return parser


def _add_turn_options(parser: stage.Parser) -> None:
    default, add = TurnTaking(), parser.add_argument_group("turn taking").add_argument
    shape, positive = two_numbers(0, 60, ordered=False), stage.number(0, 60)
    add("--turns-from", type=Path, metavar="RTTM", help="take the turns of these calls instead of the model's")
    add("--spurt", type=shape, default=default.spurt, metavar="MEDIAN,SIGMA", help="length of a spurt, s (1.6,0.8)")
    add("--pause", type=shape, default=default.pause, metavar="MEDIAN,SIGMA", help="before going on, s (0.6,0.5)")
    add("--hold", type=stage.number(0, 1), default=default.hold, help="probability of going on after a pause (0.3)")
    offset = two_numbers(-10, 10, ordered=False)
    add("--transfer", type=offset, default=default.transfer, metavar="MEAN,SD", help="floor-transfer offset, s (0,0.6)")
    add("--backchannel-rate", type=positive, default=default.backchannel_rate, help="per minute of speech heard (6)")
    add("--backchannel", type=two_numbers(0.2, 5), default=default.backchannel, metavar="LO,HI", help="s (0.3,0.8)")
    add("--dominance", type=stage.number(0, 3), default=default.dominance, help="SD of the log-ratio of lengths (0.8)")


def _add_channel_options(parser: stage.Parser) -> None:
    default, add = Channel(), parser.add_argument_group("telephone line").add_argument
    add("--codec", choices=tuple(CODECS), default=default.codec, help="(mulaw)")
    add("--band", type=band, default=default.band, metavar="LO,HI", help="Hz (300,3400)")
    add("--snr", type=two_numbers(-20, 100), default=default.snr, metavar="LO,HI", help="speech to noise, dB (18,32)")
    add("--gain", type=stage.number(0, 20), default=default.gain, help="a side's level is -26 dB +- up to this (5)")
    add("--tilt", type=stage.number(0, 12), default=default.tilt, help="up to so many dB per octave, + or - (2)")


def load_voices(args: argparse.Namespace, pairs: list[tuple[str, str]], folders: dict[str, Path]) -> dict[str, Voice]:
    """Read the voices that have a part, telling of files that cannot be read."""
    voices = {}
    for name in sorted({name for pair in pairs for name in pair}):
        rng = generator(args.seed, "voice", name)
        voices[name], problems = load_voice(name, folders[name], rng, args.min_speech, args.max_speech)
        for problem in problems:
            LOG.warning("WARNING: skipped: %s", problem)
        LOG.info("voice %s: %.0f s of speech in %d files", name, voices[name].seconds, len(voices[name].prompts))
    skipped = sum(voice.num_unreadable for voice in voices.values())
    if skipped:
        LOG.warning("WARNING: %d files could not be read and were skipped", skipped)
    return voices


def source_calls(path: Path, duration: float | None) -> list[tuple[str, list[Spurt], float]]:
    """Return (recording, spurts, seconds) of each two-party call of an RTTM.

    Raises:
        InputError: It has no recording with two speakers.
    """
    turns: dict[str, list] = {}
    for turn in read_rttm(path):
        turns.setdefault(turn.reco, []).append(turn)
    calls = []
    for reco in sorted(turns):
        spurts = spurts_from_turns(turns[reco], duration)
        if not spurts:
            LOG.warning("WARNING: %s: recording %s has not two speakers, skipped", path, reco)
            continue
        calls.append((reco, spurts, duration or max(spurt.end for spurt in spurts) + 0.5))
    if not calls:
        raise InputError("no recording with two speakers", path=path)
    return calls


def main() -> None:
    """Make the corpus."""
    args = get_parser().parse_args()
    folders = list_voices(args.voices_dir)
    sources = source_calls(args.turns_from, args.duration) if args.turns_from else []
    num_calls = args.num_calls or len(sources) or 10
    if args.pairs:
        listed = read_pairs(args.pairs, list(folders))
        pairs = [listed[index % len(listed)] for index in range(num_calls)]
    else:
        pairs = assign_pairs(list(folders), num_calls, args.seed)
    corpus = CorpusWriter(args.out_dir, args.overwrite, args.format)
    voices = load_voices(args, pairs, folders)
    model = TurnTaking(
        args.spurt, args.pause, args.hold, args.transfer, args.backchannel_rate, args.backchannel, args.dominance
    )
    channel = Channel(args.band, args.gain, args.tilt, args.snr, args.codec)
    with corpus:
        for index, pair in enumerate(pairs):
            reco = f"{args.prefix}-{index + 1:04d}"
            if sources:
                source, plan, duration = sources[index % len(sources)]
            else:
                source, duration = "the model", args.duration or 180.0
                plan = model.draw(duration, generator(args.seed, reco, "turns"))
            call = simulate_call(reco, (voices[pair[0]], voices[pair[1]]), plan, duration, channel, args.seed)
            corpus.add(reco, call.samples, RATE, call.turns)
            LOG.info("%s: %s and %s, turns from %s, %d turns in %.0f s", reco, *pair, source, len(call.turns), duration)
    LOG.info("made %d calls in %s", num_calls, args.out_dir)


if __name__ == "__main__":
    stage.run(main)
