"""The official programs as scorers: NIST's md-eval.pl (in Debian's package sctk) and dscore (github nryant/dscore).

Their input is written for them, with numbered recordings on channel 1: md-eval.pl compares channels and cuts a UEM's
recording names at the first dot, dscore at the last. md-eval.pl fails on a recording without scored speech, and dscore
then reports its earlier figures, so such a recording gets an error or no rates.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ssdiar.base.errors import InputError
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, score
from ssdiar.scoring.score_file import Rates
from ssdiar.timeline.spans import Turn

_DSCORE_NEEDS = "intervaltree numpy scipy tabulate"  # its requirements.txt
_NOWHERE = (1e6, 1e6 + 1)  # seconds, after the end of any recording
_SCTK = Path("/usr/lib/sctk/bin/md-eval.pl")


def score_md_eval(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with md-eval.pl (``$MDEVAL``, or on PATH, or of Debian's sctk); return (pooled, per recording).

    Seconds and DER are as printed, with two decimals. A recording without scored speech has no rates of its own, but
    its false alarms are in the pooled figure.

    Raises:
        InputError: The program or perl is missing or fails, or no speech is scored.
    """
    named = os.environ.get("MDEVAL")
    program = Path(named or shutil.which("md-eval.pl") or _SCTK).absolute()
    if not program.is_file():
        hint = "Correct MDEVAL (path.sh)." if named else "apt-get install sctk, or set MDEVAL to the program's path."
        raise InputError("no md-eval.pl there", path=program, hint=hint)
    scoreable = [reco for reco, error in score(comparison, protocol).items() if error.scored > 1e-6]
    if not scoreable:
        raise InputError("md-eval.pl cannot score: no reference speech is left", hint="Use --scorer ssdiar.")
    command = ["perl", str(program), "-c", f"{protocol.collar:.6f}", *(["-1"] if protocol.ignore_overlap else [])]
    pooled = _run_md_eval(command, comparison, comparison.recordings)["ALL"]
    printed = _run_md_eval([*command, "-a", "f"], comparison, scoreable)
    each = {reco: printed.get(f"f={_name(number)}") for number, reco in enumerate(scoreable)}
    return pooled, {reco: each.get(reco) or Rates(None, None) for reco in comparison.recordings}


