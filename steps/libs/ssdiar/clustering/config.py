"""What a clustering system is: one file of conf/systems, read into one frozen dataclass.

Defaults are the readings of the paper that the recipe recommends; a yaml says what its system changes, and
conf/readings/literal.yaml what the paper says where the recommended readings depart from it. "Paper" below is "Enhanced
Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering", [18] its baseline (Singh &
Ganapathy, Interspeech 2020).
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
    """What happens to the x-vectors of a recording before anything else.

    Attributes:
        centre: Subtract the mean of the ``recording``, so that what all its pieces share (channel, language) counts for
            nothing; or that of the other ``fold``: every second recording of the set, the half that this one is not in.
        whiten: What whitening is computed from, in the same way; by ``whiten_input`` or as the start of a network.
            ``neighbours``: by the recording's own differences of neighbours in time
            (:mod:`ssdiar.clustering.neighbours`); the x-vectors are scaled to length 1 before.
        whiten_input: Whiten the x-vectors themselves.
        shrinkage: How far the covariance is drawn towards a multiple of the identity, 0 to 1; a recording has fewer
            pieces than its vectors have dimensions.
        length_normalise: Scale every vector to length 1, at the end.
        average: If above 0, every vector is then averaged with its neighbours in time, whose weight falls by this many
            seconds, and scaled to length 1 again.
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
    """The network (deep representation learning module).

    Attributes:
        type: ``conformer``: Table I of the paper; ``dnn``: the paper's four layers with ReLU; ``baseline2``: the
            network of [18] as its authors published it (two linear layers, length normalisation between them).
        dimension: Length of a latent vector.
        init: ``pca``: all layers together start as the recording's PCA (Algorithm 1, line 10); ``pca_target``: random,
            then fitted to the PCA; ``glorot``: random, for comparison.
        heads: Attention heads of the conformer.
        key_dim: Width of a head.
        sequence: What attention and convolution of the conformer see: ``segment``: the sub-segment alone (Table I);
            ``window``: also ``context`` neighbours in time on each side; ``recording``: all sub-segments at once.
        context: See ``sequence``.
        conv_kernel: Taps of the convolution.
        conv_activation: After the convolution. With ``relu`` the network does not start as the PCA exactly.
        residual: Add the input of attention and of convolution to their outputs.
        layer_norm: Normalise after each of the two.
        hidden: Widths of the DNN's layers before the last.
        hidden_init: How the DNN starts. ``mirrored``: every layer carries the leading principal axes of its input
            twice, with both signs, so that ReLU loses nothing (the first one whitened); ``orthogonal``: whitening,
            random orthogonal matrices, then the PCA of what they give.
        relu_last: ReLU after the DNN's last layer, too.
        l2_each: Length normalisation after each layer of the DNN, not only after the last.
    """

    type: Literal["conformer", "dnn", "baseline2"] = "conformer"
    dimension: AtLeastOne = 30
    init: Literal["pca", "pca_target", "glorot"] = "pca"
    heads: AtLeastOne = 8
    key_dim: AtLeastOne = 64
    sequence: Literal["segment", "window", "recording"] = "segment"
    context: Annotated[int, Meta(ge=0)] = 2
    conv_kernel: AtLeastOne = 3
    conv_activation: Literal["none", "relu"] = "none"
    residual: bool = False
    layer_norm: bool = False
    hidden: tuple[Annotated[int, Meta(ge=2)], ...] = (512, 256, 64)
    hidden_init: Literal["mirrored", "orthogonal"] = "mirrored"
    relu_last: bool = False
    l2_each: bool = False


class Labels(Config, frozen=True):
    """How pseudo-labels are made (hierarchical clustering module).

    Attributes:
        first: Method of C^0. ``finch``: a partition of FINCH; ``ahc``: AHC down to ``first_similarity``, as [18].
        finch_partition: Which of FINCH's partitions: 0, 1, ... from the finest ("the first partition"), ``last``, or
            ``closest:N``, the one whose number of clusters is closest to N.
        first_similarity: AHC merges no two clusters of C^0 whose mean cosine is below this.
        linkage: Linkage of AHC; the affinity is cosine.
        start: What AHC starts from: ``singletons``, or the ``previous`` clusters.
        decay: AHC leaves at most this share of the clusters before it, never fewer than the target number of speakers;
            0 goes to that number at once. null: there is no such schedule, and ``similarity`` alone stops AHC.
        similarity: If given, AHC also merges while two clusters have a mean cosine above this (0.1: the stopping value
            of [18]; 0.5: the cosine at which a margin of 1 stops pushing).
        ahc_most: The largest number of sub-segments that AHC starts from, since it compares all pairs. A longer
            recording goes through FINCH first, every time: AHC starts from its finest partition that is small enough.
    """

    first: Literal["finch", "ahc"] = "finch"
    finch_partition: Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern="^(last|closest:[1-9][0-9]{0,8})$")] = 0
    first_similarity: Cosine = 0.1
    linkage: Literal["average", "ward"] = "average"
    start: Literal["singletons", "previous"] = "singletons"
    decay: Share | None = 0.5
    similarity: Cosine | None = None
    ahc_most: Annotated[int, Meta(ge=2)] = 10000


