#!/usr/bin/env python3
"""Find the speech regions of a data directory, recording by recording; the Python side of detect_speech.sh.

plan    checks options and inputs, decides what is to be done, prints the number of jobs
run     does one job: one file of regions per recording, and one of its segmentation where that network is used. Long
        recordings are done in parts, whose files are in parts/; the job that finds all of one done joins them
gather  merges the regions into the speech directory: segments, utt2spk, spk2utt, overlap.segments, wav.scp, reco2dur,
        meta.json (and reco2channel if the data directory has it). A recording with one party per channel goes on as its
        sides, a recording each; side2reco says whose
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

import stage
from ssdiar.config import conf_dir
from ssdiar.data import Recording, audio_files, load_recordings, read_channels, read_parties
from ssdiar.errors import InputError
from ssdiar.graph import DEVICES, device_of_job
from ssdiar.io.audio import AudioInfo, is_quick_to_probe
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.names import Names
from ssdiar.io.tables import (
    SIDE2RECO,
    read_lines,
    read_wav_scp,
    write_or_remove,
    write_segments,
    write_segments_file,
    write_table,
)
from ssdiar.speech.config import SileroConfig
from ssdiar.speech.finder import Found, SpeechFinder
from ssdiar.speech.given import read_turns
from ssdiar.speech.plan import Request, SpeechPlan, detector_file, plan_speech
from ssdiar.speech.pyannote import Windows, long_samples
from ssdiar.speech.weights import find_segmentation_weights, find_silero_weights
from ssdiar.timeline.segmentation import Segmentation, read_segmentation, write_segmentation
from ssdiar.timeline.sides import side_id
from ssdiar.timeline.spans import Turn
from ssdiar.timeline.subsegments import segments_of
from ssdiar.work import Manifest, check, digest, file_digest

_LOG = logging.getLogger(__name__)
_FORMAT = 4  # of the files of regions; part of every digest
_TABLES = ("segments", "utt2spk", "spk2utt", "overlap.segments", "wav.scp", "reco2dur", "reco2channel", SIDE2RECO)
_DATA_TABLES = ("wav.scp", "reco2dur", "reco2channel", "reco2parties")
_CONF = conf_dir() / "sad"


def main() -> None:
    """Run one of the three sub-commands."""
    options = _parse()
    {"plan": _plan, "run": _run, "gather": _gather}[options.action](options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    plan = parser.add_jobs("data_dir")
    plan.add_argument("--sad", default="webrtc", help=f"{', '.join(_detectors())}, oracle, or a file")
    plan.add_argument(
        "--sad-options", type=str.split, default=(), help="name=value ..., put over what the detector's file says"
    )
    plan.add_argument("--sad-source", help="weights of the segmentation network")
    plan.add_argument("--device", choices=DEVICES, default="cpu", help="what the segmentation network runs on")
    plan.add_argument("--overlap", choices=("drop", "keep", "label"), default="drop")
    plan.add_argument("--overlap-detector", choices=("sad", "none", "pyannote"), default="sad")
    plan.add_argument("--changes", choices=("ignore", "cut"), default="ignore")
    plan.add_argument("--segmentation", type=stage.boolean, default=False)
    plan.add_argument("--segmentation-from", type=Path, help="another speech directory")
    plan.add_argument("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp")
    return parser.parse_args()


def _detectors() -> list[str]:
    return sorted(path.stem for path in _CONF.glob("*.yaml"))


def _plan(options: argparse.Namespace) -> None:
    source, speech_file = _speech_source(options.sad, options.data_dir)
    request = {field.name: getattr(options, field.name) for field in dataclasses.fields(Request)}
    plan = plan_speech(Request(**request), _CONF)
    weights = _weights(plan, options.sad_source)
    inputs = check(*(options.data_dir / name for name in _DATA_TABLES))
    recordings = load_recordings(options.data_dir, options.allow_commands)
    described = [detector_file(options.sad, _CONF), None if plan.network is None else _CONF / "pyannote.yaml"]
    inputs |= check(*filter(None, [speech_file, *described]), *audio_files(recordings))
    given = {} if speech_file is None else _given(speech_file, recordings)
    infos = {reco: _checked_audio(reco, recording, options.data_dir) for reco, recording in recordings.items()}
    if options.overlap == "drop" and options.overlap_detector == "sad" and plan.overlap is None:
        what = "WARNING: %s hears no overlap, so none is discarded; --overlap-detector pyannote finds it"
        _LOG.warning(what, options.sad)
    for reco, recording in recordings.items():
        for side in {side_id(reco, channel) for channel in recording.parties} & recordings.keys():
            what = f"recording {side} has the name of a party of {reco}"
            raise InputError(what, path=options.data_dir / "wav.scp")
    heard = _segmentation_from(options, plan, weights)
    whole = {reco for reco, recording in recordings.items() if recording.parties or plan.network is None or heard}
    long = _long_recordings(infos, whole, plan)
    settings = {
        "data_dir": str(options.data_dir.absolute()),
        "segmentation_from": heard,
        "request": request,
        "sad_source": options.sad_source,
        "device": options.device,
        "long": long,
        "speech_source": source,
        "speech_file": None if speech_file is None else str(speech_file.absolute()),
        "weights": weights,
        "allow_commands": options.allow_commands,
    }
    network = None if plan.network is None else [plan.network.network.step, weights, options.device]
    digests = {
        reco: digest(
            _FORMAT,
            source,
            plan.options(),
            network or weights,
            recording.content(),
            recording.duration,
            [[turn.speaker, turn.start, turn.end] for turn in given.get(reco, [])],
        )
        for reco, recording in recordings.items()
    }
    costs = _costs(recordings)
    for reco, samples in long.items():
        windows = _windows(samples, plan)
        for number in range(windows.parts()):
            first_frames = windows.part(number).first_frames
            digests[f"{reco}@{number}"] = digest(_FORMAT, network, recordings[reco].content(), first_frames.tobytes())
            costs[f"{reco}@{number}"] = infos[reco].duration * len(first_frames) / len(windows.first_frames)
        costs[reco] = 0.0
    work = Manifest(options.out_dir, "detect_speech")
    print(work.plan(inputs, settings, digests, costs, options.nj, options.overwrite, "s of audio"))


def _costs(recordings: dict[str, Recording]) -> dict[str, float]:
    """Return the seconds of recordings; one whose length is not known counts as an average one."""
    known = [recording.duration for recording in recordings.values() if recording.duration is not None]
    average = sum(known) / len(known) if known else 1.0
    return {
        reco: average if recording.duration is None else recording.duration for reco, recording in recordings.items()
    }


def _long_recordings(infos: dict[str, AudioInfo | None], whole: set[str], plan: SpeechPlan) -> dict[str, int]:
    """Return those recordings, not in ``whole``, that are done in parts, with their samples at the network's rate."""
    found = {reco: long_samples(info, plan.network.network.step) for reco, info in infos.items() if reco not in whole}
    return {reco: samples for reco, samples in found.items() if samples is not None}


