"""Means with bootstrap intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_worlds import Estimate, Rate, mean_estimate


def test_shares_have_the_interval_of_shares():
    values = [1.0] * 157 + [0.0] * 123
    found = mean_estimate(values)
    share = Rate(hits=157, trials=280)
    assert found == Estimate(value=share.value, interval=share.interval, n=280)
    assert mean_estimate([1.0, 1.0]) == Estimate(
        value=1.0, interval=Rate(hits=2, trials=2).interval, n=2
    )


def test_an_interval_is_about_as_wide_as_the_normal_one():
    values = [2.0] * 157 + [7.0] * 123
    found = mean_estimate(values)
    assert found is not None
    # 1.96 standard errors of 5 * .0297 on either side; 2,000 draws are good to some hundredths.
    assert found.interval == pytest.approx((4.196 - 0.291, 4.196 + 0.291), abs=0.03)


def test_equal_values_leave_no_doubt_and_none_no_mean():
    assert mean_estimate([7.5, 7.5]) == Estimate(value=7.5, interval=(7.5, 7.5), n=2)
    assert mean_estimate([]) is None


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(0, 9))
def test_a_mean_lies_in_its_interval_and_the_seed_decides_it(values, seed):
    found = mean_estimate(values, seed=seed)
    assert found is not None and found == mean_estimate(values, seed=seed)
    # Wilson's interval of yes and no reaches beyond what was seen.
    low, high = (0.0, 1.0) if set(values) <= {0.0, 1.0} else (min(values), max(values))
    assert low - 1e-9 <= found.interval[0] <= found.value + 1e-9
    assert found.value - 1e-9 <= found.interval[1] <= high + 1e-9
