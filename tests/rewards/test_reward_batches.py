"""Judging a batch: what is asked, in which order, and what becomes of missing verdicts.

A picture here is one pixel; the fake judges look at its red alone, find more of it better, and 200
and more good.
"""

import random
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_rewards import (
    HybridReward,
    PairQuestion,
    Picture,
    PointQuestion,
    RewardCase,
    RewardConfig,
    Verdict,
)


def shown(value: int, blue: int = 0) -> Picture:
    """Other blue makes another picture that no judge can tell from the first."""
    return Picture.of(Image.new("RGB", (1, 1), (value, 0, blue)))


def red(picture: Picture) -> int:
    value = picture.image.getpixel((0, 0))
    assert isinstance(value, tuple)
    return int(value[0])


class PointFake:
    def __init__(self, absent: int = -1) -> None:
        self.calls: list[list[PointQuestion]] = []
        self.absent = absent

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        self.calls.append(list(questions))
        return [self._one(red(question.picture)) for question in questions]

    def _one(self, value: int) -> Verdict | None:
        if value == self.absent:
            return None
        return Verdict(choice="yes" if value >= 200 else "no", reason="seen", judge="fake")


class PairFake:
    def __init__(self, absent: int = -1, always: Literal["first", "second"] | None = None) -> None:
        self.calls: list[list[PairQuestion]] = []
        self.absent = absent
        self.always: Literal["first", "second"] | None = always

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        self.calls.append(list(questions))
        return [self._one(red(asked.first), red(asked.second)) for asked in questions]

    def _one(self, first: int, second: int) -> Verdict | None:
        if self.absent in (first, second):
            return None
        choice: Literal["first", "second", "tie"] = "first" if first > second else "second"
        if first == second:
            choice = "tie"
        return Verdict(choice=self.always or choice, reason="seen", judge="fake")


def case(*values: int | Picture, id: str = "a", format_error: bool = False) -> RewardCase:
    return RewardCase(
        id=id,
        request="bright",
        hints=("very",),
        pictures=tuple(one if isinstance(one, Picture) else shown(one) for one in values),
        format_error=format_error,
    )


def score(cases, *, seed=0, point=None, pair=None, **config):
    reward = HybridReward(point or PointFake(), pair or PairFake(), RewardConfig(**config))
    return reward.score(cases, seed=seed)


@pytest.mark.parametrize(("config", "at_once"), [({}, 1.0), ({"single_round": "zero"}, 0.7)])
def test_a_batch_is_scored_in_order(config, at_once):
    records = score(
        [
            case(100, 220, id="improved"),
            case(220, id="at once"),
            case(220, 100, id="spoilt"),
            case(10, 20, 30, id="never good"),
            case(10, 5, 230, id="detour"),
            case(id="nothing", format_error=True),
        ],
        **config,
    )
    totals = [record.breakdown.total for record in records if record.breakdown]
    assert totals == pytest.approx([1.0, at_once, 0.0, 0.15, 0.7, -0.2])
    assert [[pair.win for pair in record.pair_verdicts] for record in records] == [
        [True],
        [],
        [False],
        [True, True],
        [False, True],
        [],
    ]


def test_each_judge_is_asked_once_for_the_whole_batch_with_the_request_and_hints():
    point, pair = PointFake(), PairFake()
    score([case(1, 2, 3, id="a"), case(4, 5, id="b"), case(6, id="c")], point=point, pair=pair)
    (questions,) = point.calls
    assert [red(question.picture) for question in questions] == [3, 5, 6]
    (pairs,) = pair.calls
    assert [{red(asked.first), red(asked.second)} for asked in pairs] == [{1, 2}, {2, 3}, {4, 5}]
    assert {(q.request, q.hints) for q in [*questions, *pairs]} == {("bright", ("very",))}


def test_nothing_is_asked_where_there_is_nothing_to_ask():
    point, pair = PointFake(), PairFake()
    assert score([], point=point, pair=pair) == []
    (record,) = score([case()], point=point, pair=pair)
    assert record.breakdown is not None and record.breakdown.total == 0.0
    assert point.calls == pair.calls == []


@pytest.mark.parametrize("reading", ["zero", "literal", "if_passed", "none"])
def test_a_trajectory_without_a_picture_earns_nothing_in_any_reading(reading):
    (record,) = score([case(format_error=True)], single_round=reading)
    assert record.breakdown is not None and record.breakdown.total == -0.2


def test_a_format_error_after_pictures_still_has_them_judged():
    (record,) = score([case(100, 220, format_error=True)])
    assert record.breakdown is not None
    assert record.breakdown.total == pytest.approx(0.8)


def test_the_same_picture_twice_is_no_win_and_is_not_asked():
    pair = PairFake(always="second")
    (record,) = score([case(100, 220, 220)], pair=pair)
    assert [(one.index, one.win) for one in record.pair_verdicts][1] == (1, False)
    assert record.pair_verdicts[1].verdict is None
    assert len(pair.calls[0]) == 1
    assert record.breakdown is not None and record.breakdown.pair == 0.0


