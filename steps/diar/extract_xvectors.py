#!/usr/bin/env python3
"""Stage 4: compute an x-vector for each sub-segment with a pretrained model.

Reads the audio of a data (or speech) directory and the sub-segments of make_subsegments.sh. Writes xvector.scp with
an archive xvector.<recording>.ark per recording (xvector.<recording>@<part>.ark per two minutes of a long one),
segments, utt2spk, spk2utt ("spk" files name recordings) and meta.json: model, source and sha256 of its weights.
A rerun does the recordings and parts that are missing or out of date.
e.g.: extract_xvectors.sh --xvector campplus data/mini_speech exp/mini/subsegments exp/mini/xvectors_campplus
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path

import stage

import numpy as np
from msgspec import to_builtins

import jobs
from ssdiar.config import conf_dir
from ssdiar.data import Recording, audio_files, load_recordings
from ssdiar.errors import InputError
from ssdiar.graph import DEVICES, device_of_job
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.tables import SIDE2RECO, read_segments, read_sides, write_or_remove, write_segments
from ssdiar.timeline.regions import covered
from ssdiar.timeline.spans import Segment, by_recording
from ssdiar.work import Manifest, check, digest, file_digest
from ssdiar.xvectors.embedding import embed, part_numbers
from ssdiar.xvectors.models import load_model, local_files, read_model_config

_LOG = logging.getLogger(__name__)
_FORMAT = 3  # version of the files of a job; part of every digest
_DATA_TABLES = ("wav.scp", "reco2dur", "reco2channel")
_PIECES_TABLES = ("segments", "overlap.segments", "meta.json", SIDE2RECO)


def main() -> None:
    """Run the stage, or one of its jobs."""
    parser = jobs.parser(__doc__, "data_dir", "subsegments_dir", out="xvector-dir")
    add = parser.add_argument
    help_text = "use a model of conf/xvector, or a .yaml file: campplus (192-d), or speechbrain (512-d, the paper's)"
    add("--xvector", default="campplus", metavar="name|file", help=f"{help_text} (campplus)")
    help_text = "read the model from a local copy, instead of hub or package"
    add("--xvector-source", type=Path, metavar="dir", help=help_text)
    help_text = "run the model on this device; with several GPUs, jobs take turns"
    add("--device", choices=DEVICES, default="cpu", help=help_text)
    add("--allow-commands", type=stage.boolean, default=False, help="run commands of wav.scp, entries that end in |")
    jobs.main(parser, _plan, _run, _gather)


def _plan(options: argparse.Namespace) -> jobs.Plan:
    is_file = options.xvector.endswith(".yaml")
    model = Path(options.xvector) if is_file else conf_dir() / "xvector" / f"{options.xvector}.yaml"
    config = read_model_config(model)
    if options.xvector_source is not None and not options.xvector_source.is_dir():
        raise InputError("no such folder", path=options.xvector_source, expected=f"a copy of {config.source}")
    inputs = check(
        *(options.data_dir / name for name in _DATA_TABLES),
        *(options.subsegments_dir / name for name in _PIECES_TABLES),
        model,
    )
    recordings = load_recordings(options.data_dir, options.allow_commands)
    durations = {reco: r.duration for reco, r in recordings.items() if r.duration is not None}
    pieces = by_recording(read_segments(options.subsegments_dir / "segments", recordings, durations))
    discarded = _discarded(options.subsegments_dir, pieces)
    read_meta(options.subsegments_dir)  # needed at the end; a damaged one is an error before any work
    source = None if options.xvector_source is None else str(options.xvector_source.absolute())
    settings = {
        "data_dir": str(options.data_dir.absolute()),
        "subsegments_dir": str(options.subsegments_dir.absolute()),
        "model": str(model.absolute()),
        "source": source,
        "device": options.device,
        "allow_commands": options.allow_commands,
    }
    model_files = local_files(config, source)
    inputs |= check(*model_files, *audio_files(recordings))
    model_digests = [file_digest(path) for path in model_files]
    parts = _parts(pieces, recordings)
    digests = {
        key: digest(
            _FORMAT,
            to_builtins(config),
            model_digests,
            options.device,
            recordings[key.partition("@")[0]].content(),
            [(p.id, p.start, p.end) for p in part],
            discarded[key.partition("@")[0]].tolist(),
        )
        for key, part in parts.items()
    }
    costs = {key: sum(piece.duration for piece in part) for key, part in parts.items()}
    return jobs.Plan(inputs, settings, digests, costs, "s of speech")


def _parts(pieces: dict[str, list[Segment]], recordings: dict[str, Recording]) -> dict[str, list[Segment]]:
    """Return the sub-segments of each recording, or of each part of a long one, named <reco>@<part>."""
    parts = {}
    for reco, group in pieces.items():
        numbers = part_numbers(group, recordings[reco].entry)
        for piece, number in zip(group, numbers, strict=True):
            parts.setdefault(reco if number is None else f"{reco}@{number}", []).append(piece)
    return parts


def _run(work: Manifest, todo: list[str], job: int) -> None:
    from ssdiar.io.ark import write_xvectors

    settings = work.settings
    recordings = load_recordings(settings["data_dir"], settings["allow_commands"])
    pieces = _read_pieces(settings)
    parts = _parts(pieces, recordings)
    discarded = _discarded(Path(settings["subsegments_dir"]), pieces)
    device = device_of_job(settings["device"], job)
    model = load_model(read_model_config(settings["model"]), settings["source"], device)
    _LOG.info("model %s from %s, sha256 %s", model.config.name, model.source, model.weights_sha256)
    for key in sorted(todo):
        started = time.monotonic()
        reco, _, number = key.partition("@")
        vectors = embed(model, recordings[reco], parts[key], discarded[reco], bool(number))
        if not np.isfinite(vectors).all():
            bad = parts[key][int(np.argmin(np.isfinite(vectors).all(axis=1)))]
            raise InputError(f"the model gave a vector that is not finite for sub-segment {bad.id}")
        with work.done(key) as folder:
            ark = f"xvector.{key}.ark"
            offsets = write_xvectors(
                folder / ark, {p.id: vector for p, vector in zip(parts[key], vectors, strict=True)}
            )
            part = {
                "offsets": offsets,
                "model": to_builtins(model.config),
                "sha256": model.weights_sha256,
                "source": model.source,
            }
            (folder / "parts").mkdir()
            (folder / "parts" / f"{key}.json").write_text(json.dumps(part) + "\n")
        seconds = time.monotonic() - started
        _LOG.info("%s: %d vectors, %.0f per second", key, len(vectors), len(vectors) / seconds)


def _gather(work: Manifest) -> None:
    settings = work.settings
    with work.finish("xvector.scp", "segments", "utt2spk", "spk2utt", "meta.json") as keys:
        _merge(work.out_dir.absolute(), keys, settings)


def _merge(out_dir: Path, keys: list[str], settings: dict[str, str]) -> None:
    """Write the tables of all recordings, and meta.json."""
    from ssdiar.io.ark import write_xvector_scp

    config = read_model_config(settings["model"])
    parts = {key: json.loads((out_dir / "parts" / f"{key}.json").read_text()) for key in keys}
    weights = {(part["sha256"], part["source"]) for part in parts.values()}
    if len(weights) > 1:
        raise InputError(
            "x-vectors of different weights in one directory",
            path=out_dir,
            hint="The model changed between runs; make them again with --overwrite true.",
        )
    places = {
        piece: (out_dir / f"xvector.{key}.ark", offset)
        for key in keys
        for piece, offset in parts[key]["offsets"].items()
    }
    write_xvector_scp(out_dir / "xvector.scp", places)
    write_segments(out_dir, [piece for group in _read_pieces(settings).values() for piece in group])
    sha256, source = weights.pop() if weights else (None, config.source)
    meta = read_meta(settings["subsegments_dir"]) | {
        "xvector_model": config.name,
        "source": source,
        "sha256": sha256,
        "dimension": config.dimension,
        "sample_rate": config.sample_rate,
        "min_duration": config.min_duration,
        "vectors": len(places),
    }
    write_meta(out_dir, meta)
    write_or_remove(out_dir / SIDE2RECO, read_sides(settings["subsegments_dir"]))
    recordings = len({key.partition("@")[0] for key in keys})
    _LOG.info("%s: %d x-vectors of %d recordings (%s)", out_dir, len(places), recordings, config.name)


def _discarded(subsegments_dir: Path, recordings: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the discarded overlap of each recording, (m, 2), seconds."""
    path = subsegments_dir / "overlap.segments"
    found = by_recording(read_segments(path)) if path.exists() else {}
    return {reco: covered([(region.start, region.end) for region in found.get(reco, ())]) for reco in recordings}


def _read_pieces(settings: dict[str, str]) -> dict[str, list[Segment]]:
    return by_recording(read_segments(Path(settings["subsegments_dir"]) / "segments"))


if __name__ == "__main__":
    stage.run(main)
