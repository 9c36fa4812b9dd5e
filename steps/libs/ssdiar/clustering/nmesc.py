"""The number of speakers of a recording, by the normalised maximum eigengap (NME) of its affinity graph.

Park et al., "Auto-Tuning Spectral Clustering for Speaker Diarization Using Normalized Maximum Eigengap", IEEE Signal
Processing Letters 27, 2020; section and equation numbers below are its. Written from the paper.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.vectors import length_normalise

_MOST_NEIGHBOURS = 0.25  # of the sub-segments; more would not be a neighbourhood
_STEPS = 20  # values of p tried


def estimate_num_spk(vectors: np.ndarray, most: int = 8) -> int:
    """Return the number of speakers (1 to ``most``) that the eigengaps of the vectors' neighbour graph suggest.

    For several numbers p of neighbours the cosine affinities are binarised to each row's p largest (equation 4),
    symmetrised (5), and the Laplacian's eigenvalues taken (6, 7); the p whose largest eigengap, normalised, is best for
    its size (9, 10) decides, and the place of that gap is the number (11).

    Args:
        vectors: (S, D) prepared x-vectors, S at least 1.
        most: Largest answer.
    """
    size = len(vectors)
    if size < 4:
        return 1
    unit = length_normalise(np.asarray(vectors, np.float64))
    # Ties in similarity go to the earlier sub-segment, so that the answer does not depend on rounding.
    order = np.argsort(-(unit @ unit.T).round(12), axis=1, kind="stable")
    best_ratio, best_number = np.inf, 1
    largest = max(3, int(size * _MOST_NEIGHBOURS))
    for neighbours in np.unique(np.linspace(2, largest, _STEPS).round().astype(int)):
        eigenvalues = _laplacian_eigenvalues(order[:, :neighbours])
        gaps = np.diff(eigenvalues[: min(most, size - 1) + 1])
        strength = gaps.max() / (eigenvalues[-1] + 1e-10)
        ratio = neighbours / (strength + 1e-10)
        if ratio < best_ratio:
            best_ratio, best_number = ratio, int(gaps.argmax()) + 1
    return best_number


def _laplacian_eigenvalues(neighbours: np.ndarray) -> np.ndarray:
    """Return the ascending eigenvalues of D - A, A being the symmetrised graph of each row's neighbours (S, p)."""
    from scipy.linalg import eigvalsh

    size = len(neighbours)
    binary = np.zeros((size, size))
    np.put_along_axis(binary, neighbours, 1.0, axis=1)
    affinity = (binary + binary.T) / 2
    np.fill_diagonal(affinity, 0)
    return eigvalsh(np.diag(affinity.sum(axis=1)) - affinity)
