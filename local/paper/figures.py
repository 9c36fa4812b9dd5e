"""Figures 2 to 5 of the paper: the calls that they need, the rows of a table each, and a drawing of these rows."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paper.grid import Call, Result, Rows, with_readings
from ssdiar.base.errors import InputError

_AHC, _FINCH, _DNN = "conformer_ahc_contrastive", "conformer_finch_ahc_contrastive", "dnn_finch_ahc_contrastive"
_CONTROL = "xvector_ahc_centred"
_NAMES = {_AHC: "conformer + AHC", _FINCH: "Model-2: conformer + FINCH + AHC", _DNN: "Model-1: DNN + FINCH + AHC"}
_HEADS, _KEY_DIMS = (1, 2, 4, 8, 16), (16, 32, 64, 128)

# Okabe & Ito's colours, distinct with any colour vision; markers and dashes repeat the distinction.
_STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)
_SETTINGS = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "grid.color": "#dddddd",
    "text.parse_math": False,  # names of sets and models are not mathematics
}


class _Figure(NamedTuple):
    """A figure: its systems, columns (lines, x, y), texts (title, x, y), options that vary, logarithmic axis."""

    systems: tuple[str, ...]
    columns: tuple[str, str, str]
    texts: tuple[str, str, str]
    variants: tuple[tuple[str, ...], ...] = ((),)
    log: str = ""


FIGURES = {
    "2": _Figure(
        (_AHC, _FINCH),
        ("system", "outer_iteration", "clusters_median"),
        ("clusters per outer iteration", "outer iteration (0: first labels)", "clusters: median, quartiles"),
        log="y",
    ),
    "3": _Figure(
        (_AHC, _FINCH),
        ("system", "epoch", "loss_mean"),
        (
            "loss",
            "epoch of all outer iterations; ended trainings keep their last loss",
            "loss / first loss: mean, quartiles",
        ),
    ),
    "4": _Figure(
        (_FINCH,),
        ("encoder.key_dim", "encoder.heads", "der_mean"),
        ("DER of Model-2 by attention heads and their width", "attention heads", "DER %, forgiving"),
        tuple((f"encoder.heads={heads}", f"encoder.key_dim={width}") for heads in _HEADS for width in _KEY_DIMS),
        log="x",
    ),
    "5": _Figure(
        (_DNN, _FINCH),
        ("system", "stop.threshold", "der_mean"),
        ("DER by threshold", "threshold (the paper's choice: 0.5)", "DER %, forgiving"),
        tuple((f"stop.threshold={number / 10}",) for number in range(1, 11)),
    ),
}


def figure_calls(figure: str, reading: str, count: str, seeds: Sequence[int]) -> list[Call]:
    """Return the calls of run.sh for one of :data:`FIGURES`; figures of DER come with the centred control."""
    drawn = FIGURES[figure]
    systems = tuple(with_readings(drawn.systems, [reading]))
    calls = [Call(systems, count, seed, changes) for seed in seeds for changes in drawn.variants]
    return calls if drawn.variants == ((),) else [*calls, Call((_CONTROL,), count, seeds[0])]


def figure_rows(figure: str, results: Sequence[Result]) -> Rows:
    """Return the numbers that a figure shows; DER in percent by the protocol forgiving.

    Raises:
        InputError: No recording trained in one of the systems of Figure 2 or 3.
    """
    _, at, column = FIGURES[figure].columns
    return _der_rows(results) if column == "der_mean" else _progress_rows(results, at, column)


def _clusters(history: dict[str, Any]) -> list[float]:
    return [history["first_clusters"], *(step["clusters"] for step in history["iterations"])]


def _losses(history: dict[str, Any]) -> list[float]:
    """Return loss / first loss at the start and after each epoch; all 1 if the first loss is not positive.

    The loss after an epoch is on the labels that the epoch trained on, so it may rise when the labels change.
    """
    steps = history["iterations"]
    losses = steps[0]["losses"][:1] + [loss for step in steps for loss in step["losses"][1:]]
    return [loss / losses[0] if losses[0] > 0 else 1.0 for loss in losses]


def _progress_rows(results: Sequence[Result], at: str, column: str) -> Rows:
    """Return average and quartiles over recordings and seeds at each place of the systems' curves.

    A recording that has ended keeps its last value; ``share_running`` is the share of those that have not.
    """
    curve, average = {"clusters_median": (_clusters, np.median), "loss_mean": (_losses, np.mean)}[column]
    curves: dict[str, list[list[float]]] = {result.row: [] for result in results}
    for result in results:
        curves[result.row] += [curve(history) for history in result.histories.values() if history.get("iterations")]
    for system, own in curves.items():
        if not own:
            raise InputError(f"no recording of the set trained in {system}")
    longest = max(len(one) for own in curves.values() for one in own)
    rows: Rows = []
    for system, own in curves.items():
        values = np.array([[*one, *[one[-1]] * (longest - len(one))] for one in own], float)
        for place, found in enumerate(values.T):
            low, high = np.quantile(found, (0.25, 0.75))
            row = {"system": system, at: place, column: float(average(found)), "low": float(low), "high": float(high)}
            rows.append({**row, "share_running": sum(len(one) > place for one in own) / len(own)})
    return rows


def _der_rows(results: Sequence[Result]) -> Rows:
    """Return the mean DER over seeds, one standard deviation below and above it, and the control's DER.

    There is a row for each system and choice of the options that vary.
    """
    ders: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for result in results:
        der = result.scores["forgiving"].total.der
        ders.setdefault((result.row, result.changes), []).append(np.nan if der is None else 100 * der)
    (control,) = ders.pop((_CONTROL, ()))
    rows: Rows = []
    for (system, changes), own in ders.items():
        options = {name: float(value) for name, value in (change.split("=") for change in changes)}
        mean, sd = statistics.fmean(own), statistics.stdev(own) if len(own) > 1 else None
        band = {"low": mean - (sd or 0.0), "high": mean + (sd or 0.0)}
        rows.append({"system": system, **options, "der_mean": mean, "der_sd": sd, **band, _CONTROL: control})
    return rows


def draw(figure: str, rows: Rows, caption: str, path: Path) -> None:
    """Draw the rows of a figure as PNG, with ``caption`` below; the same rows give the same file."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = FIGURES[figure]
    line, at, column = drawn.columns
    with matplotlib.rc_context(_SETTINGS):
        canvas = Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
        FigureCanvasAgg(canvas)
        below = "\n".join(textwrap.wrap(caption, 122))
        canvas.supxlabel(below, x=0.015, horizontalalignment="left", fontsize=7.5, color="#555555")
        axes = canvas.subplots()
        for style, name in zip(_STYLES, dict.fromkeys(row[line] for row in rows), strict=False):
            own = [row for row in rows if row[line] == name]
            x, y, low, high = ([row[key] for row in own] for key in (at, column, "low", "high"))
            axes.plot(x, y, label=_NAMES.get(name) or f"{line} {name:g}", **style)
            axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axes.set(xlabel=drawn.texts[1], ylabel=drawn.texts[2])
        if _CONTROL in rows[0]:
            axes.axhline(rows[0][_CONTROL], color="#555555", linewidth=1, label="centred x-vectors + AHC, not trained")
        if "share_running" in rows[0]:  # a few long trainings would press the others to the left edge
            axes.set_xlim(right=0.5 + max(row[at] for row in rows if row["share_running"] >= 0.05))
        if drawn.log:
            getattr(axes, f"set_{drawn.log}scale")("log", base=2)
            getattr(axes, f"{drawn.log}axis").set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(f"Figure {figure}: {drawn.texts[0]}")
        axes.legend()
        canvas.savefig(path, format="png", metadata={"Software": None})
