"""Tables II and III of the paper beside what our runs gave: figures per system, and differences between systems.

The paper is "Enhanced Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering". Its figures
are of a subset of CALLHOME English that it does not name, by a protocol and with speaker counts that it does not state.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from paper.runs import Result, describe, error_seconds, uses_seed
from ssdiar.scoring.bootstrap import Difference, mean_difference

#: Systems that all others are compared with; a literal row with the second one's literal row.
REFERENCES = ("xvector_ahc", "conformer_ahc_contrastive")
#: The claim, as it were, of the pairs (literal row, robust row) of one system.
LETTER = "to the letter"
READINGS = ("robust", "literal")
_LITERAL = "_literal"  # ends the names of rows of that reading


@dataclass(frozen=True)
class PaperRow:
    """One system of the paper: the rows it has in Tables II and III, its DER in percent, and what it is made of."""

    system: str
    rows: str
    der: float
    network: str = ""
    loss: str = ""
    first_labels: str = ""


PAPER = {
    row.system: row
    for row in (
        PaperRow("xvector_ahc", "II.1", 26.07),
        PaperRow("dnn_ahc_triplet", "II.2 III.1", 19.38, "DNN", "triplet", "AHC"),
        PaperRow("conformer_ahc_triplet", "III.2", 14.15, "conformer", "triplet", "AHC"),
        PaperRow("conformer_ahc_contrastive", "II.3 III.5", 13.61, "conformer", "contrastive", "AHC"),
        PaperRow("dnn_finch_ahc_triplet", "III.3", 18.00, "DNN", "triplet", "FINCH"),
        PaperRow("dnn_finch_ahc_contrastive", "II.4 III.6", 16.61, "DNN", "contrastive", "FINCH"),
        PaperRow("conformer_finch_ahc_triplet", "III.4", 12.38, "conformer", "triplet", "FINCH"),
        PaperRow("conformer_finch_ahc_contrastive", "II.5 III.7", 10.69, "conformer", "contrastive", "FINCH"),
    )
}


def paper_row(name: str) -> PaperRow | None:
    """Return the row of the paper that a system's name means, in whatever reading."""
    return PAPER.get(name.removesuffix(_LITERAL))


def reading_of(name: str) -> str:
    """Return which of :data:`READINGS` a system's name says."""
    return "literal" if name.endswith(_LITERAL) else "robust"


def reference_of(name: str, reference: str, systems: Iterable[str]) -> str:
    """Return which of ``systems`` a system is compared with for one of :data:`REFERENCES`: that of its own reading."""
    own = reference + _LITERAL
    return own if reading_of(name) == "literal" and own in systems else reference


@dataclass(frozen=True)
class Claim:
    """A ranking of the paper: systems with ``better`` are below those that differ from them in ``worse`` alone.

    ``measure`` is what is compared: ``der`` in percent points, or ``epochs`` or ``iterations`` of the whole training.
    """

    text: str
    part: str
    better: str
    worse: str
    measure: str = "der"

    def pairs(self, systems: Iterable[str]) -> list[tuple[str, str]]:
        """Return those pairs (better, worse) of ``systems`` that differ in nothing else, their reading included."""
        present = [(name, row) for name in systems if (row := paper_row(name)) is not None]
        others = [name for name in ("network", "loss", "first_labels") if name != self.part]
        return [
            (first, second)
            for first, one in present
            for second, two in present
            if (getattr(one, self.part), getattr(two, self.part)) == (self.better, self.worse)
            and all(getattr(one, name) == getattr(two, name) for name in others)
            and reading_of(first) == reading_of(second)
        ]


CLAIMS = (
    Claim("FINCH below AHC", "first_labels", "FINCH", "AHC"),
    Claim("conformer below DNN", "network", "conformer", "DNN"),
    Claim("contrastive below triplet", "loss", "contrastive", "triplet"),
    Claim("FINCH needs fewer epochs than AHC", "first_labels", "FINCH", "AHC", "epochs"),
    Claim("FINCH needs fewer outer iterations than AHC", "first_labels", "FINCH", "AHC", "iterations"),
)


@dataclass(frozen=True)
class Row:
    """A system with one source of speaker counts by one protocol; figures in percent, means over seeds.

    ``der_sd`` is over seeds; ``iterations`` and ``epochs`` are medians over recordings and seeds that trained, of which
    ``untrained`` did not.
    """

    system: str
    num_spk_source: str
    protocol: str
    seeds: str
    paper_rows: str
    paper_der: float | None
    der: float | None
    der_sd: float | None
    miss: float | None
    false_alarm: float | None
    confusion: float | None
    iterations: float | None
    epochs: float | None
    untrained: int | None


@dataclass(frozen=True)
class Comparison:
    """First minus second system, with one source of speaker counts by one protocol, and what the paper's figures say.

    ``claim`` is empty where the second is merely one of :data:`REFERENCES`, and :data:`LETTER` where it is the first in
    its other reading; the systems are ``all pairs`` where it is a mean. ``relative`` is the difference in percent of
    the second.
    """

    num_spk_source: str
    protocol: str
    claim: str
    measure: str
    first: str
    second: str
    difference: Difference
    relative: float | None
    paper: float | None
    verdict: str


