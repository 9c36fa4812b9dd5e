#!/usr/bin/env python3
"""Make the corpus `mini` of the real telephone call and, if there are any, the simulated ones.

make  writes <out-data-dir>, and replaces an older one; <sample-dir> is made by fetch_phone_sample.py, --calls by
      simulate_calls.py
ask   prints "there" if <out-data-dir> is complete and was made with these options
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from simulation.corpus import STAGE, CorpusWriter
from ssdiar.io.audio import read_audio
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_wav_scp
from ssdiar.work import Manifest

LOG = logging.getLogger(__name__)


def main() -> None:
    """Run one of the two sub-commands."""
    parser = stage.Parser(__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    ask, make = actions.add_parser("ask"), actions.add_parser("make")
    for action in (ask, make):
        action.add_argument("--num-calls", type=stage.whole_number(0), required=True, help="simulated calls to make")
        action.add_argument("--seed", type=stage.whole_number(0), required=True)
    ask.add_argument("--simulated", type=stage.whole_number(0), required=True, help="simulated calls in it")
    make.add_argument("--calls", type=Path, help="data directory of simulated calls")
    make.add_argument("sample_dir", metavar="<sample-dir>", type=Path)
    for action in (ask, make):
        action.add_argument("out_dir", metavar="<out-data-dir>", type=Path)
    options = parser.parse_args()
    {"ask": _ask, "make": _make}[options.action](options)


def _settings(options: argparse.Namespace, simulated: int) -> dict[str, Any]:
    """Return the settings of the corpus; they include its path, which is in wav.scp."""
    place = str(options.out_dir.absolute())
    return {"version": 1, "num_calls": options.num_calls, "seed": options.seed, "simulated": simulated, "place": place}


def _ask(options: argparse.Namespace) -> None:
    if Manifest(options.out_dir, STAGE).is_current({}, _settings(options, options.simulated)):
        print("there")


def _make(options: argparse.Namespace) -> None:
    calls = read_wav_scp(options.calls / "wav.scp") if options.calls else {}
    reference = read_rttm(options.calls / "ref.rttm") if options.calls else []
    with CorpusWriter(options.out_dir, overwrite=True, settings=_settings(options, len(calls))) as corpus:
        turns = [replace(turn, reco="phone_sample") for turn in read_rttm(options.sample_dir / "sample.rttm")]
        corpus.add("phone_sample", *read_audio(options.sample_dir / "sample.wav"), turns)
        for reco, path in calls.items():
            corpus.add(reco, *read_audio(path), [turn for turn in reference if turn.reco == reco])
    LOG.info("made %s: the real call and %d simulated ones", options.out_dir, len(calls))


if __name__ == "__main__":
    stage.run(main)
