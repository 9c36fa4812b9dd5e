"""The report page: one HTML file that holds its style, script and data; it makes no network requests.

With a reference it opens with the scores, without one with who spoke when. Jinja writes the text and the tables.
``templates/*.js`` draws timelines and takes corrections when a recording is opened, since these move with the player.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssdiar.report.recordings import History, ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.report.table import score_tables
from ssdiar.report.timelines import COLOURS, DOUBTFUL, KINDS, UNSURE, lanes_of
from ssdiar.results.tables import clock, plural
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, percent

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_SCRIPTS = ("base", "files", "scores", "overview", "timeline", "corrections", "page")  # each uses those before it


@dataclass(frozen=True)
class Media:
    """A recording's sound for the page: ``url`` for the player, ``peaks`` for the waveform (bytes in base64)."""

    url: str
    peaks: str


def render(
    title: str,
    systems: Sequence[ReportSystem],
    recordings: Sequence[ReportRecording],
    media: Mapping[str, Media],
    origins: Mapping[str, Mapping[str, str]] | None = None,
    left_out: Sequence[Mapping[str, str]] = (),
) -> str:
    """Return the page as HTML.

    Args:
        title: Name of the set.
        systems: In the order of the table.
        recordings: In any order; they are shown worst first, without scores by name.
        media: By recording; a recording without is shown without a player.
        origins: Rows of recordings.tsv by recording.
        left_out: Rows of left_out.tsv: files that could not be used.
    """
    views = [
        _view(number, system, score, recordings)
        for number, system in enumerate(systems)
        for score in system.current_scores
    ]
    protocols = [score.protocol for system in systems for score in system.current_scores] or [PROTOCOLS["full"]]
    first = _first_view(views)
    sections = [_section(reco, systems, views, media.get(reco.id)) for reco in _in_order(recordings, first["order"])]
    script = _script()
    return _template().render(
        title=title,
        facts=_facts(systems, recordings),
        summary=_summary(systems),
        views=views,
        first=first,
        systems=[system.name for system in systems],
        protocols={view["protocol"]: view["terms"] for view in views},
        sections=sections,
        has_sure=any(system.count_sure for system in systems)
        or any(turn.confidence is not None for reco in recordings for own in reco.turns.values() for turn in own),
        origins=origins or {},
        left_out=left_out,
        data={
            "title": title,
            "unsure": UNSURE,
            "doubtful": DOUBTFUL,
            "protocols": {protocol.name: [protocol.collar, protocol.ignore_overlap] for protocol in protocols},
            "first": {"system": first["system"], "protocol": first["protocol"]},
            "orders": {view["key"]: view["order"] for view in views},
            "recordings": {section["id"]: section.pop("data") for section in sections},
        },
        kinds=KINDS,
        colours=COLOURS,
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _template() -> jinja2.Template:
    import jinja2

    loader = jinja2.FileSystemLoader(_TEMPLATES)
    strict = jinja2.StrictUndefined
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clock"] = clock
    return environment.get_template("page.html.jinja")


def _script() -> str:
    """Return the scripts as one, so that they share names with each other and with nothing else."""
    parts = ((_TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def _facts(systems: Sequence[ReportSystem], recordings: Sequence[ReportRecording]) -> list[str]:
    length = clock(sum(reco.seconds for reco in recordings))
    facts = [f"{plural(len(recordings), 'recording')}, {length}", plural(len(systems), "system")]
    kinds: dict[str | None, list[str]] = {}
    for system in systems:
        kinds.setdefault(system.turn_kind, []).append(system.name)
    names = {kind: f" ({', '.join(own)})" if len(kinds) > 1 else "" for kind, own in kinds.items() if kind}
    facts += [f"{kind} turns{own}" for kind, own in names.items()]
    without = sum(reco.reference is None for reco in recordings)
    if without == len(recordings):
        facts.append("no reference")
    elif without:
        facts.append(f"{plural(without, 'recording')} without reference")
    return facts


def _summary(systems: Sequence[ReportSystem]) -> dict[str, Any]:
    """Return the score tables as one table: a row per system, the protocols side by side."""
    tables = score_tables(systems)
    rows = [
        {
            "words": rows[0][:4],
            "parts": [row[4:8] for row in rows],
            "jer": next((row[8] for row in rows if row[8] != "-"), "-"),  # the same under every protocol
        }
        for rows in zip(*(table.rows for table in tables), strict=True)
    ]
    return {"terms": [table.title for table in tables], "rows": rows}


def _view(number: int, system: ReportSystem, score: Score, recordings: Sequence[ReportRecording]) -> dict[str, Any]:
    """Return one system's scores under one protocol, per recording, with bars in percent of the longest one."""
    lengths = {reco.id: reco.seconds for reco in recordings}
    scored = [(reco, score.recordings[reco]) for reco in score.worst_first]
    longest = max((rates.der or 0.0 for _, rates in scored), default=0.0) or 1.0
    rows = {}
    for reco, rates in scored:
        fractions = {kind: rates.fraction(kind) for kind in KINDS}
        rows[reco] = {
            "seconds": lengths.get(reco, 0.0),
            "num_spk": score.num_spk[reco],
            "parts": [percent(fraction) for fraction in fractions.values()],
            "bars": {kind: round(100 * (fraction or 0.0) / longest, 1) for kind, fraction in fractions.items()},
            "der": percent(rates.der),
            "jer": percent(rates.jer),
        }
    return {
        "key": f"{number} {score.protocol.name}",
        "system": number,
        "protocol": score.protocol.name,
        "terms": score.protocol.describe(),
        "title": f"DER per recording, {system.name}, {score.protocol.name}",
        "rows": rows,
        "order": list(rows),
        "der": score.total.der,
    }


def _first_view(views: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the view that the page opens with: the first protocol's best system."""
    if not views:
        return {"key": "", "system": 0, "protocol": "", "order": []}
    same = [view for view in views if view["protocol"] == views[0]["protocol"] and view["der"] is not None]
    return min(same, key=lambda view: view["der"], default=views[0])


def _in_order(recordings: Sequence[ReportRecording], order: Sequence[str]) -> list[ReportRecording]:
    """Return the recordings in that order, then the others by name."""
    places = {reco: place for place, reco in enumerate(order)}
    return sorted(recordings, key=lambda reco: (places.get(reco.id, len(places)), reco.id))


def _section(
    reco: ReportRecording,
    systems: Sequence[ReportSystem],
    views: Sequence[dict[str, Any]],
    media: Media | None,
) -> dict[str, Any]:
    """Return everything about one recording; ``data`` is for the scripts."""
    content = {
        "seconds": round(reco.seconds, 3),
        "lanes": lanes_of(reco, systems),
        "regions": [[round(start, 3), round(end, 3)] for start, end in reco.regions],
        "peaks": media.peaks if media else "",
    }
    ders: dict[str, list[tuple[str, str]]] = {}  # (system, DER) by protocol
    for view in views:
        row = view["rows"].get(reco.id)
        if row and row["der"] != "-":
            ders.setdefault(view["protocol"], []).append((systems[view["system"]].name, row["der"]))
    return {
        "id": reco.id,
        "seconds": reco.seconds,
        "audio": media.url if media else None,
        "audio_missing": reco.audio is None,
        "has_reference": reco.reference is not None,
        "ders": ders,
        "clustering": [_clustering(name, history) for name, history in reco.histories.items()],
        "data": content,
    }


def _clustering(name: str, history: History) -> dict[str, Any]:
    """Return a row of the table of how clustering went; an unknown value is "-"."""
    remarks = [history.fallback or history.stop_reason, *(f"FINCH first for {step}" for step in history.finch_first)]
    if history.background is not None:
        remarks.append(f"background: {history.background}")
    clusters = [history.first_clusters, *(step.clusters for step in history.iterations)]
    return {
        "name": name,
        "sub_segments": "-" if history.sub_segments is None else history.sub_segments,
        "clusters": " → ".join(str(count) for count in clusters if count is not None) or "-",
        "speakers": _speakers(history),
        "epochs": sum(step.epochs for step in history.iterations) or "-",
        "seconds": "-" if history.seconds is None else f"{history.seconds:.1f}",
        "remarks": "; ".join(remarks),
    }


def _speakers(history: History) -> str:
    """Return the number of speakers, and if it was estimated, the probability of each likely number."""
    number, probabilities = history.num_spk, history.num_spk_probabilities
    if number is None or not probabilities:
        return "-" if number is None else str(number)
    others = sorted((-chance, other) for other, chance in probabilities.items() if other != number and chance >= 0.005)
    likely = [(number, probabilities.get(number, 0.0)), *((other, -chance) for chance, other in others)]
    return ", ".join(f"{count} ({chance:.0%})" for count, chance in likely)