def score_dscore(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with the dscore in ``$DSCORE_ROOT``; return (pooled, per recording), DER and JER without their parts.

    dscore cuts turns at the edges of the UEM and so puts collars there; without a UEM it scores the extent of reference
    and system together. Either way it may differ a little from md-eval. It runs in the current Python, which needs its
    requirements.

    Raises:
        InputError: The program or a package is missing, the program fails, or a recording has no scored speech.
    """
    hint = "git clone https://github.com/nryant/dscore ~/dscore, and set DSCORE_ROOT=~/dscore (docs/reference.md)."
    root, proof = os.environ.get("DSCORE_ROOT"), "scorelib/md-eval-22.pl"  # PyPI's dscore is another program
    if not root:
        raise InputError("DSCORE_ROOT is not set", hint=hint)
    if not Path(root, proof).is_file():
        what = "is not the dscore of github nryant/dscore"
        raise InputError(what, path=root, expected=f"a file {proof}", hint=hint)
    empty = [reco for reco, error in score(comparison, protocol).items() if error.scored <= 1e-6]
    if empty:
        raise InputError(f"dscore cannot score {empty[0]}: no reference speech is left", hint="Use --scorer ssdiar.")
    command = [sys.executable, str(Path(root, "score.py").absolute()), "--collar", f"{protocol.collar:g}"]
    command += ["--n_digits", "6", "--table_fmt", "tsv", *(["--ignore_overlaps"] if protocol.ignore_overlap else [])]
    output = _run(command, "-u,--uem", comparison, comparison.recordings)  # the option's literal name
    rows = re.findall(r"^(r[0-9]+|\*\*\* OVERALL \*\*\*) *\t *([0-9.]+)\t *([0-9.]+)", output, flags=re.M)
    rates = {name: Rates(float(der) / 100, None, float(jer) / 100) for name, der, jer in rows}
    if len(rates) != len(comparison.recordings) + 1:
        raise InputError("dscore printed no DER and JER for some recording", path=root)
    return rates.pop("*** OVERALL ***"), {reco: rates[_name(at)] for at, reco in enumerate(comparison.recordings)}


def _run_md_eval(command: list[str], comparison: Comparison, recordings: Sequence[str]) -> dict[str, Rates]:
    """Return the rates by md-eval.pl's name of a block: ``ALL``, ``f=<recording>``."""
    output = _run(command, "-u", comparison, recordings)
    blocks = re.split(r"^\*\*\* Performance analysis for Speaker Diarization for (.*) \*\*\*$", output, flags=re.M)
    labels = ["SCORED SPEAKER TIME", "MISSED SPEAKER TIME", "FALARM SPEAKER TIME", "SPEAKER ERROR TIME"]
    rates = {}
    for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
        figures = dict(re.findall(r"^ *([A-Z ]+[A-Z]) *= *([0-9.]+)", block, flags=re.M))
        try:
            seconds = DiarizationError(*(float(figures[label]) for label in labels))
            rates[name] = Rates(float(figures["OVERALL SPEAKER DIARIZATION ERROR"]) / 100, seconds)
        except KeyError as error:
            raise InputError(f"md-eval.pl printed no {error.args[0]}", path=command[1]) from None
    if not rates:
        raise InputError("md-eval.pl printed no figures", path=command[1])
    return rates


def _run(command: list[str], uem_option: str, comparison: Comparison, recordings: Sequence[str]) -> str:
    """Run a program on RTTM and UEM files of some recordings, and return its output."""
    program = Path(command[1])
    with tempfile.TemporaryDirectory(prefix="score.") as folder:
        _write_inputs(Path(folder), comparison, recordings)
        uem = [uem_option, "all.uem"] if comparison.uem is not None or comparison.noscore else []
        command = [*command, *uem, "-r", "ref.rttm", "-s", "sys.rttm"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise InputError(f"{program.name} needs {command[0]}, which is not on PATH") from None
    missing = re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'", done.stderr, flags=re.M)
    if missing is not None:
        hint = f"Install the requirements of dscore into it: {command[0]} -m pip install {_DSCORE_NEEDS}"
        raise InputError(f"dscore lacks the package {missing[1]}", path=command[0], hint=hint)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout or "no message").strip().splitlines()
        raise InputError(f"failed with code {done.returncode}: {lines[-1]}", path=program)
    return done.stdout


def _name(number: int) -> str:
    return f"r{number:06d}"


def _write_inputs(folder: Path, comparison: Comparison, recordings: Sequence[str]) -> None:
    """Write ref.rttm, sys.rttm and all.uem, with recordings numbered."""
    ref, hyp, uem = [], [], []
    for number, reco in enumerate(recordings):
        name = _name(number)
        ref += _rttm_lines(comparison.reference.get(reco, []), name)
        hyp += _rttm_lines(comparison.system.get(reco, []), name)
        # Without a line in the UEM md-eval scores the extent of the reference, so a region stands for none.
        regions = comparison.regions(reco) or [_NOWHERE]
        uem += [f"{name} 1 {start:.6f} {end:.6f}\n" for start, end in regions]
        if reco not in comparison.reference:
            # md-eval scores only recordings that have a reference line; this one, far outside, changes nothing.
            ref.append(f"SPEAKER {name} 1 {regions[-1][1] + 3600:.6f} 0 <NA> <NA> none <NA> <NA>\n")
    for file, lines in {"ref.rttm": ref, "sys.rttm": hyp, "all.uem": uem}.items():
        (folder / file).write_text("".join(lines))


def _rttm_lines(turns: Sequence[Turn], name: str) -> list[str]:
    speakers = sorted({turn.speaker for turn in turns})
    rows = [(turn.start, turn.end - turn.start, speakers.index(turn.speaker)) for turn in turns]
    return [f"SPEAKER {name} 1 {start:.6f} {time:.6f} <NA> <NA> s{who} <NA> <NA>\n" for start, time, who in rows]
