#!/usr/bin/env python3
"""Stage 5: cluster the x-vectors of each recording by a system of conf/systems.

Reads a directory with xvector.scp, segments and utt2spk ("spk" files name recordings), made by extract_xvectors.sh,
Kaldi, VBx or another toolkit. Writes labels (<sub-segment> <number from 1>), history/<recording>.json, meta.json, and
for systems that estimate it the probability of each label, sure (<sub-segment> <0 to 1>).
A rerun does the recordings that are missing or out of date.
e.g.: cluster_ssl.sh --system xvector_ahc --num-spk 2 exp/mini/xvectors_campplus exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stage

from msgspec import to_builtins

import jobs
from ssdiar.clustering.config import read_system
from ssdiar.clustering.recording import Recording, fold_backgrounds
from ssdiar.clustering.sides import share_out
from ssdiar.config import config_files, config_name
from ssdiar.errors import InputError
from ssdiar.io.ark import XVectors, read_xvector_dir
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.publish import publish_text
from ssdiar.io.tables import SIDE2RECO, read_counts, read_sides
from ssdiar.results import number_found
from ssdiar.timeline.segmentation import read_segmentation
from ssdiar.timeline.spans import Segment
from ssdiar.work import Manifest, check, digest, file_digest

if TYPE_CHECKING:
    from ssdiar.clustering.config import SystemConfig

_LOG = logging.getLogger(__name__)
_NUM_SPK = "oracle, estimate, a whole number from 1, or a file of recordings and numbers"
_FORMAT = 3  # version of the files of a job; part of every digest
_TABLES = ("xvector.scp", "segments", "utt2spk", "meta.json", SIDE2RECO)  # of an x-vector directory


def main() -> None:
    """Run the stage, or one of its jobs."""
    parser = jobs.parser(__doc__, "xvector_dir", out="out-dir")
    add = parser.add_argument
    help_text = (
        "cluster by a system of conf/systems, or a .yaml file; changes may follow, as in best+consensus.parts=48"
    )
    add("--system", default="conformer_finch_ahc_contrastive", metavar="choice", help=help_text)
    help_text = (
        "set the speakers per recording: a number; estimate them from the x-vectors; read lines <recording> <number>"
    )
    help_text += " (and estimate missing recordings); or take those of --reco2num-spk (oracle)"
    add("--num-spk", default="2", metavar="n|estimate|file|oracle", help=f"{help_text} (2)")
    add("--min-spk", type=stage.whole_number(1), help="estimate no fewer speakers than this (1)")
    add("--max-spk", type=stage.whole_number(1), help="estimate no more speakers than this (the system's own)")
    help_text = "read the reference's <recording> <number>, for --num-spk oracle only"
    add("--reco2num-spk", type=Path, metavar="file", help=help_text)
    help_text = "take the number of speakers from AHC that stops when no two clusters have a higher mean cosine"
    add("--threshold", type=stage.number(-1, 1), metavar="cosine", help=help_text)
    help_text = (
        "read segmentation/ of the speech directory, which the system best uses to estimate the number of speakers"
    )
    add("--segmentation", type=Path, metavar="dir", help=help_text)
    add("--seed", type=stage.whole_number(0), default=0, help="seed all randomness")
    jobs.main(parser, _plan, _run, _gather)


def _plan(options: argparse.Namespace) -> jobs.Plan:
    config = read_system(options.system)
    tables = [options.xvector_dir / name for name in _TABLES]
    given = _counts_file(options)
    inputs = check(*tables, *config_files(options.system, "systems"), *filter(None, [given]))
    pieces, xvectors = read_xvector_dir(options.xvector_dir)
    inputs |= check(*xvectors.archives())
    read_meta(options.xvector_dir)  # needed at the end; a damaged one is an error before any work
    limits = _limits(options)
    counts = _speaker_counts(options, given, pieces, xvectors)
    segmentations = _segmentation_files(options.segmentation, counts, config)
    inputs |= check(*segmentations.values())
    for path in segmentations.values():
        if not path.is_file():
            raise InputError("no such file", path=path)
    settings = {
        "xvector_dir": str(options.xvector_dir.absolute()),
        "choice": options.system,
        "system": config_name(options.system),
        "config": to_builtins(config),
        "counts": options.num_spk,
        "num_spk": counts,
        "limits": limits,
        "threshold": options.threshold,
        "num_spk_source": _count_source(options, limits),
        "segmentations": {reco: str(path.absolute()) for reco, path in segmentations.items()},
        "seed": options.seed,
    }
    backgrounds, sides = _backgrounds(pieces, xvectors, config), read_sides(options.xvector_dir)
    digests, dimensions = {}, {}
    for reco in pieces:
        vectors, background = xvectors.load([piece.id for piece in pieces[reco]]), backgrounds.get(reco)
        dimensions[reco] = vectors.shape[1]
        digests[reco] = digest(
            _FORMAT,
            [settings["config"], settings["system"]],
            [counts[reco], limits if counts[reco] is None else None, options.threshold, options.seed, reco in sides],
            [(piece.id, piece.start, piece.end) for piece in pieces[reco]],
            vectors.tobytes(),
            b"" if background is None else background.mean.tobytes() + background.covariance.tobytes(),
            file_digest(segmentations[reco]) if reco in segmentations else "",
        )
    _check_dimensions(dimensions, xvectors.path)
    # Making the linkage of S sub-segments takes S^2 operations.
    costs = {reco: float(len(pieces[reco])) ** 2 for reco in pieces}
    return jobs.Plan(inputs, settings, digests, costs)


def _backgrounds(pieces: Mapping[str, list[Segment]], xvectors: XVectors, config: SystemConfig) -> dict[str, Any]:
    """Return the statistics of the other half of the set, if the preparation of a recording uses them."""
    if not config.prepare.needs_fold:
        return {}
    return fold_backgrounds({reco: xvectors.load([piece.id for piece in pieces[reco]]) for reco in pieces})


def _check_dimensions(dimensions: Mapping[str, int], path: Path) -> None:
    first = next(iter(dimensions.values()), None)
    for reco, dimension in dimensions.items():
        if dimension != first:
            what = f"x-vectors of recording {reco} have another dimension than those before"
            raise InputError(what, path=path, expected=f"{first}", got=dimension)


def _segmentation_files(folder: Path | None, counts: Mapping[str, int | None], config: SystemConfig) -> dict[str, Path]:
    """Return the segmentation of each recording whose speakers are to be counted, if the system uses it."""
    if folder is None or config.count.method != "evidence":
        return {}
    return {reco: folder / f"{reco}.npz" for reco, count in counts.items() if count is None}


def _counts_file(options: argparse.Namespace) -> Path | None:
    """Return the file with the number of speakers of each recording, if there is one."""
    if options.num_spk == "oracle":
        if options.reco2num_spk is None:
            raise InputError("--num-spk oracle needs --reco2num-spk", expected="the file of reference counts")
        return options.reco2num_spk
    if options.num_spk == "estimate" or (options.num_spk.isascii() and options.num_spk.isdigit()):
        if options.num_spk != "estimate" and int(options.num_spk) < 1:
            raise InputError("bad --num-spk", expected=_NUM_SPK, got=options.num_spk)
        return None
    if not Path(options.num_spk).is_file():
        raise InputError("bad --num-spk", expected=_NUM_SPK, got=options.num_spk)
    return Path(options.num_spk)


def _limits(options: argparse.Namespace) -> tuple[int, int | None]:
    """Return the min and max number of speakers to estimate; max is None for the system's own."""
    minimum, maximum = options.min_spk or 1, options.max_spk
    if (options.min_spk or options.max_spk) and (options.num_spk.isdigit() or options.num_spk == "oracle"):
        raise InputError("--min-spk and --max-spk go with --num-spk estimate", got=f"--num-spk {options.num_spk}")
    if maximum is not None and maximum < minimum:
        raise InputError("--max-spk is less than --min-spk", expected=f"at least {minimum}", got=maximum)
    return minimum, maximum


