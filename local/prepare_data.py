#!/usr/bin/env python3
"""Stage 1 of the root recipe: make the data directory of its own corpus `mini`, from public downloads.

phone_sample   a real telephone call of 30 s with a human reference (fetch_phone_sample.py)
sim-0001 ...   simulated calls of 120 s between real voices, with an exact reference (fetch_prompts.py,
               simulate_calls.py); left out, with a warning, if the voices cannot be fetched

Writes <data-root>/mini/{wav.scp,reco2num_spk,reco2dur,ref.rttm,all.uem,wav/*.flac}, unless it was made there with the
same --num-calls and --seed. Keeps downloads in <data-root>/local.
e.g.: prepare_data.sh --seed 1
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from simulation.corpus import STAGE, CorpusWriter, write_corpus
from ssdiar.base.errors import InputError
from ssdiar.io.audio import read_audio
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_wav_scp
from ssdiar.work import Manifest

_LOG = logging.getLogger(__name__)
_HERE = Path(__file__).resolve().parent


def main() -> None:
    """Fetch, simulate and write the corpus, unless it is there."""
    options = _parse()
    out_dir, downloads = options.data_root / "mini", options.data_root / "local"
    # wav.scp has the corpus's path, so the settings have it, too.
    settings = {"version": 2, "num_calls": options.num_calls, "seed": options.seed, "place": str(out_dir.absolute())}
    wanted, reduced = ({**settings, "simulated": number} for number in (options.num_calls, 0))
    if Manifest(out_dir, STAGE).is_current({}, wanted):
        _LOG.info("%s is there already, made with the same options", out_dir)
        return
    if (out_dir / "wav.scp").exists() and not Manifest(out_dir, STAGE).is_planned():
        hint = "Give another --data-root, or run the stages on this data directory: run.sh --set mini --stage 2."
        raise InputError("was not made by this script, so it is not replaced", path=out_dir, hint=hint)
    downloads.mkdir(parents=True, exist_ok=True)
    if not _run(options, "fetch_phone_sample.py", downloads / "phone_sample"):
        sys.exit(1)
    if options.num_calls and not _run(options, "fetch_prompts.py", downloads / "prompts"):
        _LOG.warning("no voices to simulate calls with (see above); mini is only the real call")
        wanted = reduced
        if Manifest(out_dir, STAGE).is_current({}, wanted):
            _LOG.info("%s is there already, only the real call", out_dir)
            return
    with write_corpus(out_dir, overwrite=True, settings=wanted) as corpus:
        turns = read_rttm(downloads / "phone_sample" / "sample.rttm")
        audio = read_audio(downloads / "phone_sample" / "sample.wav")
        corpus.add("phone_sample", *audio, [replace(turn, reco="phone_sample") for turn in turns])
        if wanted["simulated"]:
            _add_calls(corpus, options, downloads)
    _LOG.info("made %s: the real call and %d simulated ones", out_dir, wanted["simulated"])


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("--data-root", type=Path, default=Path("data"), metavar="dir", help="folder of data directories and downloads")
    add("--set", default="mini", metavar="mini", help="the corpus; this recipe has one")
    add("--num-calls", type=stage.whole_number(0), default=8, help="number of simulated calls")
    add("--seed", type=stage.whole_number(0), default=0, help="seed of the simulation; the same seed, the same calls")
    options = parser.parse_args()
    if options.set != "mini":
        hint = "For another folder of audio, see run.sh --audio."
        raise InputError("--set: unknown corpus", expected="mini", got=options.set, hint=hint)
    return options


def _run(options: argparse.Namespace, program: str, *arguments: object) -> bool:
    """Run a program of this folder, which reports its own errors; return whether it succeeded."""
    command = [sys.executable, _HERE / program, "--verbose", getattr(options, "verbose", 1), *arguments]
    return subprocess.run(list(map(str, command)), check=False).returncode == 0


def _add_calls(corpus: CorpusWriter, options: argparse.Namespace, downloads: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".calls.", dir=downloads) as scratch:
        calls = Path(scratch, "calls")
        settings = ["--num-calls", options.num_calls, "--duration", 120, "--seed", options.seed]
        settings += ["--max-speech", 150, "--repeat", "true", "--pairs", _HERE / "mini_pairs.txt"]
        if not _run(options, "simulate_calls.py", *settings, downloads / "prompts", calls):
            sys.exit(1)
        reference = read_rttm(calls / "ref.rttm")
        for reco, path in read_wav_scp(calls / "wav.scp").items():
            corpus.add(reco, *read_audio(path), [turn for turn in reference if turn.reco == reco])


if __name__ == "__main__":
    stage.run(main)
