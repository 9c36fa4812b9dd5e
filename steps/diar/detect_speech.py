#!/usr/bin/env python3
"""Find the speech regions of a data directory, recording by recording; the Python side of detect_speech.sh.

plan    checks options and inputs, decides what is to be done, prints the number of jobs
run     does one job: one file of regions per recording, and one of its segmentation where that network is used
gather  merges the regions into the speech directory: segments, utt2spk, spk2utt, overlap.segments, wav.scp, reco2dur,
        meta.json (and reco2channel if the data directory has it)
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import stage
from ssdiar.data import Recording, audio_files, load_recordings, read_channels
from ssdiar.errors import InputError
from ssdiar.io.audio import is_command, probe
from ssdiar.io.meta import write_meta
from ssdiar.io.rttm import Turn
from ssdiar.io.tables import Segment, read_wav_scp, write_segments, write_segments_file, write_table
from ssdiar.made import check, file_digest, marks
from ssdiar.speech import DETECTORS, Smoothing, make_detector
from ssdiar.speech.finder import Found, SpeechFinder
from ssdiar.speech.given import read_turns
from ssdiar.speech.weights import find_segmentation_weights, find_silero_weights
from ssdiar.timeline.segmentation import write_segmentation
from ssdiar.timeline.subsegments import segment_id
from ssdiar.work import WorkDir, fingerprint

_LOG = logging.getLogger(__name__)
_FORMAT = 2  # of the files of regions; part of every fingerprint
_DATA_TABLES = ("wav.scp", "reco2dur", "reco2channel")
# What the class of each detector calls its options; one that is not given has the detector's own default.
_SAD_OPTIONS = {
    "webrtc": {"sad_aggressiveness": "aggressiveness", "sad_frame": "frame_ms", "sad_majority": "majority"},
    "silero": {"sad_onset": "onset", "sad_offset": "offset"},
    "pyannote": {"sad_onset": "onset", "sad_offset": "offset"},
}
_SMOOTHING_OPTIONS = {"sad_gap": "gap", "sad_min_speech": "min_speech", "sad_pad": "pad"}
# With --changes cut, pauses are left to make_rttm.sh, which closes those of one speaker and not those between two.
_CLOSE = {"gap": 0.3, "pad": 0.1}
_NETWORK_OPTIONS = {"sad_step": "step", "sad_source": "source"}
_OVERLAP_OPTIONS = {"overlap_threshold": "overlap_threshold", "overlap_min": "overlap_min"}


def main() -> None:
    """Run one of the three sub-commands."""
    options = _parse()
    {"plan": _plan, "run": _run, "gather": _gather}[options.action](options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    actions = parser.add_actions()
    plan = actions.add_parser("plan")
    plan.add_argument("--sad", default="webrtc", help=f"{', '.join(DETECTORS)}, oracle, or a file")
    plan.add_argument("--sad-source", type=_or_default(str), help="weights of the segmentation network")
    plan.add_argument("--sad-aggressiveness", type=_or_default(_one_of(0, 1, 2, 3)))
    plan.add_argument("--sad-frame", type=_or_default(_one_of(10, 20, 30)), help="milliseconds")
    plan.add_argument("--sad-majority", type=_or_default(_odd_number), help="frames that vote on one")
    plan.add_argument("--sad-onset", type=_or_default(stage.number(0, 1)), help="probability that makes speech")
    plan.add_argument("--sad-offset", type=_or_default(stage.number(0, 1)), help="probability that keeps it going")
    plan.add_argument("--sad-step", type=_or_default(stage.number(0.1, 10)), help="between windows, seconds")
    plan.add_argument("--sad-gap", type=_or_default(stage.number(0)), help="shorter pauses are closed, seconds")
    plan.add_argument("--sad-min-speech", type=_or_default(stage.number(0)), help="shorter speech is dropped, seconds")
    plan.add_argument("--sad-pad", type=_or_default(stage.number(0)), help="added on both sides, seconds")
    plan.add_argument("--overlap", choices=("drop", "keep", "label"), default="drop")
    plan.add_argument("--overlap-detector", choices=("sad", "none", "pyannote"), default="sad")
    plan.add_argument("--overlap-threshold", type=_or_default(stage.number(0, 1)), help="probability of two speakers")
    plan.add_argument("--overlap-min", type=_or_default(stage.number(0)), help="shorter overlap is none, seconds")
    plan.add_argument("--changes", choices=("ignore", "cut"), default="ignore")
    plan.add_argument("--segmentation", type=stage.boolean, default=False)
    plan.add_argument("--nj", type=stage.whole_number(1), default=2)
    plan.add_argument("--overwrite", type=stage.boolean, default=False)
    plan.add_argument("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp")
    plan.add_argument("data_dir", type=Path)
    plan.add_argument("out_dir", type=Path)
    run = actions.add_parser("run")
    run.add_argument("--job", type=stage.whole_number(1), required=True)
    run.add_argument("out_dir", type=Path)
    actions.add_parser("gather").add_argument("out_dir", type=Path)
    return parser.parse_args()


def _or_default(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a converter that takes an empty text for an option that is not given."""

    return lambda text: convert(text) if text else None


