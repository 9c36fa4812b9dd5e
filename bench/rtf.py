#!/usr/bin/env python3
"""Real-time factor from a folder of audio to RTTM, whole processes with start-up, beside a peer on the same files.

Ours is run.sh on a fresh data set: environment check, data directory, speech, sub-segments, CAM++ x-vectors, one
system, RTTM, with that system's defaults. The peer is given the files as it wants them, 16 kHz wav, made beforehand
and not counted. Both take turns, so that a machine that slows down slows both; the ratio is taken run by run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import stage

import measure
from measure import ROOT, run, write_row
from ssdiar.errors import InputError


def main() -> None:
    """Print rows of ours and, if its Python is given, the peer."""
    parser = measure.parser(__doc__)
    parser.add_argument("--peer-python", type=Path, help="a Python that has senko")
    parser.add_argument("--system", default="best", help="a system of conf/systems")
    parser.add_argument("--nj", type=stage.whole_number(1), default=2)
    parser.add_argument("audio", type=Path, help="a folder of audio files")
    options = parser.parse_args()
    if not options.audio.is_dir():
        raise InputError("no such folder", path=options.audio)
    ours, theirs, ratios = [], [], []
    with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
        work = Path(temporary)
        for number in range(options.repetitions):
            ours.append(_run_ours(work / f"run{number}", options).wall)
            if number == 0:
                seconds = _prepare(work / "run0" / "data" / "bench", work / "wav")
            if options.peer_python is not None:
                filters, name = _peer_filters()
                command = [options.peer_python, ROOT / "bench" / "senko_peer.py", filters, work / "wav", work / "peer"]
                # Its threads are its own choice: what this process was told must not hold it back.
                theirs.append(run(["env", *_UNSET, *command]).wall)
                ratios.append(ours[-1] / theirs[-1])
    write_row("rtf", "audio", [seconds], "s")
    write_row("rtf", "ours, audio to RTTM", [wall / seconds for wall in ours], "s/s", "<=0.035")
    if theirs:
        write_row("rtf", name, [wall / seconds for wall in theirs], "s/s")
        write_row("rtf", "ours to senko", ratios, "times", "<=1")


_UNSET = [word for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") for word in ("-u", name)]


def _run_ours(work: Path, options) -> measure.Usage:
    command = [
        *("env", "-C", ROOT, "./run.sh", "--audio", options.audio.absolute(), "--set", "bench", "--stop-stage", "6"),
        *("--data-root", work / "data", "--exp-root", work / "exp", "--systems", options.system),
        *("--xvector", "campplus", "--nj", str(options.nj), "--python", sys.executable, "--verbose", "0"),
    ]
    return run(command)


def _peer_filters() -> tuple[str, str]:
    cpu = Path("/proc/cpuinfo")
    if cpu.exists() and "avx512f" in cpu.read_text():
        return "own", "senko"
    return "replaced", "senko, filter banks replaced"


def _prepare(data_dir: Path, folder: Path) -> float:
    """Write the recordings of a data directory as 16 kHz wav files; return their seconds."""
    import soundfile

    from ssdiar.data import load_recordings

    folder.mkdir()
    seconds = 0.0
    for reco, recording in load_recordings(data_dir).items():
        samples, rate = recording.read(16000)
        soundfile.write(folder / f"{reco}.wav", samples, rate, "PCM_16")
        seconds += len(samples) / rate
    return seconds


if __name__ == "__main__":
    stage.run(main)
