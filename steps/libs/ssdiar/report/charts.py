"""Charts of the report page, drawn by Matplotlib: SVG to be inlined in HTML, and WebP pictures of vectors.

An SVG names its colours as the page's CSS variables and leaves the typeface to the page, so that it follows the page
into dark mode. One unit of an SVG is one pixel. A picture has no text and no background, for the same reason. The same
input gives the same bytes. Loads Matplotlib on first use.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdiar.clustering.vectors import length_normalise, principal_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ssdiar.scoring.score_file import Rates

# Colours that stand for CSS variables of the page; Matplotlib wants real ones while it draws.
_INK, _MUTED, _GRID = "#010203", "#010204", "#010205"
_ERRORS = {"miss": "#010206", "false_alarm": "#010207", "confusion": "#010208"}
_LINES = [f"#01021{number}" for number in range(6)]
_VARIABLES = {
    _INK: "ink",
    _MUTED: "muted",
    _GRID: "line",
    **{colour: kind.replace("_", "-") for kind, colour in _ERRORS.items()},
    **{colour: f"system-{number}" for number, colour in enumerate(_LINES)},
}
_DASHES = ("-", "--", ":", "-.")
_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a system may be called $x$
    "font.size": 11,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "figure.dpi": 72,
}

#: Speaker colours, for pictures and as CSS variables of the page; the colour-blind can tell them apart (CIE76 >= 14).
SPEAKER_COLOURS = ("#3273b8", "#e3a02a", "#1f9a7a", "#8a5a44", "#55b4df", "#b5679b")
NO_SPEAKER_COLOUR = "#8d949e"
_PIXELS = 360  # side of each half of a picture; the page shows it at half that size, sharp on dense screens
_MOST_VECTORS = 4 * _PIXELS  # in a picture; their matrix grows with the square of their number


def der_chart(rows: Sequence[tuple[str, Rates]], links: Mapping[str, str], title: str) -> str:
    """Return stacked bars of miss, false alarm and confusion in percent per recording, the first row on top, as SVG.

    Args:
        rows: Recordings with their rates; parts that are not known are not drawn.
        links: Where a click on a recording's name leads.
        title: What the chart shows, for those who hear the page.
    """
    with _style(title):
        margin = 16 + 7 * max((len(reco) for reco, _ in rows), default=0)
        figure = _figure(320 + margin, 40 + 20 * len(rows))
        axes = _axes(figure, margin, 8, 2, 38)
        left = np.zeros(len(rows))
        for kind, colour in _ERRORS.items():
            widths = np.array([100 * (rates.fraction(kind) or 0.0) for _, rates in rows])
            axes.barh(range(len(rows)), widths, left=left, height=0.68, color=colour)
            left += widths
        for place, (_, rates) in enumerate(rows):
            text = "-" if rates.der is None else f"{100 * rates.der:.1f}"
            axes.annotate(text, (left[place], place), (4, 0), textcoords="offset points", va="center", color=_INK)
        axes.set_yticks(range(len(rows)), [reco for reco, _ in rows])
        for label, (reco, _) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_url(links[reco])
            label.set_color(_INK)
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, max(1.0, 1.12 * left.max(initial=0))), xlabel="DER %")
        axes.grid(False, axis="y")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        return _svg(figure, title)


def clusters_chart(histories: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int], title: str) -> str:
    """Return the number of clusters per outer iteration (the paper's Figure 2) of one recording, a line per system.

    Args:
        histories: ``history/RECO.json`` by system; those that trained (have iterations) are drawn.
        lines: Number of each system's line, which gives its colour and dashes, the same in all charts.
        title: What the chart shows, for those who hear the page.
    """
    with _style(title):
        figure = _figure(360, 210)
        axes = _axes(figure, 46, 10, 10, 40)
        for name, history in histories.items():
            counts = [history.get("first_clusters", np.nan), *(step["clusters"] for step in history["iterations"])]
            axes.plot(counts, marker="o", markersize=4, **_line(lines[name]))
            if len(histories) == 1:
                for place, count in enumerate(counts):
                    axes.annotate(f"{count:g}", (place, count), (4, 4), textcoords="offset points", color=_INK)
        _whole_numbers(axes, "outer iteration", "clusters")
        axes.set_ylim(bottom=0)
        return _svg(figure, title)


def loss_chart(histories: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int], title: str) -> str:
    """Return the loss per epoch (the paper's Figure 3) of one recording; each outer iteration is a line of its own.

    Arguments as for :func:`clusters_chart`.
    """
    with _style(title):
        figure = _figure(360, 210)
        axes = _axes(figure, 46, 10, 10, 40)
        for name, history in histories.items():
            first = 0
            for step in history["iterations"]:
                epochs = range(first, first + len(step["losses"]))
                axes.plot(epochs, step["losses"], marker="o", markersize=2.5, **_line(lines[name]))
                first += len(step["losses"]) - 1
        _whole_numbers(axes, "epoch", "loss")
        axes.yaxis.get_major_locator().set_params(integer=False)
        axes.set_ylim(bottom=0)
        return _svg(figure, title)


def count_chart(histories: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int], title: str) -> str:
    """Return the probability of each number of speakers of one recording; the number taken has a ring.

    Arguments as for :func:`clusters_chart`; every history has ``num_spk_probabilities``.
    """
    from matplotlib.ticker import MaxNLocator

    with _style(title):
        figure = _figure(360, 210)
        axes = _axes(figure, 46, 10, 10, 40)
        for name, history in histories.items():
            chances, number = history["num_spk_probabilities"], history["num_spk"]
            line = _line(lines[name])
            axes.plot(list(chances), list(chances.values()), marker="o", markersize=4, **line)
            if number in chances:
                axes.plot([number], [chances[number]], marker="o", markersize=11, fillstyle="none", **line)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set(xlabel="speakers", ylabel="probability", ylim=(0, 1.05))
        axes.margins(x=0.1)
        axes.grid(False, axis="x")
        axes.tick_params(length=0)
        return _svg(figure, title)


def cosine_range(vectors: np.ndarray) -> tuple[float, float]:
    """Return the two tenths between which nearly all cosines of different vectors lie.

    Unprepared x-vectors are all alike: in a picture from -1 to 1 nothing would be seen.

    Args:
        vectors: (S, d), S at least 2.
    """
    unit = length_normalise(vectors[_taken(len(vectors))])
    cosines = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    low, high = np.percentile(cosines, (1, 99))
    return max(-1.0, np.floor(10 * low) / 10), min(1.0, np.floor(10 * high) / 10 + 0.1)


def vectors_picture(
    vectors: np.ndarray, speakers: Sequence[int | None], cosines: tuple[float, float] = (-1.0, 1.0)
) -> bytes:
    """Return a WebP picture of vectors: left in two dimensions (PCA), right their cosine matrix in order of time.

    Dots, and the strip along the matrix, have the colour of their speaker. Many vectors are thinned out evenly to as
    many as can be told apart.

    Args:
        vectors: (S, d) in order of time, S at least 2.
        speakers: (S,) index into :data:`SPEAKER_COLOURS` (which repeats); None: nobody known.
        cosines: Those that get the darkest and the brightest colour of the matrix.
    """
    import matplotlib
    from PIL import Image

    taken = _taken(len(vectors))
    vectors, speakers = vectors[taken], [speakers[index] for index in taken]
    colours = [NO_SPEAKER_COLOUR if n is None else SPEAKER_COLOURS[n % len(SPEAKER_COLOURS)] for n in speakers]
    rgba = matplotlib.colors.to_rgba_array(colours)
    figure = _figure(2 * _PIXELS, _PIXELS)
    left = _axes(figure, 1, _PIXELS + 24, 1, 1)
    points = (vectors - vectors.mean(axis=0)) @ principal_axes(vectors, min(2, vectors.shape[1]))
    left.scatter(points[:, 0], points[:, -1], s=26, c=rgba, alpha=0.75, linewidths=0)
    left.set_axis_off()
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba()))
    unit, (low, high) = length_normalise(vectors), cosines
    shades = matplotlib.colormaps["cividis"]((unit @ unit.T - low) / (high - low), bytes=True)
    strip = Image.fromarray(np.round(255 * rgba[None]).astype(np.uint8))
    side = _PIXELS - 16
    picture.paste(Image.fromarray(shades).resize((side, side), Image.Resampling.BOX), (_PIXELS + 16, 16))
    picture.paste(strip.resize((side, 10), Image.Resampling.NEAREST), (_PIXELS + 16, 0))
    picture.paste(strip.rotate(-90, expand=True).resize((10, side), Image.Resampling.NEAREST), (_PIXELS, 16))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=50, method=4)
    return stream.getvalue()


def _taken(size: int) -> np.ndarray:
    """Return the indices of the vectors that a picture shows."""
    return np.unique(np.linspace(0, size - 1, min(size, _MOST_VECTORS)).round().astype(int))


def _style(title: str) -> AbstractContextManager[None]:
    """Return Matplotlib with the page's settings, for a ``with``; ``title`` keeps the ids of one SVG its own."""
    import matplotlib

    return matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": title})


def _figure(width: int, height: int) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, left: int, right: int, top: int, bottom: int) -> Axes:
    """Return axes with these margins in pixels; asking Matplotlib for a layout takes longer than drawing."""
    width, height = 72 * figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height), facecolor="none"
    )


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an ``<svg>`` element for those who see it, with a name for those who do not."""
    stream = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    text = stream.getvalue()
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    role = "group" if "href=" in text else "img"  # a picture has no links
    size = f'viewBox="0 0 {width} {height}" style="max-width:{width}px"'
    head = f'<svg {size} role="{role}" aria-label="{escape(title)}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text[text.index("<svg") :], count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text).replace("xlink:href", "href")
    text = re.sub(r"\n\s*", "\n", text)
    return re.sub("#0102[0-9a-f]{2}", lambda match: f"var(--{_VARIABLES[match[0]]})", text)


def _line(number: int) -> dict[str, Any]:
    return {
        "color": _LINES[number % len(_LINES)],
        "linestyle": _DASHES[number // len(_LINES) % len(_DASHES)],
        "linewidth": 1.6,
    }


def _whole_numbers(axes: Axes, horizontal: str, vertical: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel=horizontal, ylabel=vertical)
    axes.grid(False, axis="x")
    axes.tick_params(length=0)
