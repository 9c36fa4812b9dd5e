"""Stage 7: compute the diarization error rate of an RTTM against the reference, under one or more protocols.

Reads <data-dir>/{ref.rttm,all.uem} and <exp-dir>/rttm; no other stage reads ref.rttm. Writes <exp-dir>/score/
<protocol>.json and <protocol>.txt, a table of recordings with the worst first.
Protocols: forgiving = collar of 0.25 s on each side of a reference boundary, overlapped speech ignored; fair = the
same collar, overlapped speech scored; full = no collar, overlapped speech scored. The JER, the mean over speakers,
has no collar and scores overlapped speech under every protocol. All scorers follow NIST's md-eval.pl; DERs are pooled
over time.
e.g.: score_der.sh data/mini exp/mini/xvector_ahc
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.scoring.der import PROTOCOLS, Comparison, DiarizationError, Protocol, read_comparison, score
from ssdiar.scoring.jer import JaccardError, jaccard
from ssdiar.scoring.official import score_dscore, score_md_eval
from ssdiar.scoring.score_file import ORIGIN_KEYS, Rates, Score, percent, read_score, speaker_counts, write_score
from ssdiar.work import Manifest, check

_FORMAT = 1  # of the score files; part of the settings


def score_ours(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with the library; return (pooled, per recording) as the official programs' functions do."""
    errors, jaccards = score(comparison, protocol), jaccard(comparison)
    total = Rates.of(sum(errors.values(), DiarizationError()), sum(jaccards.values(), JaccardError()))
    return total, {reco: Rates.of(error, jaccards[reco]) for reco, error in errors.items()}


SCORERS = {"ssdiar": score_ours, "md-eval": score_md_eval, "dscore": score_dscore}


def main() -> None:
    """Score, write <exp-dir>/score/<protocol>.{json,txt}, and log each pooled figure."""
    options = parse()
    protocols = chosen_protocols(options)
    rttm, uem = options.exp_dir / "rttm", options.uem
    reference = options.ref or options.data_dir / "ref.rttm"
    if uem is None and (options.data_dir / "all.uem").is_file():
        uem = str(options.data_dir / "all.uem")
    for path, expected in ((reference, "the reference (or give --ref <file>)"), (rttm, "the output of make_rttm.sh")):
        if not path.is_file():
            raise InputError("no such file", path=path, expected=expected)
    inputs = check(*filter(None, [reference, rttm, uem]), stage="score_der")
    origin = {key: getattr(options, key) for key in ORIGIN_KEYS if getattr(options, key)}
    work = {one: Manifest(options.exp_dir, f"score_der.{one.name}") for one in protocols}
    noted = {"format": _FORMAT, "scorer": options.scorer, "uem": uem, "origin": origin}
    settings = {one: noted | {"protocol": one.describe()} for one in protocols}
    if all(work[one].is_current(inputs, settings[one]) for one in protocols):
        for one in protocols:
            log_total(read_score(options.exp_dir / "score" / f"{one.name}.json"))
        logging.info("%s is up to date", options.exp_dir / "score")
        return
    comparison = read_comparison(reference, rttm, uem)
    warn(comparison)
    num_spk = speaker_counts(comparison)
    scores = []
    for protocol in protocols:
        total, each = SCORERS[options.scorer](comparison, protocol)
        scores.append(Score(protocol, uem, options.scorer, total, each, num_spk, origin))
    (options.exp_dir / "score").mkdir(exist_ok=True)
    for result in scores:
        one = result.protocol
        work[one].plan(inputs, settings[one])
        with work[one].finish(f"score/{one.name}.json", f"score/{one.name}.txt"):
            write_score(options.exp_dir / "score", result)
        log_total(result)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("data_dir", type=Path)
    add("exp_dir", type=Path)
    add("--protocols", default=" ".join(PROTOCOLS), metavar="names", help="score under these protocols")
    help_text = "score under one protocol 'custom' instead, with this collar on each side"
    add("--collar", type=stage.number(0), metavar="seconds", help=f"{help_text} (0)")
    help_text = "score under 'custom' instead, without overlapped speech or with it (false)"
    add("--ignore-overlap", type=stage.boolean, help=help_text)
    help_text = "score these regions (<data-dir>/all.uem, else the extent of each reference)"
    add("--uem", metavar="file", help=help_text)
    add("--ref", type=Path, metavar="file", help="compare with another reference (<data-dir>/ref.rttm)")
    help_text = (
        "score by our scorer, or by an official program: md-eval.pl on PATH, in MDEVAL or from sctk; nryant/dscore "
    )
    add("--scorer", choices=tuple(SCORERS), default="ssdiar", help=f"{help_text}in DSCORE_ROOT (ssdiar)")
    for key in ORIGIN_KEYS:
        help_text = f"note in the score where its {key.removesuffix('_source').replace('_', ' ')} came from"
        add(f"--{key.replace('_', '-')}", default="", metavar="text", help=help_text)
    return parser.parse_args()


def chosen_protocols(options: argparse.Namespace) -> list[Protocol]:
    """Return the protocols that the options name."""
    if options.collar is not None or options.ignore_overlap is not None:
        return [Protocol("custom", options.collar or 0.0, bool(options.ignore_overlap))]
    names = list(dict.fromkeys(options.protocols.split()))
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown or not names:
        raise InputError(
            "bad --protocols", expected=f"some of: {' '.join(PROTOCOLS)}", got=" ".join(unknown) or "nothing"
        )
    return [PROTOCOLS[name] for name in names]


def warn(comparison: Comparison) -> None:
    """Warn about input that changes the meaning of the figures."""
    if comparison.uem is None:
        logging.warning("no UEM: only each reference's extent is scored, false alarms before and after it are ignored")
    for recordings, what in (
        (comparison.without_system, "have a reference and no system output: all their speech is missed"),
        (comparison.outside_uem, "are not in the UEM: scored over the extent of their reference, as md-eval does"),
    ):
        if recordings:
            shown = " ".join(recordings[:5]) + (" ..." if len(recordings) > 5 else "")
            logging.warning("%d recordings %s: %s", len(recordings), what, shown)


def log_total(result: Score) -> None:
    """Log the pooled figure with its terms."""
    parts = ", ".join(
        f"{part.replace('_', ' ')} {percent(result.total.fraction(part))}"
        for part in ("miss", "false_alarm", "confusion")
    )
    rates = f"DER {percent(result.total.der)} % ({parts}), JER {percent(result.total.jer)} %"
    logging.info("%s | %s", rates, result.protocol.describe())


if __name__ == "__main__":
    stage.run(main)
