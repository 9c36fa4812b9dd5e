"""The official programs as scorers: NIST's md-eval.pl (in Debian's package sctk) and dscore (github nryant/dscore).

Both get files that are written for them, because both have pitfalls: md-eval.pl compares channels and cuts a UEM's
recording names at the first dot, dscore at the last; md-eval.pl fails on a recording without scored speech, and dscore
then reports what it printed before. So recordings are numbered, everything is on channel 1, and a recording that a
program cannot score is either named in an error or has no rates.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssdiar.errors import InputError
from ssdiar.scoring.der import Comparison, DiarizationError, Protocol, score
from ssdiar.scoring.score_file import Rates
from ssdiar.timeline.spans import Turn

_DSCORE_NEEDS = "intervaltree numpy scipy tabulate"  # its requirements.txt
_SCTK = Path("/usr/lib/sctk/bin/md-eval.pl")


def find_md_eval() -> Path:
    """Return md-eval.pl: ``$MDEVAL``, or the one on PATH, or that of Debian's package sctk.

    Raises:
        InputError: There is none, or no perl.
    """
    named, on_path = os.environ.get("MDEVAL"), shutil.which("md-eval.pl")
    program = Path(named or on_path or _SCTK)
    if not program.is_file():
        hint = "Correct MDEVAL (path.sh)." if named else "apt-get install sctk, or set MDEVAL to the program's path."
        raise InputError("no md-eval.pl there", path=program, hint=hint)
    if shutil.which("perl") is None:
        raise InputError("md-eval.pl needs perl, which is not on PATH")
    return program


def score_md_eval(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with md-eval.pl; return (pooled, per recording).

    Seconds and DER are as the program prints them, with two decimals. It prints nothing for a recording without scored
    speech: that one has no rates, but its false alarms are in the pooled figure.

    Raises:
        InputError: The program is missing or fails, or no speech at all is scored.
    """
    program = find_md_eval()
    errors = score(comparison, protocol)
    scoreable = [reco for reco in errors if errors[reco].scored > 1e-6]
    if not scoreable:
        raise InputError("md-eval.pl cannot score: no reference speech is left", hint="Use --scorer ssdiar.")
    options = ["-c", f"{protocol.collar:.6f}", *(["-1"] if protocol.ignore_overlap else [])]
    pooled, _ = _run_md_eval(program, options, comparison, comparison.recordings)
    _, each = _run_md_eval(program, ["-a", "f", *options], comparison, scoreable)
    return pooled, {reco: each.get(reco, Rates(None, None)) for reco in comparison.recordings}


def find_dscore() -> Path:
    """Return score.py of the dscore in ``$DSCORE_ROOT``.

    Raises:
        InputError: The variable is not set, or names something else (PyPI's dscore is about proteins).
    """
    hint = "git clone https://github.com/nryant/dscore, and set DSCORE_ROOT to its folder (path.sh)."
    root = os.environ.get("DSCORE_ROOT")
    if not root:
        raise InputError("DSCORE_ROOT is not set", hint=hint)
    for name in ("score.py", "scorelib/metrics.py", "scorelib/md-eval-22.pl"):
        if not (Path(root) / name).is_file():
            raise InputError(
                "is not the dscore of github nryant/dscore", path=root, expected=f"a file {name}", hint=hint
            )
    return Path(root) / "score.py"


def score_dscore(comparison: Comparison, protocol: Protocol) -> tuple[Rates, dict[str, Rates]]:
    """Score with dscore; return (pooled, per recording), DER and JER only, since it prints no parts of them.

    dscore cuts turns at the edges of the UEM and so puts collars there; without a UEM it scores the extent of reference
    and system together. Either way it may differ a little from md-eval.

    It runs in the Python that runs this, which must have its requirements.

    Raises:
        InputError: The program is missing or fails, lacks a package, or a recording has no scored speech (dscore would
            then report figures of the other recordings as the whole).
    """
    program = find_dscore()
    empty = [reco for reco, error in score(comparison, protocol).items() if error.scored <= 1e-6]
    if empty:
        raise InputError(f"dscore cannot score {empty[0]}: no reference speech is left", hint="Use --scorer ssdiar.")
    names = {reco: f"r{number:06d}" for number, reco in enumerate(comparison.recordings)}
    with tempfile.TemporaryDirectory(prefix="dscore.") as folder:
        uem = _write_inputs(Path(folder), comparison, names)
        command = [sys.executable, str(program), "--collar", f"{protocol.collar:g}", "--n_digits", "6"]
        command += ["--table_fmt", "tsv", *(["--ignore_overlaps"] if protocol.ignore_overlap else [])]
        # This is the option's literal name ("-u,--uem" in one string).
        command += ["-u,--uem", "all.uem"] if uem else []
        output = _run([*command, "-r", "ref.rttm", "-s", "sys.rttm"], folder, "dscore")
    printed = {row[0].strip(): row for row in csv.reader(output.splitlines(), delimiter="\t") if len(row) > 2}
    try:
        rates = {
            key: Rates(float(printed[name][1]) / 100, None, float(printed[name][2]) / 100)
            for key, name in [("", "*** OVERALL ***"), *names.items()]
        }
    except (KeyError, ValueError):
        raise InputError("dscore printed no DER and JER for some recording", path=program) from None
    return rates.pop(""), rates


