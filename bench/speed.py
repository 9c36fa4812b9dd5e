#!/usr/bin/env python3
"""Measure speed and growth; print tab-separated rows: part, figure, median, min, max, runs, unit.

stages      each stage of run.sh, for --system, on 12 s of audio (start-up), on --audio and on an hour made of it
rtf         audio to RTTM as a share of real time, by number of jobs; in turns with the peer senko (--peer-python)
lengths     stage 5 by the number of sub-segments of one recording
recordings  stages 5 to 8 by the number of recordings, and a second run, which finds everything done

Whole processes are timed, start-up included. Ratios are of runs that take turns. On a busy machine only ratios and
processor time are valid; the first row is the load. senko needs AVX-512 and an environment of its own:
python3 -m venv senko && senko/bin/pip install senko==0.2.2

e.g.: bench/speed.py --parts "rtf stages" --audio ~/calls --nj "1 2 4" --peer-python senko/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from common import ROOT

import numpy as np

from ssdiar.base.arguments import Parser, run, whole_number
from ssdiar.base.errors import InputError
from ssdiar.clustering.config import read_system
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.audio import read_audio
from ssdiar.io.meta import write_meta
from ssdiar.io.recordings import audio_below
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import write_segments
from ssdiar.timeline.spans import Segment, Turn

_STEPS = ROOT / "steps" / "diar"
_STAGES = {1: "data", 2: "speech", 3: "sub-segments", 4: "x-vectors", 5: "clustering", 6: "RTTM", 8: "report"}
_PAPER = "conformer_finch_ahc_contrastive"
_RATE = 16000
# A process of its own, because the peak memory of a child starts at its parent's.
_LAUNCHER = """
import resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=2)
wall, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
"""
_PEER = """
import pathlib, sys
from senko import Diarizer
diarizer = Diarizer(device="cpu", warmup=False, quiet=True)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.wav")):
    diarizer.diarize(str(path), generate_colors=False)