def _count_source(options: argparse.Namespace, limits: tuple[int, int | None]) -> str:
    """Return the source of the number of speakers, for meta.json."""
    if options.threshold is not None:
        return f"threshold {options.threshold:g}"
    if options.num_spk == "oracle":
        return "oracle"
    if options.num_spk != "estimate":
        return f"{Path(options.num_spk).name} (given)"
    if limits == (1, None):
        return "estimated"
    return f"estimated, {limits[0]} or more" if limits[1] is None else f"estimated, {limits[0]} to {limits[1]}"


def _speaker_counts(
    options: argparse.Namespace, file: Path | None, pieces: Mapping[str, list[Segment]], xvectors: XVectors
) -> dict[str, int | None]:
    """Return the given number of speakers per recording or side; None if it is to be estimated."""
    whose = read_sides(options.xvector_dir)
    sides: dict[str, list[str]] = {}
    for side in pieces:
        sides.setdefault(whose.get(side, side), []).append(side)
    given: dict[str, int | None] = {}
    for reco, number in _counts_of_recordings(options, file, sides).items():
        if reco in pieces:
            given[reco] = number
            continue
        if number is None:
            given |= dict.fromkeys(sides[reco])
        else:
            vectors = {side: xvectors.load([piece.id for piece in pieces[side]]) for side in sides[reco]}
            given |= share_out(number, vectors)
    return given


