#!/usr/bin/env python3
"""Seconds that clustering a recording takes once its job has started, and a training step against literal Keras layers.

clustering  one thread, the paper's system, three speakers; every repetition is another recording
literal     the same recording with Table I's layers as Keras has them, compiled by tf.function as ours are, on the same
            draws: processor seconds per training step, and the share of sub-segments with the same label
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import stage

import measure
from measure import ROOT, simulate, write_row
from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.clustering.recording import Clustering, Recording

_SYSTEM = ROOT / "conf" / "systems" / "conformer_finch_ahc_contrastive.yaml"
_GOALS = {230: "<=0.3", 2400: "<=3"}
_LITERAL_SIZES, _LITERAL_DIMENSION = (200, 800), 512  # the paper's x-vectors have 512


def main() -> None:
    """Print rows for each size, and those of the literal layers if asked for."""
    parser = measure.parser(__doc__)
    parser.add_argument("--sizes", default="230 2400", help="sub-segments per recording")
    parser.add_argument("--literal", type=stage.boolean, default=False, help="also the literal layers (minutes)")
    options = parser.parse_args()
    from ssdiar.clustering.ssl import warm_up
    from ssdiar.clustering.systems import cluster_recording

    config = read_system(_SYSTEM)
    started = time.monotonic()
    warm_up(192, config)
    write_row("clustering", "start of TensorFlow", [time.monotonic() - started], "s")
    for size in map(int, options.sizes.split()):
        values = []
        for number in range(options.repetitions):
            vectors, _ = simulate(size, 3, number)
            started = time.perf_counter()
            cluster_recording(Recording(f"reco{number}", vectors, num_spk=3), config)
            values.append(time.perf_counter() - started)
        write_row("clustering", f"{size} sub-segments", values, "s", _GOALS.get(size, ""))
    if options.literal:
        for size in _LITERAL_SIZES:
            _compare_with_literal(size, config)


def _compare_with_literal(size: int, config: SystemConfig) -> None:
    from ssdiar.clustering import networks, ssl

    ours, our_seconds = _timed_steps(size, config)
    keep = networks.make_network
    networks.make_network = _literal_network
    ssl._trainer.cache_clear()
    try:
        literal, their_seconds = _timed_steps(size, config)
    finally:
        networks.make_network = keep
        ssl._trainer.cache_clear()
    name = f"{size} sub-segments of {_LITERAL_DIMENSION} dimensions"
    write_row("literal", f"step of the product, {name}", our_seconds, "s")
    write_row("literal", f"step of the Keras layers, {name}", their_seconds, "s")
    ratio = statistics.median(their_seconds) / statistics.median(our_seconds)
    write_row("literal", f"ratio of the medians, {size} sub-segments", [ratio], "times")
    write_row(
        "literal",
        f"same labels, {size} sub-segments",
        [100 * float((ours.labels == literal.labels).mean())],
        "%",
        ">=100",
    )


def _literal_network(encoder, dimension: int):
    """Return Table I over single segments with Keras' MultiHeadAttention, Conv1D and Dense."""
    from ssdiar.clustering.networks import SequenceConformer

    network = SequenceConformer(encoder)
    network.build((None, dimension))
    network.built = True
    return network


def _timed_steps(size: int, config: SystemConfig) -> tuple[Clustering, list[float]]:
    """Cluster one recording; return the result and the processor seconds of every training step but the first."""
    from ssdiar.clustering.systems import cluster_recording

    vectors, _ = simulate(size, 2, dimension=_LITERAL_DIMENSION)
    with _recorded_steps() as seconds:
        result = cluster_recording(Recording("reco", vectors, num_spk=2), config)
    return result, seconds[1:]


@contextmanager
def _recorded_steps() -> Iterator[list[float]]:
    from ssdiar.clustering.networks import Trainer

    keep, seconds = Trainer.step, []

    def step(*arguments):
        started = time.process_time()
        loss = keep(*arguments)
        seconds.append(time.process_time() - started)
        return loss

    Trainer.step = step
    try:
        yield seconds
    finally:
        Trainer.step = keep


if __name__ == "__main__":
    stage.run(main)
