"""The paper's tables as files: ``table.md`` to be read, ``table.tsv`` and ``bootstrap.tsv`` to be computed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from paper.runs import Result, caption, tsv
from paper.summary import LETTER, REFERENCES, Comparison, Summary, reference_of
from ssdiar.scoring.bootstrap import CONFIDENCE, RESAMPLES


def make_tables(set_name: str, results: Sequence[Result]) -> dict[str, str]:
    """Return the content of table.md, table.tsv and bootstrap.tsv for results (one at least) of one experiment."""
    summary = Summary(set_name, results)
    return {
        "table.md": _markdown(set_name, summary),
        "table.tsv": tsv([{**summary.origins[row.num_spk_source], **_as_dict(row)} for row in summary.rows]),
        "bootstrap.tsv": tsv([{**summary.origins[row.num_spk_source], **_flat(row)} for row in summary.comparisons]),
    }


def _markdown(set_name: str, summary: Summary) -> str:
    protocols = "; ".join(score.protocol.describe() for score in summary.scores.values())
    headline = next(iter(summary.scores))
    lines = [
        f"# Tables II and III of the paper on {set_name}",
        "",
        "DER, miss, false alarm and confusion are percent of scored speaker time, pooled over recordings; DER is mean "
        "± standard deviation over seeds. Outer iterations and epochs (of all of them) are medians over recordings. "
        f"Protocols: {protocols}.",
        "",
        "The paper's figures are of CALLHOME English, a subset that it does not name; its protocol and where its "
        "speaker counts come from are not stated.",
        "",
        f"Differences are paired over recordings, errors averaged over seeds first; in brackets the {CONFIDENCE:.0%} "
        f"interval of {RESAMPLES} bootstrap resamples of the recordings. It does not cover the choice of the seeds.",
    ]
    for source in summary.groups:
        about = caption(summary.origins[source], source)
        lines += ["", f"## Speaker count: {source}", "", about, "", *_der_table(summary, source, headline)]
        for title, table in (
            (f"Differences, {headline}", _reference_table(summary, source, headline)),
            (f"What the letter costs, {headline}", _letter_table(summary, source, headline)),
            (f"The paper's rankings, {headline}", _claim_table(summary, source, headline)),
        ):
            if table:
                lines += ["", f"### {title}", "", about, "", *table]
    return "\n".join(lines) + "\n"


def _der_table(summary: Summary, source: str, headline: str) -> list[str]:
    head = ["System", "Row", "Paper", *summary.scores, "miss", "false alarm", "confusion", "iterations", "epochs"]
    rows = []
    for system in summary.groups[source]:
        by_protocol = {
            row.protocol: row for row in summary.rows if (row.system, row.num_spk_source) == (system, source)
        }
        row = by_protocol[headline]
        seeds = "" if row.seeds in ("none", summary.origins[source]["seeds"]) else f" (seeds {row.seeds})"
        rows.append(
            [
                system + seeds,
                row.paper_rows,
                _text(row.paper_der),
                *(_with_sd(one.der, one.der_sd) for one in by_protocol.values()),
                *(_text(value) for value in (row.miss, row.false_alarm, row.confusion)),
                *("" if value is None else f"{value:g}" for value in (row.iterations, row.epochs)),
            ]
        )
    note = f"miss, false alarm, confusion: {headline}. No ±: no randomness, or one seed only."
    return [*_table(head, rows, 2), "", note]


def _reference_table(summary: Summary, source: str, headline: str) -> list[str]:
    found = {
        (row.first, row.second): row
        for row in summary.comparisons
        if (row.num_spk_source, row.protocol, row.claim) == (source, headline, "")
    }
    systems = summary.groups[source]
    references = [name for name in REFERENCES if any(second.startswith(name) for _, second in found)]
    head = ["System"]
    for name in references:
        head += [f"minus {name}, points", "relative %", "paper, points"]
    rows = []
    for system in systems if references else ():
        cells = [system]
        for name in references:
            row = found.get((system, reference_of(system, name, systems)))
            cells += ["", "", ""] if row is None else [_interval(row), _text(row.relative, 1), _text(row.paper)]
        rows.append(cells)
    return _table(head, rows, 1) if rows else []


def _letter_table(summary: Summary, source: str, headline: str) -> list[str]:
    found = [
        row
        for row in summary.comparisons
        if (row.num_spk_source, row.protocol, row.claim) == (source, headline, LETTER)
    ]
    names = ["mean of these" if row.first == "all pairs" else row.second for row in found]
    rows = [[name, _interval(row), _text(row.relative, 1), row.verdict] for name, row in zip(names, found, strict=True)]
    return _table(["Row", "literal minus robust, points", "relative %", "Literal is"], rows, 1) if rows else []


def _claim_table(summary: Summary, source: str, headline: str) -> list[str]:
    rows = []
    for row in summary.comparisons:
        if row.claim not in ("", LETTER) and row.num_spk_source == source and row.protocol in (headline, ""):
            mean = row.first == "all pairs"
            pair = "mean of these" if mean else f"{row.first} minus {row.second}"
            unit = "points" if row.measure == "der" else row.measure
            cells = [row.claim, pair, f"{_interval(row)} {unit}", _text(row.paper), row.verdict]
            rows.append([f"**{cell}**" if mean and cell else cell for cell in cells])
    return _table(["Claim", "Pair", "Difference", "Paper, points", "Verdict"], rows, 2) if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Return a Markdown table whose first ``words`` columns are words, the others figures."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
    rule = "|" + " --- |" * words + " ---: |" * (len(head) - words)
    return [lines[0], rule, *lines[1:]]


def _text(value: float | None, decimals: int = 2) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _with_sd(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return _text(mean) + ("" if deviation is None else f" ± {deviation:.2f}")


def _interval(row: Comparison) -> str:
    difference = row.difference
    if np.isnan(difference.value):
        return "-"
    decimals = 2 if row.measure == "der" else 1
    bounds = (
        "no interval"
        if np.isnan(difference.low)
        else f"{difference.low:+.{decimals}f}, {difference.high:+.{decimals}f}"
    )
    return f"{difference.value:+.{decimals}f} [{bounds}]"


def _as_dict(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _flat(row: Comparison) -> dict[str, Any]:
    values = _as_dict(row)
    difference = values.pop("difference")
    verdict = values.pop("verdict")
    return {
        **values,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "verdict": verdict,
    }