def _one_of(*numbers: int) -> Callable[[str], int]:
    """Return a converter of an option's whole number that must be one of these."""

    def convert(text: str) -> int:
        if text not in [str(number) for number in numbers]:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(map(str, numbers))}, got {text}")
        return int(text)

    return convert


def _odd_number(text: str) -> int:
    value = stage.whole_number(1)(text)
    if value % 2 == 0:
        raise argparse.ArgumentTypeError(f"expected an odd number, got {text}")
    return value


def _plan(options: argparse.Namespace) -> None:
    if options.out_dir.exists() and options.out_dir.resolve() == options.data_dir.resolve():
        raise InputError("is input and output at once", path=options.out_dir, expected="another output directory")
    chosen = _chosen_options(options)
    weights = _weights(chosen)
    check(options.data_dir, *_DATA_TABLES)
    tables = marks(options.data_dir / name for name in _DATA_TABLES)
    recordings = load_recordings(options.data_dir, options.allow_commands)
    source, speech_file = _speech_source(options.sad, options.data_dir)
    tables |= marks([speech_file] if speech_file else ())
    given = {} if speech_file is None else _given(speech_file, recordings)
    for reco, recording in recordings.items():
        _check_audio(reco, recording, options.data_dir)
    settings = {
        "data_dir": str(options.data_dir.absolute()),
        "sad": options.sad if options.sad in (*DETECTORS, "oracle") else str(Path(options.sad).absolute()),
        "speech_source": source,
        "sad_weights": weights,
        "options": chosen,
        "allow_commands": options.allow_commands,
    }
    # What is cut out is the same for drop and label; make_rttm.sh makes the difference.
    decisive = {**chosen, "overlap": {"label": "drop"}.get(options.overlap, options.overlap)}
    fingerprints = {
        reco: fingerprint(
            _FORMAT,
            source,
            decisive,
            weights,
            recording.stamp(),
            recording.duration,
            [[turn.speaker, turn.start, turn.end] for turn in given.get(reco, [])],
        )
        for reco, recording in recordings.items()
    }
    # A recording whose length is not known counts as an average one.
    known = [recording.duration for recording in recordings.values() if recording.duration is not None]
    average = sum(known) / len(known) if known else 1.0
    costs = {
        reco: average if recording.duration is None else recording.duration for reco, recording in recordings.items()
    }
    inputs = tables | marks(large=audio_files(recordings))
    work = WorkDir(options.out_dir)
    jobs, _ = work.plan(settings, fingerprints, costs, options.nj, options.overwrite, "detect_speech", inputs)
    print(jobs)