def _windows(samples: int, plan: SpeechPlan) -> Windows:
    return Windows.of(samples, plan.network.network.step)


def _weights(plan: SpeechPlan, source: str | None) -> list[str]:
    """Return the digests of the weights that will be used; of what is still on the hub, its name."""
    digests = []
    if isinstance(plan.detector, SileroConfig):
        digests.append(file_digest(find_silero_weights()))
    if plan.network is not None:
        path = find_segmentation_weights(source)
        digests.append(str(source) if path is None else file_digest(path))
    return digests


def _segmentation_from(options: argparse.Namespace, plan: SpeechPlan, weights: list[str]) -> str | None:
    """Return the folder of what the network said of the same recordings before, if that can be used.

    Raises:
        InputError: That speech directory is damaged or out of date.
    """
    source = options.segmentation_from
    if source is None or plan.network is None or not (source / "segmentation").is_dir():
        return None
    check(source / "meta.json", *sorted((source / "segmentation").glob("*.npz")))
    meta = read_meta(source)
    step = meta["options"]["network"]["step"]
    same = step == plan.network.network.step and meta["sad_weights"][-1:] == weights[-1:]
    if not same or Manifest(source, "detect_speech").settings["data_dir"] != str(options.data_dir.absolute()):
        return None
    return str((source / "segmentation").absolute())


