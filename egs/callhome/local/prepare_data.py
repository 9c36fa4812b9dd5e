#!/usr/bin/env python3
"""Stage 1 on CALLHOME: make a data directory of one of the three corpora with that name (README.md).

Reads the corpus in place and writes <data-root>/<set>/: wav.scp, reco2dur, ref.rttm, all.uem (the annotated extent),
reco2num_spk, utt2spk, spk2utt, and more if the corpus has it. The wav.scp reads two-channel audio as its mono mix. The
log and left_out name recordings that are missing, unreadable or inconsistent. The directory appears when it is
complete; a rerun with the same corpus and options leaves it as it is.
e.g.: prepare_data.sh --corpus-dir ~/LDC --subset two-speaker
"""

from __future__ import annotations

import argparse
import logging
import subprocess
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
    _validate(out_dir)


def _parse() -> argparse.Namespace:
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    help_text = "folder with audio and annotation of one corpus, at any depth; follows links"
    add("--corpus-dir", type=Path, required=True, metavar="dir", help=help_text)
    help_text = "LDC97S42 + LDC97T14, TalkBank CABank, or LDC2001S97 + sre2000-key; auto: by its files"
    add("--corpus", choices=("auto", *CORPORA), default="auto", help=help_text)
    help_text = (
        "all usable recordings; those with two speakers in the annotation; a part of the corpus (train, devtest, "
        "evltest; callhome1, callhome2); the first n; a list of ids (two-speaker; sre2000: all)"
    )
    add("--subset", default="", metavar="all|two-speaker|part|n|file", help=help_text)
    help_text = (
        "uem: copy the annotated minutes of every call into <data-root>/<set>/wav (flac, mono mix); later stages then "
        "read only these, and times count from their start"
    )
    add("--crop", choices=("none", "uem"), default="none", help=help_text)
    add("--set", default="callhome", metavar="name", help="name of the data directory")
    add("--data-root", type=Path, default=Path("data"), metavar="dir", help="folder of data directories")
    return parser.parse_args()


def _validate(data_dir: Path) -> None:
    """Exit with 1 unless utils/validate_data_dir.sh accepts a data directory; it reports what is wrong."""
    program = Path(__file__).resolve().parents[3] / "utils" / "validate_data_dir.sh"
    done = subprocess.run(
        [program, "--no-feats", "--no-text", data_dir], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(1)
    _LOG.info("%s", done.stdout.strip())


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
