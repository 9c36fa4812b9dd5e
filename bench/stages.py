#!/usr/bin/env python3
"""Where the time of run.sh goes, stage by stage: `best` on a folder of audio and on one long call made of it.

Start-up is what a stage takes for one recording of a few seconds; it is in every figure above it. A stage that keeps
both cores busy takes half as long by the clock as in processor time.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT, run, write_row
from ssdiar.errors import InputError
from ssdiar.io.audio import AUDIO_SUFFIXES, read_audio

_STAGES = {
    1: "data",
    2: "speech",
    3: "sub-segments",
    4: "x-vectors",
    5: "clustering",
    6: "RTTM",
    8: "report",
}
_RATE = 8000
_SHORT = 12  # seconds


def main() -> None:
    """Print rows of each stage and of all, for the folder, for a long call, and for a short one."""
    parser = measure.parser(__doc__)
    parser.add_argument("--minutes", type=stage.whole_number(1), default=60, help="length of the long call")
    parser.add_argument("--nj", type=stage.whole_number(1), default=2)
    parser.add_argument("audio", type=Path, help="a folder of audio files")
    options = parser.parse_args()
    files = sorted(path for path in options.audio.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise InputError("no audio", path=options.audio)
    with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
        folders = {f"{len(files)} recordings": options.audio.absolute()}
        for name, seconds in ((f"{options.minutes} minutes", 60 * options.minutes), ("start-up", _SHORT)):
            folders[name] = Path(temporary) / "audio" / name.replace(" ", "_")
            _write_call(folders[name] / "call.wav", files, seconds)
        for name, folder in folders.items():
            work = Path(temporary) / "work" / name.replace(" ", "_")
            _measure(name, folder, work, options)


def _write_call(path: Path, files: list[Path], seconds: int) -> None:
    """Write a recording of files one after the other, again and again, until it is long enough."""
    import soundfile

    path.parent.mkdir(parents=True)
    missing = seconds * _RATE
    with soundfile.SoundFile(str(path), "w", _RATE, 1, "PCM_16") as call:
        while missing:
            for file in files:
                samples, _ = read_audio(file, _RATE)
                call.write(samples[:missing].astype(np.float64))
                missing -= min(missing, len(samples))


def _measure(name: str, folder: Path, work: Path, options) -> None:
    """Run every stage, as often as asked; print a row of each and of their sum."""
    used: dict[int, list[measure.Usage]] = {number: [] for number in _STAGES}
    for repetition in range(options.repetitions):
        roots = ["--data-root", work / f"{repetition}/data", "--exp-root", work / f"{repetition}/exp"]
        for number in _STAGES:
            command = ["env", "-C", ROOT, "./run.sh", "--audio", folder, "--set", "bench", "--systems", "best", *roots]
            command += ["--stage", str(number), "--stop-stage", str(number), "--nj", str(options.nj)]
            used[number].append(run([*command, "--python", sys.executable, "--verbose", "0"]))
    for number, title in _STAGES.items():
        write_row("stages", f"{name}, {title}", [usage.wall for usage in used[number]], "s")
        write_row("stages", f"{name}, {title}, processor", [usage.cpu for usage in used[number]], "s")
        write_row("stages", f"{name}, {title}, peak memory", [usage.peak for usage in used[number]], "MB", "<=2048")
    is_hour = name == "60 minutes"
    for title, numbers in (("audio to RTTM", set(_STAGES) - {8}), ("all", set(_STAGES))):
        runs = list(zip(*(used[number] for number in sorted(numbers)), strict=True))
        walls, processor = ([sum(getattr(usage, part) for usage in one) for one in runs] for part in ("wall", "cpu"))
        goals = ("<=180", "<=0.55") if is_hour and title != "all" else ("", "")
        write_row("stages", f"{name}, {title}", walls, "s")
        write_row("stages", f"{name}, {title}, processor", processor, "s", goals[0])
        ratios = [wall / seconds for wall, seconds in zip(walls, processor, strict=True)]
        write_row("stages", f"{name}, {title}, clock to processor", ratios, "", goals[1])


if __name__ == "__main__":
    stage.run(main)
