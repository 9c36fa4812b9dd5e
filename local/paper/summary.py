"""Our results beside Tables II and III of the paper: a row per system, and differences between systems.

The paper is "Enhanced Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering". It does not
name its subset of CALLHOME English, its scoring protocol or its source of speaker counts.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from paper.grid import Result, Rows, describe
from ssdiar.scoring.bootstrap import mean_difference


class PaperRow(NamedTuple):
    """The rows of a system in the paper's tables, and its DER there in percent."""

    rows: str = ""
    der: float | None = None


#: The systems of the tables, in order. Their names list their parts, which the claims compare.
PAPER = {
    "xvector_ahc": PaperRow("II.1", 26.07),
    "dnn_ahc_triplet": PaperRow("II.2 III.1", 19.38),
    "conformer_ahc_triplet": PaperRow("III.2", 14.15),
    "conformer_ahc_contrastive": PaperRow("II.3 III.5", 13.61),
    "dnn_finch_ahc_triplet": PaperRow("III.3", 18.00),
    "dnn_finch_ahc_contrastive": PaperRow("II.4 III.6", 16.61),
    "conformer_finch_ahc_triplet": PaperRow("III.4", 12.38),
    "conformer_finch_ahc_contrastive": PaperRow("II.5 III.7", 10.69),
    "baseline2": PaperRow(),
    "nmesc": PaperRow(),
}
#: Systems that all others are compared with, in their own reading if there is one.
REFERENCES = ("xvector_ahc", "conformer_ahc_contrastive")
#: Stands for the claim when a system's literal reading is compared with its robust one.
READING = "literal against robust"
LITERAL = "_literal"  # ends the names of systems in that reading


def paper_row(name: str) -> PaperRow:
    """Return the row of a system's name, with or without a reading; an empty row for a system that has none."""
    return PAPER.get(name.removesuffix(LITERAL), PaperRow())


class Claim(NamedTuple):
    """A ranking of the paper: a lower ``measure`` with the part ``better`` than with ``worse`` in its place.

    ``measure`` is ``der`` in percent, or ``epochs`` or ``iterations`` of the whole training.
    """

    text: str
    better: str
    worse: str
    measure: str = "der"

    def pairs(self, systems: Collection[str]) -> list[tuple[str, str]]:
        """Return the pairs (better, worse) of ``systems`` of the paper that differ in this part only."""
        both = [(name, name.replace(self.better, self.worse)) for name in systems if self.better in name]
        return [(first, second) for first, second in both if second in systems and paper_row(second).rows]


CLAIMS = (
    Claim("FINCH below AHC", "_finch_ahc", "_ahc"),
    Claim("conformer below DNN", "conformer", "dnn"),
    Claim("contrastive below triplet", "contrastive", "triplet"),
    Claim("FINCH needs fewer epochs than AHC", "_finch_ahc", "_ahc", "epochs"),
    Claim("FINCH needs fewer outer iterations than AHC", "_finch_ahc", "_ahc", "iterations"),
)


