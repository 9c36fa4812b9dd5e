"""Clustering systems: each file of conf/systems is read into one frozen struct.

Defaults are the recommended readings of the paper; a file of conf/systems lists its system's changes.
conf/readings/literal.yaml has the paper's own sentences where the recommended readings depart from them. "Paper" is
"Enhanced Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering", [18] its baseline (Singh
& Ganapathy, Interspeech 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ssdiar.config import AtLeastOne, Config, NotNegative, Positive, Share, config_files, read_config
from ssdiar.errors import InputError

Cosine = Annotated[float, Meta(ge=-1, le=1)]
Weight = Annotated[float, Meta(ge=-1000, le=1000)]


class Preparation(Config, frozen=True):
    """What happens to the x-vectors of a recording before they are clustered, in this order.

    Attributes:
        centre: Subtract the mean of the ``recording``, which removes channel and language, or of the other ``fold``:
            the half of the set (every second recording) that this one is not in.
        whiten: Covariance that whitens, as for ``centre``; ``neighbours``: of differences of neighbours in time
            (:mod:`ssdiar.clustering.neighbours`), after scaling to length 1.
        whiten_input: Whiten the x-vectors themselves; otherwise only networks that start with whitening use it.
        shrinkage: Weight of the identity in the covariance: a recording has fewer sub-segments than dimensions.
        length_normalise: Scale every vector to length 1.
        average: If above 0, average every vector with its neighbours in time, whose weights decay with this time
            constant in seconds, and scale it to length 1.
    """

    centre: Literal["none", "recording", "fold"] = "recording"
    whiten: Literal["recording", "fold", "neighbours"] = "recording"
    whiten_input: bool = False
    shrinkage: Share = 0.1
    length_normalise: bool = True
    average: NotNegative = 0.0

    @property
    def needs_fold(self) -> bool:
        """Whether the moments of other recordings are needed."""
        return "fold" in (self.centre, self.whiten)

    @property
    def needs_times(self) -> bool:
        """Whether the times of the sub-segments are needed."""
        return self.whiten == "neighbours" or self.average > 0


class Encoder(Config, frozen=True):
    """The network (deep representation learning module). It starts as the PCA of the recording (Algorithm 1, line 10).

    Attributes:
        type: ``conformer``: Table I of the paper; ``dnn``: the paper's four layers with ReLU; ``baseline2``: the
            network of [18] as published.
        dimension: Length of a latent vector.
        heads, key_dim: Attention heads of the conformer, and the width of one.
        hidden: Widths of the DNN's layers before the last.
        hidden_init: Start of the DNN. ``mirrored``: every layer carries the leading principal axes of its input (the
            first one whitened) with both signs, so that ReLU loses nothing; ``orthogonal``: whitening, random
            orthogonal matrices, then the PCA of their output.
        relu_last: ReLU after the DNN's last layer, too.
        l2_each: Length normalisation after each layer of the DNN, not only after the last.
    """

    type: Literal["conformer", "dnn", "baseline2"] = "conformer"
    dimension: AtLeastOne = 30
    heads: AtLeastOne = 8
    key_dim: AtLeastOne = 64
    hidden: tuple[Annotated[int, Meta(ge=2, le=2**31 - 1)], ...] = (512, 256, 64)
    hidden_init: Literal["mirrored", "orthogonal"] = "mirrored"
    relu_last: bool = False
    l2_each: bool = False


class Labels(Config, frozen=True):
    """How pseudo-labels are made (hierarchical clustering module). AHC is average linkage on cosines.

    Attributes:
        first: Method of C^0. ``finch``: a partition of FINCH; ``ahc``: AHC down to ``first_similarity``, as in [18].
        finch_partition: Its number, from 0, the finest ("the first partition"); the last if there are fewer.
        first_similarity: AHC for C^0 stops when no two clusters have a mean cosine above this.
        decay: AHC leaves at most this share of the previous clusters, never fewer than the target number of speakers;
            0 reaches that number at once. null: only ``similarity`` stops AHC.
        similarity: If given, AHC also merges while two clusters have a mean cosine above this (0.1: the stopping value
            of [18]; 0.5: the cosine at which a margin of 1 no longer pushes).
        ahc_most: Maximum number of sub-segments that AHC starts from, since it compares all pairs. In a longer
            recording it starts from the finest partition of FINCH that is small enough.
    """

    first: Literal["finch", "ahc"] = "finch"
    finch_partition: Annotated[int, Meta(ge=0, le=1000)] = 0
    first_similarity: Cosine = 0.1
    decay: Share | None = 0.5
    similarity: Cosine | None = None
    ahc_most: Annotated[int, Meta(ge=2, le=2**31 - 1)] = 10000


class Loss(Config, frozen=True):
    """The loss of training.

    Attributes:
        type: ``contrastive``: equation 2 of the paper, similar and dissimilar pairs weighted equally; ``triplet``: the
            loss of [18], the mean of 1 - s(a, p) + gamma (s(a, n) + s(p, n)) with cosines s.
        margin: Contrastive: distance of unit vectors beyond which a dissimilar pair adds no loss.
        gamma: See ``triplet``.
        pairs: Pairs (half of them similar) or triplets per step. The contrastive loss takes all pairs if these are no
            more.
        anchors: What is equally likely to be drawn: ``clusters``, or ``pairs`` (then large clusters weigh more).
        resample: Draw again every ``epoch``, or once per outer ``iteration`` as in [18].
    """

    type: Literal["contrastive", "triplet"] = "contrastive"
    margin: Positive = 1.0
    gamma: NotNegative = 0.4
    pairs: Annotated[int, Meta(ge=2, le=2**31 - 1)] = 256
    anchors: Literal["clusters", "pairs"] = "clusters"
    resample: Literal["epoch", "iteration"] = "epoch"


class Training(Config, frozen=True):
    """Training within one outer iteration; one step of Adam is one epoch.

    Attributes:
        learning_rate: Of Adam.
        max_epochs: Maximum number of epochs per outer iteration.
        patience, min_delta: Training ends after so many epochs without an improvement by ``min_delta``.
    """

    learning_rate: Positive = 1e-3
    max_epochs: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 100
    patience: AtLeastOne = 10
    min_delta: NotNegative = 1e-4


class Stop(Config, frozen=True):
    """When training and iterating end.

    Attributes:
        threshold: The paper's: the loss must fall to this share of its reference.
        loss: The ratio that must fall. ``iteration``: training loss at the end of an outer iteration over the one at
            its start; it also ends training ("the loss in each iteration remains below the threshold", and the inner
            stop of [18]). ``new_labels``: loss of the new labels over that of C^0, both over all pairs (Algorithm 1 to
            the letter; :mod:`ssdiar.clustering.losses`); training ends by patience.
        rule: Iterating ends at num_spk ``clusters``, or at num_spk clusters ``and`` the threshold.
        max_iterations: Maximum number of outer iterations; then AHC to the target number ends it.
    """

    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.5
    loss: Literal["iteration", "new_labels"] = "iteration"
    rule: Literal["and", "clusters"] = "and"
    max_iterations: AtLeastOne = 10


class Consensus(Config, frozen=True):
    """Labels by a vote of random subsets of the recording (``method: consensus``; :mod:`ssdiar.clustering.consensus`).

    Attributes:
        parts: Number of subsets.
        share: Share of the recording in a subset, 0 to 1.
        block: Seconds of a block. Subsets are made of blocks, since neighbours in time are not independent.
        chunk: Seconds over which x-vectors of a stretch are averaged before Ward's criterion merges them.
    """

    parts: AtLeastOne = 24
    share: Annotated[float, Meta(gt=0, le=1)] = 0.75
    block: Positive = 8.0
    chunk: Positive = 1.5


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


class Count(Config, frozen=True):
    """How the number of speakers is estimated if it is not given.

    Attributes:
        method: ``nme``: by the eigengaps of the neighbour graph of the centred x-vectors; ``evidence``: by a model of
            the clusters of the prepared x-vectors (:mod:`ssdiar.clustering.counting`).
        most: Maximum number, unless limits are given.
        prior: For ``evidence``: prior of 1, 2, 3 ... speakers, in any unit; the last one holds for all larger numbers.
        prior_of_side: The same for one side of a call with one party per channel.
        temperature: For ``evidence``: divides log probabilities. The evidence for different numbers overlaps, so their
            product is overconfident (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017). It affects
            the reported probabilities, not the decision.
        weights: For ``evidence``: the model without output of the segmentation network.
        weights_with_links: The model with it.
    """

    method: Literal["nme", "evidence"] = "nme"
    most: AtLeastOne = 8
    prior: tuple[Positive, ...] = (1.0,)
    prior_of_side: tuple[Positive, ...] = (1.0,)
    temperature: Positive = 1.0
    weights: PairWeights | None = None
    weights_with_links: PairWeightsWithLinks | None = None

    def __post_init__(self) -> None:
        if self.method == "evidence" and not (self.weights and self.weights_with_links):
            raise ValueError("method evidence needs weights and weights_with_links")
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
    number: Weight


class Sure(Config, frozen=True):
    """How certain a system is of its labels (``method: consensus``; :mod:`ssdiar.clustering.sure`).

    Attributes:
        weights: The model.
        second: Probability that the second speaker of overlapped speech (stage 6) is right, in recordings of two
            speakers and of more.
    """

    weights: LabelWeights
    second: tuple[Share, Share]


class Input(Config, frozen=True):
    """The speech that a system clusters, as far as the source of speech allows it.

    Attributes:
        overlap: Overlapped speech. ``drop``: it gets no x-vectors (the paper); ``label``: the same, and a second
            speaker in the RTTM; ``keep``: it is treated as other speech.
        changes: ``cut``: speech regions end at changes of speaker that the segmentation network finds; ``ignore``.
    """

    overlap: Literal["drop", "keep", "label"] = "drop"
    changes: Literal["ignore", "cut"] = "ignore"


class SystemConfig(Config, frozen=True):
    """One clustering system.

    Attributes:
        description: A line for tables.
        method: ``ahc``: AHC of the prepared x-vectors; ``nmesc``: NME spectral clustering of them; ``consensus``: a
            vote of random subsets of them; ``ssl``: Algorithm 1 of the paper, the only one that trains.
        input: See :class:`Input`.
        num_spk: Number of speakers of each recording, or ``estimate``, unless an option gives it.
        turns: ``closed``: short pauses of a speaker belong to the turn; ``tight``: turns end where speech does.
        prepare, encoder, labels, loss, train, stop, consensus, count, sure: See their classes. Every method uses
            ``prepare`` and ``count``; ``ahc`` also ``labels.ahc_most``, ``consensus`` also ``consensus`` and ``sure``,
            ``ssl`` the rest. Without ``sure`` labels have no probabilities.
    """

    description: str
    method: Literal["ahc", "nmesc", "consensus", "ssl"]
    input: Input = Input()
    num_spk: Literal["estimate"] | AtLeastOne = 2
    turns: Literal["closed", "tight"] = "closed"
    prepare: Preparation = Preparation()
    encoder: Encoder = Encoder()
    labels: Labels = Labels()
    loss: Loss = Loss()
    train: Training = Training()
    stop: Stop = Stop()
    consensus: Consensus = Consensus()
    count: Count = Count()
    sure: Sure | None = None

    @property
    def says_how_sure(self) -> bool:
        """Whether every label comes with the probability that it is right."""
        return self.method == "consensus" and self.sure is not None


def read_system(choice: str | Path, changes: Sequence[str] = ()) -> SystemConfig:
    """Read a system.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.config`), as in ``dnn_ahc_triplet+literal``.
        changes: More changes, such as ``stop.threshold=0.3``.

    Raises:
        InputError: See :func:`ssdiar.config.read_config`; or the paper's literal reading is put over [18]'s system.
    """
    config = read_config(SystemConfig, choice, "systems", changes)
    path, *readings = config_files(choice, "systems")
    if config.encoder.type == "baseline2" and any(reading.stem == "literal" for reading in readings):
        raise InputError("the reading literal is of the paper, not of [18]", path=path, hint="Leave it out.")
    return config
