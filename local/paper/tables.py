"""Write the tables: ``table.md`` to read, ``table.tsv`` and ``bootstrap.tsv`` to compute with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paper.grid import Result, caption, tsv
from paper.summary import Group, groups
from ssdiar.scoring.bootstrap import CONFIDENCE, RESAMPLES
from ssdiar.scoring.der import PROTOCOLS


def make_tables(set_name: str, results: Sequence[Result], voices: Mapping[str, Sequence[str]] = {}) -> dict[str, str]:
    """Return the content of table.md, table.tsv and bootstrap.tsv for results (at least one); see :class:`Group`."""
    found = groups(set_name, results, voices)
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
        "± standard deviation over seeds. Outer iterations and total epochs are medians over recordings. At most: "
        "percent of recordings that stopped at the maximum of outer iterations / of passes at the maximum of epochs. "
        "No gain: percent of passes in which no epoch was better than the start. "
        f"Protocols: {'; '.join(PROTOCOLS[name].describe() for name in found[0].protocols)}.",
        "",
        "The paper's numbers are for a subset of CALLHOME English that it does not name; it does not state its "
        "protocol or its source of speaker counts.",
        "",
        f"Differences are paired over recordings; in brackets the {CONFIDENCE:.0%} interval of {RESAMPLES} bootstrap "
        f"resamples of the {'voices, which recordings share,' if found[0].shares_voices else 'recordings'} and of the "
        "seeds.",
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
    head += ["at most", "no gain"]
    lines = []
    for system in group.systems:
        rows = [row for row in group.rows if row["system"] == system]
        row = rows[0]
        seeds = "" if row["seeds"] in ("none", group.origin["seeds"]) else f" (seeds {row['seeds']})"
        cells = [system + seeds, row["paper_rows"], _text(row["paper_der"])]
        cells += [_text(one["der"]) + (f" ± {one['der_sd']:.2f}" if one["der_sd"] is not None else "") for one in rows]
        cells += [_text(row[part]) for part in ("miss", "false_alarm", "confusion")]
        cells += ["" if row[name] is None else f"{row[name]:g}" for name in ("iterations", "epochs")]
        ends = (row["at_most_iterations"], row["at_most_epochs"])
        cells += ["" if None in ends else "{:.0f} / {:.0f}".format(*ends), _text(row["no_gain"], 0)]
        lines.append(cells)
    note = f"Miss, false alarm, confusion: {group.protocols[0]}. No ±: no randomness, or only one seed."
    return [*_table(head, lines, 2), "", note]


def _reference_table(group: Group) -> list[str]:
    columns = ("xvector_ahc", "xvector_ahc_centred", "its start")
    cells: dict[str, dict[str, str]] = {}
    for row in (row for row in group.headline if not row["claim"]):
        second = row["second"].partition("+")[0]
        column = second if second in columns else "its start"
        cells.setdefault(row["first"], {})[column] = _interval(row)
    lines = [[system, *(own.get(column, "") for column in columns)] for system, own in cells.items()]
    return _table(["System", *(f"minus {column}, points" for column in columns)], lines, 1) if lines else []


def _claim_table(group: Group) -> list[str]:
    lines = []
    for row in (row for row in group.headline if row["claim"]):
        mean = row["first"] == "all pairs"
        pair = "mean of these" if mean else f"{row['first']} minus {row['second']}"
        difference = f"{_interval(row)} {'points' if row['measure'] == 'der' else row['measure']}"
        cells = [row["claim"], row["reading"], pair, difference, _text(row["paper"]), row["verdict"]]
        lines.append([f"**{cell}**" if mean and cell else cell for cell in cells])
    head = ["Claim", "Reading", "Pair", "Difference", "paper, points", "Verdict"]
    return _table(head, lines, 3) if lines else []


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
