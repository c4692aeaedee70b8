"""Charts of figures by step."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_tracking.curves import charts, nice_ticks, trailing_means

VALUES = st.floats(-1e6, 1e6)


@given(VALUES, VALUES)
def test_ticks_are_few_in_equal_distances_and_enclose_what_is_drawn(one, other):
    low, high = sorted((one, other))
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert ticks[0] <= low + slack and high - slack <= ticks[-1]
    assert 2 <= len(ticks) <= 7
    steps = [later - earlier for earlier, later in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.31, 0.78, [0.2, 0.4, 0.6, 0.8]),
        (0.0, 1.0, [0.0, 0.5, 1.0]),
        (2.0, 2.0, [2.0, 2.02]),
        (0.5, 0.5, [0.5, 0.51]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high, at_most=1.0 if high <= 1 else 9.0) == pytest.approx(ticks)


def test_a_line_is_the_mean_of_the_last_five_steps():
    by_step = {step: float(step) for step in (1, 2, 3, 4, 5, 6, 9)}
    assert trailing_means(by_step) == [
        (1, 1.0),
        (2, 1.5),
        (3, 2.0),
        (4, 2.5),
        (5, 3.0),
        (6, 4.0),
        (9, 5.4),
    ]


def test_a_chart_has_what_the_run_has_and_higher_is_up():
    found = charts({"agent/reward": {1: 0.5, 2: 1.0}, "agent/rounds": {1: 2.0}}, {})
    [chart] = found  # one point of rounds is no curve
    [series] = chart.series
    (x1, y1, says), (x2, y2, _) = series.points
    assert chart.title == "reward" and x1 < x2 and y1 > y2
    assert (says, series.latest) == ("step 1: 0.5", "0.75")
    assert charts({}, {}) == []
