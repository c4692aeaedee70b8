import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_worlds import PairedDifference, Rate, paired_difference

counts = st.integers(0, 60)


def difference(both: int, second_only: int, first_only: int, neither: int) -> PairedDifference:
    return PairedDifference(
        both=both, second_only=second_only, first_only=first_only, neither=neither
    )


def test_newcombes_own_example():
    # 36, 12, 2 and 0 of 50 airway-sensitive patients: .20 [.0569, .3404] in his table of method 10.
    found = difference(36, 12, 2, 0)
    assert found.value == 0.2
    assert found.interval == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_pairs_are_counted_and_unknown_ones_left_out():
    pairs = [(True, True), (False, True), (False, True), (True, False), (False, False)]
    found = paired_difference([*pairs, (None, True), (False, None)])
    assert found == difference(1, 2, 1, 1)
    assert (found.trials, found.value) == (5, 0.2)


def test_nothing_is_known_without_pairs():
    assert paired_difference([(None, None)]).interval == (-1.0, 1.0)


def test_nobody_changed_is_no_certainty():
    low, high = difference(225, 0, 0, 225).interval
    # Fully correlated outcomes up to the continuity correction.
    assert low == -high
    assert 0 < high < 0.01


@given(counts, counts, counts, counts)
def test_swapping_the_sides_mirrors_the_interval(both, second_only, first_only, neither):
    low, high = difference(both, second_only, first_only, neither).interval
    mirrored = difference(both, first_only, second_only, neither).interval
    assert mirrored == pytest.approx((-high, -low))


@given(counts, counts, counts, counts)
def test_the_interval_holds_the_value_and_stays_possible(both, second_only, first_only, neither):
    found = difference(both, second_only, first_only, neither)
    low, high = found.interval
    assert -1 - 1e-9 <= low <= found.value <= high <= 1 + 1e-9


def test_pairing_is_narrower_than_two_samples():
    found = difference(80, 12, 2, 106)
    low, high = found.interval
    (a, b), (c, d) = Rate(hits=92, trials=200).interval, Rate(hits=82, trials=200).interval
    assert high - low < (b - a) * 0.8
    assert high - low < (d - c) * 0.8
