"""Before and after: the paired test against literal values, rows of a table, a telling example."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.builders import flat, trajectory

from genagent_data import Ending
from genagent_worlds import Outcome, compare, paired_p_value, result_rows, telling_pair


def outcome(
    number: int,
    *passed: bool | None,
    ending: Ending = "answer",
    source: Literal["truth", "judge"] = "truth",
    task: str = "color",
) -> Outcome:
    drawn = [flat("red", 4 + number) for number in range(len(passed))]
    attempt = trajectory(number, *drawn, ending=ending, task=task)
    return Outcome(trajectory=attempt, passed=passed, source=source)


def test_the_paired_test_counts_changes_only():
    # Ten changes, nine of them gains: 2 * (1 + 10) / 2**10.
    before = [outcome(i, i == 0) for i in range(30)]
    after = [outcome(i, 0 < i < 10) for i in range(30)]
    assert paired_p_value(before, after) == pytest.approx(22 / 1024)
    assert paired_p_value(before, before) == 1.0


def test_the_paired_test_takes_the_last_pictures():
    before = [outcome(i, True, False) for i in range(6)]
    after = [outcome(i, False, True) for i in range(6)]
    assert paired_p_value(before, after) == pytest.approx(2 / 2**6)


def test_requests_without_a_verdict_on_either_side_do_not_count_as_changes():
    before = [outcome(i, i == 0) for i in range(10)]
    after = [outcome(i, i > 0) for i in range(10)]
    unknown_before = [outcome(i, None) for i in range(10, 20)]
    unknown_after = [outcome(i, None) for i in range(10, 20)]
    known = [outcome(i, i % 2 == 0) for i in range(10, 20)]
    expected = pytest.approx(22 / 1024)
    assert paired_p_value(before + unknown_before, after + known) == expected
    assert paired_p_value(before + known, after + unknown_after) == expected
    assert paired_p_value(before + unknown_before, after + unknown_after) == expected


@given(
    pairs=st.lists(st.tuples(*2 * [st.sampled_from([True, False, None])]), min_size=1, max_size=40)
)
def test_the_paired_test_is_that_of_the_known_pairs_and_has_two_sides(pairs):
    before = [outcome(i, b) for i, (b, _) in enumerate(pairs)]
    after = [outcome(i, a) for i, (_, a) in enumerate(pairs)]
    known = [i for i, pair in enumerate(pairs) if None not in pair]
    p = paired_p_value(before, after)
    assert p == paired_p_value([before[i] for i in known], [after[i] for i in known])
    assert p == pytest.approx(paired_p_value(after, before))
    assert 0 < p <= 1


def test_a_paired_test_of_other_requests_is_refused():
    with pytest.raises(ValueError, match="same requests"):
        paired_p_value([outcome(0, True)], [outcome(1, True)])


def test_a_comparison_is_named_after_who_says_what_success_is():
    def compared(source) -> dict[str, Any]:
        before = [outcome(i, i == 0, source=source) for i in range(10)]
        after = [outcome(i, i > 0, source=source) for i in range(10)]
        return compare(before, after)

    true, judged = compared("truth"), compared("judge")
    assert set(true) == {
        "after",
        "held_out",
        "success_before_95",
        "success_before_n",
        "success_after_95",
        "success_after_n",
        "p_value",
        "p_value_n",
    }
    assert (true["held_out"], true["p_value"]) == (10, pytest.approx(22 / 1024))
    assert true["success_before_95"] == pytest.approx((0.01787621, 0.40415), abs=1e-5)
    assert true["success_after_95"] == pytest.approx((0.59585, 0.98212379), abs=1e-5)
    assert true["after"]["success"] == 0.9
    assert "absent_verdicts" not in true["after"]
    assert set(judged) == {
        "after",
        "held_out",
        "judged_success_before_95",
        "judged_success_before_n",
        "judged_success_after_95",
        "judged_success_after_n",
        "p_value",
        "p_value_n",
    }
    assert (judged["after"]["judged_success"], judged["after"]["absent_verdicts"]) == (0.9, 0.0)
    assert "success" not in judged["after"]


def test_rows_give_all_requests_and_then_each_task():
    before = [outcome(i, i == 0, False, task="color" if i < 5 else "count") for i in range(10)]
    after = [outcome(i, False, i < 9, task="color" if i < 5 else "count") for i in range(10)]
    rows = result_rows(before, after)
    assert [(row["task"], row["n"]) for row in rows] == [
        ("all", "10"),
        ("color", "5"),
        ("count", "5"),
    ]
    assert rows[0] == {
        "task": "all",
        "n": "10",
        "before": "0 [0-28]",
        "after": "90 [60-98]",
        "first before": "10 [2-40]",
        "first after": "0 [0-28]",
    }
    assert [row["after"] for row in rows[1:]] == ["100 [57-100]", "80 [38-96]"]


def test_requests_of_one_task_need_no_second_row():
    before = [outcome(i, i == 0, False) for i in range(10)]
    assert [row["task"] for row in result_rows(before, before)] == ["all"]


def test_absent_verdicts_are_no_failures_in_a_row():
    before = [outcome(0, True), outcome(1, None), outcome(2, None), outcome(3, True)]
    [row] = result_rows(before, before)
    assert (row["n"], row["before"]) == ("4", "100 [34-100] of 2")
    [row] = result_rows(before[1:2], before[:1])
    assert (row["before"], row["after"]) == ("unknown", "100 [21-100]")


def test_what_the_tool_failed_is_no_change_and_no_failure():
    failed: Ending = "tool_failure"
    before = [*(outcome(i, False) for i in range(6)), outcome(6, ending=failed), outcome(7, True)]
    after = [*(outcome(i, True) for i in range(6)), outcome(6, True), outcome(7, ending=failed)]
    figures = compare(before, after)
    assert (figures["success_before_n"], figures["success_after_n"]) == (7, 7)
    assert (figures["p_value"], figures["p_value_n"]) == (pytest.approx(2 / 2**6), 6)
    [row] = result_rows(before, after)
    assert row == {
        "task": "all",
        "n": "8",
        "before": "14 [3-51] of 7",
        "after": "100 [65-100] of 7",
        "first before": "14 [3-51] of 7",
        "first after": "100 [65-100] of 7",
    }


def test_the_telling_pair_went_from_failure_to_success():
    before = [outcome(0, True), outcome(1), outcome(2, False)]
    after = [outcome(0, True), outcome(1), outcome(2, False, True)]
    assert telling_pair(before, after) == (before[2], after[2])
    assert telling_pair(before[:1], after[:1]) == (before[0], after[0])
    assert telling_pair(before[1:2], after[1:2]) is None


def test_of_telling_pairs_one_that_the_agent_answers_comes_first():
    before = [outcome(0, False, False), outcome(1, False)]
    after = [outcome(0, False, True, ending="format_error"), outcome(1, True)]
    assert telling_pair(before, after) == (before[1], after[1])


def test_a_request_without_a_verdict_before_has_not_failed_before():
    before = [outcome(0, None, None), outcome(1, False)]
    after = [outcome(0, False, True), outcome(1, True)]
    assert telling_pair(before, after) == (before[1], after[1])


def test_of_telling_pairs_alike_the_one_whose_last_pictures_differ_most_comes_first():
    def pair(number: int, last: str) -> tuple[Outcome, Outcome]:
        shown = trajectory(number, flat("red", 8), ending="answer", task="color")
        drawn = trajectory(number, flat(last, 8), ending="answer", task="color")
        failed = Outcome(trajectory=shown, passed=(False,), source="truth")
        return failed, Outcome(trajectory=drawn, passed=(True,), source="truth")

    pairs = [pair(0, "orange"), pair(1, "cyan"), pair(2, "red")]
    before, after = zip(*pairs, strict=True)
    assert telling_pair(before, after) == pairs[1]
