#!/usr/bin/env python3
"""Stage 4: compute an x-vector for each sub-segment with a pretrained model.

Reads the audio of a data (or speech) directory and the sub-segments of make_subsegments.sh. Writes xvector.scp with
an archive xvector.<recording>.ark per recording (xvector.<recording>@<part>.ark per minute of a long one), segments,
utt2spk, spk2utt ("spk" files name recordings), utt2region and meta.json: model, source and sha256 of its weights.
A rerun does the recordings and parts that are missing or out of date.
e.g.: extract_xvectors.sh --xvector campplus data/mini_speech exp/mini/subsegments exp/mini/xvectors_campplus
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

from msgspec import to_builtins

import jobs
from ssdiar.base.config import config_files
from ssdiar.base.errors import InputError
from ssdiar.io.audio import is_quick_to_probe
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.recordings import Recording, audio_files, load_recordings
from ssdiar.io.tables import (
    SIDE2RECO,
    UTT2REGION,
    read_if_there,
    read_segments,
    read_sides,
    read_subsegments,
    write_or_remove,
    write_segments,
)
from ssdiar.pipeline import level_of, parts_of, vectors_of
from ssdiar.timeline.spans import Segment, by_recording
from ssdiar.work import Manifest, check, digest, file_digest
from ssdiar.xvectors.models import load_model, local_files, read_model_config

_LOG = logging.getLogger(__name__)
_FORMAT = 4  # of the files of a job; part of every digest
_DATA_TABLES = ("wav.scp", "reco2dur", "reco2channel")
_SUBSEGMENT_TABLES = ("segments", "overlap.segments", "meta.json", SIDE2RECO, UTT2REGION)


def main() -> None:
    """Run the stage, or one of its jobs."""
    parser = jobs.parser(__doc__, "data_dir", "subsegments_dir", out="xvector-dir")
    add = parser.add_argument
    help_text = (
        "use a model of conf/xvector: campplus (192-d), speechbrain (512-d, the paper's), or onnx; changes may follow, "
    )
    help_text += "as in speechbrain+source=<folder with a copy>, onnx+source=<file> or campplus+device=cuda"
    add("--xvector", default="campplus", metavar="choice", help=f"{help_text} (campplus)")
    add("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp, entries that end in |")
    jobs.main(parser, _plan, _run, _gather)


def _plan(options: argparse.Namespace) -> jobs.Plan:
    model = read_model_config(options.xvector)
    files = local_files(model)
    inputs = check(
        *(options.data_dir / name for name in _DATA_TABLES),
        *(options.subsegments_dir / name for name in _SUBSEGMENT_TABLES),
        *config_files(options.xvector, "xvector"),
        *files,
    )
    recordings = load_recordings(options.data_dir, options.allow_commands)
    inputs |= check(*audio_files(recordings))
    durations = {reco: r.duration for reco, r in recordings.items() if r.duration is not None}
    segments = by_recording(read_segments(options.subsegments_dir / "segments", recordings, durations))
    overlap = _read_overlap(options.subsegments_dir)
    read_meta(options.subsegments_dir)  # gather needs it: a damaged one is reported before any work
    settings = {
        "data_dir": str(options.data_dir.absolute()),
        "subsegments_dir": str(options.subsegments_dir.absolute()),
        "xvector": options.xvector,
        "allow_commands": options.allow_commands,
    }
    model_digest = digest(_FORMAT, to_builtins(model), [file_digest(path) for path in files])
    digests, costs = {}, {}
    for key, part in _parts(segments, recordings).items():
        reco = key.partition("@")[0]
        discarded = [(region.start, region.end) for region in overlap.get(reco, ())]
        times = [(segment.id, segment.start, segment.end) for segment in part]
        digests[key] = digest(model_digest, recordings[reco].content(), times, discarded)
        costs[key] = sum(segment.duration for segment in part)
    return jobs.Plan(inputs, settings, digests, costs, "s of speech")


def _parts(segments: Mapping[str, list[Segment]], recordings: Mapping[str, Recording]) -> dict[str, list[Segment]]:
    """Return the sub-segments of each piece of work: a recording, or a part of a long one, named <reco>@<part>."""
    found = {}
    for reco, own in segments.items():
        parts = parts_of(own, is_quick_to_probe(recordings[reco].entry))
        found |= {f"{reco}@{number}": part for number, part in enumerate(parts) if part} if parts[1:] else {reco: own}
    return found


def _run(work: Manifest, todo: list[str], job: int) -> None:
    from ssdiar.io.ark import write_xvectors

    settings = work.settings
    recordings = load_recordings(settings["data_dir"], settings["allow_commands"])
    folder = Path(settings["subsegments_dir"])
    segments, overlap, levels = by_recording(read_segments(folder / "segments")), _read_overlap(folder), {}
    parts = _parts(segments, recordings)
    model = load_model(read_model_config(settings["xvector"]).for_job(job))
    _LOG.info("model %s from %s, sha256 %s", model.config.name, model.config.source, model.weights_sha256)
    for key in sorted(todo):
        started, (reco, _, number) = time.monotonic(), key.partition("@")
        if number and reco not in levels:
            levels = {reco: level_of(model, recordings[reco], segments[reco])}  # parts of a recording are in a row
        vectors = vectors_of(model, recordings[reco], parts[key], overlap.get(reco, ()), bool(number), levels.get(reco))
        with work.done(key) as folder:
            rows = {segment.id: vector for segment, vector in zip(parts[key], vectors, strict=True)}
            offsets = write_xvectors(folder / f"xvector.{key}.ark", rows)
            (folder / "parts").mkdir()
            part = json.dumps({"offsets": offsets, "sha256": model.weights_sha256, "dimension": model.dimension})
            (folder / "parts" / f"{key}.json").write_text(f"{part}\n")
        seconds = time.monotonic() - started
        _LOG.info("%s: %d vectors, %.0f per second", key, len(vectors), len(vectors) / seconds)


def _gather(work: Manifest) -> None:
    settings = work.settings
    with work.finish("xvector.scp", "segments", "utt2spk", "spk2utt", "meta.json") as keys:
        _merge(work.out_dir.absolute(), keys, settings)


def _merge(out_dir: Path, keys: list[str], settings: Mapping[str, Any]) -> None:
    """Write the tables of all recordings, and meta.json."""
    from ssdiar.io.ark import write_xvector_scp

    model, folder = read_model_config(settings["xvector"]), Path(settings["subsegments_dir"])
    parts = {key: json.loads((out_dir / "parts" / f"{key}.json").read_text()) for key in keys}
    weights = {part["sha256"] for part in parts.values()}
    if len(weights) > 1:
        hint = "The model changed between runs; make them again with --overwrite true."
        raise InputError("x-vectors of different weights in one directory", path=out_dir, hint=hint)
    places = {
        segment: (out_dir / f"xvector.{key}.ark", offset)
        for key in keys
        for segment, offset in parts[key]["offsets"].items()
    }
    write_xvector_scp(out_dir / "xvector.scp", places)
    write_segments(out_dir, read_subsegments(folder))
    dimension = next((part["dimension"] for part in parts.values()), model.dimension)
    about = {"dimension": dimension, "sample_rate": model.sample_rate, "min_duration": model.min_duration}
    origin = {"xvector_model": model.title, "source": model.source, "sha256": next(iter(weights), None)}
    write_meta(out_dir, read_meta(folder) | origin | about | {"vectors": len(places)})
    write_or_remove(out_dir / SIDE2RECO, read_sides(folder))
    recordings = len({key.partition("@")[0] for key in keys})
    _LOG.info("%s: %d x-vectors of %d recordings (%s)", out_dir, len(places), recordings, model.name)


def _read_overlap(folder: Path) -> dict[str, list[Segment]]:
    """Return the overlapped speech of each recording, which gets no x-vectors."""
    return by_recording(read_if_there(read_segments, folder / "overlap.segments", []))


if __name__ == "__main__":
    stage.run(main)
