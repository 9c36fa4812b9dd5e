"""The report page: one HTML file with its style, script, data and charts inside, that asks nothing of a network.

What Matplotlib can draw is drawn here (:mod:`ssdiar.report.charts`), the text is Jinja's; the timelines are elements
that ``templates/page.js`` makes of the data when a recording is opened, because they move with the audio player.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssdiar.io.tables import Segment
from ssdiar.regions import Regions
from ssdiar.report import charts
from ssdiar.report.marks import KINDS, by_speaker, error_marks
from ssdiar.report.recordings import Shown, Vectors
from ssdiar.report.systems import System
from ssdiar.report.table import table_parts
from ssdiar.scoring.der import PROTOCOLS, Cells, Protocol, cut_cells
from ssdiar.scoring.score_file import Score, percent

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_MOST_BARS = 40  # of one chart; the table beside it has all recordings


def render(
    title: str,
    systems: Sequence[System],
    recordings: Sequence[Shown],
    audio: Mapping[str, str],
    vectors: Callable[[str], Sequence[Vectors]],
    most_pictures: int = 60,
) -> str:
    """Return the page.

    Args:
        title: Name of the set.
        systems: In the order of the table.
        recordings: In any order; they are shown worst first.
        audio: URL by recording; a recording that is not in it is shown without a player.
        vectors: Gives the vectors of a recording; called for those that get pictures of them.
        most_pictures: About so many pictures of vectors, of the worst recordings, to keep the page light.
    """
    import jinja2

    views = [
        _view(number, system, score, recordings) for number, system in enumerate(systems) for score in _scores(system)
    ]
    first = _first_view(views)
    order = _worst_first(first, recordings)
    lines = {system.name: number for number, system in enumerate(systems)}
    shown = {reco.id: reco for reco in recordings}
    sections, left = [], most_pictures
    for reco in order:
        found = vectors(reco) if left > 0 else ()
        left -= len(found)
        sections.append(_section(shown[reco], systems, lines, audio.get(reco), found))
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    return environment.get_template("page.html.jinja").render(
        title=title,
        facts=_facts(systems, recordings),
        summary=_summary(systems),
        views=views,
        first=first["key"] if first else "",
        systems=[system.name for system in systems],
        protocols=_protocols(systems),
        sections=sections,
        pictures_left_out=left <= 0 and bool(sections) and not sections[-1]["pictures"],
        data={section["id"]: section.pop("data") for section in sections},
        orders={view["key"]: view["order"] for view in views},
        kinds=KINDS,
        speaker_colours=charts.SPEAKER_COLOURS,
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def clock(seconds: float) -> str:
    """Return a time or length as m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _facts(systems: Sequence[System], recordings: Sequence[Shown]) -> list[str]:
    length = sum(reco.seconds for reco in recordings)
    without = sum(reco.reference is None for reco in recordings)
    facts = [f"{_plural(len(recordings), 'recording')}, {clock(length)}", _plural(len(systems), "system")]
    if without:
        facts.append(
            "no reference" if without == len(recordings) else f"{_plural(without, 'recording')} without reference"
        )
    return facts


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _scores(system: System) -> list[Score]:
    """Return the scores that are of the RTTM as it is, protocols in their usual order."""
    known = [*PROTOCOLS, *sorted(system.scores.keys() - PROTOCOLS.keys())]
    return [system.scores[name] for name in known if name in system.scores and name not in system.outdated]


def _protocols(systems: Sequence[System]) -> list[Protocol]:
    return list({score.protocol.name: score.protocol for system in systems for score in _scores(system)}.values())


def _summary(systems: Sequence[System]) -> dict[str, Any]:
    """Return the table of :mod:`ssdiar.report.table` turned to one row per system, its parts side by side."""
    parts = table_parts(systems)
    rows = [
        {"words": rows[0][:4], "parts": [row[4:] for row in rows]}
        for rows in zip(*(part.rows for part in parts), strict=True)
    ]
    return {"terms": [part.terms for part in parts], "rows": rows}