class Loss(Config, frozen=True):
    """What training minimises, and what it is measured on.

    Attributes:
        type: ``contrastive``: equation 2 of the paper; ``triplet``: the loss of [18], the mean of
            1 - s(a, p) + gamma (s(a, n) + s(p, n)) with cosines s; ``triplet_hinge``: the mean of
            max(0, margin + d(a, p) - d(a, n)).
        margin: Contrastive: dissimilar pairs further apart than this (Euclidean, unit vectors) count for nothing.
        gamma: See ``triplet``.
        positive_share: Share of the similar pairs in the contrastive loss.
        pairs: Pairs (half of them similar) or triplets per step. Where a recording has no more pairs than that,
            every step of the contrastive loss takes them all.
        anchors: What is drawn alike: ``clusters``, or ``pairs`` (so that large clusters count for more).
        resample: Draw anew every ``epoch``, or once per outer ``iteration``, as [18].
    """

    type: Literal["contrastive", "triplet", "triplet_hinge"] = "contrastive"
    margin: Positive = 1.0
    gamma: NotNegative = 0.4
    positive_share: Share = 0.5
    pairs: Annotated[int, Meta(ge=2)] = 256
    anchors: Literal["clusters", "pairs"] = "clusters"
    resample: Literal["epoch", "iteration"] = "epoch"


class Training(Config, frozen=True):
    """How the network is trained within one outer iteration; one step of Adam is one epoch.

    Attributes:
        learning_rate: Adam's.
        max_epochs: The largest number of epochs per outer iteration.
        patience: Epochs without an improvement by ``min_delta`` after which training ends.
        min_delta: See ``patience``.
        carry: What an outer iteration takes over from the one before: the ``weights`` (Algorithm 1), ``all`` (the state
            of Adam too), or ``none`` (it starts from the PCA again).
    """

    learning_rate: Positive = 1e-3
    max_epochs: Annotated[int, Meta(ge=0)] = 100
    patience: AtLeastOne = 10
    min_delta: NotNegative = 1e-4
    carry: Literal["weights", "all", "none"] = "weights"


class Stop(Config, frozen=True):
    """When training and iterating end.

    Attributes:
        threshold: The paper's: the loss must fall to this share of what it was.
        loss: What that ratio is of. ``iteration``: the training loss at the end of an outer iteration to that at its
            start; training ends as soon as it falls to the threshold ("the loss in each iteration remains below the
            threshold", and the inner stop of [18]). ``new_labels``: the loss of the new labels to that of C^0
            (Algorithm 1 to the letter), ``prev_labels``: the loss of the labels before them to that of C^0; both are
            over all pairs (:mod:`ssdiar.clustering.losses`), and with these training ends by patience.
        rule: Iterating ends when there are num_spk clusters ``and`` the ratio is reached, when one ``or`` the other is,
            or when there are num_spk ``clusters``.
        max_iterations: The largest number of outer iterations; then AHC to the target number ends it.
    """

    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.5
    loss: Literal["iteration", "new_labels", "prev_labels"] = "iteration"
    rule: Literal["and", "or", "clusters"] = "and"
    max_iterations: AtLeastOne = 10


class Consensus(Config, frozen=True):
    """Labels by the vote of random parts of the recording (``method: consensus``; :mod:`ssdiar.clustering.consensus`).

    Attributes:
        parts: Number of parts.
        share: Share of the recording in a part, 0 to 1.
        block: Seconds of a block; parts are made of blocks, since neighbours in time are no independent witnesses.
        chunk: Seconds over which x-vectors of a stretch are averaged before they are merged by Ward's criterion.
    """

    parts: AtLeastOne = 24
    share: Annotated[float, Meta(gt=0, le=1)] = 0.75
    block: Positive = 8.0
    chunk: Positive = 1.5


