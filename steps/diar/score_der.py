"""Score one RTTM against a reference under one or more protocols; the Python side of score_der.sh."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import stage
from ssdiar.errors import InputError
from ssdiar.scoring.der import PROTOCOLS, Comparison, DiarizationError, Protocol, read_comparison, score
from ssdiar.scoring.jer import JaccardError, jaccard
from ssdiar.scoring.official import score_dscore, score_md_eval
from ssdiar.scoring.score_file import ORIGIN_KEYS, Rates, Score, percent, read_score, speaker_counts, write_score
from ssdiar.work import Manifest, check

_FORMAT = 1  # of the score files; a rerun scores anew where it is another


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
    for path, expected in ((reference, "the reference (or give --ref <file>)"), (rttm, "what make_rttm.sh writes")):
        if not path.is_file():
            raise InputError("no such file", path=path, expected=expected)
    inputs = check(*filter(None, [reference, rttm, uem]))
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
    """Return the command line's options."""
    parser = stage.Parser(__doc__)
    parser.add_argument("data_dir", type=Path, help="ref.rttm, and all.uem where there is one")
    parser.add_argument("exp_dir", type=Path, help="rttm; score/<protocol>.json and .txt go there")
    parser.add_argument("--ref", type=Path, help="another reference")
    parser.add_argument("--uem", help="other regions to score (without any: the extent of each recording's reference)")
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