def _view(number: int, system: System, score: Score, recordings: Sequence[Shown]) -> dict[str, Any]:
    """Return what one system scored under one protocol, per recording."""
    lengths = {reco.id: reco.seconds for reco in recordings}
    order = score.worst_first
    rows = [(reco, score.recordings[reco]) for reco in order]
    title = f"DER per recording, {system.name}, {score.protocol.name}"
    links = {reco: f"#r-{reco}" for reco in order}
    cells = [
        {
            "id": reco,
            "seconds": lengths.get(reco),
            "num_spk": score.num_spk[reco],
            "parts": [percent(rates.fraction(kind)) for kind in KINDS],
            "der": percent(rates.der),
        }
        for reco, rates in rows
    ]
    return {
        "key": f"{number} {score.protocol.name}",
        "title": title,
        "rows": cells,
        "order": order,
        "chart": charts.der_chart(rows[:_MOST_BARS], links, title) if rows else "",
        "left_out": max(0, len(rows) - _MOST_BARS),
        "der": score.total.der,
    }


def _der(system: System, protocol: Protocol, reco: str) -> str:
    scores = [score for score in _scores(system) if score.protocol.name == protocol.name]
    return percent(scores[0].recordings[reco].der) if scores and reco in scores[0].recordings else "-"


def _first_view(views: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what the page opens with: the first protocol, and its best system."""
    protocol = views[0]["key"].split()[1] if views else None
    same = [view for view in views if view["key"].split()[1] == protocol and view["der"] is not None]
    return min(same, key=lambda view: view["der"], default=views[0] if views else None)


def _worst_first(view: Mapping[str, Any] | None, recordings: Sequence[Shown]) -> list[str]:
    """Return the recordings by that view, those that it does not have by name behind them."""
    known = {reco.id for reco in recordings}
    first = [reco for reco in (view["order"] if view else []) if reco in known]
    return first + sorted(known - set(first))


def _section(
    reco: Shown, systems: Sequence[System], lines: Mapping[str, int], audio: str | None, vectors: Sequence[Vectors]
) -> dict[str, Any]:
    """Return everything about one recording; its key ``data`` is what the timeline is made of."""
    lanes, colours = _lanes(reco, systems)
    trained = {name: history for name, history in reco.histories.items() if history["iterations"]}
    return {
        "id": reco.id,
        "seconds": reco.seconds,
        "audio": audio,
        "audio_missing": reco.audio is None,
        "has_reference": reco.reference is not None,
        "der": {protocol.name: [_der(s, protocol, reco.id) for s in systems] for protocol in _protocols(systems)},
        "talk": _talk(lanes, reco),
        "clustering": [_clustering(name, history) for name, history in reco.histories.items()],
        "counts": _counts(reco, lines),
        "lines": [(name, lines[name] % 6) for name in trained],
        "charts": [
            charts.clusters_chart(trained, lines, f"Clusters per outer iteration, {reco.id}"),
            charts.loss_chart(trained, lines, f"Loss per epoch, {reco.id}"),
        ]
        if trained
        else [],
        "pictures": [_picture(reco, one, colours) for one in vectors],
        "data": {"seconds": round(reco.seconds, 3), "lanes": lanes},
    }


def _clustering(name: str, history: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table of how the clustering went; what is not known is "-"."""
    remarks = [history.get("fallback") or history.get("stop_reason", "-")]
    remarks += [f"FINCH first for {what}" for what in history.get("finch_first", [])]
    if "background" in history:
        remarks.append(f"background: {history['background']}")
    return {
        "name": name,
        "pieces": history.get("sub_segments", "-"),
        "speakers": history.get("num_spk", "-"),
        "epochs": sum(step["epochs"] for step in history["iterations"]) or "-",
        "seconds": history.get("seconds", "-"),
        "remarks": "; ".join(remarks),
    }


def _counts(reco: Shown, lines: Mapping[str, int]) -> dict[str, Any]:
    """Return how likely each number of speakers is for systems that say so: a chart, and a sentence each."""
    counted = {name: history for name, history in reco.histories.items() if history.get("num_spk_probabilities")}
    title = f"Number of speakers, {reco.id}"
    return {
        "chart": charts.count_chart(counted, lines, title) if counted else "",
        "words": [(name, lines[name] % 6, _count_in_words(history)) for name, history in counted.items()],
    }


def _count_in_words(history: Mapping[str, Any]) -> str:
    number, probabilities = history["num_spk"], history["num_spk_probabilities"]
    text = f"{_plural(number, 'speaker')}: probability {probabilities.get(number, 0):.0%}"
    others = sorted((chance, other) for other, chance in probabilities.items() if other != number)
    return f"{text}, {_plural(others[-1][1], 'speaker')}: {others[-1][0]:.0%}" if others else text


def _lanes(reco: Shown, systems: Sequence[System]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the timelines of a recording, and the colour of each reference speaker.

    A lane is the reference or a system: rows (a speaker each: name, colour, regions) and errors by protocol and kind.
    System speakers have the colour of the reference speaker that the DER maps them to.
    """
    reference = reco.reference or []
    colours = {name: number for number, name in enumerate(by_speaker(reference))}
    lanes = []
    if reco.reference is not None:
        rows = [_row(name, "", colours[name], regions) for name, regions in by_speaker(reference).items()]
        lanes.append({"name": "Reference", "system": None, "rows": rows, "errors": {}})
    for number, system in enumerate(systems):
        turns = reco.turns[system.name]
        protocols = [score.protocol for score in _scores(system)] or [PROTOCOLS["full"]]
        cells = {protocol.name: cut_cells(reference, turns, reco.regions, protocol) for protocol in protocols}
        matches = next(iter(cells.values())).matches  # the same under every protocol
        free = len(colours)
        rows = []
        for name, regions in by_speaker(turns).items():
            colour = colours.get(matches.get(name, ""), free)
            free += name not in matches
            rows.append(_row(name, matches.get(name, ""), colour, regions))
        rows.sort(key=lambda row: row["colour"])
        errors = {} if reco.reference is None else {name: _marks(own) for name, own in cells.items()}
        lanes.append({"name": system.name, "system": number, "rows": rows, "errors": errors})
    return lanes, colours


def _row(name: str, match: str, colour: int, regions: Regions) -> dict[str, Any]:
    times = [[round(start, 3), round(end, 3)] for start, end in regions]
    return {"name": name, "match": match, "colour": colour % len(charts.SPEAKER_COLOURS), "turns": times}


def _marks(cells: Cells) -> dict[str, list[list[float]]]:
    marks: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for mark in error_marks(cells):
        marks[mark.kind].append([round(mark.start, 3), round(mark.end, 3)])
    return marks


def _talk(lanes: Sequence[Mapping[str, Any]], reco: Shown) -> list[dict[str, Any]]:
    """Return the talk time of every speaker of every lane: seconds, and its share of the recording."""
    return [
        {
            "name": lane["name"],
            "speakers": [
                {**row, "seconds": seconds, "share": seconds / reco.seconds if reco.seconds else 0.0}
                for row in lane["rows"]
                for seconds in [sum(end - start for start, end in row["turns"])]
            ],
        }
        for lane in lanes
    ]


def _picture(reco: Shown, vectors: Vectors, colours: Mapping[str, int]) -> dict[str, Any]:
    if reco.reference is not None:
        speakers, by = _speakers_of(vectors.pieces, reco, colours), "reference speaker"
    else:
        speakers, by = vectors.labels, "speaker found"
    cosines = charts.cosine_range(vectors.values)
    picture = charts.vectors_picture(vectors.values, speakers, cosines)
    return {
        "title": vectors.title,
        "system": vectors.system,
        "by": by,
        "cosines": [f"{cosine:.1f}".replace("-", "\N{MINUS SIGN}") for cosine in cosines],
        "url": "data:image/webp;base64," + base64.b64encode(picture).decode(),
    }


def _speakers_of(pieces: Sequence[Segment], reco: Shown, colours: Mapping[str, int]) -> list[int | None]:
    """Return the number of the reference speaker who talks most in each piece; None where nobody does."""
    spans = np.array([(piece.start, piece.end) for piece in pieces])[:, None]
    talk = np.zeros((len(pieces), 1 + len(colours)))
    for name, regions in by_speaker(reco.reference or []).items():
        common = np.minimum(spans[..., 1], regions[:, 1]) - np.maximum(spans[..., 0], regions[:, 0])
        talk[:, 1 + colours[name]] = np.maximum(common, 0).sum(axis=1)
    return [None if best == 0 else int(best) - 1 for best in talk.argmax(axis=1)]
