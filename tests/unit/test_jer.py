"""The Jaccard error rate: figures worked out by hand, printed by dscore, and by pyannote.metrics; its DER as well."""

import importlib
import os

import numpy as np
import pytest

from ssdiar.scoring.der import PROTOCOLS, Comparison, DiarizationError, score
from ssdiar.scoring.jer import JaccardError, jaccard, jaccard_recording
from ssdiar.scoring.official import score_dscore
from ssdiar.timeline.spans import Turn


def turns(text, reco="r"):
    """``"A 0 10, B 8 12"``: speaker, start, end."""
    items = [item.split() for item in text.split(",") if item.strip()]
    return [Turn(reco, speaker, float(start), float(end)) for speaker, start, end in items]


@pytest.mark.parametrize(
    ("reference", "system", "regions", "speakers", "error"),
    [
        ("A 0 10, B 8 12", "y 8 12, x 0 10", [(0, 20)], 2, 0),
        ("A 0 10, B 8 12", "", [(0, 20)], 2, 2),
        ("", "x 0 10", [(0, 20)], 0, 0),
        ("", "", [(0, 20)], 0, 0),
        ("A 0 10", "x 5 20", [(0, 20)], 1, 15 / 20),
        ("A 0 10", "x 5 20", [(0, 5), (6, 10)], 1, 5 / 9),
        ("A 0 10, B 10 12", "x 0 12", [(0, 12)], 2, 2 / 12 + 1),
        ("A 0 10", "x 0 6, y 6 10", [(0, 10)], 1, 4 / 10),
        ("A 0 6, A 4 10, B 30 40", "x 0 10, x 1 2", [(0, 20)], 1, 0),
        # By common time x would be A's (4 s to 3 s); the sum of errors is less if it is B's.
        ("A 0 10, B 10 13", "x 6 13", [(0, 13)], 2, 1 + 4 / 7),
    ],
)
def test_by_hand(reference, system, regions, speakers, error):
    found = jaccard_recording(turns(reference), turns(system), regions)
    assert (found.speakers, found.error) == (speakers, pytest.approx(error))


def test_speakers_are_pooled():
    assert (JaccardError(3, 1.0) + JaccardError(1, 1.0)).jer == 0.5
    assert JaccardError().jer is None


def drawn(seed):
    """Return two sides of three recordings on a grid of 10 ms, some without system speech, and a UEM."""
    rng = np.random.default_rng(seed)

    def side(reco, names):
        times = [(start / 100, (start + length) / 100) for start, length in rng.integers((0, 30), (5500, 900), (12, 2))]
        return [Turn(reco, names[rng.integers(len(names))], *span) for span in times]

    reference = {reco: side(reco, "ABCD"[: rng.integers(1, 5)]) for reco in ("r0", "r1", "r2")}
    system = {reco: side(reco, "wxyz"[: rng.integers(1, 5)]) for reco in ("r0", "r1", "r2") if rng.random() < 0.85}
    return Comparison(reference, system, {reco: [(2.0, 30.0), (32.5, 58.0)] for reco in reference})


def pooled(comparison):
    return sum(jaccard(comparison).values(), JaccardError()).jer


# Total and each recording in percent, as dscore (github nryant/dscore at e02f949) prints them, --n_digits 6.
PRINTED = {
    0: (80.3456, 81.4373, 66.9499, 88.1845),
    1: (80.9638, 79.1794, 100.0000, 73.2300),
    2: (81.8526, 80.0384, 70.1837, 89.5013),
    5: (79.5763, 76.0460, 89.1173, 61.5443),
}


@pytest.mark.parametrize("seed", PRINTED)
def test_equal_to_printed_figures_of_dscore(seed):
    comparison = drawn(seed)
    found = [pooled(comparison), *(error.jer for error in jaccard(comparison).values())]
    assert [100 * jer for jer in found] == pytest.approx(PRINTED[seed], abs=0.05)  # frames of 10 ms


def test_equal_to_dscore():
    if not os.environ.get("DSCORE_ROOT"):
        pytest.skip("no dscore; git clone github.com/nryant/dscore, and set DSCORE_ROOT to it")
    comparison = drawn(20)
    total, each = score_dscore(comparison, PROTOCOLS["full"])
    assert total.jer == pytest.approx(pooled(comparison), abs=5e-4)
    for reco, error in jaccard(comparison).items():
        assert each[reco].jer == pytest.approx(error.jer, abs=5e-4)


def judge(metric, comparison):
    """Return what a metric of pyannote says in total."""
    core = importlib.import_module("pyannote.core")

    def annotation(own):
        found = core.Annotation()
        for number, turn in enumerate(own):
            found[core.Segment(turn.start, turn.end), number] = turn.speaker
        return found.support()  # it counts a speaker's overlapping turns twice

    for reco in comparison.recordings:
        regions = core.Timeline([core.Segment(*region) for region in comparison.regions(reco)])
        metric(annotation(comparison.reference[reco]), annotation(comparison.system.get(reco, [])), uem=regions)
    return abs(metric)


@pytest.fixture(scope="module")
def metrics(need_module):
    return need_module("pyannote.metrics.diarization")


@pytest.mark.parametrize("seed", range(5))
def test_pyannote_agrees(metrics, seed):
    """Its mapping makes common time largest, not the JER least, so that its JER may be higher; of like sides it is not.

    Its DER without a collar is md-eval's.
    """
    comparison = drawn(seed)
    assert judge(metrics.JaccardErrorRate(), comparison) >= pooled(comparison) - 1e-9
    like = {
        reco: [Turn(t.reco, t.speaker, t.start, t.end - 0.2) for t in own] for reco, own in comparison.reference.items()
    }
    alike = Comparison(comparison.reference, like, comparison.uem)
    assert judge(metrics.JaccardErrorRate(), alike) == pytest.approx(pooled(alike), abs=1e-6)
    error = sum(score(comparison, PROTOCOLS["full"]).values(), DiarizationError())
    assert judge(metrics.DiarizationErrorRate(collar=0.0), comparison) == pytest.approx(error.der, abs=1e-6)
