"""Clustering systems: each file of conf/systems is read into one frozen struct.

Defaults are the recommended readings of the paper; a file of conf/systems lists its system's changes.
conf/readings/literal.yaml has the paper's own sentences for the rows that depart from them. "Paper" is "Enhanced
Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering", [18] its baseline (Singh &
Ganapathy, Interspeech 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from ssdiar.base.config import AtLeastOne, Config, NotNegative, Positive, Share, config_files, read_config
from ssdiar.base.errors import InputError

AtLeastZero = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AtLeastTwo = Annotated[int, Meta(ge=2, le=2**31 - 1)]
PositiveShare = Annotated[float, Meta(gt=0, le=1)]
Cosine = Annotated[float, Meta(ge=-1, le=1)]
Weight = Annotated[float, Meta(ge=-1000, le=1000)]


class Preparation(Config, frozen=True):
    """How the x-vectors of a recording are prepared, in this order."""

    rectify: bool = False  # set negative values to 0, as networks with a ReLU at their end do
    # Subtract the mean of the recording, which removes channel and language, or of the other fold: the half of the set
    # (every second recording) that this one is not in.
    centre: Literal["none", "recording", "fold"] = "recording"
    # Covariance that whitens, as for centre; neighbours: of differences of neighbours in time, after scaling to length
    # 1 (ssdiar.clustering.neighbours).
    whiten: Literal["recording", "fold", "neighbours"] = "recording"
    whiten_input: bool = False  # whiten the x-vectors themselves, not only the start of networks that use it
    shrinkage: Share = 0.1  # weight of the identity in the covariance: there are fewer sub-segments than dimensions
    length_normalise: bool = True  # scale every vector to length 1
    # Average every vector with its neighbours in time, and scale it to length 1. The weights decay with this time
    # constant in seconds; 0: no average.
    average: NotNegative = 0.0

    @property
    def needs_fold(self) -> bool:
        """Whether the moments of other recordings are needed."""
        return "fold" in (self.centre, self.whiten)


class Encoder(Config, frozen=True):
    """The network (deep representation learning module). It starts as the PCA of the recording (Algorithm 1, line 10).

    ``conformer`` is Table I of the paper, ``dnn`` its four layers with ReLU, ``baseline2`` the network of [18] as
    published.
    """

    type: Literal["conformer", "dnn", "baseline2"] = "conformer"
    dimension: AtLeastOne = 30  # length of a latent vector
    heads: AtLeastOne = 8  # of the conformer's attention
    key_dim: AtLeastOne = 64  # width of a head
    hidden: tuple[AtLeastTwo, ...] = (512, 256, 64)  # widths of the DNN's layers before the last
    # Start of the DNN. mirrored: every layer carries the leading principal axes of its input (the first one whitened)
    # with both signs, so that ReLU loses nothing; orthogonal: whitening, random orthogonal matrices, then the PCA.
    hidden_init: Literal["mirrored", "orthogonal"] = "mirrored"
    relu_last: bool = False  # ReLU after the DNN's last layer, too
    l2_each: bool = False  # length normalisation after each layer of the DNN, not only after the last


class Labels(Config, frozen=True):
    """How pseudo-labels are made (hierarchical clustering module). AHC is average linkage on cosines."""

    first: Literal["finch", "ahc"] = "finch"  # method of C^0: a partition of FINCH, or AHC as in [18]
    finch_partition: AtLeastZero = 0  # its number, 0 the finest ("the first partition"); the last if there are fewer
    first_similarity: Cosine = 0.1  # AHC for C^0 stops when no two clusters have a mean cosine above this
    # AHC leaves at most this share of the previous clusters, never fewer than the target number of speakers; 0 reaches
    # that number at once. null: only similarity stops AHC.
    decay: Share | None = 0.5
    # If given, AHC also merges while two clusters have a mean cosine above this (0.1: the stopping value of [18]; 0.5:
    # the cosine at which a margin of 1 no longer pushes).
    similarity: Cosine | None = None
    # Maximum number of sub-segments that AHC starts from, since it compares all pairs. In a longer recording it starts
    # from the finest partition of FINCH that is small enough.
    ahc_most: AtLeastTwo = 10000


class Loss(Config, frozen=True):
    """The loss of training.

    ``contrastive`` is equation 2 of the paper. ``triplet`` is the loss of [18], the mean of
    1 - s(a, p) + gamma (s(a, n) + s(p, n)) with cosines s.
    """

    type: Literal["contrastive", "triplet"] = "contrastive"
    margin: Positive = 1.0  # distance of unit vectors beyond which a dissimilar pair adds no contrastive loss
    gamma: NotNegative = 0.4
    pairs: AtLeastTwo = 256  # pairs (half of them similar) or triplets per step; contrastive: all, if fewer
    # Equally likely to be drawn: clusters; pairs of a kind, which favours large clusters; or all pairs, as in equation
    # 2, so that similar ones are no longer half of the loss. It holds for training and for L^i.
    anchors: Literal["clusters", "pairs", "all"] = "clusters"
    resample: Literal["epoch", "iteration"] = "epoch"  # draw again every epoch, or once per outer iteration as in [18]


class Training(Config, frozen=True):
    """Training within one outer iteration; one step of Adam is one epoch."""

    learning_rate: Positive = 1e-3
    max_epochs: AtLeastZero | None = 100  # null: no limit
    patience: AtLeastOne = 10  # training ends after this many epochs without an improvement by min_delta
    min_delta: NotNegative = 1e-4


class Stop(Config, frozen=True):
    """When training and iterating end."""

    threshold: PositiveShare = 0.5  # the paper's: the loss must fall to this share of its reference
    # iteration: the training loss at the end of an outer iteration over the one at its start; it also ends training
    # ("the loss in each iteration remains below the threshold", and the inner stop of [18]). new_labels: the loss of
    # the new labels over the one of C^0, both over all pairs (Algorithm 1 to the letter); training ends by patience.
    loss: Literal["iteration", "new_labels"] = "iteration"
    rule: Literal["and", "clusters"] = "and"  # iterating ends at num_spk clusters and the threshold, or at num_spk only
    max_iterations: AtLeastZero = 10  # outer iterations; then AHC to the target number ends it. 0: AHC of Y^0


class Consensus(Config, frozen=True):
    """Labels by a vote of random subsets of the recording (:mod:`ssdiar.clustering.consensus`)."""

    parts: AtLeastOne = 24  # number of subsets
    share: PositiveShare = 0.75  # share of the recording in a subset
    block: Positive = 8.0  # seconds; subsets are made of blocks, since neighbours in time are not independent
    chunk: Positive = 1.5  # seconds over which x-vectors of a stretch are averaged before Ward's criterion merges them


class View(Config, frozen=True):
    """What a view of the x-vectors has of its own in the preparation."""

    rectify: bool
    shrinkage: Share


class PairWeights(Config, frozen=True):
    """Weights of the model that two clusters are two speakers; :func:`ssdiar.clustering.counting.pair_evidence`."""

    constant: Weight
    separation: Weight
    log_seconds: Weight
    short: Weight
    separation_if_short: Weight
    log_stint: Weight


class PairWeightsWithLinks(PairWeights, frozen=True):
    """The same with evidence from the segmentation network."""

    heard_apart: Weight
    links_same: Weight
    links_another: Weight


class PairWeightsWithLikeness(PairWeightsWithLinks, frozen=True):
    """The same with the cosine of the clusters' mean x-vectors, which depends on the x-vector model."""

    likeness: Weight


