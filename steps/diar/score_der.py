"""Score one RTTM against a reference under one or more protocols; score_der.sh finds the files and calls this."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage
from ssdiar.errors import InputError
from ssdiar.scoring.der import PROTOCOLS, Comparison, DiarizationError, Protocol, read_comparison, score
from ssdiar.scoring.jer import JaccardError, jaccard
from ssdiar.scoring.official import score_dscore, score_md_eval
from ssdiar.scoring.score_file import ORIGIN_KEYS, Rates, Score, percent, speaker_counts, write_score
from ssdiar.work import Manifest, check


def score_ours(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with the library; return (pooled, per recording) as the official programs' functions do."""
    errors, jaccards = score(comparison, protocol), jaccard(comparison)
    total = Rates.of(sum(errors.values(), DiarizationError()), sum(jaccards.values(), JaccardError()))
    return total, {reco: Rates.of(error, jaccards[reco]) for reco, error in errors.items()}


SCORERS = {"ssdiar": score_ours, "md-eval": score_md_eval, "dscore": score_dscore}


def main() -> None:
    """Score, write <out-dir>/<protocol>.{json,txt}, and log each pooled figure."""
    options = parse()
    protocols = chosen_protocols(options)
    inputs = check(*filter(None, [options.reference, options.rttm, options.uem]))
    comparison = read_comparison(options.reference, options.rttm, options.uem)
    warn(comparison)
    origin = {key: getattr(options, key) for key in ORIGIN_KEYS if getattr(options, key)}
    num_spk = speaker_counts(comparison)
    scores = []
    for protocol in protocols:
        total, each = SCORERS[options.scorer](comparison, protocol)
        scores.append(Score(protocol, options.uem, options.scorer, total, each, num_spk, origin))
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for result in scores:
        name = result.protocol.name
        work = Manifest(options.out_dir.parent, f"score_der.{name}")
        work.plan(inputs, {"scorer": options.scorer})
        with work.finish(f"{options.out_dir.name}/{name}.json"):
            write_score(options.out_dir, result)
        log_total(result)


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = stage.Parser(__doc__)
    parser.add_argument("reference", help="reference RTTM")
    parser.add_argument("rttm", type=Path, help="RTTM to score")
    parser.add_argument("out_dir", type=Path, help="where <protocol>.json and <protocol>.txt go")
    parser.add_argument("--uem", help="regions to score (default: the extent of each recording's reference)")
    parser.add_argument("--protocols", default=" ".join(PROTOCOLS), help="some of: %(default)s")
    parser.add_argument("--collar", type=stage.number(0), help="score the protocol 'custom' with this collar instead")
    parser.add_argument("--ignore-overlap", type=stage.boolean, help="score 'custom', overlapped speech out or not")
    parser.add_argument("--scorer", choices=tuple(SCORERS), default="ssdiar", help="which program scores")
    for key in ORIGIN_KEYS:
        parser.add_argument(f"--{key.replace('_', '-')}", default="", help="noted in the score, as it is")
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
    """Log what about the input makes the figures mean something else than the reader may think."""
    if comparison.uem is None:
        logging.warning(
            "WARNING: no UEM: only each reference's extent is scored, false alarms before and after it are not counted"
        )
    for recordings, what in (
        (comparison.without_system, "have a reference and no system output: all their speech counts as missed"),
        (comparison.outside_uem, "are not in the UEM: scored over the extent of their reference, as md-eval does"),
    ):
        if recordings:
            shown = " ".join(recordings[:5]) + (" ..." if len(recordings) > 5 else "")
            logging.warning("WARNING: %d recordings %s: %s", len(recordings), what, shown)


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
