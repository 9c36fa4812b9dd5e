#!/usr/bin/env python3
"""Choose thresholds in two folds; the Python side of tune_threshold.sh.

plan    checks options, writes the folds
choose  reads the scores of all thresholds, takes for each recording the labels of the other fold's best one
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage
from ssdiar.errors import InputError
from ssdiar.io.meta import read_meta, write_meta
from ssdiar.io.publish import publish, publish_text
from ssdiar.io.tables import check_id, read_lines, read_segments, read_wav_scp
from ssdiar.scoring.der import PROTOCOLS, DiarizationError
from ssdiar.scoring.score_file import percent, read_score
from ssdiar.work import Manifest, check

_LOG = logging.getLogger(__name__)
_STAGE = "tune_threshold"
FOLDS = ("fold1", "fold2")


def main() -> None:
    """Run one of the two sub-commands."""
    options = _parse()
    {"plan": _plan, "choose": _choose}[options.action](options)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    actions = parser.add_actions()
    plan = actions.add_parser("plan")
    plan.add_argument("--thresholds", type=_thresholds, required=True)
    plan.add_argument("--fold1", type=Path)
    plan.add_argument("--fold2", type=Path)
    plan.add_argument("--protocol", choices=tuple(PROTOCOLS), default="forgiving")
    plan.add_argument("data_dir", type=Path)
    plan.add_argument("xvector_dir", type=Path)
    plan.add_argument("out_dir", type=Path)
    actions.add_parser("choose").add_argument("out_dir", type=Path)
    return parser.parse_args()


def _thresholds(text: str) -> list[str]:
    """Return thresholds as they were written, since folders are named after them."""
    names = text.split()
    values = [stage.number(-1, 1)(name) for name in names]
    if len(set(values)) < max(2, len(values)):
        raise argparse.ArgumentTypeError(f"expected two different numbers or more, got {text or 'nothing'}")
    return names


def _plan(options: argparse.Namespace) -> None:
    if not (options.data_dir / "ref.rttm").is_file():
        raise InputError("no such file", path=options.data_dir / "ref.rttm", expected="the reference to tune with")
    recordings = sorted(read_wav_scp(options.data_dir / "wav.scp"))
    unknown = {segment.reco for segment in read_segments(options.xvector_dir / "segments")} - set(recordings)
    if unknown:
        path = options.xvector_dir / "segments"
        raise InputError("unknown recording", path=path, expected=f"those of {options.data_dir}", got=min(unknown))
    given = [path for path in (options.fold1, options.fold2) if path is not None]
    inputs = check(options.data_dir / "ref.rttm", options.data_dir / "wav.scp", *given)
    folds = make_folds(recordings, options.fold1, options.fold2)
    tuning = options.out_dir / "tuning"
    tuning.mkdir(parents=True, exist_ok=True)
    source = "every other recording" if options.fold1 is None and options.fold2 is None else "as given"
    settings = {"thresholds": options.thresholds, "protocol": options.protocol, "folds": folds, "fold_source": source}
    Manifest(options.out_dir, _STAGE).plan(inputs, settings)
    sizes = " and ".join(str(len(folds[fold])) for fold in FOLDS)
    _LOG.info("%d thresholds, folds of %s recordings (%s)", len(options.thresholds), sizes, source)


def make_folds(recordings: Iterable[str], fold1: Path | None, fold2: Path | None) -> dict[str, list[str]]:
    """Return the recordings of each fold, in order.

    Raises:
        InputError: A list is malformed, a recording is in both lists or in none, or a fold is empty.
    """
    known = sorted(recordings)
    if fold1 is None and fold2 is None:
        folds = {FOLDS[0]: known[0::2], FOLDS[1]: known[1::2]}
    else:
        listed = [None if path is None else _read_list(path) for path in (fold1, fold2)]
        first, second = (
            set(known) & names if names is not None else set(known) - (listed[1 - place] or set())
            for place, names in enumerate(listed)
        )
        shown = " and ".join(str(path) for path in (fold1, fold2) if path is not None)
        for names, what in ((first & second, "in both folds"), (set(known) - first - second, "in neither fold")):
            if names:
                raise InputError(f"{len(names)} recordings are {what}, the first is {min(names)}", path=shown)
        folds = {FOLDS[0]: sorted(first), FOLDS[1]: sorted(second)}
    for fold, names in folds.items():
        if not names:
            raise InputError(f"{fold} has no recording", expected="at least one of the data directory's recordings")
    return folds


def _read_list(path: Path) -> set[str]:
    return {check_id(text.split()[0], path, line) for line, text in read_lines(path)}


def _choose(options: argparse.Namespace) -> None:
    tuning = options.out_dir / "tuning"
    work = Manifest(options.out_dir, _STAGE)
    plan = work.settings
    folds, names = plan["folds"], plan["thresholds"]
    score = f"score/{plan['protocol']}.json"
    inputs = work.inputs | check(*(tuning / f"threshold_{name}" / score for name in names))
    rates = {name: _fold_rates(tuning / f"threshold_{name}", plan["protocol"], folds) for name in names}
    best = {fold: _best(fold, names, rates) for fold in FOLDS}
    applied = {FOLDS[0]: best[FOLDS[1]], FOLDS[1]: best[FOLDS[0]]}
    for fold in FOLDS:
        if best[fold] in (names[0], names[-1]):
            _LOG.warning("WARNING: the best threshold of %s, %s, is at the end of the list", fold, best[fold])
    table = _table(plan, rates, best)
    result = {**plan, "der": rates, "best": best, "applied": applied}
    sources = {reco: tuning / f"threshold_{applied[fold]}" for fold in FOLDS for reco in folds[fold]}
    inputs |= check(*(folder / "labels" for folder in set(sources.values())))
    meta = read_meta(tuning / f"threshold_{applied[FOLDS[0]]}")
    meta["num_spk_source"] = f"threshold tuned on the other fold ({plan['protocol']})"
    meta["threshold"] = applied
    work.plan(inputs, plan)
    histories = [f"history/{reco}.json" for reco in sources if _part(sources[reco], reco).exists()]
    with work.finish("labels", "meta.json", "tuning/table.txt", "tuning/result.json", *histories):
        publish_text(tuning / "table.txt", table)
        publish_text(tuning / "result.json", json.dumps(result, indent=1) + "\n")
        _combine(options.out_dir, sources)
        write_meta(options.out_dir, meta)
    _LOG.info("%s", table.rstrip("\n"))


def _fold_rates(folder: Path, protocol: str, folds: Mapping[str, list[str]]) -> dict[str, float | None]:
    """Return the DER of each fold, pooled over the time of its recordings; None where nothing is scored."""
    scored = read_score(folder / "score" / f"{protocol}.json").recordings
    pooled = {}
    for fold, recordings in folds.items():
        seconds = [scored[reco].seconds for reco in recordings if reco in scored]
        pooled[fold] = sum((part for part in seconds if part is not None), DiarizationError()).der
    return pooled


def _best(fold: str, names: list[str], rates: Mapping[str, Mapping[str, float | None]]) -> str:
    scored = [(rate, place) for place, name in enumerate(names) if (rate := rates[name][fold]) is not None]
    if not scored:
        raise InputError(f"no reference speech is scored in {fold}, so it can tune nothing")
    return names[min(scored)[1]]


def _combine(out_dir: Path, sources: Mapping[str, Path]) -> None:
    """Write labels and histories, those of each recording from its folder in ``sources``."""
    lines: list[str] = []
    for reco, folder in sources.items():
        part = _part(folder, reco)
        if not part.exists():
            continue  # no speech in it
        lines += part.read_text().splitlines(keepends=True)
        (out_dir / "history").mkdir(exist_ok=True)
        with publish(out_dir / "history" / f"{reco}.json") as temporary:
            shutil.copyfile(folder / "history" / f"{reco}.json", temporary)
    for path in (out_dir / "history").glob("*.json"):
        if path.stem not in sources:
            path.unlink()
    publish_text(out_dir / "labels", "".join(sorted(lines)))


def _part(folder: Path, reco: str) -> Path:
    """Return the file with one recording's labels of a threshold; there is none if it has no speech."""
    return folder / "parts" / f"{reco}.labels"


def _table(plan: Mapping[str, Any], rates: Mapping[str, Mapping[str, float | None]], best: Mapping[str, str]) -> str:
    head = f"# DER % by threshold, {PROTOCOLS[plan['protocol']].describe()}; * best of its fold, used for the other\n"
    rows = [("threshold", *FOLDS)]
    rows += [
        (name, *(percent(rates[name][fold]) + ("*" if best[fold] == name else " ") for fold in FOLDS))
        for name in plan["thresholds"]
    ]
    return head + "".join(f"{name:>9}  {first:>7}  {second:>7}".rstrip() + "\n" for name, first, second in rows)


if __name__ == "__main__":
    stage.run(main)