class Count(Config, frozen=True):
    """How the number of speakers is estimated if it is not given.

    ``nme``: by the eigengaps of the neighbour graph of the centred x-vectors. ``evidence``: by a model of the clusters
    of the prepared x-vectors (:mod:`ssdiar.clustering.counting`), which uses all options below.
    """

    method: Literal["nme", "evidence"] = "nme"
    most: AtLeastOne = 8  # maximum number, unless limits are given
    prior: tuple[Positive, ...] = (1.0,)  # of 1, 2, 3 ... speakers, in any unit; the last one holds for larger numbers
    prior_of_side: tuple[Positive, ...] = (1.0,)  # the same for one side of a call with one party per channel
    # Divides log probabilities. The evidence for different numbers overlaps, so their product is overconfident (Guo et
    # al., "On Calibration of Modern Neural Networks", ICML 2017). It affects the probabilities, not the decision.
    temperature: Positive = 1.0
    weights: PairWeights | None = None  # without output of the segmentation network
    weights_with_links: PairWeightsWithLinks | None = None
    weights_with_likeness: PairWeightsWithLikeness | None = None  # with it, and x-vectors of the next model
    likeness_of: str | None = None

    def __post_init__(self) -> None:
        if self.method == "evidence" and None in (self.weights, self.weights_with_links, self.weights_with_likeness):
            raise ValueError("method evidence needs weights, weights_with_links and weights_with_likeness")
        if not (self.prior and self.prior_of_side):
            raise ValueError("prior and prior_of_side need a number")

    def prior_of(self, number: int) -> float:
        """Return the prior of a number of speakers from 1."""
        return self.prior[min(number, len(self.prior)) - 1]


