#!/usr/bin/env python3
"""Stage 5: cluster the x-vectors of each recording by a system of conf/systems.

Reads a directory with xvector.scp, segments and utt2spk ("spk" files name recordings), made by extract_xvectors.sh,
Kaldi, VBx or another toolkit. Writes labels (<sub-segment> <number from 1>), history/<recording>.json, meta.json, and
for systems that estimate it the probability of each label, sure (<sub-segment> <0 to 1>). A sub-segment without an
x-vector gets the label of the nearest one.
A rerun does the recordings that are missing or out of date.
e.g.: cluster_ssl.sh --system xvector_ahc --num-spk 2 exp/mini/xvectors_campplus exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stage

from msgspec import to_builtins

import jobs
from ssdiar.base.config import config_files, config_name
from ssdiar.base.errors import InputError
from ssdiar.clustering.config import read_system
from ssdiar.io.ark import read_xvector_dir
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.segmentation import read_segmentation
from ssdiar.io.tables import SIDE2RECO, UTT2REGION, read_counts, read_sides, write_table
from ssdiar.pipeline import ESTIMATE, SpeakerNumber, labels_by_id, labels_of, numbers_of_sides, parse_num_spk
from ssdiar.results import number_found
from ssdiar.work import Manifest, check, digest, file_digest

if TYPE_CHECKING:
    from ssdiar.clustering.config import SystemConfig
    from ssdiar.clustering.vectors import Moments
    from ssdiar.timeline.spans import Segment

_LOG = logging.getLogger(__name__)
_FORMAT = 5  # of the files of a job; part of every digest
_TABLES = ("xvector.scp", "segments", "utt2spk", "meta.json", SIDE2RECO, UTT2REGION)  # of an x-vector directory


def main() -> None:
    """Run the stage, or one of its jobs."""
    parser = jobs.parser(__doc__, "xvector_dir", out="out-dir")
    add = parser.add_argument
    help_text = "cluster by a system of conf/systems or a .yaml file; changes may follow, as in best+count.most=4"
    add("--system", default="conformer_finch_ahc_contrastive", metavar="choice", help=help_text)
    help_text = "set the speakers per recording: a number; limits to estimate within, or estimate; a file of lines "
    help_text += "<recording> <number> (others are estimated); or the file --reco2num-spk (oracle) (the system's)"
    add("--num-spk", metavar="n|a-b|estimate|file|oracle", help=help_text)
    help_text = "read the reference's <recording> <number>, for --num-spk oracle only"
    add("--reco2num-spk", type=Path, metavar="file", help=help_text)
    help_text = "take the number of speakers from AHC that stops when no two clusters have a higher mean cosine"
    add("--threshold", type=stage.number(-1, 1), metavar="cosine", help=help_text)
    help_text = "read segmentation/ of the speech directory, which the system best uses, too"
    add("--segmentation", type=Path, metavar="dir", help=help_text)
    add("--seed", type=stage.whole_number(0), default=0, help="seed all randomness")
    jobs.main(parser, _plan, _run, _gather)


def _plan(options: argparse.Namespace) -> jobs.Plan:
    system = read_system(options.system)
    asked = str(system.num_spk) if options.num_spk is None else options.num_spk
    counts = _counts_file(asked, options.reco2num_spk)
    tables = [options.xvector_dir / name for name in _TABLES]
    inputs = check(*tables, *config_files(options.system, "systems"), *filter(None, [counts]))
    segments, without, xvectors = read_xvector_dir(options.xvector_dir)
    if without:
        number = len(without) + sum(map(len, segments.values()))
        problem = "%s: %d of %d sub-segments have no x-vector, the first is %s; they get the nearest one's label"
        _LOG.warning(problem, xvectors.path, len(without), number, without[0].id)
        if lost := sorted({one.reco for one in without} - segments.keys()):
            problem = "%s: no x-vector of %d recordings, the first is %s; each gets one speaker"
            _LOG.warning(problem, xvectors.path, len(lost), lost[0])
    inputs |= check(*xvectors.archives())
    model = read_meta(options.xvector_dir).get("xvector_model")
    vectors = {reco: xvectors.load([segment.id for segment in own]) for reco, own in segments.items()}
    _check_dimensions(vectors, xvectors.path)
    sides = read_sides(options.xvector_dir)
    numbers = _numbers(asked, counts, vectors, sides)
    segmentations = _segmentation_files(options.segmentation, numbers, system)
    inputs |= check(*segmentations.values())
    for path in segmentations.values():
        if not path.is_file():
            raise InputError("no such file", path=path)
    settings = {
        "xvector_dir": str(options.xvector_dir.absolute()),
        "choice": options.system,
        "system": config_name(options.system),
        "config": to_builtins(system),
        "numbers": numbers,
        "threshold": options.threshold,
        "num_spk_source": _count_source(asked, options.threshold),
        "segmentations": {reco: str(path.absolute()) for reco, path in segmentations.items()},
        "seed": options.seed,
        "model": model,
    }
    backgrounds = _backgrounds(vectors, system)
    digests = {}
    for reco, own in segments.items():
        background = backgrounds.get(reco)
        digests[reco] = digest(
            _FORMAT,
            [settings["config"], settings["system"], model],
            [numbers[reco], options.threshold, options.seed, reco in sides],
            [(segment.id, segment.start, segment.end, segment.region) for segment in own],
            vectors[reco].tobytes(),
            b"" if background is None else background.mean.tobytes() + background.covariance.tobytes(),
            file_digest(segmentations[reco]) if reco in segmentations else "",
        )
    # Making the linkage of S sub-segments takes S^2 operations.
    return jobs.Plan(inputs, settings, digests, {reco: float(len(own)) ** 2 for reco, own in segments.items()})


def _backgrounds(vectors: Mapping[str, Any], system: SystemConfig) -> dict[str, Moments]:
    """Return the moments of the other half of the set for each recording, if the system's preparation needs them."""
    from ssdiar.clustering.recording import fold_backgrounds

    return fold_backgrounds(vectors) if system.prepare.needs_fold else {}


