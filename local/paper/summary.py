"""Our results beside Tables II and III of the paper: a row per system, and differences between systems.

The paper is "Enhanced Self-Supervised Speaker Diarization Framework with Conformer and Hybrid Clustering". It does not
name its subset of CALLHOME English, its scoring protocol or its source of speaker counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from paper.grid import Result, Rows, describe
from ssdiar.scoring.bootstrap import mean_difference, share_voices


class PaperRow(NamedTuple):
    """The rows of a system in the paper's tables, and its DER there in percent."""

    rows: str = ""
    der: float | None = None


#: The systems of the tables, in order; those without a row are controls and peers. II.2 is contrastive by the title of
#: its table, and has the DER of III.1, which is triplet.
PAPER = {
    "xvector_ahc": PaperRow("II.1", 26.07),
    "xvector_ahc_centred": PaperRow(),
    "dnn_untrained": PaperRow(),
    "dnn_ahc_triplet": PaperRow("II.2 III.1", 19.38),
    "dnn_ahc_contrastive": PaperRow("II.2 by title", 19.38),
    "dnn_finch_ahc_triplet": PaperRow("III.3", 18.00),
    "dnn_finch_ahc_contrastive": PaperRow("II.4 III.6", 16.61),
    "conformer_untrained": PaperRow(),
    "conformer_ahc_triplet": PaperRow("III.2", 14.15),
    "conformer_ahc_contrastive": PaperRow("II.3 III.5", 13.61),
    "conformer_finch_ahc_triplet": PaperRow("III.4", 12.38),
    "conformer_finch_ahc_contrastive": PaperRow("II.5 III.7", 10.69),
    "baseline2": PaperRow(),
    "nmesc": PaperRow(),
    "best": PaperRow(),
}
_TRAINED = [name for name in PAPER if name.endswith(("triplet", "contrastive"))]
#: Stands for the claim when a system's reading is compared with the robust one.
READING = "reading against robust"


def references(row: str) -> list[str]:
    """Return the systems that a row is compared with: AHC as it comes and centred, and its network without training."""
    network = row.partition("_")[0]
    untrained = [f"{network}_untrained"] if row in _TRAINED else []
    return [name for name in ("xvector_ahc", "xvector_ahc_centred", *untrained) if name != row]


class Claim(NamedTuple):
    """A ranking, most of them the paper's: the first system of each pair has less of ``measure`` than the second.

    ``measure`` is ``der`` in percent; ``epochs`` or ``iterations`` of the whole training; ``clusters`` of C^0. Pairs
    with one of the :func:`references` count only together, since each is compared with it anyway.
    """

    text: str
    pairs: list[tuple[str, str]]
    measure: str = "der"


def _parts(better: str, worse: str) -> list[tuple[str, str]]:
    """Return the pairs of the paper's systems that differ only in one part of their names."""
    both = [(name, name.replace(better, worse)) for name in _TRAINED if better in name]
    return [(first, second) for first, second in both if second in PAPER]


_MODEL_2, _CONFORMER = "conformer_finch_ahc_contrastive", "conformer_ahc_contrastive"
#: The claims as the paper forms them, and between systems that differ in one part.
CLAIMS = (
    Claim(
        "below the baseline II.2 (triplet)",
        [(name, "dnn_ahc_triplet") for name in (_CONFORMER, "dnn_finch_ahc_contrastive", _MODEL_2)],
    ),
    Claim("FINCH below AHC", _parts("_finch_ahc", "_ahc")),
    Claim("conformer below DNN", _parts("conformer", "dnn")),
    Claim("contrastive below triplet", _parts("contrastive", "triplet")),
    Claim("fewer first clusters with FINCH", [(_MODEL_2, _CONFORMER)], "clusters"),
    Claim("fewer epochs with FINCH", [(_MODEL_2, _CONFORMER)], "epochs"),
    Claim("fewer outer iterations with FINCH", [(_MODEL_2, _CONFORMER)], "iterations"),
    Claim("training below its start", [(name, references(name)[-1]) for name in _TRAINED]),
    Claim("training below centred AHC", [(name, "xvector_ahc_centred") for name in _TRAINED]),
)


