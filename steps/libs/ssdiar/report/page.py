"""The report page: one HTML file with its style, script, data and charts inside; it makes no network requests.

With a reference it leads with the scores, without one with who spoke when. Matplotlib draws the charts here
(:mod:`ssdiar.report.charts`), and Jinja writes the text. Timelines and corrections are made by ``templates/*.js``
when a recording is opened, because they move with the audio player.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssdiar.report import charts
from ssdiar.report.marks import KINDS, by_speaker
from ssdiar.report.recordings import Shown, Vectors
from ssdiar.report.systems import System
from ssdiar.report.table import table_parts
from ssdiar.report.timelines import UNSURE, current_scores, lanes_of, talk_of, unsure_of
from ssdiar.results import clock
from ssdiar.scoring.der import Protocol
from ssdiar.scoring.score_file import Score, percent
from ssdiar.timeline.spans import Segment

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_SCRIPTS = ("base", "overview", "timeline", "corrections", "page")  # each uses those before it
_MOST_BARS = 40  # of one chart; the table beside it has all recordings


@dataclass(frozen=True)
class Media:
    """Where a page finds a recording's sound: ``url`` for the player, ``peaks`` for the waveform (bytes in base64)."""

    url: str
    peaks: str


def render(
    title: str,
    systems: Sequence[System],
    recordings: Sequence[Shown],
    media: Mapping[str, Media],
    vectors: Callable[[str], Sequence[Vectors]],
    most_pictures: int = 60,
    origins: Mapping[str, Mapping[str, str]] | None = None,
    left_out: Sequence[Mapping[str, str]] = (),
) -> str:
    """Return the page as HTML.

    Args:
        title: Name of the set.
        systems: In the order of the table.
        recordings: In any order; they are shown worst first, without scores by name.
        media: By recording; a recording that is not in it is shown without a player.
        vectors: Gives the vectors of a recording; called for those that get pictures of them.
        most_pictures: About how many pictures of vectors the worst recordings get; more make the page heavy.
        origins: Row of recordings.tsv by recording, where there is one.
        left_out: Rows of left_out.tsv: files that could not be used.
    """
    import jinja2

    views = [
        _view(number, system, score, recordings)
        for number, system in enumerate(systems)
        for score in current_scores(system)
    ]
    first = _first_view(views)
    best = systems[int(first["key"].split()[0]) if first else 0]
    lines = {system.name: number for number, system in enumerate(systems)}
    shown = {reco.id: reco for reco in recordings}
    sections, left = [], most_pictures
    for reco in _worst_first(first, recordings):
        found = vectors(reco) if left > 0 else ()
        left -= len(found)
        section = _section(shown[reco], systems, lines, media.get(reco), found)
        section["who"] = next((lane["speakers"] for lane in section["talk"] if lane["name"] == best.name), [])
        section["count_sure"] = best.sure.get(reco)
        sections.append(section)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    script = _script()
    return environment.get_template("page.html.jinja").render(
        title=title,
        facts=_facts(systems, recordings),
        summary=_summary(systems),
        views=views,
        first=first["key"] if first else "",
        systems=[system.name for system in systems],
        protocols=_protocols(systems),
        sections=sections,
        has_sure=any(section["unsure"] or section["count_sure"] is not None for section in sections),
        origins=origins or {},
        left_out=left_out,
        pictures_left_out=left <= 0 and bool(sections) and not sections[-1]["pictures"],
        data={
            "title": title,
            "unsure": UNSURE,
            "first": first["key"] if first else "",
            "orders": {view["key"]: view["order"] for view in views},
            "recordings": {section["id"]: section.pop("data") for section in sections},
        },
        kinds=KINDS,
        speaker_colours=charts.SPEAKER_COLOURS,
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _script() -> str:
    """Return the scripts as one, so that they share names with each other and with nothing else."""
    parts = ((_TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


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


def _protocols(systems: Sequence[System]) -> list[Protocol]:
    protocols = [score.protocol for system in systems for score in current_scores(system)]
    return list({protocol.name: protocol for protocol in protocols}.values())


def _summary(systems: Sequence[System]) -> dict[str, Any]:
    """Return the table of :mod:`ssdiar.report.table` turned to one row per system, its parts side by side."""
    parts = table_parts(systems)
    rows = [
        {
            "words": rows[0][:4],
            "parts": [row[4:8] for row in rows],
            "jer": next((row[8] for row in rows if row[8] != "-"), "-"),  # the same under every protocol
        }
        for rows in zip(*(part.rows for part in parts), strict=True)
    ]
    return {"terms": [part.terms for part in parts], "rows": rows}


def _view(number: int, system: System, score: Score, recordings: Sequence[Shown]) -> dict[str, Any]:
    """Return one system's scores under one protocol, per recording."""
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
            "jer": percent(rates.jer),
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
    scores = [score for score in current_scores(system) if score.protocol.name == protocol.name]
    return percent(scores[0].recordings[reco].der) if scores and reco in scores[0].recordings else "-"


def _first_view(views: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what the page opens with: the first protocol, and its best system."""
    protocol = views[0]["key"].split()[1] if views else None
    same = [view for view in views if view["key"].split()[1] == protocol and view["der"] is not None]
    return min(same, key=lambda view: view["der"], default=views[0] if views else None)


def _worst_first(view: Mapping[str, Any] | None, recordings: Sequence[Shown]) -> list[str]:
    """Return the recordings in that view's order, then by name those that it lacks."""
    known = {reco.id for reco in recordings}
    first = [reco for reco in (view["order"] if view else []) if reco in known]
    return first + sorted(known - set(first))


def _section(
    reco: Shown, systems: Sequence[System], lines: Mapping[str, int], media: Media | None, vectors: Sequence[Vectors]
) -> dict[str, Any]:
    """Return everything about one recording; the timeline is made from its key ``data``."""
    lanes = lanes_of(reco, systems)
    trained = {name: history for name, history in reco.histories.items() if history["iterations"]}
    return {
        "id": reco.id,
        "seconds": reco.seconds,
        "audio": media.url if media else None,
        "audio_missing": reco.audio is None,
        "has_reference": reco.reference is not None,
        "der": {protocol.name: [_der(s, protocol, reco.id) for s in systems] for protocol in _protocols(systems)},
        "talk": talk_of(lanes),
        "words": " ".join([reco.id, *(row["name"] for lane in lanes for row in lane["rows"])]).lower(),
        "unsure": unsure_of(reco, systems),
        "clustering": [_clustering(name, history) for name, history in reco.histories.items()],
        "counts": _counts(reco, lines),
        "lines": [(name, lines[name] % 6) for name in trained],
        "charts": [
            charts.clusters_chart(trained, lines, f"Clusters per outer iteration, {reco.id}"),
            charts.loss_chart(trained, lines, f"Loss per epoch, {reco.id}"),
        ]
        if trained
        else [],
        "pictures": [_picture(reco, one) for one in vectors],
        "data": {"seconds": round(reco.seconds, 3), "lanes": lanes, "peaks": media.peaks if media else ""},
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


def _picture(reco: Shown, vectors: Vectors) -> dict[str, Any]:
    if reco.reference is not None:
        speakers, by = _speakers_of(vectors.pieces, reco), "reference speaker"
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


def _speakers_of(pieces: Sequence[Segment], reco: Shown) -> list[int | None]:
    """Return the number of the reference speaker who talks most in each piece; None where nobody does."""
    spans = np.array([(piece.start, piece.end) for piece in pieces])[:, None]
    speakers = by_speaker(reco.reference or [])
    talk = np.zeros((len(pieces), 1 + len(speakers)))
    for number, regions in enumerate(speakers.values(), 1):
        common = np.minimum(spans[..., 1], regions[:, 1]) - np.maximum(spans[..., 0], regions[:, 0])
        talk[:, number] = np.maximum(common, 0).sum(axis=1)
    return [None if best == 0 else int(best) - 1 for best in talk.argmax(axis=1)]
