"""What a clustering system is: one file of conf/systems, read into one frozen dataclass.

Defaults are the readings of the paper that the recipe recommends where the paper is silent; a yaml says what its
system changes. "Paper" below is "Enhanced Self-Supervised Speaker Diarization Framework with Conformer and Hybrid
Clustering", [18] its baseline (Singh & Ganapathy, Interspeech 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ssdiar.config import read_config


@dataclass(frozen=True)
class Preparation:
    """What happens to the x-vectors of a recording before anything else.

    Attributes:
        centre: Subtract the recording's mean, so that what all its pieces share (channel, language) counts for nothing.
        length_normalise: Scale every vector to length 1 (after centring).
    """

    centre: bool = True
    length_normalise: bool = True


@dataclass(frozen=True)
class Encoder:
    """The network (deep representation learning module).

    Attributes:
        type: ``conformer``: Table I of the paper.
        heads: Attention heads.
        key_dim: Width of a head.
        dimension: Length of a latent vector.
        init: ``pca``: all layers together start as the recording's PCA (Algorithm 1, line 10); ``glorot``: Keras'
            default, for comparison.
    """

    type: Literal["conformer"] = "conformer"
    heads: int = 8
    key_dim: int = 64
    dimension: int = 30
    init: Literal["pca", "glorot"] = "pca"


@dataclass(frozen=True)
class Labels:
    """How pseudo-labels are made (hierarchical clustering module).

    Attributes:
        first: Method of C^0. ``finch``: a partition of FINCH; ``ahc``: AHC down to ``first_similarity``, as [18].
        finch_partition: Which of FINCH's partitions, 0 the finest ("the first partition").
        first_similarity: AHC merges no two clusters of C^0 whose mean cosine is below this.
        linkage: Of AHC; the affinity is cosine.
        decay: AHC leaves at most this share of the clusters before it, never fewer than the target number of speakers.
        similarity: If given, AHC also merges while two clusters have a mean cosine above this (0.5 is the cosine at
            which a margin of 1 stops pushing).
    """

    first: Literal["finch", "ahc"] = "finch"
    finch_partition: int = 0
    first_similarity: float = 0.1
    linkage: Literal["average", "ward", "complete", "single"] = "average"
    decay: float = 0.5
    similarity: float | None = None


@dataclass(frozen=True)
class Loss:
    """What training minimises.

    Attributes:
        type: ``contrastive``: equation 2 of the paper.
        margin: Dissimilar pairs further apart than this (Euclidean, unit vectors) count for nothing.
        positive_share: Share of the similar pairs in the loss.
        pairs: Pairs per step; where a recording has no more than so many, every step takes them all.
    """

    type: Literal["contrastive"] = "contrastive"
    margin: float = 1.0
    positive_share: float = 0.5
    pairs: int = 4096


@dataclass(frozen=True)
class Training:
    """How the network is trained within one outer iteration; one step of Adam is one epoch.

    Attributes:
        learning_rate: Of Adam, whose state starts anew in every outer iteration; the weights go on.
        max_epochs: At most so many epochs per outer iteration.
        patience: Epochs without an improvement by ``min_delta`` after which training ends.
        min_delta: See ``patience``.
    """

    learning_rate: float = 1e-3
    max_epochs: int = 100
    patience: int = 10
    min_delta: float = 1e-4


@dataclass(frozen=True)
class Stop:
    """When training and iterating end.

    Attributes:
        threshold: The paper's: the loss must fall to this share of what it was.
        loss: What that ratio is of. ``iteration``: the loss at the end of an outer iteration to that at its start;
            training ends as soon as it falls to the threshold ("the loss in each iteration remains below the
            threshold", and the inner stop of [18]). ``new_labels``: the loss of the new labels to that of C^0
            (Algorithm 1 to the letter); training then ends by patience.
        max_iterations: At most so many outer iterations; then AHC to the target number ends it.
    """

    threshold: float = 0.5
    loss: Literal["iteration", "new_labels"] = "iteration"
    max_iterations: int = 10


@dataclass(frozen=True)
class SystemConfig:
    """One clustering system.

    Attributes:
        description: A line for tables.
        method: ``ahc``: AHC of the prepared x-vectors, no training; ``ssl``: Algorithm 1 of the paper.
        prepare, encoder, labels, loss, train, stop: See their classes; ``ahc`` uses the first and ``labels.linkage``.
    """

    description: str
    method: Literal["ahc", "ssl"]
    prepare: Preparation = field(default_factory=Preparation)
    encoder: Encoder = field(default_factory=Encoder)
    labels: Labels = field(default_factory=Labels)
    loss: Loss = field(default_factory=Loss)
    train: Training = field(default_factory=Training)
    stop: Stop = field(default_factory=Stop)


def read_system(path: str | Path) -> SystemConfig:
    """Read a system's yaml; errors as of :func:`ssdiar.config.read_config`."""
    return read_config(SystemConfig, path)
