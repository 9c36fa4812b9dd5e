#!/usr/bin/env python3
"""Stage 2: find speech regions, overlapped speech and changes of speaker.

Reads a data directory: wav.scp, and reco2dur, reco2channel, reco2parties if they exist. Writes a speech directory:
segments, utt2spk, spk2utt (speech regions; "spk" files name recordings, as in Kaldi's diarization), overlap.segments
(overlapped speech, kept out of segments), tight.segments (all speech, its pauses not closed), wav.scp, reco2dur and
meta.json, which also has the decisions that make_rttm.sh carries out. segmentation/<recording>.npz is the output of the
segmentation network, if it runs. A recording with one party per channel becomes a recording per party ("side"), and
side2reco maps sides to recordings. Long recordings are processed in parts (parts/<recording>@<part>.npz). A rerun does
what is missing or out of date.
e.g.: detect_speech.sh --sad pyannote --overlap label data/mini data/mini_speech
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import stage

import numpy as np

import jobs
from ssdiar.base.config import config_files, config_name
from ssdiar.base.errors import InputError
from ssdiar.io.audio import is_quick_to_probe
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.names import Names
from ssdiar.io.recordings import Recording, audio_files, load_recordings, read_channels, read_parties
from ssdiar.io.segmentation import read_segmentation, write_segmentation
from ssdiar.io.tables import (
    SIDE2RECO,
    is_open,
    read_if_there,
    read_lines,
    read_wav_scp,
    write_or_remove,
    write_segments,
    write_segments_file,
    write_table,
)
from ssdiar.pipeline import speech_of
from ssdiar.speech.pyannote import Pyannote, Windows
from ssdiar.speech.source import Speech, SpeechSource, is_detector, read_turns
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.sides import side_id
from ssdiar.timeline.spans import Segment, Turn
from ssdiar.timeline.subsegments import segments_of
from ssdiar.work import Manifest, check, digest, file_digest

_LOG = logging.getLogger(__name__)
_FORMAT = 5  # of the files of regions; part of every digest
_TABLES = (
    *("segments", "utt2spk", "spk2utt", "overlap.segments", "tight.segments", "wav.scp", "reco2dur", "reco2channel"),
    SIDE2RECO,
)
_DATA_TABLES = ("wav.scp", "reco2dur", "reco2channel", "reco2parties")


def main() -> None:
    """Run the stage, or one of its jobs."""
    parser = jobs.parser(__doc__, "data_dir", out="speech-dir")
    add = parser.add_argument
    help_text = "find speech by a detector of conf/sad (changes may follow, as in pyannote+gap=0.5), take it from "
    help_text += "ref.rttm or segments of <data-dir> (oracle), or from a file, segments or RTTM"
    add("--sad", default="pyannote", metavar="choice|oracle|file", help=help_text)
    help_text = "overlapped speech: discard it before x-vectors, keep it, or discard it and label it in the RTTM"
    add("--overlap", choices=("drop", "keep", "label"), default="drop", help=help_text)
    help_text = "cut speech regions at changes of speaker that the segmentation network finds"
    add("--changes", choices=("ignore", "cut"), default="ignore", help=help_text)
    help_text = "take the output of the same network from there, if it is of the same data directory"
    add("--segmentation-from", type=Path, metavar="speech-dir", help=help_text)
    add("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp, entries that end in |")
    jobs.main(parser, _plan, _run, _gather)


def _plan(options: argparse.Namespace) -> jobs.Plan:
    source = SpeechSource.of(options.sad, options.overlap, options.changes)
    name, speech_file = _given_file(options.sad, options.data_dir)
    weights = [one if isinstance(one, str) else file_digest(one) for one in source.weights()]
    inputs = check(*(options.data_dir / table for table in _DATA_TABLES))
    recordings = load_recordings(options.data_dir, options.allow_commands)
    described = [speech_file] if speech_file else config_files(options.sad, "sad")
    inputs |= check(*described, *audio_files(recordings))
    given = _given(speech_file, recordings)
    _check_audio(recordings, options.data_dir)
    if source.sad is not None and source.network is None and options.overlap == "drop":
        hint = "--sad %s finds no overlap, so none is discarded; %s+network=pyannote finds it"
        _LOG.warning(hint, options.sad, options.sad)
    earlier = _earlier_segmentation(options, source, weights)
    settings = {
        "data_dir": str(options.data_dir.absolute()),
        "segmentation_from": earlier,
        "sad": options.sad,
        "overlap": options.overlap,
        "changes": options.changes,
        "speech_source": name,
        "speech_file": None if speech_file is None else str(speech_file.absolute()),
        "weights": weights,
        "allow_commands": options.allow_commands,
    }
    network = None if source.network is None else [source.network.step, weights, source.network.device]
    digests, costs = {}, _costs(recordings)
    for reco, recording in recordings.items():
        turns = [[turn.speaker, turn.start, turn.end] for turn in given.get(reco, [])]
        content = recording.content()
        digests[reco] = digest(_FORMAT, name, source.options(), network or weights, content, recording.duration, turns)
        windows = _windows(source, recording, earlier)
        for number, part in enumerate([] if windows is None else windows.parts()):
            key, share = f"{reco}@{number}", len(part.first_frames) / len(windows.first_frames)
            digests[key] = digest(_FORMAT, network, content, part.first_frames.tobytes())
            costs |= {key: costs[reco] * share}
        if windows is not None:
            costs[reco] = 0.0
    return jobs.Plan(inputs, settings, digests, costs, "s of audio")


def _costs(recordings: Mapping[str, Recording]) -> dict[str, float]:
    """Return the seconds of recordings; one of unknown length counts as an average one."""
    known = [recording.duration for recording in recordings.values() if recording.duration is not None]
    average = sum(known) / len(known) if known else 1.0
    return {reco: average if r.duration is None else r.duration for reco, r in recordings.items()}


def _windows(source: SpeechSource, recording: Recording, earlier: str | None) -> Windows | None:
    """Return the network's windows of a recording that is done in parts."""
    in_parts = source.network is not None and earlier is None and not recording.parties
    return source.network.windows_of(recording) if in_parts else None