def _counts_of_recordings(
    options: argparse.Namespace, file: Path | None, recordings: Mapping[str, Any]
) -> dict[str, int | None]:
    """Return the given number of speakers per recording; None if it is to be estimated."""
    if file is None:
        return dict.fromkeys(recordings, None if options.num_spk == "estimate" else int(options.num_spk))
    counts = read_counts(file, "recording number")
    missing = sorted(recordings.keys() - counts.keys())
    if missing:
        _LOG.warning(
            "WARNING: %s: no number for %d of %d recordings, the first is %s; estimated for these",
            file,
            len(missing),
            len(recordings),
            missing[0],
        )
    return {reco: counts.get(reco) for reco in recordings}


def _run(work: Manifest, todo: list[str], _: int) -> None:
    import numpy as np

    from ssdiar.clustering.systems import cluster_recording

    settings = work.settings
    config = _config(settings)
    pieces, xvectors = read_xvector_dir(Path(settings["xvector_dir"]))
    backgrounds = _backgrounds(pieces, xvectors, config)
    sides = read_sides(settings["xvector_dir"])
    counts, segmentations = settings["num_spk"], settings["segmentations"]
    if config.method == "ssl" and todo:
        _warm_up(xvectors, pieces[todo[0]], config)
    for reco in todo:
        ids = [piece.id for piece in pieces[reco]]
        times = np.array([(piece.start, piece.end) for piece in pieces[reco]])
        segmentation = read_segmentation(segmentations[reco]) if reco in segmentations else None
        vectors, background = xvectors.load(ids), backgrounds.get(reco)
        recording = Recording(reco, vectors, times, counts[reco], segmentation, background, reco in sides)
        result = cluster_recording(
            recording, config, settings["seed"], settings["threshold"], settings["limits"], work.threads
        )
        history = {
            "recording": reco,
            "system": settings["system"],
            "seed": settings["seed"],
            "sub_segments": len(ids),
            **result.history,
            "options": to_builtins(config),
        }
        with work.done(reco) as folder:
            (folder / "history").mkdir()
            (folder / "history" / f"{reco}.json").write_text(json.dumps(history, indent=1) + "\n")
            (folder / "parts").mkdir()
            _write_part(folder / "parts" / f"{reco}.labels", ids, [label + 1 for label in result.labels])
            if result.sure is not None:
                _write_part(folder / "parts" / f"{reco}.sure", ids, [f"{share:.4f}" for share in result.sure])
            if result.latent is not None:
                before, after = (latent.astype(np.float32) for latent in result.latent)
                (folder / "latent").mkdir()
                np.savez(folder / "latent" / f"{reco}.npz", before=before, after=after)
        _LOG.info("%s", _summary(reco, history))
        if "fallback" in history:
            _LOG.warning("WARNING: %s: %s", reco, history["fallback"])


