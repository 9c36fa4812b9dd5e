"""Score files ``<exp-dir>/score/<protocol>.json`` and ``.txt``: the one place that knows their form.

The JSON holds fractions of the scored speaker time, pooled over time; the text holds percent, worst recording first.
Where nothing was scored, and where an official program does not print a figure (dscore prints the DER alone), the JSON
has null and the text a dash. ``..._seconds`` stand beside the fractions because false alarms of a recording without
reference speech have no fraction. The JER has no collar and counts overlapped speech under every protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, count_speakers
from ssdiar.scoring.jer import JaccardError

#: What a score file may say about the system that it is of: where speech, speaker counts and x-vectors came from.
ORIGIN_KEYS = ("speech_source", "num_spk_source", "xvector_model")
_PARTS = ("miss", "false_alarm", "confusion")


@dataclass(frozen=True)
class Rates:
    """One line of a score: DER and JER (fractions; None if nothing was scored) and, if known, the DER's seconds."""

    der: float | None
    seconds: DiarizationError | None
    jer: float | None = None

    @property
    def badness(self) -> float:
        """What recordings are ordered by: the DER; false alarms where nothing is scored are worse than any."""
        if self.der is not None:
            return self.der
        return float("inf") if self.seconds is not None and self.seconds.error > 0 else -1.0

    @classmethod
    def of(cls, seconds: DiarizationError, jaccard: JaccardError) -> Rates:
        """Return the rates of errors that were measured here."""
        return cls(seconds.der, seconds, jaccard.jer)

    def fraction(self, part: str) -> float | None:
        """Return ``miss``, ``false_alarm`` or ``confusion`` as a fraction of the scored speaker time."""
        return None if self.seconds is None else self.seconds.rate(getattr(self.seconds, part))


@dataclass(frozen=True)
class Score:
    """A system's score under one protocol.

    Args:
        protocol: Collar and overlap.
        uem: The UEM file as it was named, None if reference extents were scored.
        scorer: ``ssdiar``, ``md-eval`` or ``dscore``.
        total: All recordings, pooled over time.
        recordings: Each recording.
        num_spk: (reference, system) numbers of speakers per recording.
        origin: What is known of :data:`ORIGIN_KEYS`.
    """

    protocol: Protocol
    uem: str | None
    scorer: str
    total: Rates
    recordings: dict[str, Rates]
    num_spk: dict[str, tuple[int, int]]
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def worst_first(self) -> list[str]:
        """The recordings, those with the largest DER first."""
        return sorted(self.recordings, key=lambda reco: (-self.recordings[reco].badness, reco))


def speaker_counts(comparison: Comparison) -> dict[str, tuple[int, int]]:
    """Return (reference, system) numbers of speakers per recording, whether they talk inside the UEM or not."""
    return {
        reco: (count_speakers(comparison.reference.get(reco, [])), count_speakers(comparison.system.get(reco, [])))
        for reco in comparison.recordings
    }


def write_score(folder: str | Path, score: Score) -> None:
    """Write ``<protocol>.txt`` and ``<protocol>.json`` into a folder, the JSON last."""
    base = Path(folder) / score.protocol.name
    publish_text(f"{base}.txt", as_text(score))
    publish_text(f"{base}.json", json.dumps(_as_json(score), indent=1, ensure_ascii=False) + "\n")


def read_score(path: str | Path) -> Score:
    """Read a score file back.

    Raises:
        InputError: It is no score file.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        protocol = Protocol(str(data["protocol"]), float(data["collar"]), bool(data["ignore_overlap"]))
        return Score(
            protocol=protocol,
            uem=data["uem"],
            scorer=str(data["scorer"]),
            total=_rates_from_json(data),
            recordings={reco: _rates_from_json(row) for reco, row in data["recordings"].items()},
            num_spk={reco: (row["num_spk_ref"], row["num_spk_sys"]) for reco, row in data["recordings"].items()},
            origin={key: str(data[key]) for key in ORIGIN_KEYS if key in data},
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError(
            "not a score file", path=path, expected="what score_der.sh writes", hint="Run score_der.sh again."
        ) from None


def as_text(score: Score) -> str:
    """Return the score for reading: its terms, the recordings with the worst first, and the pooled line."""
    uem = f"UEM {score.uem}" if score.uem is not None else "no UEM, so only each reference's extent is scored"
    origin = "".join(f"# {key.replace('_', ' ')}: {value}\n" for key, value in score.origin.items())
    parts = ("miss %", "false alarm %", "confusion %")
    rows = [("recording", "DER %", "JER %", *parts, "scored s", "speakers ref", "sys")]
    rows += [(reco, *_cells(score.recordings[reco]), *map(str, score.num_spk[reco])) for reco in score.worst_first]
    # The pooled line states its terms, because it is the line that people copy.
    rows.append(("TOTAL", *_cells(score.total), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    terms = f"{score.protocol.describe()}; {uem}; scorer {score.scorer}; JER: no collar, overlapped speech scored"
    silent = [f"{reco} ({rates.seconds.false_alarm:.2f} s)" for reco, rates in _false_alarms_only(score)]
    notes = f"# false alarms where no reference speech is scored: {', '.join(silent)}\n" if silent else ""
    body = "\n".join(lines[:-1])
    return f"# {terms}\n{origin}{body}\n{lines[-1]}  pooled over time; {terms}\n{notes}"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with two decimals, a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def _cells(rates: Rates) -> list[str]:
    scored = "-" if rates.seconds is None else f"{rates.seconds.scored:.2f}"
    return [percent(rates.der), percent(rates.jer), *(percent(rates.fraction(part)) for part in _PARTS), scored]


def _false_alarms_only(score: Score) -> list[tuple[str, Rates]]:
    return [
        (reco, rates)
        for reco, rates in score.recordings.items()
        if rates.seconds is not None and rates.seconds.scored == 0 and rates.seconds.false_alarm > 0
    ]


def _as_json(score: Score) -> dict[str, Any]:
    recordings = {
        reco: {
            **_rates_to_json(rates),
            "num_spk_ref": score.num_spk[reco][0],
            "num_spk_sys": score.num_spk[reco][1],
        }
        for reco, rates in score.recordings.items()
    }
    return {
        "protocol": score.protocol.name,
        "collar": score.protocol.collar,
        "ignore_overlap": score.protocol.ignore_overlap,
        "uem": score.uem,
        **_rates_to_json(score.total),
        "scorer": score.scorer,
        **score.origin,
        "recordings": recordings,
    }


def _rates_to_json(rates: Rates) -> dict[str, float | None]:
    seconds = rates.seconds
    fractions = {part: _rounded(rates.fraction(part)) for part in _PARTS}
    in_seconds = {
        f"{part}_seconds": None if seconds is None else _rounded(getattr(seconds, part)) for part in ("scored", *_PARTS)
    }
    return {"der": _rounded(rates.der), "jer": _rounded(rates.jer), **fractions, **in_seconds}


def _rates_from_json(row: Mapping[str, Any]) -> Rates:
    seconds = [row[f"{part}_seconds"] for part in ("scored", *_PARTS)]
    return Rates(row["der"], None if None in seconds else DiarizationError(*seconds), row["jer"])


def _rounded(value: float | None) -> float | None:
    # Summation noise of 1e-12 would make a rewritten file differ from the old one.
    return None if value is None else round(value, 9)
