"""NME spectral clustering: speakers, and their number, by the normalised maximum eigengap of the affinity graph.

Park et al., "Auto-Tuning Spectral Clustering for Speaker Diarization Using Normalized Maximum Eigengap", IEEE Signal
Processing Letters 27, 2020; section and equation numbers below are its. Written from the paper. In recordings of more
than :data:`MOST_NODES` sub-segments the means of FINCH's clusters stand for them.
"""

from __future__ import annotations

import numpy as np

from ssdiar.clustering.finch import at_most
from ssdiar.clustering.vectors import cluster_means, length_normalise, relabel_by_time

# The largest share of the sub-segments that p may be: the default of the authors' own programs (max_rp_threshold).
_MOST_NEIGHBOURS = 0.25
# The paper tries every p. Twenty values, evenly spaced, cost a fraction of that; the authors' programs try 30.
_STEPS = 20
_RESTARTS = 10  # of k-means, scikit-learn's n_init until 1.4
# Ours, not in the paper, and set by hand: with fewer sub-segments per speaker a few outliers look like a speaker.
_PIECES_PER_SPEAKER = 5
MOST_NODES = 2000  # ours: eigenvalues take the cube of the number of nodes


def estimate_num_spk(vectors: np.ndarray, most: int = 8) -> int:
    """Return the number of speakers (1 to ``most``) that the eigengaps of the vectors' neighbour graph suggest.

    For several numbers p of neighbours the cosine affinities are binarised to each row's p largest (equation 4),
    symmetrised (5), and the Laplacian's eigenvalues taken (6, 7); the p whose largest eigengap, normalised, is best for
    its size (9, 10) decides, and the place of that gap is the number (11).

    Args:
        vectors: (S, D) prepared x-vectors, S at least 1.
        most: Largest answer; a recording of few sub-segments has a smaller one.
    """
    vectors = cluster_means(vectors, at_most(vectors, MOST_NODES))
    most = min(most, len(vectors) // _PIECES_PER_SPEAKER)
    return 1 if most < 2 else _tuned(vectors, most)[1]


def spectral_labels(vectors: np.ndarray, num_spk: int, rng: np.random.Generator) -> np.ndarray:
    """Return labels (S,) from 0 of at most ``num_spk`` clusters: k-means on the graph's first eigenvectors.

    Args:
        vectors: (S, D) prepared x-vectors, S at least 1.
        num_spk: Number of clusters; with fewer than 4 vectors, or no more than there are clusters, each is its own.
        rng: For the starts of k-means.
    """
    nodes = at_most(vectors, MOST_NODES)
    vectors = cluster_means(vectors, nodes)
    size = len(vectors)
    if size <= max(num_spk, 3):
        return np.minimum(np.arange(size), num_spk - 1)[nodes]
    from scipy.cluster.vq import kmeans2
    from scipy.linalg import eigh

    neighbours, _ = _tuned(vectors, max(num_spk, 8))
    _, embedding = eigh(_laplacian(neighbours), subset_by_index=(0, num_spk - 1))
    best, best_error = np.zeros(size, np.int64), np.inf
    for _ in range(_RESTARTS):
        centres, labels = kmeans2(embedding, num_spk, minit="++", missing="warn", rng=rng)
        error = float(((embedding - centres[labels]) ** 2).sum())
        if error < best_error:
            best, best_error = labels, error
    return relabel_by_time(best[nodes])


def _tuned(vectors: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Return the (S, p) nearest neighbours of the best p, and the number of speakers there; S at least 4."""
    size = len(vectors)
    unit = length_normalise(np.asarray(vectors, np.float64))
    # Ties in similarity go to the earlier sub-segment, so that the answer does not depend on rounding.
    order = np.argsort(-(unit @ unit.T).round(12), axis=1, kind="stable")
    best_ratio, best_number, best_neighbours = np.inf, 1, order[:, :2]
    largest = max(3, int(size * _MOST_NEIGHBOURS))
    for number in np.unique(np.linspace(2, largest, _STEPS).round().astype(int)):
        eigenvalues = _laplacian_eigenvalues(order[:, :number])
        gaps = np.diff(eigenvalues[: min(most, size - 1) + 1])
        strength = gaps.max() / (eigenvalues[-1] + 1e-10)
        ratio = number / (strength + 1e-10)
        if ratio < best_ratio:
            best_ratio, best_number, best_neighbours = ratio, int(gaps.argmax()) + 1, order[:, :number]
    return best_neighbours, best_number


def _laplacian_eigenvalues(neighbours: np.ndarray) -> np.ndarray:
    from scipy.linalg import eigvalsh

    return eigvalsh(_laplacian(neighbours))


def _laplacian(neighbours: np.ndarray) -> np.ndarray:
    """Return D - A (S, S), A being the symmetrised graph of each row's neighbours (S, p)."""
    size = len(neighbours)
    binary = np.zeros((size, size))
    np.put_along_axis(binary, neighbours, 1.0, axis=1)
    affinity = (binary + binary.T) / 2
    np.fill_diagonal(affinity, 0)
    return np.diag(affinity.sum(axis=1)) - affinity