def _write_part(path: Path, ids: list[str], values: list[Any]) -> None:
    """Write one recording's part of a table of sub-segments."""
    path.write_text("".join(sorted(f"{key} {value}\n" for key, value in zip(ids, values, strict=True))))


def _config(settings: dict[str, Any]) -> SystemConfig:
    return read_system(settings["choice"])


def _warm_up(xvectors: XVectors, pieces: list[Segment], config: SystemConfig) -> None:
    """Have TensorFlow ready before the first recording."""
    from ssdiar.clustering.ssl import warm_up

    started = time.monotonic()
    warm_up(xvectors.load([pieces[0].id]).shape[1], config)
    _LOG.debug("TensorFlow is ready after %.1f s", time.monotonic() - started)


def _summary(reco: str, history: dict[str, Any]) -> str:
    chain = [history["first_clusters"]] if "first_clusters" in history else [history["sub_segments"]]
    chain += [iteration["clusters"] for iteration in history.get("iterations", [])] or [history["clusters"]]
    epochs = sum(iteration["epochs"] for iteration in history.get("iterations", []))
    numbers = " > ".join(map(str, chain))
    path = "".join(f", FINCH first for {path}" for path in history["finch_first"])
    return (
        f"{reco}: {history['sub_segments']} sub-segments, clusters {numbers}, {epochs} epochs, {history['seconds']} s"
        f"{path}"
    )


def _gather(work: Manifest) -> None:
    out_dir, settings = work.out_dir, work.settings
    meta = read_meta(settings["xvector_dir"])
    meta.setdefault("xvector_model", f"unknown ({settings['xvector_dir']})")
    meta.setdefault("speech_source", "as given")
    meta["system"] = settings["system"]
    meta |= {name: settings[name] for name in ("num_spk_source", "seed")}
    meta["system_options"] = settings["config"]
    config = _config(settings)
    if config.says_how_sure:
        meta["second_sure"] = config.sure.second
    tables = ["labels", "sure"] if config.says_how_sure else ["labels"]
    with work.finish("meta.json", *tables) as recordings:
        histories = [json.loads((out_dir / "history" / f"{reco}.json").read_text()) for reco in recordings]
        meta["num_spk"] = {history["recording"]: number_found(history) for history in histories}
        write_meta(out_dir, meta)
        (out_dir / "sure").unlink(missing_ok=True)  # an earlier system's
        for table in tables:
            parts = [(out_dir / "parts" / f"{reco}.{table}").read_text() for reco in recordings]
            publish_text(out_dir / table, "".join(sorted(line for part in parts for line in part.splitlines(True))))
    fewer = [history["recording"] for history in histories if history["clusters"] < history["num_spk"]]
    if fewer:
        _LOG.warning(
            "WARNING: %d recordings have fewer sub-segments than speakers, the first is %s; meta.json has their number",
            len(fewer),
            fewer[0],
        )
    seconds = [history["seconds"] for history in histories] or [0.0]
    fallbacks = sum("fallback" in history for history in histories)
    _LOG.info(
        "%s: %d recordings, %d sub-segments, %.2f s per recording (median)%s",
        out_dir / "labels",
        len(recordings),
        sum(history["sub_segments"] for history in histories),
        statistics.median(seconds),
        f", {fallbacks} without training" if fallbacks else "",
    )


if __name__ == "__main__":
    stage.run(main)