def _checked_audio(reco: str, recording: Recording, data_dir: Path) -> AudioInfo | None:
    """Return an audio file's header, None for commands and formats slow to look into, which wait for their job.

    Raises:
        InputError: The file is broken or not what the tables say.
    """
    if not is_quick_to_probe(recording.entry):
        return None
    info = recording.info()
    for remark in info.remarks if not (data_dir / "recordings.tsv").exists() else ():  # stage 1 has said so
        _LOG.warning("WARNING: %s: %s", recording.entry, remark)
    for table, channel in (
        ("reco2channel", recording.channel or 0),
        ("reco2parties", max(recording.parties, default=0)),
    ):
        if channel > info.channels:
            what, expected = f"no such channel of recording {reco}", f"1 to {info.channels}"
            raise InputError(what, path=data_dir / table, expected=expected, got=channel)
    return info


def _speech_source(sad: str, data_dir: Path) -> tuple[str, Path | None]:
    """Return the name of where speech comes from, and the file if it is given and not detected."""
    detector = detector_file(sad, _CONF)
    if detector is not None:
        return detector.stem, None
    if sad == "oracle":
        path = next((path for path in (data_dir / "ref.rttm", data_dir / "segments") if path.exists()), None)
        if path is None:
            raise InputError("neither ref.rttm nor segments", path=data_dir, expected="one of them for --sad oracle")
        return f"oracle ({path.name})", path
    path = Path(sad)
    if not path.is_file():
        expected = f"{', '.join(_detectors())}, oracle, or a file (segments or RTTM)"
        raise InputError("bad --sad, and no such file", expected=expected, got=sad)
    return f"given ({path.name})", path


def _given(path: Path, recordings: dict[str, Recording]) -> dict[str, list[Turn]]:
    """Return the turns of a file by recording."""
    asks = any(text.split()[-1] == "-1" for _, text in read_lines(path))  # where a recording ends
    durations = {reco: r.seconds() for reco, r in recordings.items() if asks or r.duration is not None}
    turns = read_turns(path, recordings, durations, Names({reco: r.entry for reco, r in recordings.items()}))
    if not turns.keys() & recordings.keys():
        raise InputError("no speech of any recording of wav.scp", path=path, hint="Do the recording ids differ?")
    if unknown := sorted(turns.keys() - recordings.keys()):
        _LOG.warning("WARNING: %s: %d recordings are not in wav.scp, e.g. %s", path, len(unknown), unknown[0])
    return turns


def _run(options: argparse.Namespace) -> None:
    work = Manifest(options.out_dir, "detect_speech")
    settings = work.settings
    data_dir = Path(settings["data_dir"])
    recordings = load_recordings(data_dir, settings["allow_commands"])
    speech_file = settings["speech_file"]
    given = {} if speech_file is None else _given(Path(speech_file), recordings)
    plan = plan_speech(Request(**settings["request"]), _CONF)
    finder = SpeechFinder.of(plan, settings["sad_source"], device_of_job(settings["device"], options.job))
    heard = None if settings["segmentation_from"] is None else Path(settings["segmentation_from"])
    long = {reco: _windows(samples, plan) for reco, samples in settings["long"].items()}
    todo = work.job(options.job)
    for key in sorted(todo, key=lambda key: (key in long, key)):  # what joins parts comes after the parts
        reco, _, number = key.partition("@")
        started = time.monotonic()
        if number:
            probabilities = finder.network.segment_part(recordings[reco], long[reco].part(int(number)))
            with work.done(key) as folder:
                (folder / "parts").mkdir()
                np.savez_compressed(folder / "parts" / f"{key}.npz", probabilities)
            _LOG.info("%s: part %s; took %.1f s", reco, number, time.monotonic() - started)
        recording, turns = recordings[reco], given.get(reco, ())
        if reco in long and (known := _joined(work, reco, long[reco], finder, recording)) is not None:
            found = {reco: finder.find(recording, turns, known)}
        elif reco in long:
            continue
        elif recording.parties:
            found = {side_id(reco, number): part for number, part in finder.find_parties(recording, turns).items()}
        else:
            known = None if heard is None else read_segmentation(heard / f"{reco}.npz")
            found = {reco: finder.find(recording, turns, known)}
        with work.done(reco) as folder:
            _write_recording(folder, reco, found)
        for side, part in found.items():
            _LOG.info(
                "%s: %.2f s of speech in %d regions of %.2f s, %.2f s of overlap; took %.1f s",
                side,
                (part.speech[:, 1] - part.speech[:, 0]).sum() / 100,
                len(part.speech),
                part.duration,
                (part.overlap[:, 1] - part.overlap[:, 0]).sum() / 100,
                time.monotonic() - started,
            )


