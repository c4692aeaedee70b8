"""The judge against the truth, and the alarm for withheld pictures, in literal values."""

import pytest
from tests.worlds.builders import (
    BLUE,
    BLUE_TOO,
    GRAY,
    RED,
    RED_TOO,
    ByColor,
    Flatterer,
    NeverAsked,
    both,
    trajectory,
    verdict,
    world,
)

from genagent_data import reward_case
from genagent_rewards import (
    HybridReward,
    PairQuestion,
    Picture,
    PointQuestion,
    RewardBreakdown,
    RewardCase,
    RewardConfig,
    RewardRecord,
    Verdict,
)
from genagent_worlds import (
    Judges,
    PictureWord,
    audit_outcomes,
    audit_rewards,
    judge_outcomes,
    measure,
    pair_by_first_picture,
    with_judge,
)


def case(number: int, *pictures: Picture) -> RewardCase:
    return reward_case(trajectory(number, *pictures))


def paid(pair: float) -> RewardRecord:
    breakdown = RewardBreakdown(total=0.7 + pair, point=0.7, pair=pair, format=0.0)
    return RewardRecord(breakdown=breakdown, point_verdict=verdict("yes"))


ABSENT = RewardRecord(breakdown=None, point_verdict=None)

MIXTURE = [
    (case(0, BLUE, RED), paid(0.3)),  # failed first
    (case(1, BLUE_TOO, BLUE, RED), paid(0.3)),  # failed first
    (case(2, RED, RED_TOO), paid(0.3)),  # passed first
    (case(3, RED), paid(0.3)),  # earned without a second picture
    (case(4, BLUE, GRAY), ABSENT),
    (case(5, BLUE, BLUE_TOO), paid(0.0)),
    (case(6, GRAY, RED), paid(0.3)),  # nobody knows of the first
    (case(7), paid(0.0)),
]
CASES, RECORDS = [case for case, _ in MIXTURE], [record for _, record in MIXTURE]
FIRST_OF_EARNERS = [
    PointQuestion(request="red 0", hints=("it is red 0",), picture=BLUE),
    PointQuestion(request="red 1", hints=("it is red 1",), picture=BLUE_TOO),
    PointQuestion(request="red 2", hints=("it is red 2",), picture=RED),
    PointQuestion(request="red 6", hints=("it is red 6",), picture=GRAY),
]
# Seven rewards are there: 2 * .3 / 7 and .3 / 7.
BY_FIRST = {
    "reward/pair_after_failed_first": pytest.approx(0.6 / 7),
    "reward/pair_after_passed_first": pytest.approx(0.3 / 7),
}


def test_the_pair_reward_is_split_by_first_pictures_and_only_those_that_earned_are_asked_about():
    judge = ByColor()
    assert pair_by_first_picture(world(judge), CASES, RECORDS) == BY_FIRST
    assert judge.calls == [FIRST_OF_EARNERS]


def test_where_the_truth_is_known_it_says_what_the_first_pictures_were():
    truth = ByColor()
    assert pair_by_first_picture(world(NeverAsked(), truth=truth), CASES, RECORDS) == BY_FIRST
    assert truth.calls == [FIRST_OF_EARNERS]


def test_where_no_second_picture_earned_anything_nobody_is_asked():
    # A lone picture that earned it, an absent reward, a pair that earned nothing.
    assert pair_by_first_picture(world(NeverAsked()), CASES[3:6], RECORDS[3:6]) == {
        "reward/pair_after_failed_first": 0.0,
        "reward/pair_after_passed_first": 0.0,
    }


def test_where_no_reward_is_there_the_pair_reward_has_no_mean():
    assert pair_by_first_picture(world(NeverAsked()), [], []) == {}
    assert pair_by_first_picture(world(NeverAsked()), CASES[4:5], RECORDS[4:5]) == {}


def test_the_parts_of_the_pair_reward_are_before_lambda():
    # A bonus is paid in full here even where the point reward was not earned.
    failed = RewardBreakdown(total=0.15, point=0.0, pair=0.3, format=0.0)
    records = [RewardRecord(breakdown=failed, point_verdict=verdict("no")), paid(0.0)]
    cases = [case(0, BLUE, BLUE_TOO), case(1, RED)]
    assert pair_by_first_picture(world(ByColor()), cases, records) == {
        "reward/pair_after_failed_first": pytest.approx(0.15),
        "reward/pair_after_passed_first": 0.0,
    }


def test_without_a_truth_rewards_are_not_audited():
    judge = ByColor()
    assert audit_rewards(world(judge), CASES, RECORDS, RewardConfig(), seed=0) == BY_FIRST
    assert judge.calls == [FIRST_OF_EARNERS]


