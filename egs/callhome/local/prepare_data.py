#!/usr/bin/env python3
"""Stage 1: make the data directory <data-root>/<set> of one of the three corpora called CALLHOME (see README.md).

The corpus is read in place. Recordings that are missing, unreadable or inconsistent are left out and named in the log
and in left_out. A rerun with the same corpus and options changes nothing.
e.g.: prepare_data.sh --corpus-dir ~/LDC --subset two-speaker
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "steps" / "diar"))

import stage

from corpora.corpus import Corpus, select
from corpora.data_dir import READERS, DataDir, check, read_corpus
from ssdiar.base.errors import InputError
from ssdiar.io.tables import check_id

_LOG = logging.getLogger(__name__)
#: The paper's calls have two speakers; the calls of SRE 2000 have two to seven, and are scored as one set.
DEFAULT_SUBSETS = {"callhome_english": "two-speaker", "cabank": "two-speaker", "sre2000": "all"}
_SHOWN = 20  # number of recordings left out in the log; the file left_out has all


def main() -> None:
    """Read the corpus, check it against its audio, write the data directory."""
    options = _parse()
    check_id(options.set, "--set")
    folder = options.corpus_dir.expanduser()
    corpus = read_corpus(options.corpus, folder)
    _LOG.info("%s: %s. %s.", folder, corpus.name, corpus.licence)
    corpus, limit = select(corpus, options.subset or DEFAULT_SUBSETS[corpus.name])
    out_dir = options.data_root / options.set
    data_dir = DataDir(out_dir, corpus, limit, options.crop == "uem")
    if data_dir.is_current():
        _LOG.info("%s is up to date with this corpus and these options", out_dir)
        return
    checked = check(corpus, limit)
    _report(checked)
    if not checked.calls:
        raise InputError("no usable recording (see above)", path=folder)
    data_dir.write(checked)
    counts = sorted(Counter(len(call.speakers) for call in checked.calls.values()).items())
    by_count = ", ".join(f"{number} with {count} speakers" for count, number in counts)
    hours = sum(call.duration for call in checked.calls.values()) / 3600
    annotated = sum(end - start for start, end in (call.extent for call in checked.calls.values())) / 3600
    text = "%s: %s, %d recordings (%s), %.2f hours, %.2f of them annotated; %d left out"
    _LOG.info(text, out_dir, corpus.name, len(checked.calls), by_count, hours, annotated, len(checked.left_out))


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    help_text = "folder with audio and annotation of one corpus, at any depth; links are followed"
    add("--corpus-dir", type=Path, required=True, metavar="dir", help=help_text)
    help_text = "LDC97S42 + LDC97T14, TalkBank's CABank, LDC2001S97 + sre2000-key, or recognised by its files"
    add("--corpus", choices=("auto", *READERS), default="auto", help=help_text)
    help_text = "all usable recordings (default of sre2000); those with two speakers (default of the others); a part of"
    help_text += " the corpus (train, devtest, evltest; callhome1, callhome2); the first n; or those that a file lists"
    add("--subset", default="", metavar="all|two-speaker|part|n|file", help=help_text)
    help_text = "uem: copy the annotated minutes into wav/ of the data directory (flac, mono mix) for all stages"
    add("--crop", choices=("none", "uem"), default="none", help=help_text)
    add("--set", default="callhome", metavar="name", help="name of the data directory")
    add("--data-root", type=Path, default=Path("data"), metavar="dir", help="folder of data directories")
    return parser.parse_args()


def _report(corpus: Corpus) -> None:
    for reco, reason in list(corpus.left_out.items())[:_SHOWN]:
        _LOG.warning("%s is left out: %s", reco, reason)
    if len(corpus.left_out) > _SHOWN:
        _LOG.warning("and %d more are left out", len(corpus.left_out) - _SHOWN)
    for reco, call in corpus.calls.items():
        for remark in call.remarks:
            _LOG.warning("%s: %s", reco, remark)


if __name__ == "__main__":
    stage.run(main)