def _earlier_segmentation(options: argparse.Namespace, source: SpeechSource, weights: list[str]) -> str | None:
    """Return the folder with earlier output of the network for the same recordings, if it can be used.

    Raises:
        InputError: That speech directory is damaged or out of date.
    """
    folder = options.segmentation_from
    if folder is None or source.network is None or not (folder / "segmentation").is_dir():
        return None
    check(folder / "meta.json", *sorted((folder / "segmentation").glob("*.npz")))
    same = read_meta(folder).get("segmentation") == [source.network.step, *weights[-1:]]
    if not same or Manifest(folder, "detect_speech").settings["data_dir"] != str(options.data_dir.absolute()):
        return None
    return str((folder / "segmentation").absolute())


def _check_audio(recordings: Mapping[str, Recording], data_dir: Path) -> None:
    """Check audio files against the tables before any job; commands and slow formats wait for their job.

    Raises:
        InputError: A file is broken or does not match the tables, or a recording has the name of a side.
    """
    for reco, recording in recordings.items():
        for side in {side_id(reco, channel) for channel in recording.parties} & recordings.keys():
            raise InputError(f"recording {side} has the name of a party of {reco}", path=data_dir / "wav.scp")
        if not is_quick_to_probe(recording.entry):
            continue
        info = recording.info()
        for remark in info.remarks if not (data_dir / "recordings.tsv").exists() else ():  # else stage 1 reported it
            _LOG.warning("%s: %s", recording.entry, remark)
        used = {"reco2channel": recording.channel or 0, "reco2parties": max(recording.parties, default=0)}
        for table, channel in used.items():
            if channel > info.channels:
                problem, expected = f"no such channel of recording {reco}", f"1 to {info.channels}"
                raise InputError(problem, path=data_dir / table, expected=expected, got=channel)


