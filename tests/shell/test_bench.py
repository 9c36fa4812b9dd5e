"""bench/run.sh measures what it is asked for; what it measures is no matter of tests."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "run.sh"
HEADER = ["part", "figure", "median", "least", "most", "runs", "unit", "goal", "met"]


def run(*arguments, rc=0):
    done = subprocess.run(
        [BENCH, "--python", sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == rc, done.stderr
    return done


def test_help_names_every_part_and_option():
    text = run("--help").stdout
    for part in ("startup", "clustering", "literal", "xvectors", "rtf", "growth"):
        assert f"# {part}: " in text
    for option in ("--parts", "--repetitions", "--audio", "--figure", "--peer"):
        assert f"{option} <" in text


def test_growth_measures_both_paths_and_draws(tmp_path):
    figure, out = tmp_path / "growth.svg", tmp_path / "out è"
    arguments = ["--parts", "growth", "--sizes", "60", "--compare", "60", "--repetitions", "1"]
    done = run(*arguments, "--figure", figure, "--out", out)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == HEADER and {len(row) for row in rows} == {len(HEADER)}
    assert (out / "speed.tsv").read_text() == done.stdout
    values = {row[1]: float(row[2]) for row in rows[1:]}
    assert values["60 sub-segments"] > 0 and values["60 sub-segments, FINCH first"] > 0
    assert 0 < values["60 sub-segments, same by both paths"] <= 100
    assert figure.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "speed"], "--parts: expected some of"),
        (["--repetitions", "0"], "--repetitions: expected a whole number"),
        (["--parts", "rtf", "--audio", "no such"], "no such: no such folder (--audio)"),
        (["more"], "expected options only, got 'more'"),
    ],
)
def test_bad_options_are_told_before_anything_runs(tmp_path, arguments, message):
    done = run("--out", tmp_path / "out", *arguments, rc=1)
    assert message in done.stderr.strip().splitlines()[-1] and done.stdout == ""
    assert not (tmp_path / "out").exists()