def test_rewards_are_held_against_the_true_ones():
    config = RewardConfig()
    fooled = world(Flatterer(), truth=ByColor())
    cases = [case(0, RED), case(1, BLUE), case(2, BLUE_TOO), case(3)]
    records = HybridReward(fooled.judges.point, fooled.judges.pair, config).score(cases, seed=1)
    assert audit_rewards(fooled, cases, records, config, seed=1) == {
        "reward/pair_after_failed_first": 0.0,
        "reward/pair_after_passed_first": 0.0,
        "audit/judged_success": 1.0,
        "audit/true_success": pytest.approx(1 / 3),
        "audit/false_accept": 1.0,
        "audit/false_reject": 0.0,
        # 1.0 for each picture, and truly for the first only; nothing for nothing drawn.
        "audit/reward_gap": pytest.approx(0.5),
    }


def test_the_truth_is_asked_about_pairs_in_the_order_that_the_judge_saw():
    config = RewardConfig()
    cases = [case(number, BLUE, RED) for number in range(40)]
    judge, truth = ByColor(), ByColor()
    watched = world(judge, truth=truth)
    records = HybridReward(judge, judge, config).score(cases, seed=5)
    metrics = audit_rewards(watched, cases, records, config, seed=5)
    asked, again = judge.calls[1], truth.calls[-1]
    assert asked == again
    firsts = [question.first for question in asked if isinstance(question, PairQuestion)]
    assert len(firsts) == len(asked) and set(firsts) == {BLUE, RED}
    assert (metrics["audit/missed_win"], metrics["audit/reward_gap"]) == (0.0, 0.0)
    assert metrics["reward/pair_after_failed_first"] == pytest.approx(0.3)


def test_a_judge_that_is_fooled_shows_in_the_audit_of_an_evaluation():
    fooled = world(Flatterer(), truth=ByColor())
    # Last pictures count: one is good, two are not, one attempt drew nothing.
    attempts = [
        trajectory(0, BLUE, RED),
        trajectory(1, RED, BLUE),
        trajectory(2, BLUE),
        trajectory(3),
    ]
    outcomes = measure(fooled, attempts)
    assert audit_outcomes(with_judge(fooled, outcomes)) == {
        "judged_success": 1.0,
        "false_accept": 1.0,
        "false_reject": 0.0,
    }
    exact = world(ByColor(), truth=ByColor())
    assert audit_outcomes(with_judge(exact, outcomes)) == {
        "judged_success": pytest.approx(1 / 3),
        "false_accept": 0.0,
        "false_reject": 0.0,
    }


def test_an_audit_is_of_those_whose_success_counts():
    attempts = [trajectory(0, RED), trajectory(1, BLUE, None, ending="tool_failure")]
    judged = world(ByColor(), truth=ByColor())
    audit = audit_outcomes(with_judge(judged, measure(judged, attempts)))
    assert audit == {"judged_success": 1.0, "false_reject": 0.0}


def test_an_audit_of_an_evaluation_compares_no_pictures():
    pointed = Judges(point=ByColor(), pair=NeverAsked())
    outcomes = judge_outcomes([trajectory(0, BLUE, RED)], ByColor(), source="truth")
    # A share of nothing is left out: no picture truly fails.
    metrics = audit_outcomes(with_judge(world(pointed, truth=pointed), outcomes))
    assert metrics == {"judged_success": 1.0, "false_reject": 0.0}


def test_without_a_truth_an_evaluation_is_not_audited_and_nobody_is_asked():
    outcomes = judge_outcomes([trajectory(0, RED)], ByColor(), source="judge")
    assert audit_outcomes(with_judge(world(NeverAsked()), outcomes)) == {}


def test_judges_that_ask_no_model_count_nothing():
    assert both(ByColor()).take_counts() == {}


def test_an_absent_verdict_counts_on_neither_side_of_an_audit():
    class Shy(ByColor):
        def judge(self, questions) -> list[Verdict | None]:
            return [None for _ in questions]

    outcomes = judge_outcomes([trajectory(0, RED)], ByColor(), source="truth")
    assert audit_outcomes(with_judge(world(Shy(), truth=ByColor()), outcomes)) == {}


def test_the_judges_words_stay_with_the_pictures_it_was_asked_about():
    judge = ByColor()
    attempts = [
        trajectory(0, BLUE, RED),
        trajectory(1, GRAY),
        trajectory(2),
        trajectory(3, BLUE, None, ending="tool_failure"),
    ]
    outcomes = with_judge(
        world(judge, truth=Flatterer()), judge_outcomes(attempts, ByColor(), source="truth")
    )
    assert [outcome.judged for outcome in outcomes] == [
        PictureWord(passed=True, reason="looked"),
        PictureWord(passed=None, reason=None),
        None,
        None,
    ]
    [asked] = judge.calls
    assert [q.picture for q in asked if isinstance(q, PointQuestion)] == [RED, GRAY]