class Group:
    """Results of a set (at least one) with one source of speaker counts, and the voices of its recordings, if known."""

    def __init__(self, set_name: str, results: Sequence[Result], voices: Mapping[str, Sequence[str]]) -> None:
        self.origin = describe(set_name, results)
        self.protocols = list(results[0].scores)
        self.systems: dict[str, list[Result]] = {}  # one per seed
        for result in results:
            self.systems.setdefault(result.system, []).append(result)
        self._voices = voices
        self.shares_voices = share_voices([voices.get(reco, [reco]) for reco in results[0].histories])
        # Percentages, means over seeds. `iterations` and `epochs` are medians over the recordings and seeds that
        # trained; `untrained` is the number of the others.
        self.rows: Rows = [_row(protocol, own) for protocol in self.protocols for own in self.systems.values()]
        # First minus second system, or the mean over "all pairs", with the interval `low` to `high`. `claim` is a claim
        # of the paper, READING, or empty for a comparison with one of the references; `relative` is percent of the
        # second system, `paper` the paper's difference.
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
        ran = {name: results[0] for name, results in self.systems.items()}
        readings = dict.fromkeys(result.reading for result in ran.values())
        compared = [
            pair
            for result in ran.values()
            for pair in self._known([(result.row, row) for row in references(result.row)], result.reading)
        ]
        several = [
            (claim.text, claim.measure, self._known(claim.pairs, reading)) for claim in CLAIMS for reading in readings
        ]
        for reading in filter(None, readings):
            own = [(name, one.row) for name, one in ran.items() if one.reading == reading and one.row in _TRAINED]
            several.append((READING, "der", [pair for pair in own if pair[1] in ran]))
        found = [("", "der", [pair]) for pair in compared]
        for claim, measure, pairs in several:
            found += [(claim, measure, [pair]) for pair in pairs if pair not in compared]
            found += [(claim, measure, pairs)] if len(pairs) > 1 else []
        return found

    def _known(self, pairs: Sequence[tuple[str, str]], reading: str) -> list[tuple[str, str]]:
        """Return the pairs of rows as systems that have run: in a reading, the second else without one."""
        suffix = f"+{reading}" if reading else ""
        own = [(one + suffix, two + suffix if two + suffix in self.systems else two) for one, two in pairs]
        return [pair for pair in own if all(name in self.systems for name in pair)]

    def _compare(self, protocol: str, claim: str, measure: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        values = [tuple(_per_recording(self.systems[name], protocol, measure)[0] for name in pair) for pair in pairs]
        _, weights, recos = _per_recording(self.systems[pairs[0][0]], protocol, measure)
        difference = mean_difference(values, weights, [self._voices.get(reco, [reco]) for reco in recos])
        second = (
            np.mean([pair[1].mean(axis=0) for pair in values], axis=0).sum() / weights.sum() if weights.any() else 0
        )
        ders = [[PAPER.get(self.systems[name][0].row, PaperRow()).der for name in pair] for pair in pairs]
        known = measure == "der" and claim != READING and all(None not in pair for pair in ders)
        names = pairs[0] if len(pairs) == 1 else ("all pairs", "all pairs")
        words = ("holds", "does not hold") if claim in {one.text for one in CLAIMS} else ("below", "above")
        return {
            "protocol": protocol if measure == "der" else "",
            "claim": claim,
            "reading": self.systems[pairs[0][0]][0].reading or "robust",
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


def groups(set_name: str, results: Sequence[Result], voices: Mapping[str, Sequence[str]]) -> list[Group]:
    """Return results (at least one) by the source of their speaker counts."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(describe(set_name, [result])["num_spk_source"], []).append(result)
    return [Group(set_name, own, voices) for own in found.values()]


def _row(protocol: str, results: Sequence[Result]) -> dict[str, Any]:
    totals = [result.scores[protocol].total for result in results]
    ders = [100 * total.der for total in totals if total.der is not None]
    trained = [steps for result in results for steps in result.iterations.values()]
    passes = [step for steps in trained for step in steps]
    epochs = [sum(step["epochs"] for step in steps) for steps in trained]
    ends = [result.histories[reco].get("stop_reason") for result in results for reco in result.iterations]
    paper = PAPER.get(results[0].row, PaperRow())
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
        # Percent of the recordings whose iterating max_iterations ended, of the passes that max_epochs ended, and of
        # the passes in which no epoch was better than the start.
        "at_most_iterations": _percent([end == "max_iterations" for end in ends]),
        "at_most_epochs": _percent([step.get("ended") == "max_epochs" for step in passes]),
        "no_gain": _percent([min(step["losses"]) >= step["losses"][0] for step in passes]),
        "untrained": sum(len(result.histories) for result in results) - len(trained) if trained else None,
    }


def _percent(fractions: Sequence[float | None]) -> float | None:
    known = [100 * fraction for fraction in fractions if fraction is not None]
    return statistics.fmean(known) if known else None


def _per_recording(results: Sequence[Result], protocol: str, measure: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return (A, R) the measure by seed and recording, (R,) the weights of its sum, and the recordings."""
    if measure == "der":
        recos = sorted(results[0].scores[protocol].recordings)
        seconds = [[one.scores[protocol].recordings[reco].seconds for reco in recos] for one in results]
        error = np.array([[100 * own.error for own in one] for one in seconds])
        return error, np.mean([[own.scored for own in one] for one in seconds], axis=0), recos
    recos = sorted(results[0].histories)
    count = {
        "clusters": lambda history: history.get("first_clusters", 0),
        "epochs": lambda history: sum(step["epochs"] for step in history.get("iterations", [])),
        "iterations": lambda history: len(history.get("iterations", [])),
    }[measure]
    counts = [[count(one.histories[reco]) for reco in recos] for one in results]
    return np.array(counts, float), np.ones(len(recos)), recos
