"""Figures 2 to 5 of the paper from our runs: the rows of a table each, and a drawing of those rows.

2: clusters per outer iteration, first labels by AHC and by FINCH. 3: the loss over a whole training, of the same two.
4: DER of Model-2 for numbers of attention heads and their width. 5: DER of both models for thresholds of the stop rule.
Loads Matplotlib when drawing.
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paper.runs import Result, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AHC, _FINCH, _DNN = "conformer_ahc_contrastive", "conformer_finch_ahc_contrastive", "dnn_finch_ahc_contrastive"
_NAMES = {_AHC: "conformer + AHC", _FINCH: "Model-2: conformer + FINCH + AHC", _DNN: "Model-1: DNN + FINCH + AHC"}
HEADS = (1, 2, 4, 8, 16)
KEY_DIMS = (16, 32, 64, 128)
THRESHOLDS = tuple(number / 10 for number in range(1, 11))
FIGURES = ("2", "3", "4", "5")

# Okabe & Ito's colours, told apart with any colour vision; markers and dashes say the same again.
_STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)
_SETTINGS = {
    "font.size": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "grid.color": "#dddddd",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "text.parse_math": False,  # names of sets and models are not mathematics
}

Rows = list[dict[str, Any]]


def figure_runs(figure: str, systems_dir: Path, count: str, seeds: Sequence[int]) -> list[Run]:
    """Return the runs that a figure is drawn from, those of one seed after those of another.

    Args:
        figure: One of :data:`FIGURES`.
        systems_dir: conf/systems.
        count: ``oracle`` or ``estimate``.
        seeds: Seeds of the training.
    """
    if figure in ("2", "3"):
        variants = [(_AHC, ()), (_FINCH, ())]
    elif figure == "4":
        sizes = [(heads, width) for heads in HEADS for width in KEY_DIMS]
        variants = [(_FINCH, (f"encoder.heads={heads}", f"encoder.key_dim={width}")) for heads, width in sizes]
    else:
        variants = [(name, (f"stop.threshold={number}",)) for name in (_DNN, _FINCH) for number in THRESHOLDS]
    return [Run(systems_dir / f"{name}.yaml", count, seed, changes) for seed in seeds for name, changes in variants]


def figure_rows(figure: str, results: Sequence[Result], protocol: str) -> Rows:
    """Return what a figure shows, from the results of its runs; DER in percent by ``protocol``.

    Raises:
        ValueError: Nothing trained in the results of Figure 2 or 3.
    """
    if figure == "2":
        return _cluster_rows(results)
    if figure == "3":
        return _loss_rows(results)
    return _der_rows(results, protocol)


def _cluster_rows(results: Sequence[Result]) -> Rows:
    """Return quartiles of the number of clusters per outer iteration; a recording that has ended keeps its last."""
    chains = {
        name: [
            [history["first_clusters"], *(step["clusters"] for step in history["iterations"])]
            for history in _trained(results, name)
        ]
        for name in _systems(results)
    }
    rows: Rows = []
    for name, (values, running) in _carried_on(chains).items():
        for number, column in enumerate(values.T):
            low, middle, high = np.quantile(column, (0.25, 0.5, 0.75))
            rows.append(
                {
                    "system": name,
                    "outer_iteration": number,
                    "clusters_median": float(middle),
                    "clusters_quartile_1": float(low),
                    "clusters_quartile_3": float(high),
                    "share_iterating": float(running[number]),
                }
            )
    return rows


def _loss_rows(results: Sequence[Result]) -> Rows:
    """Return mean and quartiles of loss / first loss per epoch of the whole training; ended trainings keep their last.

    The loss after an epoch is on the labels that the epoch trained on, so that it may rise where new labels come. A
    first loss that is not positive, of which nothing is a share, gives a flat curve.
    """
    curves = {name: [_curve(history) for history in _trained(results, name)] for name in _systems(results)}
    rows: Rows = []
    for name, (values, running) in _carried_on(curves).items():
        for epoch, column in enumerate(values.T):
            low, high = np.quantile(column, (0.25, 0.75))
            rows.append(
                {
                    "system": name,
                    "epoch": epoch,
                    "loss_mean": float(column.mean()),
                    "loss_quartile_1": float(low),
                    "loss_quartile_3": float(high),
                    "share_training": float(running[epoch]),
                }
            )
    return rows


def _curve(history: dict[str, Any]) -> list[float]:
    losses = history["iterations"][0]["losses"][:1]
    for step in history["iterations"]:
        losses = losses + step["losses"][1:]
    return [loss / losses[0] if losses[0] > 0 else 1.0 for loss in losses]


def _der_rows(results: Sequence[Result], protocol: str) -> Rows:
    """Return mean and standard deviation of the DER over seeds, for every system and its changed options."""
    groups: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for result in results:
        der = result.scores[protocol].total.der
        groups.setdefault((result.run.name, result.run.changes), []).append(np.nan if der is None else 100 * der)
    return [
        {
            "system": name,
            **{option: float(value) for option, value in (change.split("=") for change in changes)},
            "der_mean": statistics.fmean(ders),
            "der_sd": statistics.stdev(ders) if len(ders) > 1 else None,
        }
        for (name, changes), ders in groups.items()
    ]


def _systems(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.run.name for result in results))


def _trained(results: Sequence[Result], name: str) -> list[dict[str, Any]]:
    """Return the histories of a system in which there was training, of all recordings and seeds."""
    histories = [history for result in results if result.run.name == name for history in result.histories.values()]
    found = [history for history in histories if history.get("iterations")]
    if not found:
        raise ValueError(f"no recording of the set trained in {name}")
    return found


def _carried_on(chains: dict[str, list[list[float]]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return per system its chains, last values repeated (chains, longest of all), and the share left at each place."""
    longest = max(len(chain) for own in chains.values() for chain in own)
    result = {}
    for name, own in chains.items():
        values = np.array([[*chain, *[chain[-1]] * (longest - len(chain))] for chain in own], float)
        lengths = np.array([len(chain) for chain in own])
        result[name] = (values, (lengths[:, None] > np.arange(longest)).mean(axis=0))
    return result


