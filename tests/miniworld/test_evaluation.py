"""Evaluation: intervals and the paired test against literal values, and what a summary counts."""

import pytest

from genagent_data import Request, Round, Trajectory
from genagent_miniworld import (
    Outcome,
    Rate,
    paired_p_value,
    rate,
    result_rows,
    summarize,
    telling_pair,
)
from genagent_miniworld.building.report import turn_errors


def outcome(number: int, *passed: bool, judged: tuple[str, ...] = (), error: str | None = None):
    judgements = (*judged, *(None for _ in passed[len(judged) :]))
    rounds = tuple(
        Round(thinking="t", tool_prompt="p", image=f"{number}-{i}", judgement=judgement)
        for i, judgement in enumerate(judgements)
    )
    trajectory = Trajectory(
        request=Request(id=str(number), prompt="a red circle", task="color"),
        rounds=rounds,
        ending="format_error" if error else "answer",
        error=error,
    )
    return Outcome(trajectory=trajectory, passed=passed)


def test_the_wilson_interval_has_its_published_values():
    # Newcombe (1998), table I: 81 of 263 gives .2553 to .3662, 0 of 20 gives 0 to .1611.
    low, high = rate([True] * 81 + [False] * 182).interval
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = Rate(hits=0, trials=20).interval
    assert (low, round(high, 4)) == (0.0, 0.1611)


def test_a_rate_reads_as_percent():
    assert str(Rate(hits=30, trials=40)) == "75.0 % [59.8, 85.8]"
    assert Rate(hits=0, trials=0).interval == (0.0, 1.0)


def test_success_is_by_the_last_picture_and_none_without_one():
    assert outcome(0, False, True).success and not outcome(0, False, True).first_success
    assert not outcome(0, True, False).success and outcome(0, True, False).first_success
    assert not outcome(0).success


def test_the_paired_test_counts_changes_only():
    # Ten changes, nine of them gains: 2 * (1 + 10) / 2**10.
    before = [outcome(i, i == 0) for i in range(30)]
    after = [outcome(i, 0 < i < 10) for i in range(30)]
    assert paired_p_value(before, after) == pytest.approx(22 / 1024)
    assert paired_p_value(before, before) == 1.0


def test_a_paired_test_of_other_requests_is_refused():
    with pytest.raises(ValueError, match="same requests"):
        paired_p_value([outcome(0, True)], [outcome(1, True)])


def test_a_summary_counts_successes_rounds_errors_and_agreement():
    outcomes = [
        outcome(0, False, True, judged=("x. bad", "x. good")),
        outcome(1, True, judged=("x. bad",), error="invalid_json"),
        outcome(2, error="no_action"),
        outcome(3, True, judged=("no verdict",)),
    ]
    assert summarize(outcomes) == {
        "success": 0.75,
        "first_success": 0.5,
        "rounds": 1.0,
        "format_errors": 0.5,
        "judgement_agreement": pytest.approx(2 / 3),
    }


def test_turn_errors_blame_the_last_turn():
    outcomes = [outcome(0, False, True), outcome(1, True, error="invalid_json")]
    assert turn_errors(outcomes) == [False, False, False, False, True]


def test_rows_give_all_requests_and_then_each_task():
    before = [outcome(i, i == 0, False) for i in range(10)]
    after = [outcome(i, False, i < 9) for i in range(10)]
    rows = result_rows(before, after)
    assert [row["task"] for row in rows] == ["all", "color"]
    assert rows[0] == {
        "task": "all",
        "n": "10",
        "before": "0 [0-28]",
        "after": "90 [60-98]",
        "first, before": "10 [2-40]",
        "first, after": "0 [0-28]",
    }


def test_the_telling_pair_went_from_failure_to_success():
    before = [outcome(0, True), outcome(1), outcome(2, False)]
    after = [outcome(0, True), outcome(1), outcome(2, False, True)]
    assert telling_pair(before, after) == (before[2], after[2])
    assert telling_pair(before[:1], after[:1]) == (before[0], after[0])
    assert telling_pair(before[1:2], after[1:2]) is None


def test_of_telling_pairs_one_that_the_agent_answers_comes_first():
    before = [outcome(0, False, False), outcome(1, False)]
    after = [outcome(0, False, True, error="length"), outcome(1, True)]
    assert telling_pair(before, after) == (before[1], after[1])
