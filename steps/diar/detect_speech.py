#!/usr/bin/env python3
"""Find the speech regions of a data directory, recording by recording; the Python side of detect_speech.sh.

plan    checks options and inputs, decides what is to be done, prints the number of jobs
run     does one job: one file of regions per recording
gather  merges these into the speech directory: segments, utt2spk, spk2utt, overlap.segments, wav.scp, reco2dur,
        meta.json (and reco2channel if the data directory has it)
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import stage
from ssdiar.data import Recording, load_recordings, read_channels
from ssdiar.errors import InputError
from ssdiar.io.audio import is_command, probe
from ssdiar.io.publish import publish_text
from ssdiar.io.rttm import Turn, read_rttm
from ssdiar.io.tables import (
    Segment,
    by_recording,
    read_segments,
    read_wav_scp,
    write_segments,
    write_segments_file,
    write_table,
)
from ssdiar.regions import to_hundredths
from ssdiar.speech import DETECTORS, Smoothing, make_detector
from ssdiar.speech.oracle import reference_speech
from ssdiar.subsegments import segment_id
from ssdiar.work import WorkDir, fingerprint

_LOG = logging.getLogger(__name__)
_FORMAT = 1  # of the files of regions; part of every fingerprint


def main() -> None:
    """Run one of the three sub-commands."""
    options = _parse()
    {"plan": _plan, "run": _run, "gather": _gather}[options.action](options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    actions = parser.add_actions()
    plan = actions.add_parser("plan")
    plan.add_argument("--sad", choices=[*DETECTORS, "oracle"], default="webrtc")
    plan.add_argument("--sad-aggressiveness", type=int, choices=range(4), default=2)
    plan.add_argument("--sad-frame", type=int, choices=(10, 20, 30), default=30, help="milliseconds")
    plan.add_argument("--sad-majority", type=_odd_number, default=7, help="frames that vote on one")
    plan.add_argument("--sad-gap", type=stage.number(0), default=0.8, help="shorter pauses are closed, seconds")
    plan.add_argument("--sad-min-speech", type=stage.number(0), default=0.1, help="shorter speech is dropped, seconds")
    plan.add_argument("--sad-pad", type=stage.number(0), default=0.2, help="added on both sides, seconds")
    plan.add_argument("--overlap", choices=("drop", "keep"), default="drop")
    plan.add_argument("--nj", type=stage.whole_number(1), default=2)
    plan.add_argument("--overwrite", type=stage.boolean, default=False)
    plan.add_argument("data_dir", type=Path)
    plan.add_argument("out_dir", type=Path)
    run = actions.add_parser("run")
    run.add_argument("--job", type=stage.whole_number(1), required=True)
    run.add_argument("out_dir", type=Path)
    actions.add_parser("gather").add_argument("out_dir", type=Path)
    return parser.parse_args()


def _odd_number(text: str) -> int:
    value = stage.whole_number(1)(text)
    if value % 2 == 0:
        raise argparse.ArgumentTypeError(f"expected an odd number, got {text}")
    return value


def _plan(options: argparse.Namespace) -> None:
    if options.out_dir.exists() and options.out_dir.resolve() == options.data_dir.resolve():
        raise InputError("is input and output at once", path=options.out_dir, expected="another output directory")
    recordings = load_recordings(options.data_dir)
    source, reference = _reference(options.data_dir, recordings) if options.sad == "oracle" else (options.sad, {})
    for reco, recording in recordings.items():
        _check_audio(reco, recording, options.data_dir)
    chosen = _chosen_options(options)
    settings = {"data_dir": str(options.data_dir.absolute()), "speech_source": source, "options": chosen}
    fingerprints = {
        reco: fingerprint(
            _FORMAT,
            source,
            chosen,
            recording.stamp(),
            recording.duration,
            [[turn.speaker, turn.start, turn.end] for turn in reference.get(reco, [])],
        )
        for reco, recording in recordings.items()
    }
    # A recording whose length is not known counts as an average one.
    known = [recording.duration for recording in recordings.values() if recording.duration is not None]
    average = sum(known) / len(known) if known else 1.0
    weights = {
        reco: average if recording.duration is None else recording.duration for reco, recording in recordings.items()
    }
    jobs, _ = WorkDir(options.out_dir).plan(settings, fingerprints, weights, options.nj, options.overwrite)
    print(jobs)


def _chosen_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that have a say in the result, as they go into fingerprints and meta.json."""
    if options.sad == "oracle":
        return {"sad": options.sad, "overlap": options.overlap}
    names = ["sad", *(name for name in vars(options) if name.startswith("sad_"))]
    return {name: getattr(options, name) for name in names}


def _check_audio(reco: str, recording: Recording, data_dir: Path) -> None:
    """Raise InputError for a broken audio file; commands, and formats slow to look into, wait for their job."""
    if is_command(recording.entry) or Path(recording.entry).suffix.lower() not in (".wav", ".flac", ".sph", ".nist"):
        return
    info = probe(recording.entry)
    if recording.channel is not None and recording.channel > info.channels:
        raise InputError(
            f"no such channel of recording {reco}",
            path=data_dir / "reco2channel",
            expected=f"1 to {info.channels}",
            got=recording.channel,
        )
    if recording.duration is not None and abs(recording.duration - info.duration) > 0.05:
        raise InputError(
            f"wrong duration of recording {reco}",
            path=data_dir / "reco2dur",
            expected=f"{info.duration:.3f} s as its audio",
            got=f"{recording.duration:g} s",
        )


