import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from genagent_study import OverSeeds, over_seeds

figures = st.lists(st.floats(-1, 1).map(lambda one: round(one, 3)), min_size=2, max_size=9)


@given(figures)
def test_mean_interval_and_p_are_those_of_the_t_test(values: list[float]):
    assume(max(values) - min(values) > 1e-6)
    known, reference = over_seeds(values), ttest_1samp(values, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert known.value == pytest.approx(sum(values) / len(values))
    assert known.interval == pytest.approx((low, high))
    if known.value:
        assert known.p_value == pytest.approx(reference[1], abs=1e-12)


@given(figures)
def test_the_interval_leaves_out_0_where_p_is_below_a_twentieth(values: list[float]):
    assume(max(values) - min(values) > 1e-6)
    known = over_seeds(values)
    assume(abs(known.p_value - 0.05) > 1e-9)
    low, high = known.interval
    assert (low > 0 or high < 0) == (known.p_value < 0.05)


@given(figures)
def test_turning_every_seed_around_turns_the_figure_around(values: list[float]):
    one, other = over_seeds(values), over_seeds([-value for value in values])
    assert other.value == -one.value
    assert other.interval == (-one.interval[1], -one.interval[0])
    assert (other.p_value, other.sign_p_value) == (one.p_value, one.sign_p_value)
    assert other.agreeing(1) == one.agreeing(-1)


def test_signs_alone():
    assert over_seeds([0.1, 0.2, 0.1, 0.3, 0.2]).sign_p_value == 1 / 16
    assert over_seeds([0.1, 0.2, 0.1, 0.3, -0.2]).sign_p_value == binomtest(4, 5).pvalue
    assert over_seeds([0.1, 0.0, 0.0]).sign_p_value == 1.0  # no side, no sign


def test_one_seed_says_nothing_of_chance():
    known = over_seeds([0.3])
    assert (known.value, known.interval, known.p_value) == (0.3, (-math.inf, math.inf), 1.0)


def test_seeds_that_are_all_alike_do_not_prove_it():
    assert over_seeds([0.5, 0.5, 0.5]).p_value == 0.25
    assert over_seeds([0.0, 0.0]).p_value == 1.0


@pytest.mark.parametrize("values", [(), (0.1, math.nan), (math.inf,)])
def test_what_is_no_figure_is_refused(values: tuple[float, ...]):
    with pytest.raises(ValueError, match="wants a finite number or more"):
        OverSeeds(values=values)