def _given_file(sad: str, data_dir: Path) -> tuple[str, Path | None]:
    """Return the name of the speech source, and the file if speech is given."""
    if is_detector(sad):
        return config_name(sad), None
    if sad == "oracle":
        path = next((path for path in (data_dir / "ref.rttm", data_dir / "segments") if path.exists()), None)
        if path is None:
            raise InputError("neither ref.rttm nor segments", path=data_dir, expected="one of them for --sad oracle")
        return f"oracle ({path.name})", path
    return f"given ({Path(sad).name})", Path(sad)


def _given(path: Path | None, recordings: Mapping[str, Recording]) -> dict[str, list[Turn]]:
    """Return the turns of a file by recording."""
    if path is None:
        return {}
    asks = any(is_open(text.split()[-1]) for _, text in read_lines(path))  # for the ends of recordings
    durations = {reco: r.seconds() for reco, r in recordings.items() if asks or r.duration is not None}
    turns = read_turns(path, recordings, durations, Names({reco: r.entry for reco, r in recordings.items()}))
    if not turns.keys() & recordings.keys():
        raise InputError("no speech of any recording of wav.scp", path=path, hint="Do the recording ids differ?")
    if unknown := sorted(turns.keys() - recordings.keys()):
        _LOG.warning("%s: %d recordings are not in wav.scp, e.g. %s", path, len(unknown), unknown[0])
    return turns


def _run(work: Manifest, todo: list[str], job: int) -> None:
    settings = work.settings
    recordings = load_recordings(settings["data_dir"], settings["allow_commands"])
    given = _given(settings["speech_file"] and Path(settings["speech_file"]), recordings)
    source = SpeechSource.of(settings["sad"], settings["overlap"], settings["changes"]).for_job(job)
    earlier = settings["segmentation_from"]
    names = dict.fromkeys(key.partition("@")[0] for key in todo)
    windows = {reco: _windows(source, recordings[reco], earlier) for reco in names}
    for key in sorted(todo, key=lambda key: ("@" not in key and windows[key] is not None, key)):  # parts come first
        reco, _, number = key.partition("@")
        recording, started = recordings[reco], time.monotonic()
        if number:
            probabilities = source.network.segment_part(recording, windows[reco].parts()[int(number)])
            with work.done(key) as folder:
                (folder / "parts").mkdir()
                np.savez_compressed(folder / "parts" / f"{key}.npz", probabilities)
            _LOG.info("%s: part %s; took %.1f s", reco, number, time.monotonic() - started)
        segmentation = None
        if windows[reco] is not None:
            segmentation = _joined(work, reco, windows[reco], source.network, recording)
            if segmentation is None:
                continue
        elif earlier is not None and not recording.parties:
            segmentation = read_segmentation(Path(earlier, f"{reco}.npz"))
        found = speech_of(source, reco, recording, given.get(reco, ()), segmentation)
        with work.done(reco) as folder:
            _write_recording(folder, reco, found)
        for side, speech in found.items():
            totals = [(regions[:, 1] - regions[:, 0]).sum() / 100 for regions in (speech.regions, speech.overlap)]
            counts = (totals[0], len(speech.regions), speech.duration, totals[1], time.monotonic() - started)
            _LOG.info("%s: %.2f s of speech in %d regions of %.2f s, %.2f s of overlap; took %.1f s", side, *counts)


def _joined(
    work: Manifest, reco: str, windows: Windows, network: Pyannote, recording: Recording
) -> Segmentation | None:
    """Return the segmentation of a recording from its parts; None if some are still to come, or it is done."""
    keys = [f"{reco}@{number}" for number in range(len(windows.parts()))]
    if work.is_done(reco) or not all(work.is_done(key) for key in keys):
        return None
    parts = []
    for key in keys:
        with np.load(work.out_dir / "parts" / f"{key}.npz", allow_pickle=False) as arrays:
            parts.append(arrays["arr_0"])
    return network.joined(parts, windows, recording.info().duration)