def _reference(data_dir: Path, recordings: dict[str, Recording]) -> tuple[str, dict[str, list[Turn]]]:
    """Return the name of the oracle source and the reference turns by recording."""
    rttm, segments = data_dir / "ref.rttm", data_dir / "segments"
    turns: dict[str, list[Turn]] = {}
    if rttm.exists():
        source, path = "oracle (ref.rttm)", rttm
        for turn in read_rttm(rttm):
            turns.setdefault(turn.reco, []).append(turn)
    elif segments.exists():
        source, path = "oracle (segments)", segments
        durations = {reco: r.duration for reco, r in recordings.items() if r.duration is not None}
        for reco, regions in by_recording(read_segments(segments, recordings, durations)).items():
            turns[reco] = [Turn(reco, "speech", region.start, region.end) for region in regions]
    else:
        raise InputError("neither ref.rttm nor segments", path=data_dir, expected="one of them for --sad oracle")
    if not turns.keys() & recordings.keys():
        raise InputError("no speech of any recording of wav.scp", path=path, hint="Do the recording ids differ?")
    if unknown := sorted(turns.keys() - recordings.keys()):
        _LOG.warning("WARNING: %s: %d recordings are not in wav.scp, e.g. %s", path, len(unknown), unknown[0])
    return source, turns


def _run(options: argparse.Namespace) -> None:
    work = WorkDir(options.out_dir)
    settings = work.load()
    data_dir, chosen = Path(settings["data_dir"]), settings["options"]
    recordings = load_recordings(data_dir)
    is_oracle = chosen["sad"] == "oracle"
    reference = _reference(data_dir, recordings)[1] if is_oracle else {}
    for reco in work.job(options.job):
        with work.recording(reco) as folder:
            if is_oracle:
                duration = recordings[reco].seconds()
                speech, overlap = reference_speech(reference.get(reco, []), duration, chosen["overlap"] == "drop")
            else:
                duration, speech = _detect(recordings[reco], chosen)
                overlap = speech[:0]
            (folder / "regions").mkdir()
            regions = {"speech": speech.astype(int).tolist(), "overlap": overlap.astype(int).tolist()}
            (folder / "regions" / f"{reco}.json").write_text(json.dumps({"duration": duration, **regions}) + "\n")
        seconds = (speech[:, 1] - speech[:, 0]).sum() / 100
        _LOG.info("%s: %.2f s of speech in %d regions of %.2f s", reco, seconds, len(speech), duration)


def _detect(recording: Recording, chosen: dict[str, Any]) -> tuple[float, Any]:
    """Return the recording's length in seconds and its speech in hundredths."""
    detector = make_detector(
        chosen["sad"],
        aggressiveness=chosen["sad_aggressiveness"],
        frame_ms=chosen["sad_frame"],
        majority=chosen["sad_majority"],
    )
    samples, rate = recording.read()
    duration = len(samples) / rate
    smoothing = Smoothing(chosen["sad_gap"], chosen["sad_min_speech"], chosen["sad_pad"])
    return duration, to_hundredths(smoothing.apply(detector.detect(samples, rate), duration), duration)


def _gather(options: argparse.Namespace) -> None:
    out_dir, work = options.out_dir, WorkDir(options.out_dir)
    settings = work.load()
    data_dir = Path(settings["data_dir"])
    recordings = work.finish()
    results = {reco: json.loads((out_dir / "regions" / f"{reco}.json").read_text()) for reco in recordings}
    speech = [segment for reco in recordings for segment in _segments(reco, results[reco]["speech"])]
    overlap = [segment for reco in recordings for segment in _segments(reco, results[reco]["overlap"])]
    entries = read_wav_scp(data_dir / "wav.scp")
    write_table(out_dir / "wav.scp", {reco: entries[reco] for reco in recordings})
    write_table(out_dir / "reco2dur", {reco: f"{results[reco]['duration']:.4f}" for reco in recordings})
    if (data_dir / "reco2channel").exists():
        write_table(out_dir / "reco2channel", read_channels(data_dir / "reco2channel"))
    else:
        (out_dir / "reco2channel").unlink(missing_ok=True)
    write_segments_file(out_dir / "overlap.segments", overlap)
    write_segments(out_dir, speech)
    meta = {"speech_source": settings["speech_source"], "options": settings["options"]}
    publish_text(out_dir / "meta.json", json.dumps(meta, indent=1) + "\n")
    silent = [reco for reco in recordings if not results[reco]["speech"] and not results[reco]["overlap"]]
    if silent:
        _LOG.warning("WARNING: no speech in %d of %d recordings: %s", len(silent), len(recordings), " ".join(silent))
    _LOG.info(
        "%s: %d recordings, %d speech regions of %.0f s, %d overlaps of %.0f s (speech: %s)",
        out_dir,
        len(recordings),
        len(speech),
        sum(segment.duration for segment in speech),
        len(overlap),
        sum(segment.duration for segment in overlap),
        settings["speech_source"],
    )


def _segments(reco: str, regions: list[list[int]]) -> list[Segment]:
    return [Segment(segment_id(reco, start, end), reco, start / 100, end / 100) for start, end in regions]


if __name__ == "__main__":
    stage.run(main)
