"""Write the tables: ``table.md`` to read, ``table.tsv`` and ``bootstrap.tsv`` to compute with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from paper.grid import Result, caption, tsv
from paper.summary import LITERAL, REFERENCES, Group, groups
from ssdiar.scoring.bootstrap import CONFIDENCE, RESAMPLES
from ssdiar.scoring.der import PROTOCOLS


def make_tables(set_name: str, results: Sequence[Result]) -> dict[str, str]:
    """Return the content of table.md, table.tsv and bootstrap.tsv for results (at least one)."""
    found = groups(set_name, results)
    return {
        "table.md": _markdown(set_name, found),
        "table.tsv": tsv([{**group.origin, **row} for group in found for row in group.rows]),
        "bootstrap.tsv": tsv([{**group.origin, **row} for group in found for row in group.comparisons]),
    }


def _markdown(set_name: str, found: Sequence[Group]) -> str:
    headline = found[0].protocols[0]
    lines = [
        f"# Tables II and III of the paper on {set_name}",
        "",
        "DER, miss, false alarm and confusion are percent of scored speaker time, pooled over recordings; DER is mean "
        "± standard deviation over seeds. Outer iterations and total epochs are medians over recordings. "
        f"Protocols: {'; '.join(PROTOCOLS[name].describe() for name in found[0].protocols)}.",
        "",
        "The paper's numbers are for a subset of CALLHOME English that it does not name; it does not state its "
        "protocol or its source of speaker counts.",
        "",
        "Differences are paired over recordings, after averaging errors over seeds; in brackets the "
        f"{CONFIDENCE:.0%} interval of {RESAMPLES} bootstrap resamples of the recordings. It does not cover the choice "
        "of seeds.",
    ]
    for group in found:
        about = caption(group.origin)
        lines += ["", f"## Speaker count: {group.origin['num_spk_source']}", "", about, "", *_der_table(group)]
        titles = {"Differences": _reference_table(group), "The paper's rankings and readings": _claim_table(group)}
        for title, table in titles.items():
            if table:
                lines += ["", f"### {title}, {headline}", "", about, "", *table]
    return "\n".join(lines) + "\n"


def _der_table(group: Group) -> list[str]:
    head = ["System", "Row", "Paper", *group.protocols, "miss", "false alarm", "confusion", "iterations", "epochs"]
    lines = []
    for system in group.systems:
        rows = [row for row in group.rows if row["system"] == system]
        row = rows[0]
        seeds = "" if row["seeds"] in ("none", group.origin["seeds"]) else f" (seeds {row['seeds']})"
        cells = [system + seeds, row["paper_rows"], _text(row["paper_der"])]
        cells += [_text(one["der"]) + (f" ± {one['der_sd']:.2f}" if one["der_sd"] is not None else "") for one in rows]
        cells += [_text(row[part]) for part in ("miss", "false_alarm", "confusion")]
        cells += ["" if row[name] is None else f"{row[name]:g}" for name in ("iterations", "epochs")]
        lines.append(cells)
    note = f"Miss, false alarm, confusion: {group.protocols[0]}. No ±: no randomness, or only one seed."
    return [*_table(head, lines, 2), "", note]


def _reference_table(group: Group) -> list[str]:
    found = {(row["first"], row["second"].removesuffix(LITERAL)): row for row in group.headline if not row["claim"]}
    references = [name for name in REFERENCES if any(second == name for _, second in found)]
    head = ["System"]
    for name in references:
        head += [f"minus {name}, points", "relative %", "paper, points"]
    lines = [[system] for system in group.systems]
    for cells, name in itertools.product(lines, references):
        row = found.get((cells[0], name))
        cells += ["", "", ""] if row is None else [_interval(row), _text(row["relative"], 1), _text(row["paper"])]
    return _table(head, lines, 1) if references else []


def _claim_table(group: Group) -> list[str]:
    lines = []
    for row in (row for row in group.headline if row["claim"]):
        mean = row["first"] == "all pairs"
        pair = "mean of these" if mean else f"{row['first']} minus {row['second']}"
        difference = f"{_interval(row)} {'points' if row['measure'] == 'der' else row['measure']}"
        cells = [row["claim"], pair, difference, _text(row["relative"], 1), _text(row["paper"]), row["verdict"]]
        lines.append([f"**{cell}**" if mean and cell else cell for cell in cells])
    head = ["Claim", "Pair", "Difference", "relative %", "paper, points", "Verdict"]
    return _table(head, lines, 2) if lines else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Return a Markdown table whose first ``words`` columns are text, the others numbers."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
    rule = "|" + " --- |" * words + " ---: |" * (len(head) - words)
    return [lines[0], rule, *lines[1:]]


def _text(value: float | None, decimals: int = 2) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _interval(row: Mapping[str, Any]) -> str:
    if row["difference"] != row["difference"]:
        return "-"
    decimals = 2 if row["measure"] == "der" else 1
    known = row["low"] == row["low"]
    bounds = f"{row['low']:+.{decimals}f}, {row['high']:+.{decimals}f}" if known else "no interval"
    return f"{row['difference']:+.{decimals}f} [{bounds}]"