def _run_md_eval(
    program: Path, options: list[str], comparison: Comparison, recordings: Sequence[str]
) -> tuple[Rates, dict[str, Rates]]:
    names = {reco: f"r{number:06d}" for number, reco in enumerate(recordings)}
    with tempfile.TemporaryDirectory(prefix="md-eval.") as folder:
        uem = _write_inputs(Path(folder), comparison, names)
        files = ["-r", "ref.rttm", "-s", "sys.rttm", *(["-u", "all.uem"] if uem else [])]
        output = _run(["perl", str(program.absolute()), *options, *files], folder, "md-eval.pl")
    blocks = re.split(r"^\*\*\* Performance analysis for Speaker Diarization for (.*) \*\*\*$", output, flags=re.M)
    rates = {name: _parse_md_eval(block, program) for name, block in zip(blocks[1::2], blocks[2::2], strict=True)}
    if "ALL" not in rates:
        raise InputError("md-eval.pl printed no overall figure", path=program)
    return rates["ALL"], {reco: rates[f"f={name}"] for reco, name in names.items() if f"f={name}" in rates}


def _parse_md_eval(block: str, program: Path) -> Rates:
    def value(label: str) -> float:
        found = re.search(rf"^ *{label} *= *([0-9.]+)", block, flags=re.M)
        if found is None:
            raise InputError(f"md-eval.pl printed no {label}", path=program)
        return float(found.group(1))

    labels = ("SCORED SPEAKER TIME", "MISSED SPEAKER TIME", "FALARM SPEAKER TIME", "SPEAKER ERROR TIME")
    return Rates(value("OVERALL SPEAKER DIARIZATION ERROR") / 100, DiarizationError(*map(value, labels)))


def _write_inputs(folder: Path, comparison: Comparison, names: Mapping[str, str]) -> bool:
    """Write ref.rttm, sys.rttm and, if there is a UEM, all.uem, with recordings renamed; return whether there is."""
    for file_name, side in (("ref.rttm", comparison.reference), ("sys.rttm", comparison.system)):
        lines = (line for reco, name in names.items() for line in _rttm_lines(side.get(reco, []), name))
        (folder / file_name).write_text("".join(lines))
    if comparison.uem is None:
        return False
    with open(folder / "ref.rttm", "a") as rttm, open(folder / "all.uem", "w") as uem:
        for reco, name in names.items():
            regions = comparison.regions(reco)
            uem.writelines(f"{name} 1 {start:.6f} {end:.6f}\n" for start, end in regions)
            if reco not in comparison.reference:
                # md-eval looks only at recordings that have a reference line; this one, far outside, changes nothing.
                rttm.write(f"SPEAKER {name} 1 {regions[-1][1] + 3600:.6f} 0 <NA> <NA> nobody <NA> <NA>\n")
    return True


def _rttm_lines(turns: Sequence[Turn], name: str) -> Iterable[str]:
    numbers = {speaker: number for number, speaker in enumerate(sorted({turn.speaker for turn in turns}))}
    for turn in turns:
        times = f"{turn.start:.6f} {turn.end - turn.start:.6f}"
        yield f"SPEAKER {name} 1 {times} <NA> <NA> s{numbers[turn.speaker]} <NA> <NA>\n"


def _run(command: list[str], folder: str, name: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        missing = re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'", done.stderr, flags=re.M)
        if missing is not None:
            hint = f"Install what {name} needs into it: {command[0]} -m pip install {_DSCORE_NEEDS}"
            raise InputError(f"{name} lacks the package {missing[1]}", path=command[0], hint=hint)
        raise InputError(f"{name} failed with code {done.returncode}: {lines[-1] if lines else 'no message'}")
    return done.stdout