def _check_dimensions(vectors: Mapping[str, Any], path: Path) -> None:
    first = next(iter(vectors.values()), None)
    for reco, own in vectors.items():
        if own.shape[1] != first.shape[1]:
            problem = f"x-vectors of recording {reco} have another dimension than those before"
            raise InputError(problem, path=path, expected=f"{first.shape[1]}", got=own.shape[1])


def _segmentation_files(
    folder: Path | None, numbers: Mapping[str, SpeakerNumber], system: SystemConfig
) -> dict[str, Path]:
    """Return the network's output for each recording, if the system uses it."""
    if folder is None or not system.uses_segmentation:
        return {}
    return {reco: folder / f"{reco}.npz" for reco in numbers}


def _counts_file(asked: str, reference: Path | None) -> Path | None:
    """Return the file with the number of speakers of each recording, if there is one."""
    if asked == "oracle":
        if reference is None:
            raise InputError("--num-spk oracle needs --reco2num-spk", expected="the file of reference counts")
        return reference
    if parse_num_spk(asked) is not None:
        return None
    if not Path(asked).is_file():
        expected = "a number from 1, limits such as 2-8, estimate, oracle, or a file of recordings and numbers"
        raise InputError("bad --num-spk", expected=expected, got=asked)
    return Path(asked)


def _count_source(asked: str, threshold: float | None) -> str:
    """Return the source of the number of speakers, for results."""
    if threshold is not None:
        return f"threshold {threshold:g}"
    number = ESTIMATE if asked == "oracle" else parse_num_spk(asked)
    if asked == "oracle":
        return "oracle"
    if number is None or number.given:
        return f"{Path(asked).name} (given)"
    return "estimated" if number == ESTIMATE else f"estimated, {number.low} to {number.high}"


def _numbers(
    asked: str, file: Path | None, vectors: Mapping[str, Any], sides: Mapping[str, str]
) -> dict[str, SpeakerNumber]:
    """Return the requested number of speakers of each recording or side."""
    members: dict[str, list[str]] = {}
    for side in vectors:
        members.setdefault(sides.get(side, side), []).append(side)
    numbers: dict[str, SpeakerNumber] = {}
    for reco, number in _numbers_of_recordings(asked, file, members).items():
        own = {side: vectors[side] for side in members[reco]}
        numbers |= {reco: number} if reco in own else numbers_of_sides(number, own)
    return numbers


def _numbers_of_recordings(asked: str, file: Path | None, recordings: Iterable[str]) -> dict[str, SpeakerNumber]:
    """Return the requested number of speakers per recording; those that a file does not name are estimated."""
    if file is None:
        return dict.fromkeys(recordings, parse_num_spk(asked))
    counts = read_counts(file, "recording number")
    numbers = {reco: SpeakerNumber(counts[reco], counts[reco]) if reco in counts else ESTIMATE for reco in recordings}
    if missing := sorted(numbers.keys() - counts.keys()):
        problem = "%s: no number for %d of %d recordings, the first is %s; it is estimated"
        _LOG.warning(problem, file, len(missing), len(numbers), missing[0])
    return numbers