"""


def main() -> None:
    """Print the rows of all parts."""
    options = _parse()
    print("part\tfigure\tmedian\tmin\tmax\truns\tunit")
    row("machine", "load before", [os.getloadavg()[0]], "")
    for part in options.parts.split():
        with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as folder:
            PARTS[part](options, Path(folder))


def _parse() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [whole_number(1)(part) for part in text.split()]

    parser = Parser(__doc__)
    add = parser.add_argument
    add("--parts", default=" ".join(PARTS), help="parts to measure (all)")
    add("--repetitions", type=whole_number(1), default=5, help="runs of everything")
    add("--audio", type=Path, default=ROOT / "data/mini", help="folder of audio (data/mini)")
    add("--system", default="best", help="system of stages and rtf")
    add("--nj", type=numbers, default="2", help="numbers of jobs: rtf takes each, other parts the first")
    add("--peer-python", type=Path, help="Python of an environment with senko")
    add("--sizes", type=numbers, default="230 2400 8000 40000", help="sub-segments of lengths")
    add("--recordings", type=numbers, default="300 1000 10000", help="numbers of recordings")
    options = parser.parse_args()
    if unknown := [part for part in options.parts.split() if part not in PARTS]:
        parser.error(f"--parts: expected some of {' '.join(PARTS)}, got {unknown[0]}")
    if {"stages", "rtf"} & set(options.parts.split()) and not options.audio.is_dir():
        raise InputError("no such folder (--audio)", path=options.audio)
    return options


class Usage(NamedTuple):
    """Use of one command: seconds of wall clock, seconds of processor, MB of its largest process."""

    wall: float
    cpu: float
    peak: float


def measure(command: Sequence[object]) -> Usage:
    """Run a command, which includes the processes that it waits for; InputError if it fails."""
    words, environment = [str(word) for word in command], os.environ | {"PYTHON": sys.executable}
    launcher = [sys.executable, "-c", _LAUNCHER, *words]
    done = subprocess.run(launcher, capture_output=True, text=True, errors="replace", env=environment, cwd=ROOT)
    code, *used = map(float, done.stdout.split())
    if code:
        lines = done.stderr.strip().splitlines() or [""]
        raise InputError(f"{Path(words[0]).name} failed with {code:g}", got=lines[-1])
    return Usage(*used)


def row(part: str, figure: str, values: Sequence[float], unit: str) -> None:
    """Print one row: median and range of ``values``."""
    cells = [f"{value:.4g}" for value in (statistics.median(values), min(values), max(values))]
    print(part, figure, *cells, len(values), unit, sep="\t", flush=True)


def report(part: str, figure: str, used: Sequence[Sequence[float]]) -> None:
    """Print wall clock, processor time and peak memory (:class:`Usage`) of runs of a command."""
    names = (("", "s"), (", processor", "s"), (", peak memory", "MB"))
    for (suffix, unit), values in zip(names, zip(*used, strict=True), strict=True):
        row(part, figure + suffix, values, unit)


def stages(options: argparse.Namespace, work: Path) -> None:
    """Measure every stage on a short recording, on the audio, and on an hour made of it."""
    samples = _samples(options.audio)
    folders = {name: _write_call(work / name, samples, seconds) for name, seconds in (("12 s", 12), ("hour", 3600))}
    for name, audio in (folders | {f"{len(samples)} recordings": options.audio}).items():
        places = [work / f"{name} {repetition}" for repetition in range(options.repetitions)]
        runs = [[measure(_run_sh(audio, place, options, stage, stage)) for stage in _STAGES] for place in places]
        for title, used in zip(_STAGES.values(), zip(*runs, strict=True), strict=True):
            report("stages", f"{name}, {title}", used)
        wall, cpu, peak = np.moveaxis(np.array(runs)[:, :-1], 2, 0)  # without the report
        report("stages", f"{name}, audio to RTTM", list(zip(wall.sum(1), cpu.sum(1), peak.max(1), strict=True)))


def rtf(options: argparse.Namespace, work: Path) -> None:
    """Measure audio to RTTM by number of jobs, and the peer in turns, on the same audio as 16 kHz wav."""
    import soundfile

    samples = _samples(options.audio)
    (work / "wav").mkdir()
    for number, one in enumerate(samples):
        soundfile.write(work / "wav" / f"{number}.wav", one, _RATE, "PCM_16")
    unset = [word for name in ("OMP", "OPENBLAS", "MKL") for word in ("-u", f"{name}_NUM_THREADS")]  # its own choice
    ours: dict[int, list[float]] = {jobs: [] for jobs in options.nj}
    peer = []
    for repetition in range(options.repetitions):
        for jobs, own in ours.items():
            own.append(measure(_run_sh(options.audio, work / f"{jobs}-{repetition}", options, 0, 6, jobs)).wall)
        if options.peer_python is not None:
            peer.append(measure(["env", *unset, options.peer_python.absolute(), "-c", _PEER, work / "wav"]).wall)
    seconds = sum(map(len, samples)) / _RATE
    row("rtf", "audio", [seconds], "s")
    for jobs, own in ours.items():
        row("rtf", f"audio to RTTM, --nj {jobs}", [wall / seconds for wall in own], "s/s")
    if peer:
        row("rtf", "senko", [wall / seconds for wall in peer], "s/s")
        row("rtf", "to senko", [a / b for a, b in zip(ours[options.nj[0]], peer, strict=True)], "times")


def _run_sh(
    audio: Path, work: Path, options: argparse.Namespace, first: int, last: int, jobs: int | None = None
) -> list[object]:
    command = [ROOT / "run.sh", "--audio", audio.absolute(), "--set", "bench", "--systems", options.system]
    places = ["--data-root", work / "data", "--exp-root", work / "exp", "--python", sys.executable]
    return [*command, *places, "--stage", first, "--stop-stage", last, "--nj", jobs or options.nj[0], "--verbose", 0]


def _samples(folder: Path) -> list[np.ndarray]:
    """Return the recordings in a folder at 16 kHz."""
    return [read_audio(path, _RATE)[0] for path in audio_below(folder)]


def _write_call(folder: Path, samples: Sequence[np.ndarray], seconds: int) -> Path:
    """Write a recording of others one after the other, repeated until it is long enough; return its folder."""
    import soundfile

    folder.mkdir()
    soundfile.write(folder / "call.wav", np.resize(np.concatenate(samples), seconds * _RATE), _RATE, "PCM_16")
    return folder


def lengths(options: argparse.Namespace, work: Path) -> None:
    """Measure stage 5 by length; shorter recordings also on the path of those above labels.ahc_most, FINCH first."""
    for size in options.sizes:
        vectors, truth = simulate(size)
        write_xvector_dir(work / f"{size}", {"call": vectors})
        paths, found = {f"{size} sub-segments": _PAPER}, []
        if size <= read_system(_PAPER).labels.ahc_most:
            paths[f"{size} sub-segments, FINCH first"] = f"{_PAPER}+labels.ahc_most={size // 2}"
        for name, system in paths.items():
            command = [_STEPS / "cluster_ssl.sh", "--system", system, "--nj", 1, "--num-spk", 2, "--overwrite", "true"]
            used = [measure([*command, work / f"{size}", work / name]) for _ in range(options.repetitions)]
            report("lengths", name, used)
            found.append(np.loadtxt(work / name / "labels", int, usecols=1) - 1)
            seconds = json.loads((work / name / "history/call.json").read_text())["seconds"]
            row("lengths", f"{name}, without start-up", [seconds], "s")
            row("lengths", f"{name}, right", [100 * _agreement(found[-1], truth)], "%")
        if len(found) == 2:
            row("lengths", f"{size} sub-segments, same by both paths", [100 * _agreement(*found)], "%")


def _agreement(left: np.ndarray, right: np.ndarray) -> float:
    """Return the share of equal labels under the best one-to-one mapping of clusters."""
    from scipy.optimize import linear_sum_assignment

    both = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(both, (left, right), 1)
    return both[linear_sum_assignment(-both)].sum() / len(left)


def recordings(options: argparse.Namespace, work: Path) -> None:
    """Measure stages 5 to 8 of best by number of recordings of a minute; two simulated speakers, number given."""
    for number in options.recordings:
        root = work / f"{number}"
        vectors, turns = {}, []
        for index in range(number):
            reco = f"call{index:06d}"
            vectors[reco], truth = simulate(80, index)
            turns += [Turn(reco, f"{reco}_{who}", 0.75 * at, 0.75 * at + 0.75) for at, who in enumerate(truth)]
        write_xvector_dir(root / "vectors", vectors)
        write_meta(root / "vectors", {"speech_source": "simulated", "xvector_model": "simulated"})
        (root / "data").mkdir()
        write_rttm(root / "data" / "ref.rttm", turns)
        best, system = root / "exp" / "best", ["--system", "best", "--num-spk", 2, "--nj", options.nj[0]]
        commands = {
            "clustering": ("cluster_ssl.sh", *system, root / "vectors", best),
            "RTTM": ("make_rttm.sh", root / "vectors", best),
            "score": ("score_der.sh", root / "data", best),
            "report": ("make_report.sh", root / "exp", root / "report"),
        }
        for again in ("", ", again"):
            used = {title: measure([_STEPS / script, *rest]) for title, (script, *rest) in commands.items()}
            for title, usage in used.items():
                report("recordings", f"{number} recordings, {title}{again}", [usage])
            row("recordings", f"{number} recordings, all{again}", [sum(usage.wall for usage in used.values())], "s")


def simulate(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return x-vectors (size, 192) float32 of two speakers in turns of 2 to 12 sub-segments, and their speakers.

    Speakers, turns and sub-segments are normal with standard deviations 1, 1 and 2, times a spread that decays over
    the dimensions. Cosines within and between speakers, and the purity of FINCH's first partition, are then
    close to CAM++ on telephone calls.
    """
    rng, dimension = np.random.default_rng(seed), 192
    turns = np.repeat(np.arange(size), rng.integers(2, 13, size))[:size]
    truth, spread = (turns + 1) % 2, np.exp(-np.arange(dimension) / 40)
    voices, moods = rng.standard_normal((2, dimension)), rng.standard_normal((turns[-1] + 1, dimension))
    vectors = (voices[truth] + moods[turns] + 2 * rng.standard_normal((size, dimension))) * spread
    return vectors.astype(np.float32), truth


def write_xvector_dir(folder: Path, vectors: Mapping[str, np.ndarray]) -> None:
    """Write the directory of stage 4, of x-vectors (S, D) per recording, one sub-segment every 0.75 s."""
    folder.mkdir(parents=True)
    segments, places = [], {}
    for reco, own in vectors.items():
        ids = [f"{reco}-{75 * n:07d}-{75 * (n + 1):07d}" for n in range(len(own))]
        segments += [Segment(key, reco, 0.75 * n, 0.75 * (n + 1)) for n, key in enumerate(ids)]
        ark = folder / f"xvector.{reco}.ark"
        places |= {key: (ark, at) for key, at in write_xvectors(ark, dict(zip(ids, own, strict=True))).items()}
    write_segments(folder, segments)
    write_xvector_scp(folder / "xvector.scp", places)


PARTS = {part.__name__: part for part in (stages, rtf, lengths, recordings)}


if __name__ == "__main__":
    run(main)