class Group:
    """Results with one source of speaker counts (at least one result)."""

    def __init__(self, set_name: str, results: Sequence[Result]) -> None:
        self.origin = describe(set_name, results)
        self.protocols = list(results[0].scores)
        self.systems: dict[str, list[Result]] = {}  # one per seed
        for result in results:
            self.systems.setdefault(result.system, []).append(result)
        # Percentages, means over seeds. `iterations` and `epochs` are medians over the recordings and seeds that
        # trained; `untrained` is the number of the others.
        self.rows: Rows = [_row(protocol, own) for protocol in self.protocols for own in self.systems.values()]
        # First minus second system, or the mean over "all pairs", with the interval `low` to `high`. `claim` is a claim
        # of the paper, READING, or empty for a comparison with one of REFERENCES; `relative` is percent of the second
        # system, `paper` the paper's difference.
        self.comparisons: Rows = [
            self._compare(protocol, claim, measure, pairs)
            for protocol in self.protocols
            for claim, measure, pairs in self._pairs()
            if measure == "der" or protocol == self.protocols[0]  # epochs do not depend on the protocol
        ]
        # The comparisons by the first protocol, and those that do not depend on it.
        self.headline = [row for row in self.comparisons if row["protocol"] in (self.protocols[0], "")]

    def _pairs(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Return (claim, measure, pairs of systems) of every comparison."""
        literal = [name for name in self.systems if name.endswith(LITERAL)]
        robust = [name for name in self.systems if name not in literal]
        found: list[tuple[str, str, list[tuple[str, str]]]] = []
        for reference, name in itertools.product(REFERENCES, self.systems):
            own = reference + LITERAL
            second = own if name in literal and own in literal else reference
            if second in self.systems and second != name:
                found.append(("", "der", [(name, second)]))
        several = [(one.text, one.measure, one.pairs(systems)) for one in CLAIMS for systems in (robust, literal)]
        both = [(name, name.removesuffix(LITERAL)) for name in literal if name.removesuffix(LITERAL) in robust]
        for claim, measure, pairs in (*several, (READING, "der", both)):
            found += [(claim, measure, [pair]) for pair in pairs]
            found += [(claim, measure, pairs)] if len(pairs) > 1 else []
        return found

    def _compare(self, protocol: str, claim: str, measure: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        values = [tuple(_per_recording(self.systems[name], protocol, measure)[0] for name in pair) for pair in pairs]
        weights = _per_recording(self.systems[pairs[0][0]], protocol, measure)[1]
        difference = mean_difference(values, weights)
        second = np.mean([pair[1] for pair in values], axis=0).sum() / weights.sum() if weights.sum() else 0.0
        ders = [(paper_row(one).der, paper_row(two).der) for one, two in pairs]
        known = measure == "der" and claim != READING and all(None not in pair for pair in ders)
        names = pairs[0] if len(pairs) == 1 else ("all pairs", "all pairs")
        words = ("below", "above") if claim in ("", READING) else ("holds", "does not hold")
        return {
            "protocol": protocol if measure == "der" else "",
            "claim": claim,
            "measure": measure,
            "first": names[0],
            "second": names[1],
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "relative": 100 * difference.value / second if second > 0 else None,
            "paper": statistics.fmean(one - two for one, two in ders) if known else None,
            "verdict": difference.verdict(*words),
        }


def groups(set_name: str, results: Sequence[Result]) -> list[Group]:
    """Return results (at least one) by the source of their speaker counts."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(describe(set_name, [result])["num_spk_source"], []).append(result)
    return [Group(set_name, own) for own in found.values()]


def _row(protocol: str, results: Sequence[Result]) -> dict[str, Any]:
    totals = [result.scores[protocol].total for result in results]
    ders = [100 * total.der for total in totals if total.der is not None]
    trained = [steps for result in results for steps in result.iterations.values()]
    epochs = [sum(step["epochs"] for step in steps) for steps in trained]
    paper = paper_row(results[0].system)
    return {
        "system": results[0].system,
        "protocol": protocol,
        "seeds": " ".join("none" if result.seed is None else str(result.seed) for result in results),
        "paper_rows": paper.rows,
        "paper_der": paper.der,
        "der": statistics.fmean(ders) if ders else None,
        "der_sd": statistics.stdev(ders) if len(ders) > 1 else None,
        **{part: _percent([total.fraction(part) for total in totals]) for part in ("miss", "false_alarm", "confusion")},
        "iterations": statistics.median(map(len, trained)) if trained else None,
        "epochs": statistics.median(epochs) if trained else None,
        "untrained": sum(len(result.histories) for result in results) - len(trained) if trained else None,
    }


def _percent(fractions: Sequence[float | None]) -> float | None:
    known = [100 * fraction for fraction in fractions if fraction is not None]
    return statistics.fmean(known) if known else None


def _per_recording(results: Sequence[Result], protocol: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (R,) the measure per recording, averaged over seeds, and (R,) the weights that its sum is divided by."""
    if measure == "der":
        rates = [[rates for _, rates in sorted(one.scores[protocol].recordings.items())] for one in results]
        error = np.mean([[100 * rate.seconds.error for rate in one] for one in rates], axis=0)
        return error, np.mean([[rate.seconds.scored for rate in one] for one in rates], axis=0)
    steps = [[one.iterations.get(reco, []) for reco in sorted(one.histories)] for one in results]
    count = (lambda own: sum(step["epochs"] for step in own)) if measure == "epochs" else len
    counts = np.mean([[count(own) for own in one] for one in steps], axis=0)
    return counts, np.ones(len(counts))