def _joined(
    work: Manifest, reco: str, windows: Windows, finder: SpeechFinder, recording: Recording
) -> Segmentation | None:
    """Return the segmentation of a recording from its parts; None if some are still to come, or it is done."""
    keys = [f"{reco}@{number}" for number in range(windows.parts())]
    if work.is_done(reco) or not all(work.is_done(key) for key in keys):
        return None
    parts = []
    for key in keys:
        with np.load(work.out_dir / "parts" / f"{key}.npz", allow_pickle=False) as arrays:
            parts.append(arrays["arr_0"])
    return finder.network.joined(parts, windows, recording.info().duration)


def _write_recording(folder: Path, reco: str, found: dict[str, Found]) -> None:
    """Write what was found in a recording, by side; one that has none is its only side."""
    (folder / "regions").mkdir()
    regions = {
        side: {
            "duration": part.duration,
            "speech": part.speech.astype(int).tolist(),
            "overlap": part.overlap.astype(int).tolist(),
        }
        for side, part in found.items()
    }
    (folder / "regions" / f"{reco}.json").write_text(json.dumps(regions) + "\n")
    for side, part in found.items():
        if part.segmentation is not None:
            (folder / "segmentation").mkdir(exist_ok=True)
            write_segmentation(folder / "segmentation" / f"{side}.npz", part.segmentation)


def _gather(options: argparse.Namespace) -> None:
    work = Manifest(options.out_dir, "detect_speech")
    settings = work.settings
    with work.finish("meta.json", editable=_TABLES) as recordings:
        _merge(options.out_dir, recordings, settings)


def _merge(out_dir: Path, recordings: list[str], settings: dict[str, Any]) -> None:
    """Write the tables of all recordings, and meta.json."""
    recordings = [reco for reco in recordings if "@" not in reco]
    data_dir = Path(settings["data_dir"])
    results, whose = {}, {}
    for reco in recordings:
        for side, found in json.loads((out_dir / "regions" / f"{reco}.json").read_text()).items():
            results[side], whose[side] = found, reco
    speech = [segment for side in results for segment in segments_of(side, results[side]["speech"])]
    overlap = [segment for side in results for segment in segments_of(side, results[side]["overlap"])]
    entries = read_wav_scp(data_dir / "wav.scp")
    write_table(out_dir / "wav.scp", {side: entries[reco] for side, reco in whose.items()})
    write_table(out_dir / "reco2dur", {side: f"{found['duration']:.4f}" for side, found in results.items()})
    _write_channels(data_dir, out_dir, whose)
    write_segments_file(out_dir / "overlap.segments", overlap)
    write_segments(out_dir, speech)
    plan = plan_speech(Request(**settings["request"]), _CONF)
    write_meta(
        out_dir,
        {
            "speech_source": settings["speech_source"],
            "second_speaker": plan.second_speaker,
            "close_pauses": plan.close_pauses,
            "options": settings["request"] | {name: plan.options()[name] for name in ("detector", "network")},
            "sad_weights": settings["weights"],
        },
    )
    silent = [reco for reco in results if not results[reco]["speech"] and not results[reco]["overlap"]]
    if silent:
        _LOG.warning("WARNING: no speech in %d of %d recordings: %s", len(silent), len(results), " ".join(silent))
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


def _write_channels(data_dir: Path, out_dir: Path, whose: dict[str, str]) -> None:
    """Write reco2channel, and side2reco where recordings have sides."""
    channels = read_channels(data_dir / "reco2channel") if (data_dir / "reco2channel").exists() else {}
    parties = read_parties(data_dir / "reco2parties") if (data_dir / "reco2parties").exists() else {}
    channels |= {side_id(reco, number): number for reco in parties for number in parties[reco]}
    tables = {
        "reco2channel": {side: number for side, number in channels.items() if side in whose},
        SIDE2RECO: {side: reco for side, reco in whose.items() if side != reco},
    }
    for name, table in tables.items():
        write_or_remove(out_dir / name, table)


if __name__ == "__main__":
    stage.run(main)
