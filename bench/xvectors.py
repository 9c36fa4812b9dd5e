#!/usr/bin/env python3
"""SpeechBrain x-vectors per second on pieces of 0.75 s, with random weights of the published network's size.

Two processes of one thread each work at once, as two jobs of the stage do. What all the rest costs (cutting, filter
banks, normalisation, batches) is the ratio to the bare network on features that are ready, in one process.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT, write_row

sys.path.insert(0, str(ROOT / "tests" / "data"))

_PIECES = 256
_RATE = 16000
_JOBS = 2


def main() -> None:
    """Make the model, measure, print rows."""
    options = measure.parser(__doc__).parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="ssdiar.bench.") as temporary:
        folder = Path(temporary) / "model"
        _make_model(folder)
        barrier, results = context.Barrier(_JOBS), context.Queue()
        arguments = (folder, options.repetitions, barrier, results)
        workers = [context.Process(target=_work, args=(number, *arguments)) for number in range(_JOBS)]
        for worker in workers:
            worker.start()
        rates, ratios = zip(*(results.get(timeout=600) for _ in workers), strict=True)
        for worker in workers:
            worker.join()
    together = np.sum(rates, axis=0).tolist()
    write_row("xvectors", f"speechbrain, {_JOBS} jobs", together, "1/s", ">=150")
    write_row("xvectors", "to the bare network", [ratio for part in ratios if part for ratio in part], "times", "<=1.2")


def _make_model(folder: Path) -> None:
    from make_speechbrain_model import make

    from ssdiar.xvectors.speechbrain import _make_torchaudio_importable

    _make_torchaudio_importable()
    make(folder, (512, 512, 512, 512, 1500))


def _work(number: int, folder: Path, repetitions: int, barrier, results) -> None:
    """Put x-vectors per second of each repetition and, of the first process, ratios to the bare network."""
    import torch

    from ssdiar.xvectors.models import load_model, read_model_config

    torch.set_num_threads(1)
    config = read_model_config(ROOT / "conf" / "xvector" / "speechbrain.yaml")
    model = load_model(config, str(folder))
    samples = np.random.default_rng(0).standard_normal(int(0.75 * _PIECES * _RATE)).astype(np.float32) * 0.1
    starts = 0.75 * np.arange(_PIECES)
    ready = torch.from_numpy(samples.reshape(_PIECES, -1))

    def embed() -> None:
        model.embed(samples, starts, starts + 0.75)

    modules = model._encoder.mods
    with torch.inference_mode():
        features = modules.compute_features(ready)
        lengths = torch.ones(_PIECES)
        features = modules.mean_var_norm(features, lengths).split(config.batch_size)

    def bare() -> None:
        with torch.inference_mode():
            for batch in features:
                modules.embedding_model(batch, torch.ones(len(batch)))

    def seconds(function) -> float:
        started = time.perf_counter()
        function()
        return time.perf_counter() - started

    embed()
    bare()
    barrier.wait()
    rates = [_PIECES / seconds(embed) for _ in range(repetitions)]
    barrier.wait()
    ratios = [seconds(embed) / seconds(bare) for _ in range(repetitions)] if number == 0 else []
    results.put((rates, ratios))


if __name__ == "__main__":
    stage.run(main)
