"""NME spectral clustering: speakers, and their number, by the normalised maximum eigengap of the affinity graph.

Park et al., "Auto-Tuning Spectral Clustering for Speaker Diarization Using Normalized Maximum Eigengap", IEEE Signal
Processing Letters 27, 2020, whose equation numbers are below. In a recording of more than :data:`MAX_NODES`
sub-segments the means of FINCH's clusters stand for them.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.finch import at_most
from ssdiar.clustering.vectors import cluster_means, length_normalise, relabel_by_time

_MAX_NEIGHBOURS = 0.25  # share of the sub-segments, max_rp_threshold of the authors' programs
_STEPS = 20  # values of p, evenly spaced; the paper tries every p, the authors' programs 30
_RESTARTS = 10  # of k-means, scikit-learn's n_init until 1.4
_MIN_PER_SPEAKER = 5  # ours, set by hand: with fewer sub-segments per speaker a few outliers look like a speaker
MAX_NODES = 2000  # ours: eigenvalues take the cube of the number of nodes


def estimate_num_spk(vectors: np.ndarray, limit: int = 8) -> int:
    """Return the number of speakers, 1 to ``limit``, of (S, D) prepared x-vectors; few have a lower limit."""
    vectors = cluster_means(vectors, at_most(vectors, MAX_NODES))
    limit = min(limit, len(vectors) // _MIN_PER_SPEAKER)
    return 1 if limit < 2 else _tuned(vectors, limit)[1]


def spectral_labels(vectors: np.ndarray, num_spk: int, rng: np.random.Generator) -> np.ndarray:
    """Return labels (S,) from 0 of at most ``num_spk`` clusters: k-means on the first eigenvectors of the graph.

    Args:
        vectors: (S, D) prepared x-vectors, S at least 1.
        num_spk: Number of clusters; at most 3, or at most that many, vectors are a cluster each.
        rng: For the starts of k-means.
    """
    nodes = at_most(vectors, MAX_NODES)
    vectors = cluster_means(vectors, nodes)
    size = len(vectors)
    if size <= max(num_spk, 3):
        return np.minimum(np.arange(size), num_spk - 1)[nodes]
    from scipy.linalg import eigh

    laplacian, _ = _tuned(vectors, max(num_spk, 8))
    _, embedding = eigh(laplacian, subset_by_index=(0, num_spk - 1))
    return relabel_by_time(_kmeans(embedding, num_spk, rng)[nodes])


def _tuned(vectors: np.ndarray, limit: int) -> tuple[np.ndarray, int]:
    """Return the Laplacian (S, S) for the best number p of neighbours, and the number of speakers; S at least 4.

    The best p has the smallest ratio of p to its normalised largest eigengap (equations 9 and 10).
    """
    from scipy.linalg import eigvalsh

    order, tried = _neighbours(vectors), []
    largest = max(3, int(len(vectors) * _MAX_NEIGHBOURS))
    for p in np.unique(np.linspace(2, largest, _STEPS).round().astype(int)):
        gap, number = _max_eigengap(eigvalsh(_laplacian(order[:, :p])), limit)
        tried.append((p / (gap + 1e-10), p, number))
    _, p, number = min(tried)
    return _laplacian(order[:, :p]), number


def _neighbours(vectors: np.ndarray) -> np.ndarray:
    """Return for each row all rows in order of cosine affinity, (S, S); ties go to the earlier row."""
    unit = length_normalise(np.asarray(vectors, np.float64))
    return np.argsort(-(unit @ unit.T).round(12), axis=1, kind="stable")


def _laplacian(neighbours: np.ndarray) -> np.ndarray:
    """Return the Laplacian D - A (S, S) (6) of the symmetrised (5) binary (4) graph of neighbours (S, p)."""
    size = len(neighbours)
    binary = np.zeros((size, size))
    np.put_along_axis(binary, neighbours, 1.0, axis=1)
    affinity = (binary + binary.T) / 2
    np.fill_diagonal(affinity, 0)
    return np.diag(affinity.sum(axis=1)) - affinity


def _max_eigengap(eigenvalues: np.ndarray, limit: int) -> tuple[float, int]:
    """Return the largest gap of the first ``limit`` + 1 eigenvalues over the largest one (7, 9), and its place (11)."""
    gaps = np.diff(eigenvalues[: min(limit, len(eigenvalues) - 1) + 1])
    return gaps.max() / (eigenvalues[-1] + 1e-10), int(gaps.argmax()) + 1


def _kmeans(points: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the labels (S,) of the best of several runs of k-means."""
    from scipy.cluster.vq import kmeans2

    best, best_error = np.zeros(len(points), np.int64), np.inf
    for _ in range(_RESTARTS):
        centres, labels = kmeans2(points, clusters, minit="++", missing="warn", rng=rng)
        error = float(((points - centres[labels]) ** 2).sum())
        if error < best_error:
            best, best_error = labels, error
    return best