class Summary:
    """All rows and comparisons of some results (one at least) of one experiment.

    Args:
        set_name: Name of the data set.
        results: The results, in the order in which systems are shown.

    Attributes:
        groups: Results by source of the speaker counts and system.
        scores: The first result's scores by protocol, for the protocols' sake.
        origins: What :func:`paper.runs.describe` says of each group.
        rows: A row per source, protocol and system.
        comparisons: Systems against :data:`REFERENCES`, and the pairs of every claim, followed by their mean.
    """

    def __init__(self, set_name: str, results: Sequence[Result]) -> None:
        self.groups: dict[str, dict[str, list[Result]]] = {}
        for result in results:
            source = str(result.meta["num_spk_source"])
            self.groups.setdefault(source, {}).setdefault(result.run.name, []).append(result)
        self.scores = dict(results[0].scores)
        self.origins = {
            source: describe(set_name, [run for runs in systems.values() for run in runs])
            for source, systems in self.groups.items()
        }
        self.rows = [
            _row(system, source, protocol, runs)
            for source, systems in self.groups.items()
            for protocol in self.scores
            for system, runs in systems.items()
        ]
        self.comparisons = [
            comparison
            for source, systems in self.groups.items()
            for protocol in self.scores
            for make in (_against_references, _claims, _readings)
            for comparison in make(source, protocol, systems)
        ]


def _row(system: str, source: str, protocol: str, runs: Sequence[Result]) -> Row:
    scores = [run.scores[protocol] for run in runs]
    ders = [100 * score.total.der for score in scores if score.total.der is not None]
    parts = {
        part: _mean([score.total.fraction(part) for score in scores]) for part in ("miss", "false_alarm", "confusion")
    }
    trained = [steps for run in runs for steps in run.iterations.values()]
    recordings = sum(len(run.histories) for run in runs)
    random = uses_seed(runs[0].meta["system_options"]["method"])
    paper = paper_row(system)
    return Row(
        system=system,
        num_spk_source=source,
        protocol=protocol,
        seeds=" ".join(str(run.run.seed) for run in runs) if random else "none",
        paper_rows="" if paper is None else paper.rows,
        paper_der=None if paper is None else paper.der,
        der=statistics.fmean(ders) if ders else None,
        der_sd=statistics.stdev(ders) if len(ders) > 1 else None,
        iterations=statistics.median(map(len, trained)) if trained else None,
        epochs=statistics.median(sum(step["epochs"] for step in steps) for steps in trained) if trained else None,
        untrained=recordings - len(trained) if trained else None,
        **parts,
    )


def _mean(fractions: Sequence[float | None]) -> float | None:
    known = [100 * fraction for fraction in fractions if fraction is not None]
    return statistics.fmean(known) if known else None


def _against_references(source: str, protocol: str, systems: dict[str, list[Result]]) -> list[Comparison]:
    return [
        _compare(source, protocol, systems, "", "der", (name, own))
        for reference in REFERENCES
        for name in systems
        if (own := reference_of(name, reference, systems)) in systems and own != name
    ]


def _readings(source: str, protocol: str, systems: dict[str, list[Result]]) -> list[Comparison]:
    literal = [name for name in systems if reading_of(name) == "literal"]
    pairs = [(name, robust) for name in literal if (robust := name.removesuffix(_LITERAL)) in systems]
    rows = [_compare(source, protocol, systems, LETTER, "der", pair) for pair in pairs]
    return rows + ([_compare(source, protocol, systems, LETTER, "der", *pairs)] if len(pairs) > 1 else [])


def _claims(source: str, protocol: str, systems: dict[str, list[Result]]) -> list[Comparison]:
    rows = []
    for claim, reading in itertools.product(CLAIMS, READINGS):
        pairs = [pair for pair in claim.pairs(systems) if reading_of(pair[0]) == reading]
        if not pairs or (claim.measure != "der" and protocol != next(iter(systems[pairs[0][0]][0].scores))):
            continue  # epochs are the same by every protocol
        rows += [_compare(source, protocol, systems, claim.text, claim.measure, pair) for pair in pairs]
        if len(pairs) > 1:
            rows.append(_compare(source, protocol, systems, claim.text, claim.measure, *pairs))
    return rows


def _compare(
    source: str, protocol: str, systems: dict[str, list[Result]], claim: str, measure: str, *pairs: tuple[str, str]
) -> Comparison:
    """Return the comparison of a pair of systems, or the mean of several."""
    values = [tuple(_per_recording(systems[name], protocol, measure)[0] for name in pair) for pair in pairs]
    weights = _per_recording(systems[pairs[0][0]], protocol, measure)[1]
    difference = mean_difference(values, weights)
    second = np.mean([pair[1] for pair in values], axis=0).sum() / weights.sum() if weights.sum() else 0.0
    rows = [(paper_row(one), paper_row(two)) for one, two in pairs]
    known = measure == "der" and claim != LETTER and all(row is not None for pair in rows for row in pair)
    return Comparison(
        num_spk_source=source,
        protocol=protocol if measure == "der" else "",
        claim=claim,
        measure=measure,
        first=pairs[0][0] if len(pairs) == 1 else "all pairs",
        second=pairs[0][1] if len(pairs) == 1 else "all pairs",
        difference=difference,
        relative=100 * difference.value / second if second > 0 else None,
        paper=statistics.fmean(one.der - two.der for one, two in rows) if known else None,
        verdict=difference.verdict(*(("holds", "does not hold") if claim not in ("", LETTER) else ("below", "above"))),
    )


def _per_recording(runs: Sequence[Result], protocol: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (R,) the measure per recording, averaged over seeds, and (R,) what to divide its sum by."""
    if measure == "der":
        error, scored = error_seconds(runs, protocol)
        return 100 * error, scored
    counts = []
    for run in runs:
        steps = [run.iterations.get(reco, []) for reco in sorted(run.histories)]
        counts.append([sum(step["epochs"] for step in one) if measure == "epochs" else len(one) for one in steps])
    return np.mean(counts, axis=0), np.ones(len(counts[0]))