def _write_recording(folder: Path, reco: str, found: Mapping[str, Speech]) -> None:
    """Write the speech of a recording by side; one without parties is its only side."""
    (folder / "regions").mkdir()
    regions = {
        side: {
            "duration": speech.duration,
            "regions": speech.regions.astype(int).tolist(),
            "overlap": speech.overlap.astype(int).tolist(),
            "tight": speech.tight.tolist(),
        }
        for side, speech in found.items()
    }
    (folder / "regions" / f"{reco}.json").write_text(json.dumps(regions) + "\n")
    for side, speech in found.items():
        if speech.segmentation is not None:
            (folder / "segmentation").mkdir(exist_ok=True)
            write_segmentation(folder / "segmentation" / f"{side}.npz", speech.segmentation)


def _gather(work: Manifest) -> None:
    settings = work.settings
    with work.finish("meta.json", editable=_TABLES) as keys:
        _merge(work.out_dir, [key for key in keys if "@" not in key], settings)


def _merge(out_dir: Path, recordings: list[str], settings: Mapping[str, Any]) -> None:
    """Write the tables of all recordings, and meta.json."""
    data_dir, found, owner = Path(settings["data_dir"]), {}, {}
    for reco in recordings:
        sides = json.loads((out_dir / "regions" / f"{reco}.json").read_text())
        found |= sides
        owner |= dict.fromkeys(sides, reco)
    speech, overlap = (
        [segment for side in found for segment in segments_of(side, found[side][name])]
        for name in ("regions", "overlap")
    )
    tight = [
        Segment(f"{side}-{number:06d}", side, *times)
        for side in found
        for number, times in enumerate(found[side]["tight"])
    ]
    entries = read_wav_scp(data_dir / "wav.scp")
    write_table(out_dir / "wav.scp", {side: entries[reco] for side, reco in owner.items()})
    write_table(out_dir / "reco2dur", {side: f"{one['duration']:.4f}" for side, one in found.items()})
    _write_channels(data_dir, out_dir, owner)
    write_segments_file(out_dir / "overlap.segments", overlap)
    write_segments_file(out_dir / "tight.segments", tight)
    write_segments(out_dir, speech)
    source = SpeechSource.of(settings["sad"], settings["overlap"], settings["changes"])
    meta = {
        "speech_source": settings["speech_source"],
        "second_speaker": source.overlap == "label",
        "close_pauses": source.close_pauses,
        "segmentation": None if source.network is None else [source.network.step, *settings["weights"][-1:]],
        "options": {name: settings[name] for name in ("sad", "overlap", "changes")} | source.options(),
        "sad_weights": settings["weights"],
    }
    write_meta(out_dir, meta)
    silent = [side for side, one in found.items() if not one["regions"] and not one["overlap"]]
    if silent:
        _LOG.warning("no speech in %d of %d recordings: %s", len(silent), len(found), " ".join(silent))
    totals = [(len(some), sum(segment.duration for segment in some)) for some in (speech, overlap)]
    counts = (out_dir, len(recordings), *totals[0], *totals[1], settings["speech_source"])
    _LOG.info("%s: %d recordings, %d speech regions of %.0f s, %d overlaps of %.0f s (speech: %s)", *counts)


def _write_channels(data_dir: Path, out_dir: Path, owner: Mapping[str, str]) -> None:
    """Write reco2channel and side2reco, if there is anything to write."""
    channels = read_if_there(read_channels, data_dir / "reco2channel", {})
    parties = read_if_there(read_parties, data_dir / "reco2parties", {})
    channels |= {side_id(reco, number): number for reco in parties for number in parties[reco]}
    write_or_remove(out_dir / "reco2channel", {side: number for side, number in channels.items() if side in owner})
    write_or_remove(out_dir / SIDE2RECO, {side: reco for side, reco in owner.items() if side != reco})


if __name__ == "__main__":
    stage.run(main)
