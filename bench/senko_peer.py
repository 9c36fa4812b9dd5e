#!/usr/bin/env python3
"""Diarize every file of a folder with senko, in an environment of its own; writes one RTTM per file.

Usage: senko_peer.py <own|replaced> <folder of 16 kHz mono wav files> <output folder>

Its compiled filter banks need AVX-512. "replaced" takes them from kaldi-native-fbank instead, the library that this
recipe uses itself, computed once per file and cut per sub-segment. Everything else is as the package has it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
from senko import Diarizer

_BANDS = 80
_RATE = 16000
_STEP = 100  # frames per second


def filter_banks(diarizer: Diarizer, source: str, pieces: list[tuple[float, float]], **_: int):
    """Return flat features, frames and offsets per piece and the number of bands, as the method that this replaces."""
    import kaldi_native_fbank

    samples, _rate = soundfile.read(source, dtype="float32")
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = _RATE
    options.mel_opts.num_bins = _BANDS
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(_RATE, samples)
    bank.input_finished()
    frames = np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])
    cut = []
    for start, end in pieces:
        first = min(round(start * _STEP), len(frames) - 1)
        piece = frames[first : max(first + 1, round(end * _STEP) - 2)]
        cut.append(piece - piece.mean(axis=0))
    lengths = np.array([len(piece) for piece in cut], np.int64)
    offsets = (np.cumsum(lengths) - lengths) * _BANDS
    return np.concatenate(cut).ravel(), lengths, offsets, _BANDS


def main() -> None:
    """Run senko on the folder."""
    filters, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    if filters == "replaced":
        Diarizer._extract_fbank_features = filter_banks
    diarizer = Diarizer(device="cpu", warmup=False, quiet=True)
    for path in sorted(folder.glob("*.wav")):
        result = diarizer.diarize(str(path), generate_colors=False)
        segments = [] if result is None else result["merged_segments"]
        lines = [
            f"SPEAKER {path.stem} 1 {s['start']:.2f} {s['end'] - s['start']:.2f} <NA> <NA> {s['speaker']} <NA> <NA>\n"
            for s in segments
        ]
        (out / f"{path.stem}.rttm").write_text("".join(lines))


if __name__ == "__main__":
    main()
