"""bench/run.sh, counting.py and sure.py measure what they are asked for; what they measure is no matter of tests."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssdiar.clustering.config import read_system
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import write_segments, write_segments_file
from ssdiar.scoring.der import DiarizationError
from ssdiar.simulation.turns import Spurt
from ssdiar.simulation.voices import RATE, Prompt, Voice
from ssdiar.timeline.segmentation import Segmentation, write_segmentation
from ssdiar.timeline.spans import Segment, Turn

BENCH = Path(__file__).resolve().parents[2] / "bench" / "run.sh"
COUNTING = BENCH.with_name("counting.py")
SURE = BENCH.with_name("sure.py")
HEADER = ["part", "figure", "median", "least", "most", "runs", "unit", "goal", "met"]


def run(*arguments, rc=0):
    done = subprocess.run(
        [BENCH, "--python", sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == rc, done.stderr
    return done


def test_help_names_every_part_and_option():
    text = run("--help").stdout
    for part in ("startup", "clustering", "literal", "networks", "xvectors", "stages", "rtf", "many", "growth"):
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


@pytest.fixture(scope="module")
def counting():
    spec = importlib.util.spec_from_file_location("counting", COUNTING)
    module = sys.modules["counting"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voice(name, seconds):
    samples = np.zeros(seconds * RATE, np.float32)
    return Voice(name, (Prompt(samples, np.array([[0, len(samples)]])),))


def test_who_talks_much_gets_a_voice_with_much_to_say(counting):
    lengths = {"ann_en": 30, "ann_es": 200, "bob": 100, "bob_slowed": 400, "cho": 20}
    voices = {name: voice(name, seconds) for name, seconds in lengths.items()}
    persons = {"ann_en": "ann_en", "ann_es": "ann_en"}
    plan = [Spurt(0, 0.0, 10.0), Spurt(1, 10.0, 160.0), Spurt(2, 160.0, 180.0)]
    for seed in range(10):
        casts = [
            counting.assign_by_supply(plan, number, voices, persons, np.random.default_rng(seed)) for number in (3, 4)
        ]
        assert [cast[1].id for cast in casts] == ["ann_es", "ann_es"]
        assert {one.id for one in casts[0]} == {"ann_es", "bob", "cho"}
        assert {one.id for one in casts[1]} == {"ann_es", "bob", "cho", "bob_slowed"}
    slowed = counting._slow_down(voices["bob"].prompts[0])
    assert len(slowed.samples) / RATE == pytest.approx(100 / 0.88, abs=0.1)
    assert slowed.pieces.tolist() == [[0, len(slowed.samples) // 80 * 80]]


def test_counting_table_is_by_number_and_by_length(counting):
    def row(reco, number, length, found, confusion):
        return counting.Row(
            reco,
            number,
            length,
            0,
            found,
            DiarizationError(10.0, 1.0, 0.0, confusion),
            DiarizationError(10.0, 1.0, 0.0, 0.5),
        )

    rows = [row("a", 1, 30, 1, 0.0), row("b", 3, 30, 2, 2.0), row("c", 3, 3600, 4, 1.0)]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in counting.format_table(rows).splitlines()]
    assert table[2] == ["all", "3", "33 %", "0.67", "+0.00", "20.0", "10.0", "5.0"]
    assert [line[0] for line in table[3:]] == ["1 speaker", "3 speakers", "30 s", "60 min"]
    assert table[5] == ["30 s", "2", "50 %", "0.50", "-0.50", "20.0", "10.0", "5.0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "30", "out"], "--grid: expected SECONDSxRECORDINGS"),
        (["--numbers", "3-9", "out"], "--numbers: expected a number or a range from 1 to 8, got 3-9"),
        (["--seeds", "0 x", "out"], "--seeds: expected a whole number from 0, got x"),
    ],
)
def test_bad_options_of_counting(tmp_path, arguments, message):
    done = subprocess.run(
        [sys.executable, COUNTING, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and message in done.stderr and not list(tmp_path.iterdir())


@pytest.fixture
def pair(tmp_path):
    """A pair <set-dir>:<exp-dir> of three recordings of two speakers, who have each other's x-vectors in some turns."""
    exp, data = tmp_path / "exp è", tmp_path / "data è"
    pieces, places, turns, overlap = [], {}, [], []
    (tmp_path / "data è_speech/segmentation").mkdir(parents=True)
    (exp / "xvectors_campplus").mkdir(parents=True)
    data.mkdir()
    (exp / "subsegments").mkdir()
    for number, reco in enumerate("abc"):
        rng = np.random.default_rng(number)
        who = (np.arange(60) // 5 + np.isin(np.arange(60) // 5, (3, 6))) % 2
        vectors = rng.standard_normal((2, 12))[who] + 0.3 * rng.standard_normal((60, 12))
        ids = [f"{reco}-{n:03d}" for n in range(60)]
        pieces += [Segment(key, reco, 0.75 * n, 0.75 * (n + 1)) for n, key in enumerate(ids)]
        ark = exp / "xvectors_campplus" / f"{reco}.ark"
        places |= {key: (ark, at) for key, at in write_xvectors(ark, dict(zip(ids, vectors, strict=True))).items()}
        turns += [Turn(reco, f"s{n % 2}", 3.75 * n, 3.75 * (n + 1)) for n in range(11)]  # nobody in the last one
        overlap.append(Segment(f"{reco}-o", reco, 45.0, 46.0))
        heard = Segmentation(np.full((1, 400, 7), 1 / 7, np.float16), np.array([0]), 0.0, 0.1, 45.0)
        write_segmentation(tmp_path / "data è_speech/segmentation" / f"{reco}.npz", heard)
    write_segments(exp / "subsegments", pieces)
    write_segments_file(exp / "subsegments/overlap.segments", overlap)
    write_xvector_scp(exp / "xvectors_campplus/xvector.scp", places)
    write_rttm(data / "ref.rttm", turns)
    return f"{data}:{exp}"


def sure(*arguments, rc=0):
    done = subprocess.run([sys.executable, SURE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == rc, done.stderr
    return done


def test_how_sure_is_fitted_and_compared_with_what_is_right(pair, tmp_path):
    lines = sure(pair, "--test", pair, "--figure", tmp_path / "sure.svg").stdout.splitlines()
    system = tmp_path / "best.yaml"
    text = (BENCH.parents[1] / "conf/systems/best.yaml").read_text()
    system.write_text("\n".join([text[: text.index("sure:")], "sure:", *lines[:2]]))
    assert len(read_system(system).sure.second) == 2, "the lines go into best.yaml as they are"
    heads = [line for line in lines if line.startswith("Number of speakers")]
    assert [head.split()[3] for head in heads] == ["given:", "estimated:"]
    assert "ECE" in heads[0] and "in which nobody talks" in heads[0] and "; 0 more" not in heads[0]
    counts = [int(line.split("|")[2]) for line in lines if line[:3] in ("| 0", "| 5", "| 7", "| 8", "| 9")]
    assert sum(counts) == sum(int(head.split()[4]) for head in heads)
    assert (tmp_path / "sure.svg").read_text().startswith("<?xml")


def test_how_sure_best_is_can_be_measured_alone(pair):
    lines = sure("--weights", "keep", "--test", pair).stdout.splitlines()
    assert not any("weights:" in line for line in lines)
    assert any(line.startswith("| 95-100 |") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "nothing to fit; expected pairs"), (["data"], "bad pair; expected <set-dir>")]
)
def test_bad_pairs(arguments, message):
    assert message in sure(*arguments, rc=1).stderr
