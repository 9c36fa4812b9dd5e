"""The scorer: figures worked out by hand, golden figures of md-eval.pl, and md-eval.pl itself where it is installed."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import write_rttm
from ssdiar.scoring.der import (
    PROTOCOLS,
    Comparison,
    DiarizationError,
    Protocol,
    read_comparison,
    score,
    score_recording,
)
from ssdiar.timeline.spans import Turn

FULL, FAIR, FORGIVING = PROTOCOLS["full"], PROTOCOLS["fair"], PROTOCOLS["forgiving"]


def turns(text, reco="r"):
    """``"A 0 10, B 8 12"``: speaker, start, end."""
    items = [item.split() for item in text.split(",") if item.strip()]
    return [Turn(reco, speaker, float(start), float(end)) for speaker, start, end in items]


def parts(error):
    return pytest.approx((error.scored, error.miss, error.false_alarm, error.confusion), abs=1e-9)


# Reference, system, regions, protocol, (scored, miss, false alarm, confusion): worked out by hand.
BY_HAND = {
    "perfect": ("A 0 10, B 8 12", "x 0 10, y 8 12", [(0, 20)], FULL, (14, 0, 0, 0)),
    "empty system": ("A 0 10, B 8 12", "", [(0, 20)], FULL, (14, 14, 0, 0)),
    "empty reference": ("", "x 1 3, y 2 3", [(0, 20)], FAIR, (0, 0, 3, 0)),
    "both empty": ("", "", [(0, 20)], FULL, (0, 0, 0, 0)),
    "no common time": ("A 0 2", "x 4 5", [(0, 20)], FULL, (2, 2, 1, 0)),
    "one speaker in both": ("A 1 4", "x 2 6", [(0, 20)], FULL, (3, 1, 2, 0)),
    "all inside the collar": ("A 1 1.4", "x 1 1.4", [(0, 20)], FAIR, (0, 0, 0, 0)),
    "false alarm outside the region is free": ("A 5 8", "x 0 8", [(5, 8)], FULL, (3, 0, 0, 0)),
    "regions cut turns": ("A 0 10", "x 3 10", [(2, 4), (8, 9)], FULL, (3, 1, 0, 0)),
    "confusion": ("A 0 6, B 6 10", "x 0 10", [(0, 10)], FULL, (10, 0, 0, 4)),
    "a split speaker": ("A 0 10", "x 0 6, y 6 10", [(0, 10)], FULL, (10, 0, 0, 4)),
    "missed overlap": ("A 0 10, B 8 12", "x 0 10, y 10 12", [(0, 12)], FULL, (14, 2, 0, 0)),
    "overlap ignored": ("A 0 10, B 8 12", "x 0 10, y 10 12", [(0, 12)], Protocol("p", 0, True), (10, 0, 0, 0)),
    "collar cuts each boundary, also in overlap": ("A 0 10, B 8 12", "", [(0, 12)], FAIR, (12, 12, 0, 0)),
    "collar where a speaker's turns touch": ("A 0 2, A 2 4", "x 0 4", [(0, 4)], FAIR, (3, 0, 0, 0)),
    "one speaker's overlapping turns count once": ("A 0 3, A 2 4", "x 0 4, x 1 2", [(0, 4)], FULL, (4, 0, 0, 0)),
    "and are overlap to md-eval": ("A 0 3, A 2 4", "x 0 4", [(0, 4)], Protocol("p", 0, True), (3, 0, 0, 0)),
    # md-eval scores 5-6 s here (see the module): one overlap touches the next, in which the region ends.
    "overlap ignored at a region's end": (
        "A 0 8, B 4 5, C 5 8",
        "x 0 8",
        [(0, 6)],
        Protocol("p", 0, True),
        (4, 0, 0, 0),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    reference, system, regions, protocol, expected = BY_HAND[name]
    assert parts(score_recording(turns(reference), turns(system), regions, protocol)) == expected


def test_mapping_precedes_collar_and_overlap():
    # A's short turns (0.5 s) vanish in the collar, yet they and not B's long one decide whom x is.
    reference = turns(", ".join(f"A {2 * i} {2 * i + 0.5}" for i in range(8)) + ", B 20 23")
    system = turns(", ".join(f"x {2 * i} {2 * i + 0.5}" for i in range(8)) + ", x 20 23")
    error = score_recording(reference, system, [(0, 30)], FAIR)
    assert parts(error) == (2.5, 0, 0, 2.5)


def test_without_uem_the_reference_extent_is_scored():
    comparison = Comparison({"r": turns("A 2 4")}, {"r": turns("x 0 9")}, None)
    assert parts(score(comparison, FULL)["r"]) == (2, 0, 0, 0)


def test_errors_are_pooled_over_time_and_check_themselves():
    total = sum([DiarizationError(90, 9, 0, 0), DiarizationError(10, 0, 5, 6)], DiarizationError())
    assert total == DiarizationError(100, 9, 5, 6)
    assert total.der == pytest.approx(0.2)
    assert DiarizationError(0, 0, 5, 0).der is None
    for bad in [(1, 2, 0, 0), (1, 0, -1, 0), (float("nan"), 0, 0, 0), (10, 6, 0, 5)]:
        with pytest.raises(ValueError, match="impossible"):
            DiarizationError(*bad)


GOLDEN_REFERENCE = turns(
    "A 0.310 2.455, B 2.100 4.020, A 4.020 4.300, A 4.300 7.905, C 7.150 7.420, B 7.905 8.010, C 9.500 13.250, "
    "A 11.000 12.125, A 11.900 12.600, B 15.000 18.333"
)
GOLDEN_SYSTEM = turns(
    "x 0.200 2.300, y 2.000 4.150, x 4.150 9.000, z 9.250 11.500, y 11.400 12.400, z 12.400 13.300, z 14.200 16.000, "
    "y 15.750 18.900, w 16.500 16.900"
)
GOLDEN_UEM = [(0.0, 8.2), (9.0, 20.0)]


# Printed by md-eval.pl 22 (sctk 2.4.10): scored, miss, false alarm, confusion in seconds, DER in percent.
@pytest.mark.parametrize(
    ("protocol", "uem", "printed"),
    [
        (FORGIVING, GOLDEN_UEM, (8.69, 0.00, 1.52, 0.50, 23.22)),
        (FAIR, GOLDEN_UEM, (9.49, 0.30, 1.52, 0.75, 27.06)),
        (FULL, GOLDEN_UEM, (17.01, 1.92, 2.72, 1.99, 38.96)),
        (FORGIVING, None, (8.69, 0.00, 1.94, 0.50, 28.08)),
        (FAIR, None, (9.49, 0.30, 1.94, 0.75, 31.51)),
        (FULL, None, (17.01, 1.92, 2.84, 1.99, 39.69)),
    ],
)
def test_golden(protocol, uem, printed):
    comparison = Comparison({"r": GOLDEN_REFERENCE}, {"r": GOLDEN_SYSTEM}, None if uem is None else {"r": uem})
    error = score(comparison, protocol)["r"]
    measured = (error.scored, error.miss, error.false_alarm, error.confusion, 100 * error.der)
    assert measured == pytest.approx(printed, abs=0.00501)


def rttm_text(all_turns):
    return "".join(
        f"SPEAKER {t.reco} 1 {t.start:.3f} {t.end - t.start:.3f} <NA> <NA> {t.speaker} <NA> <NA>\n" for t in all_turns
    )


def test_recordings_of_either_side(tmp_path):
    ref, system, uem = tmp_path / "ref.rttm", tmp_path / "sys.rttm", tmp_path / "all.uem"
    ref.write_text(rttm_text(turns("A 0 4", "lost") + turns("A 0 4", "found")))
    system.write_text(rttm_text(turns("x 0 4", "found") + turns("x 1 3", "silent")))
    with pytest.raises(InputError, match=r"sys\.rttm: 1 recordings have no reference: silent; expected only"):
        read_comparison(ref, system)
    uem.write_text("silent NA 0 10\nlost NA 0 10\nquiet 1 0 10\n")
    comparison = read_comparison(ref, system, uem)
    assert comparison.without_system == ["lost"]
    assert comparison.outside_uem == ["found"]
    errors = score(comparison, FULL)
    assert errors == {
        "found": DiarizationError(4, 0, 0, 0),
        "lost": DiarizationError(4, 4, 0, 0),
        "quiet": DiarizationError(),
        "silent": DiarizationError(0, 0, 2, 0),
    }
    assert sum(errors.values(), DiarizationError()).der == pytest.approx(6 / 8)


def test_nothing_to_score(tmp_path):
    (tmp_path / "empty").write_text(";; nobody speaks\n")
    with pytest.raises(InputError, match="nothing to score"):
        read_comparison(tmp_path / "empty", tmp_path / "empty")


# --- against md-eval.pl -------------------------------------------------------------------------------------------


def random_turns(rng, reco, prefix, grid, reference=None):
    """Draw turns of 1-6 speakers: short and long, gaps, overlaps, touching, repeated and nested ones of one speaker."""
    speakers = [f"{prefix}{i}" for i in range(rng.integers(1, 7))]
    if reference is not None and rng.random() < 0.6:  # A system that heard most of it, somewhat wrongly.
        drawn = [
            (rng.choice(speakers) if rng.random() < 0.2 else f"{prefix}{t.speaker}", t.start + a, t.end + b)
            for t, a, b in zip(reference, *rng.normal(0, 0.2, (2, len(reference))), strict=True)
            if rng.random() < 0.9
        ]
    else:
        drawn, now = [], rng.exponential(3)
        for _ in range(rng.integers(1, 40)):
            length = rng.choice([rng.exponential(0.3), rng.exponential(3)])
            drawn.append((rng.choice(speakers), now, now + length))
            now = rng.choice([now + length, now + length * rng.random(), now + length + rng.exponential(1), now])
    rounded = [(s, max(0, round(a / grid)), round(b / grid)) for s, a, b in drawn]
    return [Turn(reco, s, a * grid, b * grid) for s, a, b in rounded if b > a]


def random_comparison(seed, count, with_uem, grid=0.001):
    rng = np.random.default_rng(seed)
    reference, system, uem = {}, {}, {}
    while len(reference) < count:
        reco = f"r{len(reference):04d}"
        ref = random_turns(rng, reco, "A", grid)
        if not ref:
            continue
        reference[reco] = ref
        hypothesis = random_turns(rng, reco, "s", grid, ref) if rng.random() < 0.95 else []
        if hypothesis:
            system[reco] = hypothesis
        edges = np.unique(np.round(rng.uniform(0, max(t.end for t in ref) + 3, 2 * rng.integers(1, 5)), 3))
        regions = [(float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]
        uem[reco] = [(0.0, 1000.0)] if rng.random() < 0.3 else regions
    return Comparison(reference, system, uem if with_uem else None)


def run_md_eval(md_eval, folder, comparison, protocol, recordings):
    """Run the program on ``recordings``; return {"ALL" or "f=<reco>": (scored, miss, fa, confusion, DER %)}."""
    for name, side in (("ref", comparison.reference), ("sys", comparison.system)):
        turns = [turn for reco in recordings for turn in side.get(reco, [])]
        noscore = {
            reco: comparison.noscore[reco] for reco in recordings if name == "ref" and reco in comparison.noscore
        }
        write_rttm(folder / f"{name}.rttm", turns, noscore)
    command = ["perl", md_eval, "-a", "f", "-c", str(protocol.collar), "-r", "ref.rttm", "-s", "sys.rttm"]
    command += ["-1"] if protocol.ignore_overlap else []
    if comparison.uem is not None:
        rows = [f"{reco} 1 {a:.3f} {b:.3f}\n" for reco in recordings for a, b in comparison.uem[reco]]
        (folder / "all.uem").write_text("".join(rows))
        command += ["-u", "all.uem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = {}
    for block in done.stdout.split("*** Performance analysis for Speaker Diarization for ")[1:]:
        labels = ("SCORED SPEAKER TIME", "MISSED SPEAKER TIME", "FALARM SPEAKER TIME", "SPEAKER ERROR TIME")
        labels += ("OVERALL SPEAKER DIARIZATION ERROR",)
        numbers = [float(re.search(rf"{label} *= *(\S+)", block).group(1)) for label in labels]
        results[block.split(" ***")[0]] = numbers
    return results


def assert_equal_to_md_eval(md_eval, folder, comparison, protocol):
    errors = score(comparison, protocol)
    # md-eval divides by the scored speaker time of every recording, so that it dies of one that has none.
    scoreable = [reco for reco, error in errors.items() if error.scored > 1e-6]
    official = run_md_eval(md_eval, folder, comparison, protocol, scoreable)
    own = {f"f={reco}": errors[reco] for reco in scoreable}
    own["ALL"] = sum(own.values(), DiarizationError())
    assert official.keys() == own.keys()
    for key, error in own.items():
        seconds = [error.scored, error.miss, error.false_alarm, error.confusion]
        assert seconds == pytest.approx(official[key][:4], abs=0.00501), key
        assert 100 * error.der == pytest.approx(official[key][4], abs=0.00501), key
    return len(scoreable)


@pytest.mark.parametrize("with_uem", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_noscore_regions_are_left_out_as_by_md_eval(tmp_path, protocol, with_uem, need):
    """Before the last turn, since md-eval never ends the regions after it."""
    comparison, rng = random_comparison(2, 20, with_uem), np.random.default_rng(3)
    for reco, turns in comparison.reference.items():
        edges = np.sort(rng.uniform(0, max(turn.start for turn in turns), 4)).round(3).tolist()
        comparison.noscore[reco] = [(edges[0], edges[1]), (edges[2], edges[3])]
    scored = sum(error.scored for error in score(comparison, protocol).values())
    assert scored < sum(error.scored for error in score(replace(comparison, noscore={}), protocol).values())
    assert assert_equal_to_md_eval(need("md-eval.pl"), tmp_path, comparison, protocol) > 10


@pytest.mark.parametrize("with_uem", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_equal_to_md_eval_on_random_pairs(tmp_path, protocol, with_uem, need):
    assert assert_equal_to_md_eval(need("md-eval.pl"), tmp_path, random_comparison(1, 40, with_uem), protocol) > 30
