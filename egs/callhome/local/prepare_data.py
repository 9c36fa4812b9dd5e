#!/usr/bin/env python3
"""Make a data directory of a CALLHOME corpus; the Python side of prepare_data.sh."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "steps" / "diar"))

import stage
from corpora.corpus import Corpus, select
from corpora.data_dir import (
    CORPORA,
    Findings,
    annotated_seconds,
    check,
    is_made_of,
    origin,
    read_corpus,
    write_data_dir,
)
from ssdiar.errors import InputError
from ssdiar.io.tables import check_id

_LOG = logging.getLogger(__name__)
#: The paper's calls have two speakers each; the calls of SRE 2000 have two to seven, and are scored as one set.
DEFAULT_SUBSETS = {"callhome_english": "two-speaker", "cabank": "two-speaker", "sre2000": "all"}
_SHOWN = 20  # problems in the log; the file left_out has all


def main() -> None:
    """Read the corpus, check it against its audio, write the data directory."""
    options = _parse()
    check_id(options.set, "--set")
    corpus = read_corpus(options.corpus, options.corpus_dir)
    _LOG.info("%s: %s. %s.", options.corpus_dir, corpus.name, corpus.licence)
    selection = select(corpus, options.subset or DEFAULT_SUBSETS[corpus.name])
    out_dir = options.data_root / options.set
    made_of = origin(corpus, selection, options.crop == "uem")
    if is_made_of(out_dir, made_of):
        _LOG.info("%s is there already, made of the same corpus with the same options", out_dir)
        return
    findings = check(selection, lambda reco: _LOG.debug("looked at %s", reco))
    _report(findings)
    if not findings.calls:
        raise InputError("no usable recording (see above)", path=options.corpus_dir)
    write_data_dir(out_dir, corpus, findings, made_of)
    _summarise(out_dir, corpus, findings)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    parser.add_argument("--corpus", choices=("auto", *CORPORA), default="auto")
    parser.add_argument("--subset", default="")
    parser.add_argument("--crop", choices=("none", "uem"), default="none")
    parser.add_argument("--set", required=True)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("corpus_dir", type=Path)
    return parser.parse_args()


def _report(findings: Findings) -> None:
    for number, (reco, reason) in enumerate(findings.left_out.items()):
        if number == _SHOWN:
            _LOG.warning("WARNING: and %d more are left out", len(findings.left_out) - _SHOWN)
            break
        _LOG.warning("WARNING: %s is left out: %s", reco, reason)
    for reco, remarks in findings.remarks.items():
        for remark in remarks:
            _LOG.warning("WARNING: %s: %s", reco, remark)


def _summarise(out_dir: Path, corpus: Corpus, findings: Findings) -> None:
    calls = findings.calls
    counts = sorted(len({turn.speaker for turn in checked.call.turns}) for checked in calls.values())
    by_count = ", ".join(f"{counts.count(count)} with {count} speakers" for count in sorted(set(counts)))
    seconds = sum(checked.info.duration for checked in calls.values())
    _LOG.info(
        "%s: %s, %d recordings (%s), %.2f hours, %.2f of them annotated; %d left out",
        out_dir,
        corpus.name,
        len(calls),
        by_count,
        seconds / 3600,
        annotated_seconds(calls) / 3600,
        len(findings.left_out),
    )


if __name__ == "__main__":
    stage.run(main)