class LabelWeights(Config, frozen=True):
    """Weights of the model that a label is right; :func:`ssdiar.clustering.sure.label_evidence`."""

    constant: Weight
    support: Weight
    margin: Weight
    log_stint: Weight


class Sure(Config, frozen=True):
    """How certain a system is of its labels (:mod:`ssdiar.clustering.sure`)."""

    weights: LabelWeights
    doubt: Share  # share of the labels that are wrong because the number of speakers is
    second: tuple[Share, Share]  # the same for second speakers of overlapped speech, in recordings of two and of more


class Input(Config, frozen=True):
    """The speech that a system clusters, as far as the source of speech allows it."""

    # drop: overlapped speech gets no x-vectors (the paper); label: the same, and a second speaker in the RTTM; keep: it
    # is treated as other speech.
    overlap: Literal["drop", "keep", "label"] = "drop"
    changes: Literal["ignore", "cut"] = "ignore"  # cut: end regions where the segmentation network finds a change


class SystemConfig(Config, frozen=True):
    """One clustering system.

    ``ahc``: AHC of the prepared x-vectors. ``nmesc``: NME spectral clustering of them. ``consensus``: a vote of random
    subsets of them. ``ssl``: Algorithm 1 of the paper, the only method that trains.
    """

    description: str  # a line for tables
    method: Literal["ahc", "nmesc", "consensus", "ssl"]
    input: Input = Input()
    num_spk: Literal["estimate"] | AtLeastOne = 2  # number of speakers of each recording, unless an option gives it
    turns: Literal["closed", "tight"] = "closed"  # with short pauses of the speaker, or only speech
    prepare: Preparation = Preparation()
    # consensus: the x-vectors are prepared in each of these ways, and half of them vote; without any, in one way.
    views: tuple[View, ...] = ()
    count: Count = Count()
    labels: Labels = Labels()  # ssl; ahc uses ahc_most
    encoder: Encoder = Encoder()  # ssl, as the next three
    loss: Loss = Loss()
    train: Training = Training()
    stop: Stop = Stop()
    consensus: Consensus = Consensus()
    sure: Sure | None = None  # consensus; without it labels have no probabilities

    @property
    def preparations(self) -> list[Preparation]:
        """The preparation of each view, at least one."""
        changes = [{"rectify": view.rectify, "shrinkage": view.shrinkage} for view in self.views]
        return [replace(self.prepare, **change) for change in changes] or [self.prepare]

    @property
    def uses_segmentation(self) -> bool:
        """Whether output of the segmentation network is evidence, if there is any."""
        return self.method == "consensus" or self.count.method == "evidence"

    @property
    def says_how_sure(self) -> bool:
        """Whether every label comes with the probability that it is right."""
        return self.method == "consensus" and self.sure is not None


def read_system(choice: str | Path, changes: Sequence[str] = ()) -> SystemConfig:
    """Read a system.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.base.config`), as in ``dnn_ahc_triplet+literal``.
        changes: More changes, such as ``stop.threshold=0.3``.

    Raises:
        InputError: See :func:`ssdiar.base.config.read_config`; or the paper's literal reading is put over [18].
    """
    config = read_config(SystemConfig, choice, "systems", changes)
    path, *readings = config_files(choice, "systems")
    if config.encoder.type == "baseline2" and any(reading.stem == "literal" for reading in readings):
        raise InputError("the reading literal is of the paper, not of [18]", path=path, hint="Leave it out.")
    return config
