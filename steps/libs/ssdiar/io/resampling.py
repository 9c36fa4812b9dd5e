"""Change the sample rate of a signal, as a whole or in blocks, to the same samples on every machine; loads SciPy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import gcd

import numpy as np

_STEP = 1 << 18  # samples that are resampled at once


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return (n,) float32 ``samples`` at ``new_rate`` instead of ``rate``: ceil(n * new_rate / rate) samples."""
    if rate == new_rate:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, new_rate)
    return resample_poly(samples, new_rate // common, rate // common).astype(np.float32, copy=False)


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """Yield the same samples as :func:`resample` of all blocks together."""
    if rate == new_rate:
        yield from blocks
        return
    up, down = new_rate // gcd(rate, new_rate), rate // gcd(rate, new_rate)
    # The filter of resample_poly reaches 10 periods of the lower rate to each side; in multiples of down, as the steps.
    reach = -(-(10 * max(up, down) // up + 2) // down) * down
    step = max(1, _STEP // down) * down
    held, before = np.empty(0, np.float32), 0  # of the held samples, those that only the filter still needs
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= before + step + reach:
            end = before + step
            yield resample(held[: end + reach], rate, new_rate)[before // down * up : end // down * up]
            keep = max(0, end - reach)
            held, before = held[keep:], end - keep
    yield resample(held, rate, new_rate)[before // down * up :]
