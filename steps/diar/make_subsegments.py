#!/usr/bin/env python3
"""Stage 3: cut speech regions into the sub-segments that get an x-vector each.

Reads the directory of detect_speech.sh, or any with Kaldi's segments. Writes segments, utt2spk, spk2utt ("spk" files
name recordings, as in Kaldi's diarization), short.segments (speech too short for an x-vector), overlap.segments,
wav.scp and meta.json. make_rttm.sh gives short and overlapped speech the label of the nearest sub-segment.
Tail rule, as in Kaldi: a sub-segment starts every period while more than a window is left of the region; the rest is
a sub-segment, or, if it is shorter than min-segment, the last sub-segment is the last window of the region.
e.g.: make_subsegments.sh data/mini_speech exp/mini/subsegments
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage

from ssdiar.io.audio import is_command
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.recordings import Recording, check_not_features_only
from ssdiar.io.tables import (
    SIDE2RECO,
    UTT2REGION,
    read_durations,
    read_if_there,
    read_segments,
    read_sides,
    read_wav_scp,
    recordings_with_open_end,
    write_or_remove,
    write_segments,
    write_segments_file,
    write_table,
)
from ssdiar.pipeline import Lengths, subsegments_of
from ssdiar.work import Manifest, check

_LOG = logging.getLogger(__name__)
_INPUTS = ("segments", "overlap.segments", "tight.segments", "wav.scp", "reco2dur", "meta.json", SIDE2RECO)
_TABLES = ("segments", "utt2spk", "spk2utt", "short.segments", *_INPUTS[1:4], SIDE2RECO, UTT2REGION)

_HELP = {
    "window": "cut sub-segments of this length",
    "period": "start a sub-segment this long after the one before, at most the window",
    "min_segment": "replace a last sub-segment that would be shorter by a whole window",
    "min_piece": "leave shorter speech regions without an x-vector; they only get a label",
}


def main() -> None:
    """Read the speech regions, cut them, write the sub-segments."""
    options = _parse()
    check_not_features_only(options.speech_dir)
    inputs = check(*(options.speech_dir / name for name in _INPUTS))
    entries = read_if_there(read_wav_scp, options.speech_dir / "wav.scp", None)
    durations = read_if_there(read_durations, options.speech_dir / "reco2dur", None)
    if durations is None and entries is not None:
        asked = entries.keys() & recordings_with_open_end(options.speech_dir / "segments")
        files = {reco: entries[reco] for reco in asked if not is_command(entries[reco])}
        inputs |= check(*files.values())
        durations = {reco: Recording(file).seconds() for reco, file in files.items()}
    known = [entries, durations]
    regions = read_segments(options.speech_dir / "segments", *known)
    overlap, tight = (
        read_if_there(lambda path: read_segments(path, *known), options.speech_dir / f"{name}.segments", [])
        for name in ("overlap", "tight")
    )
    meta = {"speech_source": "given", "options": {}} | read_meta(options.speech_dir)
    lengths = Lengths(*(getattr(options, name) for name in _HELP))
    cut = subsegments_of(regions, overlap, lengths)
    meta["options"] |= {name: length / 100 for name, length in lengths._asdict().items()}
    work = Manifest(options.out_dir, "make_subsegments")
    work.plan(inputs, meta["options"])
    with work.finish("meta.json", editable=_TABLES):
        write_segments_file(options.out_dir / "overlap.segments", cut.overlap)
        write_segments_file(options.out_dir / "short.segments", cut.short)
        write_segments_file(options.out_dir / "tight.segments", tight)
        write_segments(options.out_dir, cut.segments)
        recordings = {segment.reco for segment in cut.segments}
        _write_wav_scp(options.speech_dir / "wav.scp", options.out_dir / "wav.scp", recordings)
        write_or_remove(options.out_dir / SIDE2RECO, read_sides(options.speech_dir))
        write_meta(options.out_dir, meta)
    counts = (options.out_dir, len(cut.segments), len(regions), len(recordings), len(cut.short))
    _LOG.info(
        "%s: %d sub-segments of %d speech regions of %d recordings; %d more are too short for an x-vector", *counts
    )


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("speech_dir", type=Path)
    add("out_dir", metavar="subsegments-dir", type=Path)
    for name, length in Lengths()._asdict().items():
        option = f"--{name.replace('_', '-')}"
        add(option, type=_hundredths, default=f"{length / 100:g}", metavar="seconds", help=_HELP[name])
    options = parser.parse_args()
    stage.apart(options.out_dir, options.speech_dir)
    if not 0 < options.period <= options.window:
        parser.error("--period must be above 0 and at most --window, or speech would be left out")
    if options.min_segment > options.window:
        parser.error("--min-segment must be at most --window")
    return options


def _hundredths(text: str) -> int:
    value = stage.number(0)(text) * 100
    if abs(value - round(value)) > 1e-6:
        raise argparse.ArgumentTypeError(f"expected whole hundredths of a second, got {text}")
    return round(value)


def _write_wav_scp(source: Path, path: Path, recordings: set[str]) -> None:
    """Pass wav.scp on, for Kaldi's sake: beside segments it asks for one, of the same recordings."""
    if source.exists():
        write_table(path, {reco: entry for reco, entry in read_wav_scp(source).items() if reco in recordings})
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    stage.run(main)
