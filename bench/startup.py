#!/usr/bin/env python3
"""Start-up of every stage: whole processes on one recording of a few seconds, and what a further recording adds.

A stage is its script with one job: bash, and a Python each for plan, run and gather. The libraries and the model are
loaded once per job, so that a further recording adds only its own time. The recordings hold 12 s of pulses for voices.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT, STAGES, run, write_row

_SECONDS = 12.0
_FURTHER = 4  # recordings more, in the larger of the two sets
_SYSTEM = "conformer_finch_ahc_contrastive"


def main() -> None:
    """Print a row per stage."""
    parser = measure.parser(__doc__)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
        one, more = (_Set(Path(temporary) / name, size) for name, size in (("one", 1), ("more", 1 + _FURTHER)))
        for step in one.steps():
            _measure(one, more, step, options.repetitions)


class _Set:
    """Recordings of pulses in noise, and the commands of its stages in order."""

    def __init__(self, root: Path, size: int) -> None:
        import soundfile

        self.root = root
        (root / "audio").mkdir(parents=True)
        rng, times = np.random.default_rng(0), np.arange(int(16000 * _SECONDS)) / 16000
        for number in range(size):
            pitch = np.where(times % 6 < 3, 110, 190) + 4 * np.sin(5 * times)
            voice = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / 16000)) * (times % 3 < 2.5)
            samples = 0.1 * voice + 0.001 * rng.standard_normal(len(times))
            soundfile.write(root / "audio" / f"call{number}.wav", samples, 16000, "PCM_16")

    def steps(self) -> list[str]:
        """Return the names of the stages."""
        return list(self._commands())

    def command(self, step: str) -> list[str | Path]:
        """Return the stage's script with one job, doing everything again."""
        return self._commands()[step]

    def _commands(self) -> dict[str, list[str | Path]]:
        root, again = self.root, ["--overwrite", "true", "--nj", "1"]
        named = ["--set", "data", "--data-root", root]
        data, speech, pieces, vectors = (root / name for name in ("data", "speech", "pieces", "vectors"))
        trained, plain = root / "trained", root / "plain"
        return {
            "prepare_audio": [ROOT / "local" / "prepare_audio.sh", *named, root / "audio"],
            "detect_speech": [STAGES / "detect_speech.sh", "--sad", "webrtc", *again, data, speech],
            "make_subsegments": [STAGES / "make_subsegments.sh", speech, pieces],
            "extract_xvectors": [STAGES / "extract_xvectors.sh", *again, speech, pieces, vectors],
            "cluster_ssl, training": [STAGES / "cluster_ssl.sh", "--system", _SYSTEM, *again, vectors, trained],
            "cluster_ssl, xvector_ahc": [STAGES / "cluster_ssl.sh", "--system", "xvector_ahc", *again, vectors, plain],
            "make_rttm": [STAGES / "make_rttm.sh", pieces, trained],
        }


def _measure(one: _Set, more: _Set, step: str, repetitions: int) -> None:
    for warm_up in (one, more):
        run(warm_up.command(step))
    pairs = [(run(one.command(step)), run(more.command(step))) for _ in range(repetitions)]
    goal = "<=8" if step.endswith("training") else "<=1.5"
    write_row("startup", step, [single.wall for single, _ in pairs], "s", goal)
    write_row("startup", f"{step}, processor", [single.cpu for single, _ in pairs], "s")
    further = [(several.wall - single.wall) / _FURTHER for single, several in pairs]
    write_row("startup", f"{step}, a further recording", further, "s")


if __name__ == "__main__":
    stage.run(main)