def _run(work: Manifest, todo: list[str], _: int) -> None:
    settings = work.settings
    system = read_system(settings["choice"])
    segments, _, xvectors = read_xvector_dir(Path(settings["xvector_dir"]))
    everything = segments if system.prepare.needs_fold else todo
    vectors = {reco: xvectors.load([segment.id for segment in segments[reco]]) for reco in everything}
    backgrounds, sides = _backgrounds(vectors, system), read_sides(settings["xvector_dir"])
    segmentations = settings["segmentations"]
    if system.method == "ssl" and todo:
        _warm_up(vectors[todo[0]].shape[1], system)
    for reco in todo:
        result = labels_of(
            *(system, segments[reco], vectors[reco], SpeakerNumber(*settings["numbers"][reco])),
            segmentation=read_segmentation(segmentations[reco]) if reco in segmentations else None,
            model=settings["model"],
            background=backgrounds.get(reco),
            is_side=reco in sides,
            threshold=settings["threshold"],
            seed=settings["seed"],
            threads=work.threads,
        )
        about = {"recording": reco, "system": settings["system"], "seed": settings["seed"]}
        history = {**about, "sub_segments": len(segments[reco]), **result.history, "options": settings["config"]}
        labels, sure = labels_by_id({reco: segments[reco]}, {reco: result})
        with work.done(reco) as folder:
            (folder / "history").mkdir()
            (folder / "history" / f"{reco}.json").write_text(json.dumps(history, indent=1) + "\n")
            (folder / "parts").mkdir()
            _write_part(folder / "parts" / f"{reco}.labels", labels)
            if sure is not None:
                _write_part(folder / "parts" / f"{reco}.sure", {key: f"{share:.4f}" for key, share in sure.items()})
        _LOG.info("%s", _summary(reco, history))
        if "fallback" in history:
            _LOG.warning("%s: %s", reco, history["fallback"])


def _write_part(path: Path, values: Mapping[str, Any]) -> None:
    """Write one recording's part of a table of sub-segments."""
    path.write_text("".join(sorted(f"{key} {value}\n" for key, value in values.items())))


def _warm_up(dimension: int, system: SystemConfig) -> None:
    """Load TensorFlow before the first recording."""
    from ssdiar.clustering.ssl import warm_up

    started = time.monotonic()
    warm_up(dimension, system)
    _LOG.debug("TensorFlow is ready after %.1f s", time.monotonic() - started)


def _summary(reco: str, history: Mapping[str, Any]) -> str:
    chain = [history["first_clusters"]] if "first_clusters" in history else [history["sub_segments"]]
    chain += [iteration["clusters"] for iteration in history.get("iterations", [])] or [history["clusters"]]
    epochs = sum(iteration["epochs"] for iteration in history.get("iterations", []))
    numbers = " > ".join(map(str, chain))
    path = "".join(f", FINCH first for {step}" for step in history["finch_first"])
    return (
        f"{reco}: {history['sub_segments']} sub-segments, clusters {numbers}, {epochs} epochs, {history['seconds']} s"
        f"{path}"
    )


def _gather(work: Manifest) -> None:
    out_dir, settings = work.out_dir, work.settings
    meta = read_meta(settings["xvector_dir"])
    meta.setdefault("xvector_model", f"unknown ({settings['xvector_dir']})")
    meta.setdefault("speech_source", "as given")
    meta |= {name: settings[name] for name in ("system", "num_spk_source", "seed")}
    meta["system_options"] = settings["config"]
    system = read_system(settings["choice"])
    if system.says_how_sure:
        meta["second_sure"] = system.sure.second
    # Tables, with the value of a sub-segment in a recording without x-vectors.
    tables = {"labels": "1", "sure": "0.0000"} if system.says_how_sure else {"labels": "1"}
    nearest = _nearest(*read_xvector_dir(Path(settings["xvector_dir"]))[:2])
    with work.finish("meta.json", *tables) as recordings:
        histories = [json.loads((out_dir / "history" / f"{reco}.json").read_text()) for reco in recordings]
        meta["num_spk"] = {history["recording"]: number_found(history) for history in histories}
        write_meta(out_dir, meta)
        (out_dir / "sure").unlink(missing_ok=True)  # an earlier system's
        for table, alone in tables.items():
            parts = [(out_dir / "parts" / f"{reco}.{table}").read_text() for reco in recordings]
            rows = dict(line.split() for part in parts for line in part.splitlines())
            write_table(out_dir / table, rows | {key: rows.get(other, alone) for key, other in nearest.items()})
    fewer = [history for history in histories if history["clusters"] < history["num_spk"]]
    if fewer:
        problem = "%d recordings have fewer sub-segments than speakers, the first is %s, which gets %d"
        _LOG.warning(problem, len(fewer), fewer[0]["recording"], fewer[0]["clusters"])
    median = statistics.median([history["seconds"] for history in histories] or [0.0])
    fallbacks = sum("fallback" in history for history in histories)
    counts = (len(recordings), sum(history["sub_segments"] for history in histories), median)
    more = f", {fallbacks} without training" if fallbacks else ""
    _LOG.info("%s: %d recordings, %d sub-segments, %.2f s per recording (median)%s", out_dir / "labels", *counts, more)


def _nearest(segments: Mapping[str, Sequence[Segment]], without: Iterable[Segment]) -> dict[str, str | None]:
    """Return the sub-segment with an x-vector that is nearest in time to each of those without, by id; None: none."""

    def distance(one: Segment, other: Segment) -> float:
        return max(other.start - one.end, one.start - other.end)

    others = {one: segments.get(one.reco, ()) for one in without}
    return {one.id: min(own, key=lambda other: distance(one, other)).id if own else None for one, own in others.items()}


if __name__ == "__main__":
    stage.run(main)
