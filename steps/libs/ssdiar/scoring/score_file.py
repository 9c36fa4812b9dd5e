"""Score files ``<exp-dir>/score/<protocol>.json`` and ``.txt``.

The JSON holds fractions of the scored speaker time, pooled over time; the text holds percent, worst recording first. If
nothing was scored, or an official program does not print a figure (dscore prints no parts of the DER), the JSON has
null and the text a dash. ``..._seconds`` accompany the fractions because false alarms of a recording without reference
speech have no fraction. The JER has no collar and counts overlapped speech under every protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, count_speakers
from ssdiar.scoring.jer import JaccardError

#: Optional keys of a score file: the origin of speech, speaker counts and x-vectors.
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
        """Sort key of recordings: the DER; false alarms in a recording without scored speech are worse than any."""
        if self.der is not None:
            return self.der
        return float("inf") if self.seconds is not None and self.seconds.error > 0 else -1.0

    @classmethod
    def of(cls, seconds: DiarizationError, jaccard: JaccardError) -> Rates:
        """Return the rates of measured errors."""
        return cls(seconds.der, seconds, jaccard.jer)

    def fraction(self, part: str) -> float | None:
        """Return ``miss``, ``false_alarm`` or ``confusion`` as a fraction of the scored speaker time."""
        return None if self.seconds is None else self.seconds.rate(getattr(self.seconds, part))


@dataclass(frozen=True)
class Score:
    """A system's score under one protocol."""

    protocol: Protocol
    uem: str | None  # the UEM file as it was named; None if reference extents were scored
    scorer: str  # ssdiar, md-eval or dscore
    total: Rates  # pooled over time
    recordings: dict[str, Rates]
    num_spk: dict[str, tuple[int, int]]  # (reference, system) numbers of speakers per recording
    origin: Mapping[str, str] = field(default_factory=dict)  # values of ORIGIN_KEYS, as far as they are known

    @property
    def worst_first(self) -> list[str]:
        """The recordings, those with the largest DER first."""
        return sorted(self.recordings, key=lambda reco: (-self.recordings[reco].badness, reco))


def speaker_counts(comparison: Comparison) -> dict[str, tuple[int, int]]:
    """Return (reference, system) numbers of speakers per recording, inside and outside the UEM."""
    turns = {reco: comparison.parts(reco)[:2] for reco in comparison.recordings}
    return {reco: (count_speakers(reference), count_speakers(system)) for reco, (reference, system) in turns.items()}


def write_score(folder: str | Path, score: Score) -> None:
    """Write ``<protocol>.txt`` and ``<protocol>.json`` into a folder, the JSON last."""
    base = Path(folder) / score.protocol.name
    publish_text(f"{base}.txt", as_text(score))
    publish_text(f"{base}.json", json.dumps(_as_json(score), indent=1, ensure_ascii=False) + "\n")


def read_score(path: str | Path) -> Score:
    """Read the JSON of a score.

    Raises:
        InputError: It is no score file.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = data["recordings"].items()
        return Score(
            protocol=Protocol(str(data["protocol"]), float(data["collar"]), bool(data["ignore_overlap"])),
            uem=data["uem"],
            scorer=str(data["scorer"]),
            total=_rates_from_json(data),
            recordings={reco: _rates_from_json(row) for reco, row in rows},
            num_spk={reco: (row["num_spk_ref"], row["num_spk_sys"]) for reco, row in rows},
            origin={key: str(data[key]) for key in ORIGIN_KEYS if key in data},
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        hint = "Run score_der.sh again."
        raise InputError("not a score file", path=path, expected="the output of score_der.sh", hint=hint) from None


def as_text(score: Score) -> str:
    """Return the score as a table: its terms, the recordings with the worst first, and the pooled line."""
    uem = f"UEM {score.uem}" if score.uem is not None else "no UEM, so only each reference's extent is scored"
    origin = "".join(f"# {key.replace('_', ' ')}: {value}\n" for key, value in score.origin.items())
    parts = ("miss %", "false alarm %", "confusion %")
    rows = [("recording", "DER %", "JER %", *parts, "scored s", "speakers ref", "sys")]
    rows += [(reco, *_cells(score.recordings[reco]), *map(str, score.num_spk[reco])) for reco in score.worst_first]
    rows.append(("TOTAL", *_cells(score.total), "", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    terms = f"{score.protocol.describe()}; {uem}; scorer {score.scorer}; JER: no collar, overlapped speech scored"
    # The pooled line states its terms because people copy it.
    lines[-1] += f"  pooled over time; {terms}"
    silent = ((reco, rates.seconds) for reco, rates in score.recordings.items() if rates.badness == float("inf"))
    if shown := ", ".join(f"{reco} ({seconds.false_alarm:.2f} s)" for reco, seconds in silent):
        lines.append(f"# false alarms in recordings without scored reference speech: {shown}")
    return f"# {terms}\n{origin}" + "".join(f"{line}\n" for line in lines)


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with two decimals, a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def _cells(rates: Rates) -> list[str]:
    scored = "-" if rates.seconds is None else f"{rates.seconds.scored:.2f}"
    return [percent(rates.der), percent(rates.jer), *(percent(rates.fraction(part)) for part in _PARTS), scored]


def _as_json(score: Score) -> dict[str, Any]:
    recordings = {}
    for reco, rates in score.recordings.items():
        reference, system = score.num_spk[reco]
        recordings[reco] = {**_rates_to_json(rates), "num_spk_ref": reference, "num_spk_sys": system}
    one = score.protocol
    head = {"protocol": one.name, "collar": one.collar, "ignore_overlap": one.ignore_overlap, "uem": score.uem}
    return {**head, **_rates_to_json(score.total), "scorer": score.scorer, **score.origin, "recordings": recordings}


def _rates_to_json(rates: Rates) -> dict[str, float | None]:
    row = {"der": rates.der, "jer": rates.jer, **{part: rates.fraction(part) for part in _PARTS}}
    row |= {f"{part}_seconds": getattr(rates.seconds, part, None) for part in ("scored", *_PARTS)}
    # Summation noise of 1e-12 would make a rewritten file differ from the old one.
    return {key: None if value is None else round(value, 9) for key, value in row.items()}


def _rates_from_json(row: Mapping[str, Any]) -> Rates:
    seconds = [row[f"{part}_seconds"] for part in ("scored", *_PARTS)]
    return Rates(row["der"], None if None in seconds else DiarizationError(*seconds), row["jer"])
