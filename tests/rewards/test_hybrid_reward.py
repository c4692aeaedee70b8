"""Eq. 6 and 7 case by case."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_rewards import RewardBreakdown, RewardConfig, hybrid_reward


@pytest.mark.parametrize(
    ("passed", "wins", "reading", "total", "point", "pair"),
    [
        # two pictures or more: the reading of one picture does not matter, but "none" does
        (True, [True], "zero", 1.0, 0.7, 0.3),
        (True, [False], "zero", 0.7, 0.7, 0.0),
        (False, [True], "zero", 0.15, 0.0, 0.3),
        (False, [False], "zero", 0.0, 0.0, 0.0),
        (True, [True, True], "zero", 1.0, 0.7, 0.3),
        (True, [True, False], "zero", 0.7, 0.7, 0.0),
        (True, [False, True], "zero", 0.7, 0.7, 0.0),
        (False, [True, True], "zero", 0.15, 0.0, 0.3),
        (True, [True], "literal", 1.0, 0.7, 0.3),
        (True, [False], "literal", 0.7, 0.7, 0.0),
        (False, [True], "literal", 0.15, 0.0, 0.3),
        (False, [False], "literal", 0.0, 0.0, 0.0),
        (True, [True], "if_passed", 1.0, 0.7, 0.3),
        (True, [False], "if_passed", 0.7, 0.7, 0.0),
        (False, [True], "if_passed", 0.15, 0.0, 0.3),
        (False, [False], "if_passed", 0.0, 0.0, 0.0),
        (True, [True], "none", 0.7, 0.7, 0.0),
        (True, [False], "none", 0.7, 0.7, 0.0),
        (False, [True], "none", 0.0, 0.0, 0.0),
        # one picture
        (True, [], "zero", 0.7, 0.7, 0.0),
        (False, [], "zero", 0.0, 0.0, 0.0),
        (True, [], "literal", 1.0, 0.7, 0.3),
        (False, [], "literal", 0.15, 0.0, 0.3),
        (True, [], "if_passed", 1.0, 0.7, 0.3),
        (False, [], "if_passed", 0.0, 0.0, 0.0),
        (True, [], "none", 0.7, 0.7, 0.0),
        (False, [], "none", 0.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize(("format_error", "penalty"), [(False, 0.0), (True, -0.2)])
def test_every_case_of_the_reward(passed, wins, reading, total, point, pair, format_error, penalty):
    reward = hybrid_reward(
        point_passed=passed, pair_wins=wins, format_error=format_error, single_round=reading
    )
    assert reward.total == pytest.approx(total + penalty)
    assert (reward.point, reward.pair, reward.format) == (point, pair, penalty)


def test_the_papers_reading_pays_one_picture_nothing_for_pairs():
    assert hybrid_reward(point_passed=True, pair_wins=(), format_error=False) == RewardBreakdown(
        total=0.7, point=0.7, pair=0.0, format=0.0
    )


def test_a_configuration_pays_one_picture_for_pairs_where_it_passed():
    assert RewardConfig() == RewardConfig(
        point=0.7, format=-0.2, pair=0.3, lambda_failed=0.5, single_round="if_passed"
    )


def test_sizes_can_be_chosen():
    reward = hybrid_reward(
        point_passed=False,
        pair_wins=[True],
        format_error=True,
        point=2.0,
        format=-1.0,
        pair=4.0,
        lambda_failed=0.25,
    )
    assert reward == RewardBreakdown(total=0.0, point=0.0, pair=4.0, format=-1.0)


@settings(deadline=None)
@given(
    wins=st.lists(st.booleans(), max_size=4),
    format_error=st.booleans(),
    reading=st.sampled_from(["zero", "literal", "if_passed", "none"]),
)
def test_passing_always_pays_more_and_a_format_error_always_less(wins, format_error, reading):
    def total(passed: bool, error: bool) -> float:
        return hybrid_reward(
            point_passed=passed, pair_wins=wins, format_error=error, single_round=reading
        ).total

    assert total(True, format_error) > total(False, format_error)
    assert total(True, True) < total(True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"point": 0.0},
        {"point": float("nan")},
        {"format": 0.1},
        {"pair": -0.3},
        {"lambda_failed": 1.5},
        {"single_round": "never"},
    ],
)
def test_a_size_out_of_range_is_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} is "):
        RewardConfig(**wrong)
    with pytest.raises(ValueError, match=f"^{name} is "):
        hybrid_reward(point_passed=True, pair_wins=[], format_error=False, **wrong)
