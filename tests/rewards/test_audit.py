"""What the audit says of a judge whose mistakes are known."""

from typing import Literal

import pytest

from genagent_rewards import PairRecord, RewardBreakdown, RewardRecord, Verdict
from genagent_rewards.audit import audit_metrics, reward_metrics


def record(passed: bool | None, total: float, *wins: bool) -> RewardRecord:
    def verdict(choice):
        return Verdict(choice=choice, reason="", judge="test")

    return RewardRecord(
        breakdown=None
        if passed is None
        else RewardBreakdown(total=total, point=0.7 * passed, pair=0.0, format=0.0),
        point_verdict=None if passed is None else verdict("yes" if passed else "no"),
        pair_verdicts=tuple(
            PairRecord(index=i, verdict=verdict("first"), swapped=win, win=win)
            for i, win in enumerate(wins)
        ),
    )


def test_each_kind_of_mistake_is_a_share_of_what_it_could_be_made_about():
    judged = [
        record(True, 0.7),
        record(True, 0.7, True),
        record(False, 0.0, False),
        record(None, 0),
    ]
    true = [
        record(True, 0.7),
        record(False, 0.0, False),
        record(True, 1.0, True),
        record(True, 0.7),
    ]
    assert audit_metrics(judged, true) == pytest.approx(
        {
            "audit/judged_success": 2 / 3,
            "audit/true_success": 2 / 3,
            "audit/false_accept": 1.0,
            "audit/false_reject": 0.5,
            "audit/false_win": 1.0,
            "audit/missed_win": 1.0,
            "audit/reward_gap": (0.0 + 0.7 - 1.0) / 3,
        }
    )


def test_a_judge_that_is_too_kind_accepts_and_calls_wins_falsely_and_misses_nothing():
    judged = [record(True, 0.7, True, True, False), record(True, 0.7), record(False, 0.0)]
    true = [record(False, 0.0, False, True, False), record(True, 0.7), record(False, 0.0)]
    # One of the two pictures that fail, and of the two pairs without a win; the good ones are not.
    assert audit_metrics(judged, true) == pytest.approx(
        {
            "audit/judged_success": 2 / 3,
            "audit/true_success": 1 / 3,
            "audit/false_accept": 0.5,
            "audit/false_reject": 0.0,
            "audit/false_win": 0.5,
            "audit/missed_win": 0.0,
            "audit/reward_gap": 0.7 / 3,
        }
    )


def test_a_share_of_nothing_is_left_out_not_zero():
    everything_good = [record(True, 0.7), record(True, 0.7)]
    metrics = audit_metrics(everything_good, everything_good)
    assert metrics == {
        "audit/judged_success": 1.0,
        "audit/true_success": 1.0,
        "audit/false_reject": 0.0,
        "audit/reward_gap": 0.0,
    }


def test_other_cases_are_refused():
    with pytest.raises(ValueError, match="1 judged and 2 true"):
        audit_metrics([record(True, 0.7)], [record(True, 0.7)] * 2)


def test_absent_rewards_are_counted_and_leave_the_means():
    metrics = reward_metrics([record(True, 0.7), record(None, 0.0), record(False, -0.2)])
    assert metrics["reward/absent"] == 1
    assert metrics["agent/reward"] == pytest.approx(0.25)
    assert metrics["reward/point"] == pytest.approx(0.35)


def test_each_part_of_the_rewards_has_its_mean():
    def paid(total: float, point: float, pair: float, format: float) -> RewardRecord:
        breakdown = RewardBreakdown(total=total, point=point, pair=pair, format=format)
        return RewardRecord(breakdown=breakdown, point_verdict=None)

    absent = RewardRecord(breakdown=None, point_verdict=None)
    records = [paid(1.0, 0.7, 0.3, 0.0), absent, paid(-0.05, 0.0, 0.3, -0.2), absent]
    assert reward_metrics(records) == pytest.approx(
        {
            "agent/reward": 0.475,
            "reward/point": 0.35,
            "reward/pair": 0.3,
            "reward/format": -0.1,
            "reward/absent": 2.0,
        }
    )


def test_a_judge_that_prefers_a_place_shows_whichever_picture_lay_there():
    def compared(*choices: Literal["first", "second", "tie"] | None) -> RewardRecord:
        pairs = tuple(
            PairRecord(
                index=0,
                verdict=None if choice is None else Verdict(choice=choice, reason="", judge="test"),
                swapped=bool(place % 2),
                win=None if choice is None else choice == ("first" if place % 2 else "second"),
            )
            for place, choice in enumerate(choices)
        )
        return RewardRecord(breakdown=None, point_verdict=None, pair_verdicts=pairs)

    # Both orders, three times first: ties decide nothing, and neither does what could not be had.
    metrics = reward_metrics([compared("first", "first"), compared("first", "tie"), compared(None)])
    assert metrics["judge/first_shown_wins"] == 1.0
    # The same picture preferred in both orders.
    assert reward_metrics([compared("second", "first")])["judge/first_shown_wins"] == 0.5
    assert "judge/first_shown_wins" not in reward_metrics([compared("tie"), compared(None)])
