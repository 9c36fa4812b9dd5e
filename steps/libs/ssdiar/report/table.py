"""The tables of the report.

With a reference there is a table per protocol with a row per system; without one, a table per system with a row per
recording, the least certain first.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssdiar.report.recordings import ReportRecording
from ssdiar.report.systems import ReportSystem
from ssdiar.results import recording_entry
from ssdiar.results.tables import SCORES, Table, clock, plural, talk_table
from ssdiar.scoring.der import PROTOCOLS
from ssdiar.scoring.score_file import Score, percent


def report_tables(systems: Sequence[ReportSystem], recordings: Sequence[ReportRecording]) -> list[Table]:
    """Return the tables of an experiment set: scores if there are any, else who spoke for how long."""
    if any(system.scores for system in systems):
        return score_tables(systems)
    tables = []
    for system in systems:
        entries = [
            recording_entry(
                reco.id,
                reco.turns[system.name],
                duration=reco.seconds,
                probability=system.count_sure.get(reco.id),
            )
            for reco in recordings
        ]
        number, length = plural(len(recordings), "recording"), clock(sum(reco.seconds for reco in recordings))
        speech, speakers, model = _origin(system)[1:]
        title = f"{system.name}: {number}, {length}; speech: {speech}; speakers: {speakers}; x-vectors: {model}"
        title += f"; turns: {system.turn_kind}" if system.turn_kind else ""
        tables.append(talk_table(entries, title, system.folder / "result.json"))
    return tables


def score_tables(systems: Sequence[ReportSystem]) -> list[Table]:
    """Return a table for each set of terms (protocol, UEM, scorer), since scores compare only under the same terms.

    Every table has a row for every system; the row of a system without such a score gives the reason.
    """
    terms = sorted({_terms(score) for system in systems for score in system.scores.values()})
    titles = [text for _, text in terms] or ["no reference, so no score"]
    return [Table(text, SCORES, [(*_origin(system), *_cells(system, text)) for system in systems]) for text in titles]


def _terms(score: Score) -> tuple[tuple[int, str, bool], str]:
    """Return a sort key and the title of the table that a score belongs to."""
    known, name = list(PROTOCOLS), score.protocol.name
    uem = "UEM" if score.uem is not None else "no UEM (false alarms outside the reference not counted)"
    text = f"{score.protocol.describe()}; {uem}; scorer {score.scorer}"
    return (known.index(name) if name in known else len(known), name, score.uem is None), text


def _origin(system: ReportSystem) -> tuple[str, ...]:
    keys = ("speech_source", "num_spk_source", "xvector_model")
    return (system.name, *(system.origin.get(key, "not recorded") for key in keys))


def _cells(system: ReportSystem, terms: str) -> list[str]:
    """Return the figures of a row: miss, false alarm, confusion, DER (or the reason why there is none) and JER."""
    reason = "not scored" if system.scores else "no reference"
    for score in system.scores.values():
        if _terms(score)[1] == terms:
            if score.protocol.name not in system.outdated:
                parts = [percent(score.total.fraction(part)) for part in ("miss", "false_alarm", "confusion")]
                return [*parts, percent(score.total.der), percent(score.total.jer)]
            reason = "out of date"
    return ["-", "-", "-", reason, "-"]
