#!/usr/bin/env python3
"""Put the corpus `mini` together: the real telephone call, and the simulated ones if there are any.

<sample-dir> is what fetch_phone_sample.py makes. --calls is a data directory made by simulate_calls.py; without it the
real call is alone. --made-with is written to <out-data-dir>/made_with, by which prepare_data.sh knows its work again.
An older <out-data-dir> is replaced.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage
from ssdiar.io.audio import read_audio
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_wav_scp
from ssdiar.simulation.corpus import CorpusWriter

LOG = logging.getLogger(__name__)


def main() -> None:
    """Combine."""
    parser = stage.Parser(__doc__)
    parser.add_argument("sample_dir", metavar="<sample-dir>", type=Path)
    parser.add_argument("out_dir", metavar="<out-data-dir>", type=Path)
    parser.add_argument("--calls", type=Path, help="data directory of simulated calls")
    parser.add_argument("--made-with", default="", help="options, for the record")
    args = parser.parse_args()
    with CorpusWriter(args.out_dir, overwrite=True) as corpus:
        turns = [replace(turn, reco="phone_sample") for turn in read_rttm(args.sample_dir / "sample.rttm")]
        corpus.add("phone_sample", *read_audio(args.sample_dir / "sample.wav"), turns)
        calls = read_wav_scp(args.calls / "wav.scp") if args.calls else {}
        reference = read_rttm(args.calls / "ref.rttm") if args.calls else []
        for reco, path in calls.items():
            corpus.add(reco, *read_audio(path), [turn for turn in reference if turn.reco == reco])
        corpus.add_file("made_with", f"{args.made_with}\n")
    LOG.info("made %s: the real call and %d simulated ones", args.out_dir, len(calls))


if __name__ == "__main__":
    stage.run(main)
