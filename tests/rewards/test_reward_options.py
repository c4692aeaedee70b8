"""What options add to Eq. 6, each against its formula written out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rewards.test_reward_batches import PairFake, PointFake, case, shown

from genagent_rewards import (
    HybridReward,
    Picture,
    RewardBreakdown,
    RewardCase,
    RewardConfig,
    RewardRecord,
    reward_metrics,
)
from genagent_rewards.assessment import agreement
from genagent_rewards.formula import pay

CREDITED = RewardConfig(credit="turn")
PRE = RewardConfig(single_round="none", peak=0.3, retention=-0.4, efficiency=-0.05)

passes = st.lists(st.booleans(), max_size=4)


def paid(config: RewardConfig, *values: int, **options) -> RewardBreakdown:
    """Of pictures of so much red: 200 and more are right, and more is better."""
    anchor = options.pop("anchor", None)
    asked = case(*values)
    given = RewardCase(
        id=asked.id,
        request=asked.request,
        hints=asked.hints,
        pictures=asked.pictures,
        format_error=options.pop("format_error", False),
        anchor=None if anchor is None else shown(anchor),
        **options,
    )
    [record] = HybridReward(PointFake(), PairFake(), config).score([given], seed=0)
    assert record.breakdown is not None
    return record.breakdown


@pytest.mark.parametrize(
    ("values", "total", "pair", "late"),
    [
        ((100, 250), 1.0, 0.3, 0.3),
        ((250, 210), 0.7, 0.0, 0.0),
        ((50, 100), 0.15, 0.3, 0.15),
        ((250,), 0.7, 0.0, None),
        ((100,), 0.0, 0.0, None),
        ((), 0.0, 0.0, None),
    ],
)
def test_credit_by_turn_splits_off_what_a_pair_earns(values, total, pair, late):
    reward = paid(CREDITED, *values)
    assert (reward.total, reward.pair, reward.late) == (pytest.approx(total), pair, late)
    assert reward.early == reward.point


@given(wins=st.lists(st.booleans(), min_size=1, max_size=3), error=st.booleans(), passed=passes)
def test_what_is_left_for_the_whole_trajectory_is_exactly_point_and_format(wins, error, passed):
    config = RewardConfig(credit="turn", point=0.1, format=-0.7, pair=0.3, lambda_failed=0.3)
    reward = pay(config, passed=passed, pair_wins=wins, format_error=error)
    expected = {(True, True): -0.6, (True, False): 0.1, (False, True): -0.7, (False, False): 0.0}
    assert reward.early == expected[bool(passed and passed[-1]), error]


@pytest.mark.parametrize(
    ("anchor", "values", "pair"),
    [
        (90, (100,), 0.3),
        (120, (100,), 0.0),
        (100, (100,), 0.0),  # the same picture is no improvement
        (90, (100, 110), 0.3),
        (105, (100, 110), 0.0),
        (90, (100, 95), 0.0),
        (None, (100,), 0.0),  # as if there were no anchors: one picture that failed
        (None, (250,), 0.3),
        (90, (), 0.0),
    ],
)
def test_the_first_picture_must_beat_the_anchor(anchor, values, pair):
    assert paid(RewardConfig(anchored=True), *values, anchor=anchor).pair == pair
    # An anchor that nobody asked for changes nothing.
    assert paid(RewardConfig(), *values, anchor=anchor) == paid(RewardConfig(), *values)


def test_an_anchored_pair_is_recorded_and_its_order_does_not_depend_on_the_others():
    def orders(*values: int) -> list[tuple[int, bool]]:
        anchored = RewardCase(
            id="a",
            request="r",
            hints=(),
            pictures=tuple(map(shown, values)),
            format_error=False,
            anchor=shown(1),
        )
        reward = HybridReward(PointFake(), PairFake(), RewardConfig(anchored=True))
        [record] = reward.score([anchored], seed=4)
        return [(pair.index, pair.swapped) for pair in record.pair_verdicts]

    three = orders(10, 20, 30)
    assert [index for index, _ in three] == [-1, 0, 1]
    assert orders(10) == three[:1]


@pytest.mark.parametrize(
    ("values", "peak", "retention", "efficiency"),
    [
        ((250,), 0.3, 0.0, 0.0),
        ((100, 250), 0.3, 0.0, 0.0),
        ((100, 250, 210), 0.3, 0.0, -0.05),
        ((250, 100), 0.3, -0.4, -0.05),
        ((250, 100, 220), 0.3, 0.0, -0.1),
        ((250, 100, 100), 0.3, -0.4, -0.1),
        ((100, 100), 0.0, 0.0, 0.0),
        ((), 0.0, 0.0, 0.0),
    ],
)
def test_peak_retention_and_efficiency_by_hand(values, peak, retention, efficiency):
    reward = paid(PRE, *values)
    assert reward.options == pytest.approx(
        {"peak": peak, "retention": retention, "efficiency": efficiency}
    )
    assert reward.total == pytest.approx(reward.point + peak + retention + efficiency)


@given(passed=st.lists(st.booleans(), min_size=1, max_size=4))
def test_nothing_is_gained_by_withholding_a_good_picture(passed):
    def total(*verdicts: bool) -> float:
        return pay(PRE, passed=verdicts, pair_wins=(), format_error=False).total

    # A good first picture earns at least as much as any way to one.
    assert total(True) >= total(*passed)


@given(
    pairs=st.lists(st.tuples(st.sampled_from([True, False, None]), st.booleans()), max_size=4),
    size=st.floats(0.01, 1),
)
def test_agreement_is_the_mean_over_what_the_agent_has_shown(pairs, size):
    said, so = [one for one, _ in pairs], [other for _, other in pairs]
    known = [int(one is other) for one, other in pairs if one is not None]
    expected = sum(known) / len(known) if known else 0.0
    assert agreement(said, so) == expected
    reward = pay(
        RewardConfig(assessment=size),
        passed=so,
        pair_wins=(),
        format_error=False,
        taken_for_right=said,
    )
    assert reward.assessment == pytest.approx(size * expected)
    plain = pay(RewardConfig(), passed=so, pair_wins=(), format_error=False)
    assert reward.total == pytest.approx(plain.total + size * expected)
    assert plain.options == {}


def test_an_assessment_is_paid_for_on_every_round_also_the_last():
    config = RewardConfig(assessment=0.1)
    assert paid(config, 100, 250, taken_for_right=(False, True)).assessment == pytest.approx(0.1)
    assert paid(config, 100, 100, taken_for_right=(False, True)).assessment == pytest.approx(0.05)
    assert paid(config, 250, 100, taken_for_right=(False, True)).assessment == 0.0
    assert paid(config, 100, taken_for_right=(None,)).assessment == 0.0


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        (RewardConfig(), [120, 220]),
        (RewardConfig(assessment=0.1), [110, 120, 220]),
        (RewardConfig(peak=0.1), [110, 120, 220]),
        (RewardConfig(retention=-0.1), [110, 120, 220]),
        (RewardConfig(efficiency=-0.1), [110, 120, 220]),
    ],
)
def test_judges_are_asked_about_all_pictures_only_where_that_is_paid_for(config, asked):
    judge = PointFake()
    cases = [case(110, 120), case(220), case()]
    records = HybridReward(judge, PairFake(), config).score(cases, seed=0)
    [call] = judge.calls
    assert [question.picture for question in call] == [shown(value) for value in asked]
    verdicts = [len(record.picture_verdicts) for record in records]
    assert verdicts == ([0, 0, 0] if config == RewardConfig() else [2, 1, 0])
    assert [record.point_verdict is None for record in records] == [False, False, True]


def test_a_missing_verdict_on_any_picture_makes_the_reward_absent():
    reward = HybridReward(PointFake(absent=110), PairFake(), RewardConfig(peak=0.3))
    first, second = reward.score([case(110, 220), case(120, 220)], seed=0)
    assert first.breakdown is None
    assert first.point_verdict is not None
    assert second.breakdown is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"credit": "word"}, "credit is 'word'"),
        ({"peak": -0.1}, "peak is -0.1"),
        ({"retention": 0.1}, "retention is 0.1; it is a penalty"),
        ({"efficiency": 0.1}, "efficiency is 0.1"),
        ({"assessment": float("inf")}, "assessment is inf"),
        ({"credit": "turn", "anchored": True}, "want one of the two"),
        ({"credit": "turn", "single_round": "none"}, "single_round is 'none'"),
        ({"anchored": True, "single_round": "none"}, "single_round is 'none'"),
    ],
)
def test_what_does_not_go_together_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        RewardConfig(**wrong)


def test_each_picture_has_one_assessment_or_none_has():
    def build(taken_for_right: Sequence[bool | None]) -> RewardCase:
        pictures: tuple[Picture, ...] = (shown(1), shown(2))
        return RewardCase(
            id="a",
            request="r",
            hints=(),
            pictures=pictures,
            format_error=False,
            taken_for_right=tuple(taken_for_right),
        )

    assert build([None, True]).taken_for_right == (None, True)
    with pytest.raises(ValueError, match="taken_for_right says 1 of 2 pictures"):
        build([True])


def test_options_are_logged_where_they_are_on():
    def record(reward: RewardBreakdown) -> RewardRecord:
        return RewardRecord(breakdown=reward, point_verdict=None)

    records = [record(paid(PRE, 250)), record(paid(PRE, 100, 100))]
    metrics = reward_metrics(records)
    assert metrics["reward/peak"] == pytest.approx(0.15)
    assert metrics["reward/efficiency"] == 0.0
    assert "reward/assessment" not in metrics
    late = [record(paid(CREDITED, 100, 250)), record(paid(CREDITED, 250))]
    assert reward_metrics(late)["reward/late"] == pytest.approx(0.3)
    assert set(reward_metrics([record(paid(RewardConfig(), 250))])) == {
        "agent/reward",
        "reward/point",
        "reward/pair",
        "reward/format",
        "reward/absent",
    }
    scored = [case(100), case(50)]
    anchored = [
        RewardCase(
            id=one.id,
            request=one.request,
            hints=one.hints,
            pictures=one.pictures,
            format_error=False,
            anchor=shown(80),
        )
        for one in scored
    ]
    reward = HybridReward(PointFake(), PairFake(), RewardConfig(anchored=True))
    assert reward_metrics(reward.score(anchored, seed=0))["reward/anchor_beaten"] == 0.5