def test_a_tie_is_no_win():
    (record,) = score([case(220, shown(220, blue=1))])
    assert [one.win for one in record.pair_verdicts] == [False]


def test_the_coin_swaps_the_positions_and_the_win_follows_the_picture():
    cases = [case(100, 220, id=str(number)) for number in range(40)]
    pair = PairFake()
    records = score(cases, pair=pair)
    swaps = [record.pair_verdicts[0].swapped for record in records]
    assert 10 < sum(swaps) < 30
    for asked, record in zip(pair.calls[0], records, strict=True):
        (one,) = record.pair_verdicts
        assert (red(asked.first), red(asked.second)) == ((220, 100) if one.swapped else (100, 220))
        assert one.verdict is not None
        assert one.verdict.choice == ("first" if one.swapped else "second")
        assert one.win is True


def test_a_judge_that_always_takes_the_second_wins_only_unswapped_pairs():
    cases = [case(100, 220, id=str(number)) for number in range(40)]
    records = score(cases, pair=PairFake(always="second"))
    assert {one.win for record in records for one in record.pair_verdicts} == {True, False}
    for record in records:
        (one,) = record.pair_verdicts
        assert one.win is not one.swapped


def test_in_both_orders_a_win_must_hold_both_ways():
    (fair,) = score([case(100, 220)], both_orders=True)
    assert [one.win for one in fair.pair_verdicts] == [True, True]
    assert {one.swapped for one in fair.pair_verdicts} == {True, False}
    assert fair.breakdown is not None and fair.breakdown.pair == 0.3
    (biased,) = score([case(100, 220)], pair=PairFake(always="second"), both_orders=True)
    assert sorted(one.win is True for one in biased.pair_verdicts) == [False, True]
    assert biased.breakdown is not None and biased.breakdown.pair == 0.0


def test_both_orders_begin_with_the_order_of_the_coin():
    cases = [case(100, 220, id=str(number)) for number in range(20)]
    single = [record.pair_verdicts[0].swapped for record in score(cases)]
    both = [record.pair_verdicts[0].swapped for record in score(cases, both_orders=True)]
    assert both == single


def test_the_same_picture_twice_is_recorded_once_in_both_orders():
    pair = PairFake()
    (record,) = score([case(1, 1)], pair=pair, both_orders=True)
    assert [one.win for one in record.pair_verdicts] == [False]
    assert pair.calls == []


def test_without_the_pair_reward_no_pair_is_asked():
    pair = PairFake()
    (record,) = score([case(100, 220)], pair=pair, single_round="none")
    assert pair.calls == [] and record.pair_verdicts == ()
    assert record.breakdown is not None and record.breakdown.total == 0.7


def test_an_absent_point_verdict_makes_the_reward_absent():
    absent, present = score([case(10, 50, id="a"), case(220, id="b")], point=PointFake(absent=50))
    assert absent.breakdown is None and absent.point_verdict is None
    assert [one.win for one in absent.pair_verdicts] == [True]
    assert present.breakdown is not None and present.breakdown.total == 1.0


@pytest.mark.parametrize("values", [(50, 100, 220), (220, 50, 60)])
def test_an_absent_pair_verdict_makes_the_reward_absent_even_if_another_pair_lost(values):
    (record,) = score([case(*values)], pair=PairFake(absent=50))
    assert record.breakdown is None
    assert record.point_verdict is not None
    assert None in [one.win for one in record.pair_verdicts]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(-5, 2**63), shuffle=st.randoms(use_true_random=False))
def test_the_batch_and_its_order_change_no_reward(seed, shuffle: random.Random):
    cases = [case(40 * n % 250, 70 * n % 250, 240, id=f"c{n}") for n in range(1, 7)]
    together = {one.id: record for one, record in zip(cases, score(cases, seed=seed), strict=True)}
    shuffled = list(cases)
    shuffle.shuffle(shuffled)
    for one, record in zip(shuffled, score(shuffled, seed=seed), strict=True):
        assert record == together[one.id]
        assert score([one], seed=seed) == [record]


def test_the_coin_depends_on_seed_case_and_pair():
    def coins(seed: int, id: str) -> list[bool]:
        (record,) = score([case(*range(40), id=id)], seed=seed)
        return [one.swapped for one in record.pair_verdicts]

    assert coins(0, "a") == coins(0, "a")
    assert len({tuple(coins(seed, id)) for seed in (0, 1) for id in ("a", "b")}) == 4
    assert set(coins(0, "a")) == {True, False}


def test_the_coin_is_the_same_in_every_version():
    (record,) = score([case(*range(9), id="train-7/3")], seed=5)
    assert [one.swapped for one in record.pair_verdicts] == [
        True,
        False,
        True,
        True,
        False,
        False,
        False,
        True,
    ]


class Short:
    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        return []


class Confused:
    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        return [Verdict(choice="first", reason="", judge="confused") for _ in questions]


@pytest.mark.parametrize(
    ("judge", "message"), [(Short(), "asked 1 questions and gave 0"), (Confused(), "'first'")]
)
def test_a_judge_that_breaks_the_protocol_is_named(judge, message):
    with pytest.raises(ValueError, match=message):
        score([case(1)], point=judge)
