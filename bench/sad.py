#!/usr/bin/env python3
"""How good the speech and overlap detectors are with their default settings, on data directories with a reference.

Usage: bench/sad.py [options] <data-dir>...
 e.g.: bench/sad.py data/mini
       bench/sad.py --sads pyannote --rttm exp/mini/best/rttm data/mini    # and what is left of it in a system's result

Prints for each directory, within all.uem where there is one:

speech   miss and false alarm in % of the reference's speech, everything one label, 0.25 s collar on each side of where
         the reference's speech begins and ends; raw: as the detector decides, before gaps are closed and so on.
         RTF: processor time as a part of the recordings' length, one thread, reading of audio included
overlap  precision and recall of the time that two reference speakers talk, in %, no collar

Figures are of all recordings and of two halves: the first, third, ... by name, which settings may be chosen on, and the
second, fourth, ... which show what such a choice is worth elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage

from ssdiar.speech.config import SadConfig, read_sad
from ssdiar.speech.given import given_speech, read_turns

from ssdiar.data import Recording, load_recordings
from ssdiar.io.rttm import read_uem
from ssdiar.speech import make_detector
from ssdiar.timeline.regions import covered, intersect, subtract, total
from ssdiar.timeline.spans import Turn

_COLLAR = 0.25  # seconds
_CONF = Path(__file__).resolve().parent.parent / "conf" / "sad"


@dataclass(frozen=True)
class _Result:
    """What one detector did on one recording: seconds of each kind, and of processor time."""

    speech: np.ndarray  # reference, missed, false
    raw_speech: np.ndarray  # the same, before smoothing
    overlap: np.ndarray  # reference, found, both
    lengths: np.ndarray  # audio, processor time


def main() -> None:
    """Run the detectors, print two tables per data directory."""
    parser = stage.Parser(__doc__)
    parser.add_argument("--sads", default="webrtc silero pyannote", help="files of conf/sad, separated by spaces")
    parser.add_argument("--rttm", type=Path, help="a system's result on the data directory, measured in the same way")
    parser.add_argument("data_dirs", type=Path, nargs="+")
    options = parser.parse_args()
    configs = {name: read_sad(_CONF / f"{name}.yaml") for name in options.sads.split()}
    for data_dir in options.data_dirs:
        recordings = load_recordings(data_dir)
        turns = read_turns(data_dir / "ref.rttm", recordings)
        uem = read_uem(data_dir / "all.uem") if (data_dir / "all.uem").exists() else {}
        results = {name: _run(config, recordings, turns, uem) for name, config in configs.items()}
        if options.rttm is not None:
            results["rttm"] = _of_rttm(options.rttm, recordings, turns, uem)
        _print_tables(data_dir, results)


def _run(
    config: SadConfig,
    recordings: dict[str, Recording],
    turns: dict[str, list[Turn]],
    uem: dict[str, list[tuple[float, float]]],
) -> list[_Result]:
    """Return a result per recording that has a reference, in the order of their names."""
    detector = make_detector(config)
    detector.detect(np.zeros(8000, np.float32), 8000)  # the time to load it is not counted
    results = []
    for reco in sorted(recordings.keys() & turns.keys()):
        started = time.process_time()
        samples, rate = recordings[reco].read()
        duration = len(samples) / rate
        found = detector.detect(samples, rate)
        speech = config.smoothing.apply(found.speech, duration)
        lengths = np.array([duration, time.process_time() - started])
        scored = uem.get(reco, [(0.0, duration)])
        results.append(_compared(turns[reco], speech, found.speech, found.overlap, scored, lengths))
    return results


def _of_rttm(
    path: Path,
    recordings: dict[str, Recording],
    turns: dict[str, list[Turn]],
    uem: dict[str, list[tuple[float, float]]],
) -> list[_Result]:
    """Return the same of the turns of an RTTM."""
    system, results = read_turns(path, recordings), []
    for reco in sorted(recordings.keys() & turns.keys()):
        duration = recordings[reco].seconds()
        speech, overlap = _given(system.get(reco, []), duration)
        scored = uem.get(reco, [(0.0, duration)])
        results.append(_compared(turns[reco], speech, speech, overlap, scored, np.array([duration, 0.0])))
    return results


def _given(turns: Sequence[Turn], duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where anybody speaks, and where more than one does, by turns; seconds."""
    apart, overlap = (part / 100 for part in given_speech(turns, duration))
    return covered(np.concatenate([apart, overlap])), overlap


def _compared(
    turns: Sequence[Turn],
    speech: np.ndarray,
    raw: np.ndarray,
    overlap: np.ndarray,
    scored: Sequence[tuple[float, float]],
    lengths: np.ndarray,
) -> _Result:
    reference, both = _given(turns, lengths[0])
    return _Result(
        _errors(reference, speech, scored), _errors(reference, raw, scored), _agreement(both, overlap, scored), lengths
    )


def _errors(reference: np.ndarray, speech: np.ndarray, scored: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return seconds of reference speech, of it missed, and of false alarm, outside the collars."""
    collars = covered([(edge - _COLLAR, edge + _COLLAR) for edge in reference.ravel()])
    scored = subtract(scored, collars)
    reference, speech = intersect(reference, scored), intersect(speech, scored)
    return np.array([total(reference), total(subtract(reference, speech)), total(subtract(speech, reference))])


def _agreement(reference: np.ndarray, found: np.ndarray, scored: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return seconds of reference overlap, of overlap found, and of both at once."""
    reference, found = intersect(reference, scored), intersect(found, scored)
    return np.array([total(reference), total(found), total(intersect(reference, found))])


def _print_tables(data_dir: Path, results: dict[str, list[_Result]]) -> None:
    count = len(next(iter(results.values())))
    print(f"\n{data_dir}: {count} recordings; miss + false alarm = sum, % of speech, {_COLLAR:g} s collar")
    print(f"{'speech':<16}{'all':^22}{'odd':^22}{'even':^22}   RTF")
    for name, found in results.items():
        audio, seconds = sum(result.lengths for result in found)
        rows: list[tuple[str, Callable[[_Result], np.ndarray], str]] = [
            (name, lambda result: result.speech, f"{seconds / audio:.4f}"),
            (f"{name}, raw", lambda result: result.raw_speech, ""),
        ]
        for title, part, end in rows:
            cells = [_error_cell(sum(part(result) for result in half)) for half in _halves(found)]
            print(f"{title:<16}{''.join(cells)}   {end}".rstrip())
    print(f"{'overlap':<16}{'precision  recall':^22}" + f"{'precision  recall':^22}" * 2)
    for name, found in results.items():
        if any(result.overlap[1] for result in found):
            cells = [_overlap_cell(sum(result.overlap for result in half)) for half in _halves(found)]
            print(f"{name:<16}{''.join(cells)}".rstrip())


def _halves(results: list[_Result]) -> list[list[_Result]]:
    nothing = _Result(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(2))
    return [[nothing, *part] for part in (results, results[::2], results[1::2])]


def _error_cell(seconds: np.ndarray) -> str:
    reference, miss, false_alarm = seconds
    if not reference:
        return f"{'-':^22}"
    percent = 100 / reference
    return f"{percent * miss:5.2f} + {percent * false_alarm:5.2f} = {percent * (miss + false_alarm):5.2f} "


def _overlap_cell(seconds: np.ndarray) -> str:
    reference, found, both = seconds
    if not reference or not found:
        return f"{'-':^22}"
    return f"{100 * both / found:9.1f}{100 * both / reference:8.1f}     "


if __name__ == "__main__":
    stage.run(main)
