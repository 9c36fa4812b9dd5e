"""The algebra of regions, against sets of ticks on small random cases and on the edge cases by hand."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiar.timeline.regions import (
    covered,
    drop_short,
    hundredths,
    intersect,
    merge,
    pad,
    subtract,
    to_hundredths,
    total,
)


def ticks(regions):
    return {tick for start, end in regions for tick in range(int(start), int(end))}


def as_regions(wanted):
    edges = [tick for tick in range(-1, 41) if (tick in wanted) != (tick - 1 in wanted)]
    return [[edges[i], edges[i + 1]] for i in range(0, len(edges), 2)]


def drawn(rng):
    return [(start, start + rng.randrange(6)) for start in (rng.randrange(34) for _ in range(rng.randrange(9)))]


@pytest.mark.parametrize("seed", range(40))
def test_set_operations_equal_those_on_ticks(seed):
    rng = random.Random(seed)
    first, second = drawn(rng), drawn(rng)
    assert covered(first).tolist() == as_regions(ticks(first))
    assert intersect(first, second).tolist() == as_regions(ticks(first) & ticks(second))
    assert subtract(first, second).tolist() == as_regions(ticks(first) - ticks(second))
    assert total(first) == len(ticks(first))
    twice = {tick for tick in range(40) if sum(start <= tick < end for start, end in first) >= 2}
    assert covered(first, 2).tolist() == as_regions(twice)


TIMES = st.floats(0, 1e5, allow_nan=False)
ANY = st.lists(st.tuples(TIMES, st.floats(0, 100) | st.just(0.0)).map(lambda pair: (pair[0], sum(pair))), max_size=8)


def inside(regions, time):
    return any(start <= time < end for start, end in regions)


@settings(max_examples=100, deadline=None)
@given(ANY, ANY, st.floats(0, 50))
def test_any_regions_give_disjoint_ones_that_hold_what_they_should(first, second, amount):
    results = {
        "covered": covered(first),
        "intersect": intersect(first, second),
        "subtract": subtract(first, second),
        "merge": merge(first, amount),
        "pad": pad(first, amount, 2e5),
        "drop_short": drop_short(first, amount),
        "twice": covered([*first, *second], 2),
    }
    for regions in results.values():
        assert np.all(regions[:, 1] > regions[:, 0]) and np.all(regions[1:, 0] > regions[:-1, 1])
    for time in {time for region in [*first, *second] for time in region}:
        one, other = inside(first, time), inside(second, time)
        assert inside(results["covered"], time) == one
        assert inside(results["intersect"], time) == (one and other)
        assert inside(results["subtract"], time) == (one and not other)
        assert one <= inside(results["merge"], time)
        assert inside(results["twice"], time) == (sum(start <= time < end for start, end in [*first, *second]) >= 2)
    parts = total(results["intersect"]) + total(results["subtract"])
    assert parts == pytest.approx(total(first), abs=1e-6)
    assert all(end - start >= amount for start, end in results["drop_short"].tolist())


@settings(max_examples=100, deadline=None)
@given(ANY, st.floats(0, 2e5))
def test_whole_hundredths_are_within_half_of_one_and_in_the_recording(regions, duration):
    whole = to_hundredths(regions, duration)
    assert np.all(whole == np.floor(whole)) and np.all(whole[:, 1] > whole[:, 0])
    assert not len(whole) or whole.max() <= duration * 100 + 1e-5
    for times, rounded in zip(regions, hundredths(regions) if regions else (), strict=True):
        assert rounded.tolist() == pytest.approx([100 * time for time in times], abs=0.5 + 1e-5)


def test_merge_closes_gaps_that_are_shorter():
    assert merge([(2.5, 3), (0, 1), (1.5, 2)], 0.6).tolist() == [[0, 3]]
    assert merge([(0, 1), (1.5, 2)], 0.5).tolist() == [[0, 1], [1.5, 2]]
    assert merge([(0, 1), (1, 2), (0.5, 0.6)]).tolist() == [[0, 2]]


def test_pad_stays_in_the_recording():
    assert pad([(0.1, 1), (1.3, 2), (3, 3.9)], 0.2, 4.0).tolist() == [[0, 2.2], [2.8, 4.0]]
    assert pad([(1, 2)], 0).tolist() == [[1, 2]]


def test_drop_short_looks_at_the_union():
    assert drop_short([(0, 0.2), (0.2, 0.4), (1, 1.3)], 0.4).tolist() == [[0, 0.4]]


@pytest.mark.parametrize("operation", [covered, merge, pad, drop_short, to_hundredths])
def test_nothing_gives_nothing(operation):
    result = operation([], 1) if operation in (pad, drop_short) else operation([])
    assert result.shape == (0, 2)
    assert subtract([], [(0, 1)]).shape == intersect([], []).shape == (0, 2)
    assert subtract([(0, 1)], []).tolist() == [[0, 1]]


def test_hundredths():
    assert to_hundredths([(0.575, 1.005), (0.004, 0.0049), (1.0, 10.237)], 10.2379).tolist() == [[58, 101], [100, 1023]]
    assert to_hundredths([(0.5, 9.0)]).tolist() == [[50, 900]]
    assert to_hundredths([(12, 13)], 11.0).shape == (0, 2)


@pytest.mark.parametrize("bad", [[(2, 1)], [(0, np.nan)], [(0, np.inf)]])
def test_what_is_no_region(bad):
    with pytest.raises(ValueError, match="two finite times"):
        covered(bad)