def draw(figure: str, rows: Rows, protocol: str, caption: str, path: Path) -> None:
    """Draw the rows of a figure as PNG, with ``caption`` below; the same rows give the same file."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        canvas = Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
        FigureCanvasAgg(canvas)
        lines = textwrap.wrap(caption, 122)
        canvas.get_layout_engine().set(rect=(0, 0.035 * len(lines) + 0.01, 1, 0.98 - 0.035 * len(lines)))
        canvas.text(0.015, 0.015, "\n".join(lines), fontsize=7.5, color="#555555", linespacing=1.4)
        _DRAWINGS[figure](canvas, rows, protocol)
        canvas.savefig(path, format="png", metadata={"Software": None})


def _draw_clusters(canvas: Figure, rows: Rows, _: str) -> None:
    axes = canvas.subplots()
    for style, (name, own) in zip(_STYLES, _grouped(rows, "system").items(), strict=False):
        at = [row["outer_iteration"] for row in own]
        middle = [row["clusters_median"] for row in own]
        axes.plot(at, middle, label=_NAMES[name], **style)
        _band(axes, at, own, "clusters_quartile", style)
        for place, value in zip(at, middle, strict=True):
            axes.annotate(
                f"{value:g}", (place, value), (5, 5), textcoords="offset points", color=style["color"], fontsize=8.5
            )
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks(range(1 + max(row["outer_iteration"] for row in rows)))
    axes.set(xlabel="outer iteration (0: first labels)", ylabel="clusters")
    axes.set_title("Figure 2: clusters per outer iteration")
    axes.legend(title="median over recordings, band: quartiles", alignment="left")


def _draw_losses(canvas: Figure, rows: Rows, _: str) -> None:
    upper, lower = canvas.subplots(2, sharex=True, height_ratios=(3, 1))
    for style, (name, own) in zip(_STYLES, _grouped(rows, "system").items(), strict=False):
        line = {key: value for key, value in style.items() if key != "marker"}
        at = [row["epoch"] for row in own]
        upper.plot(at, [row["loss_mean"] for row in own], label=_NAMES[name], **line)
        _band(upper, at, own, "loss_quartile", style)
        lower.plot(at, [100 * row["share_training"] for row in own], **line)
    # A few long trainings would press the rest to the left edge; the table has them.
    last = max([row["epoch"] for row in rows if row["share_training"] >= 0.05], default=1)
    upper.set(ylabel="loss / first loss", xlim=(0, max(last, 1)), ylim=(0, None))
    lower.set(ylabel="still training, %", xlabel="epoch, counted through all outer iterations", ylim=(0, 105))
    lower.xaxis.get_major_locator().set_params(integer=True)
    upper.set_title("Figure 3: loss over the whole training")
    upper.legend(title="mean over recordings, band: quartiles", alignment="left")


def _draw_heads(canvas: Figure, rows: Rows, protocol: str) -> None:
    axes = canvas.subplots()
    places = {float(heads): place for place, heads in enumerate(HEADS)}
    groups = _grouped(rows, "encoder.key_dim")
    for number, (style, (width, own)) in enumerate(zip(_STYLES, groups.items(), strict=False)):
        shift = 0.06 * (number - (len(groups) - 1) / 2)  # keeps error bars apart
        at = [places[row["encoder.heads"]] + shift for row in own]
        _der_line(axes, at, own, f"key_dim {width:g}", style)
    axes.set_xticks(range(len(HEADS)), [str(heads) for heads in HEADS])
    axes.set(xlabel="attention heads", ylabel=f"DER %, {protocol}")
    axes.set_title("Figure 4: Model-2, attention heads and their width")
    axes.legend(ncols=len(groups), loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _draw_thresholds(canvas: Figure, rows: Rows, protocol: str) -> None:
    axes = canvas.subplots()
    for style, (name, own) in zip(_STYLES, _grouped(rows, "system").items(), strict=False):
        _der_line(axes, [row["stop.threshold"] for row in own], own, _NAMES[name], style)
    axes.set_xticks(THRESHOLDS)
    axes.set(xlabel="threshold of the loss ratio (the paper's choice: 0.5)", ylabel=f"DER %, {protocol}")
    axes.set_title("Figure 5: DER by threshold")
    axes.legend()


_DRAWINGS: dict[str, Callable[[Figure, Rows, str], None]] = {
    "2": _draw_clusters,
    "3": _draw_losses,
    "4": _draw_heads,
    "5": _draw_thresholds,
}


def _grouped(rows: Rows, key: str) -> dict[Any, Rows]:
    groups: dict[Any, Rows] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def _band(axes: Axes, at: Sequence[float], rows: Rows, name: str, style: dict[str, str]) -> None:
    low, high = ([row[f"{name}_{number}"] for row in rows] for number in (1, 3))
    axes.fill_between(at, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _der_line(axes: Axes, at: Sequence[float], rows: Rows, label: str, style: dict[str, str]) -> None:
    deviations = [row["der_sd"] for row in rows]
    bars = None if None in deviations else deviations
    axes.errorbar(at, [row["der_mean"] for row in rows], bars, label=label, capsize=2.5, elinewidth=1, **style)