def _chosen_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that have a say in the result, none left to a default, as they go into meta.json."""
    chosen: dict[str, Any] = {"sad": options.sad, "overlap": options.overlap}
    if options.sad in DETECTORS:
        info = DETECTORS[options.sad]
        _choose(chosen, options, _SAD_OPTIONS[options.sad], info.options)
        smoothing = vars(info.smoothing) | (_CLOSE if options.changes == "cut" else {})
        _choose(chosen, options, _SMOOTHING_OPTIONS, smoothing)
        if "sad_onset" in chosen:
            if options.sad_offset is None:
                chosen["sad_offset"] = min(chosen["sad_offset"], chosen["sad_onset"])
            elif chosen["sad_offset"] > chosen["sad_onset"]:
                expected = f"at most {chosen['sad_onset']:g} (--sad-onset)"
                raise InputError("bad --sad-offset", expected=expected, got=f"{chosen['sad_offset']:g}")
    if options.overlap_detector != "sad":
        chosen["overlap_detector"] = options.overlap_detector
    if options.changes == "cut":
        chosen["changes"] = "cut"
    if options.segmentation:
        chosen["segmentation"] = True
    source = _overlap_source(chosen)
    if options.overlap == "label" and source is None:
        expected = "--overlap-detector pyannote, or a --sad that tells overlap: pyannote, oracle, an RTTM"
        raise InputError("nothing finds the overlap that --overlap label is about", expected=expected)
    if _uses_network(chosen):
        _choose(chosen, options, _NETWORK_OPTIONS, DETECTORS["pyannote"].options)
    if source == "network":
        _choose(chosen, options, _OVERLAP_OPTIONS, DETECTORS["pyannote"].options)
    return chosen


def _choose(
    chosen: dict[str, Any], options: argparse.Namespace, names: dict[str, str], defaults: dict[str, Any]
) -> None:
    """Add options, where they are not given their defaults, under the names of the command line."""
    for name, key in names.items():
        value = getattr(options, name)
        chosen[name] = defaults[key] if value is None else value


def _overlap_source(chosen: dict[str, Any]) -> Literal["given", "network"] | None:
    """Return what says where overlap is; None: nothing does, or nobody wants to know."""
    by = chosen.get("overlap_detector", "sad")
    if chosen["overlap"] == "keep" or by == "none":
        return None
    if by == "pyannote" or chosen["sad"] == "pyannote":
        return "network"
    return None if chosen["sad"] in DETECTORS else "given"


def _uses_network(chosen: dict[str, Any]) -> bool:
    wanted = "segmentation" in chosen or "changes" in chosen
    return wanted or chosen["sad"] == "pyannote" or _overlap_source(chosen) == "network"


def _weights(chosen: dict[str, Any]) -> list[str]:
    """Return the digests of the weights that will be used; of what is still on the hub, its name."""
    digests = [file_digest(find_silero_weights())] if chosen["sad"] == "silero" else []
    if _uses_network(chosen):
        path = find_segmentation_weights(chosen["sad_source"])
        digests.append(chosen["sad_source"] if path is None else file_digest(path))
    return digests


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


def _speech_source(sad: str, data_dir: Path) -> tuple[str, Path | None]:
    """Return the name of where speech comes from, and the file if it is given and not detected."""
    if sad in DETECTORS:
        return sad, None
    if sad == "oracle":
        path = next((path for path in (data_dir / "ref.rttm", data_dir / "segments") if path.exists()), None)
        if path is None:
            raise InputError("neither ref.rttm nor segments", path=data_dir, expected="one of them for --sad oracle")
        return f"oracle ({path.name})", path
    path = Path(sad)
    if not path.is_file():
        expected = f"{', '.join(DETECTORS)}, oracle, or a file (segments or RTTM)"
        raise InputError("bad --sad, and no such file", expected=expected, got=sad)
    return f"given ({path.name})", path


def _given(path: Path, recordings: dict[str, Recording]) -> dict[str, list[Turn]]:
    """Return the turns of a file by recording."""
    durations = {reco: r.duration for reco, r in recordings.items() if r.duration is not None}
    turns = read_turns(path, recordings, durations)
    if not turns.keys() & recordings.keys():
        raise InputError("no speech of any recording of wav.scp", path=path, hint="Do the recording ids differ?")
    if unknown := sorted(turns.keys() - recordings.keys()):
        _LOG.warning("WARNING: %s: %d recordings are not in wav.scp, e.g. %s", path, len(unknown), unknown[0])
    return turns


def _run(options: argparse.Namespace) -> None:
    work = WorkDir(options.out_dir)
    settings = work.load()
    data_dir = Path(settings["data_dir"])
    recordings = load_recordings(data_dir, settings["allow_commands"])
    _, speech_file = _speech_source(settings["sad"], data_dir)
    given = {} if speech_file is None else _given(speech_file, recordings)
    finder = _finder(settings["options"])
    for reco in work.job(options.job):
        started = time.monotonic()
        found = finder.find(recordings[reco], given.get(reco, ()))
        with work.recording(reco) as folder:
            _write_recording(folder, reco, found)
        _LOG.info(
            "%s: %.2f s of speech in %d regions of %.2f s, %.2f s of overlap; took %.1f s",
            reco,
            (found.speech[:, 1] - found.speech[:, 0]).sum() / 100,
            len(found.speech),
            found.duration,
            (found.overlap[:, 1] - found.overlap[:, 0]).sum() / 100,
            time.monotonic() - started,
        )


def _finder(chosen: dict[str, Any]) -> SpeechFinder:
    """Return what finds speech by these options (as of :func:`_chosen_options`)."""
    sad, detector, smoothing, network = chosen["sad"], None, None, None
    given = {key: chosen[name] for name, key in (_NETWORK_OPTIONS | _OVERLAP_OPTIONS).items() if name in chosen}
    if sad in DETECTORS:
        of_class = {key: chosen[name] for name, key in _SAD_OPTIONS[sad].items()}
        detector = make_detector(sad, **of_class, **(given if sad == "pyannote" else {}))
        smoothing = Smoothing(**{key: chosen[name] for name, key in _SMOOTHING_OPTIONS.items()})
    if _uses_network(chosen):
        network = detector if sad == "pyannote" else make_detector("pyannote", **given)
    return SpeechFinder(detector, smoothing, _overlap_source(chosen), network, "changes" in chosen)


def _write_recording(folder: Path, reco: str, found: Found) -> None:
    (folder / "regions").mkdir()
    regions = {"speech": found.speech.astype(int).tolist(), "overlap": found.overlap.astype(int).tolist()}
    (folder / "regions" / f"{reco}.json").write_text(json.dumps({"duration": found.duration, **regions}) + "\n")
    if found.segmentation is not None:
        (folder / "segmentation").mkdir()
        write_segmentation(folder / "segmentation" / f"{reco}.npz", found.segmentation)


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
    if settings["sad_weights"]:
        meta["sad_weights"] = settings["sad_weights"]
    write_meta(out_dir, meta)
    if not _uses_network(settings["options"]):
        shutil.rmtree(out_dir / "segmentation", ignore_errors=True)  # of an earlier run with other options
    tables = ("segments", "utt2spk", "spk2utt", "overlap.segments", "wav.scp", "reco2dur", "reco2channel")
    work.complete("meta.json", editable=tables)
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