class Count(Config, frozen=True):
    """How the number of speakers is estimated, where it is asked for.

    Attributes:
        method: ``nme``: by the eigengaps of the neighbour graph of the centred x-vectors; ``evidence``: by what the
            clusters of the prepared x-vectors look like (:mod:`ssdiar.clustering.counting`).
        most: Largest answer, unless limits are given.
        prior: For ``evidence``: how likely 1, 2, 3 ... speakers are before anything is heard, in any unit; the last
            number stands for all larger ones.
        prior_of_side: The same for one side of a call with one party per channel.
        weights: For ``evidence``: the constant, and the weight of each of :data:`ssdiar.clustering.counting.EVIDENCE`,
            where there is no output of the segmentation network.
        weights_with_links: The same where there is.
        temperature: For ``evidence``: the logarithms of probabilities are divided by it. The odds of different numbers
            of clusters share most of what they have heard, so that their product is too sure (temperature scaling: Guo
            et al., "On Calibration of Modern Neural Networks", ICML 2017). It decides nothing.
    """

    method: Literal["nme", "evidence"] = "nme"
    most: AtLeastOne = 8
    prior: tuple[Positive, ...] = (1.0,)
    prior_of_side: tuple[Positive, ...] = (1.0,)
    temperature: Positive = 1.0
    weights: tuple[Weight, ...] = ()
    weights_with_links: tuple[Weight, ...] = ()

    def prior_of(self, number: int) -> float:
        """Return the prior of a number of speakers from 1."""
        return self.prior[min(number, len(self.prior)) - 1]


class Sure(Config, frozen=True):
    """How sure a system is of its labels (``method: consensus``; :mod:`ssdiar.clustering.sure`).

    Attributes:
        weights: The constant, and the weight of each of :data:`ssdiar.clustering.sure.EVIDENCE`; none: it does not say.
        second: The probability that the second speaker whom stage 6 gives overlapped speech is right, in recordings of
            two speakers and in those of more.
    """

    weights: tuple[Weight, ...] = ()
    second: tuple[Share, ...] = ()


class Input(Config, frozen=True):
    """The speech that a system clusters, where the source of speech allows it (:func:`ssdiar.pipeline.speech_source`).

    Attributes:
        overlap: Overlapped speech. ``drop``: no x-vectors are made of it (the paper); ``label``: the same, and the RTTM
            gets a second speaker for it; ``keep``: it is treated as other speech.
        changes: ``cut``: speech regions end at changes of speaker that the segmentation network finds; ``ignore``.
    """

    overlap: Literal["drop", "keep", "label"] = "drop"
    changes: Literal["ignore", "cut"] = "ignore"


class SystemConfig(Config, frozen=True):
    """One clustering system.

    Attributes:
        description: A line for tables.
        method: ``ahc``: AHC of the prepared x-vectors, no training; ``nmesc``: NME spectral clustering of them, no
            training; ``consensus``: k-means of random parts of them, and their vote; ``ssl``: Algorithm 1 of the paper.
        input: See :class:`Input`.
        num_spk: Number of speakers of each recording, or ``estimate``, unless an option gives it.
        turns: ``closed``: short pauses of a speaker belong to the turn; ``tight``: turns end where speech does.
        prepare, encoder, labels, loss, train, stop, consensus, count, sure: See their classes; the methods without
            training use ``prepare`` and ``count``, AHC ``labels.linkage`` and ``labels.ahc_most``, consensus
            ``consensus`` and ``sure``.
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
    sure: Sure = Sure()

    @property
    def says_how_sure(self) -> bool:
        """Whether every label comes with the probability that it is right."""
        return self.method == "consensus" and bool(self.sure.weights)


def read_system(choice: str | Path, changes: Sequence[str] = ()) -> SystemConfig:
    """Read a system.

    Args:
        choice: Its name or file, and changes (:mod:`ssdiar.config`), as in ``dnn_ahc_triplet+literal``.
        changes: More of these, such as ``stop.threshold=0.3``.

    Raises:
        InputError: See :func:`ssdiar.config.read_config`; or a reading of the paper for another paper's system, or
            numbers of weights that are not those of the evidence.
    """
    config = read_config(SystemConfig, choice, "systems", changes)
    path, *readings = config_files(choice, "systems")
    if config.encoder.type == "baseline2" and any(reading.stem == "literal" for reading in readings):
        raise InputError("the reading literal is of the paper, not of [18]", path=path, hint="Leave it out.")
    _check_models(config, path)
    return config


def _check_models(config: SystemConfig, path: str | Path) -> None:
    """Refuse weights of another number than that of the evidence."""
    sizes = {}
    if config.count.method == "evidence":
        from ssdiar.clustering.counting import EVIDENCE, LINKS

        sizes |= {"count.weights": 1 + len(EVIDENCE), "count.weights_with_links": 1 + len(EVIDENCE + LINKS)}
    if config.sure != Sure():
        from ssdiar.clustering import sure

        sizes |= {"sure.weights": 1 + len(sure.EVIDENCE), "sure.second": 2}
    for name, size in sizes.items():
        part, _, key = name.partition(".")
        if (found := len(getattr(getattr(config, part), key))) != size:
            raise InputError(f"bad {name}", path=path, expected=f"{size} numbers", got=found)
