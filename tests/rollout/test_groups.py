"""Groups of attempts: who is kept, who is learnt from, and that it depends on nothing else."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import (
    Ending,
    Picture,
    Request,
    Round,
    Trajectory,
)
from genagent_policy import RewardScale, TokenTrajectory
from genagent_rewards import RewardBreakdown, RewardRecord
from genagent_rollout import (
    GroupConfig,
    KeptAttempts,
    RewardedGroups,
    Rollout,
    fill_by_rounds,
)
from genagent_rollout.judging import JUDGED_AT_ONCE, judging_threads

PICTURE = Picture.of(Image.new("RGB", (2, 2)))


def rollout(
    number: int, rounds: int = 1, *, ending: Ending = "answer", request: str = "r"
) -> Rollout:
    drawn = (Round(thinking="t", tool_prompt="p", picture=PICTURE),) * rounds
    tokens = TokenTrajectory(
        ids=torch.tensor([1, number]),
        policy_mask=torch.tensor([False, True]),
        logprobs=torch.zeros(2),
        pixel_values=torch.zeros(0, 4, dtype=torch.uint8),
        grids=torch.zeros(0, 3, dtype=torch.int64),
    )
    trajectory = Trajectory(
        request=Request(id=request, prompt="a"),
        rounds=drawn,
        ending=ending,
    )
    return Rollout(trajectory=trajectory, tokens=tokens, turns=("t",), seed=number)


def record(total: float | None, error: str | None = None) -> RewardRecord:
    breakdown = None if total is None else RewardBreakdown(total=total, point=0, pair=0, format=0)
    return RewardRecord(breakdown=breakdown, point_verdict=None, error=error)


class Scorer:
    """Rewards every case but those whose attempt is in ``mute``; keeps whom it was asked about."""

    def __init__(self, mute: Sequence[int] = ()) -> None:
        self.mute = set(mute)
        self.asked: list[int] = []

    def __call__(self, cases):
        numbers = [int(case.id.split("/")[1]) for case in cases]
        self.asked += numbers
        return [record(None if number in self.mute else number / 10) for number in numbers]


def keep_rewarded(
    attempts: Sequence[Rollout],
    score,
    config: GroupConfig,
    *,
    seed: int,
    step: int,
    scale: RewardScale = "group",
) -> KeptAttempts:
    """Attempts that end last first, and judges in this process."""
    groups = RewardedGroups(score, config, seed=seed, step=step, scale=scale)
    for place, attempt in reversed(list(enumerate(attempts))):
        groups.ended(place, attempt)
    return groups.kept()


def test_judges_behind_endpoints_are_asked_as_soon_as_a_group_has_ended():
    asked = threading.Event()

    def score(cases):
        asked.set()
        return Scorer()(cases)

    config = GroupConfig(samples=2, keep=2)
    groups = RewardedGroups(score, config, seed=0, step=0, threads=ThreadPoolExecutor(2))
    groups.ended(3, rollout(3))
    groups.ended(0, rollout(0))
    # Neither group is whole.
    assert not asked.wait(0.1)
    groups.ended(2, rollout(2))
    assert asked.wait(10)
    groups.ended(1, rollout(1))
    kept = groups.kept()
    assert [[r.seed for r in group] for group in kept.groups] == [[0, 1], [2, 3]]
    assert [r.breakdown and r.breakdown.total for r in kept.records] == [0.0, 0.1, 0.2, 0.3]
    assert len(kept.asked) == 4


@given(
    rounds=st.lists(st.integers(1, 3), min_size=24, max_size=24),
    mute=st.sets(st.integers(0, 23), max_size=12),
    order=st.permutations(range(24)),
)
@settings(max_examples=30, deadline=None)
def test_what_is_kept_depends_neither_on_the_order_of_endings_nor_on_when_judges_are_asked(
    rounds, mute, order
):
    config = GroupConfig(samples=6, keep=4)
    attempts = [rollout(number, count) for number, count in enumerate(rounds)]
    expected = keep_rewarded(attempts, Scorer(mute), config, seed=1, step=2)
    groups = RewardedGroups(Scorer(mute), config, seed=1, step=2, threads=ThreadPoolExecutor(2))
    for place in order:
        groups.ended(place, attempts[place])
    kept = groups.kept()
    assert [r.seed for r in kept.rollouts] == [r.seed for r in expected.rollouts]
    assert kept.records == expected.records


def test_a_judge_that_fails_on_its_thread_ends_the_step_with_its_error():
    def broken(cases):
        raise ValueError("no such model")

    groups = RewardedGroups(
        broken, GroupConfig(samples=1, keep=1), seed=0, step=0, threads=ThreadPoolExecutor(2)
    )
    groups.ended(0, rollout(0))
    with pytest.raises(ValueError, match="no such model"):
        groups.kept()


def test_where_sampling_fails_no_further_question_is_asked_and_nobody_waits():
    hangs = threading.Event()
    asked: list[int] = []
    questions: list[Future[None]] = []

    def ask(number: int) -> None:
        asked.append(number)
        hangs.wait(30)

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="no server"), judging_threads() as threads:
        questions += [threads.submit(ask, number) for number in range(JUDGED_AT_ONCE + 5)]
        while len(asked) < JUDGED_AT_ONCE:
            time.sleep(0.01)
        raise RuntimeError("no server")
    assert time.monotonic() - began < 10
    hangs.set()
    assert sum(question.cancelled() for question in questions) == 5
    with judging_threads() as threads:
        slow = threads.submit(time.sleep, 0.2)
    assert slow.done()


@given(
    rounds=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    seed=st.integers(0, 5),
    step=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_each_request_keeps_its_own_attempts_with_even_rounds(rounds, seed, step):
    config = GroupConfig(samples=6, keep=4)
    attempts = [rollout(i, count, request=str(i // 6)) for i, count in enumerate(rounds)]
    scorer = Scorer()
    kept = keep_rewarded(attempts, scorer, config, seed=seed, step=step)
    assert [r.trajectory.request.id for r in kept.rollouts] == ["0"] * 4 + ["1"] * 4
    again = keep_rewarded(attempts, Scorer(), config, seed=seed, step=step)
    assert [r.seed for r in kept.rollouts] == [r.seed for r in again.rollouts]
    # Only who is kept is asked about, and gets its own reward.
    assert sorted(scorer.asked) == [r.seed for r in kept.rollouts]
    assert [r.breakdown and r.breakdown.total for r in kept.records] == [
        r.seed / 10 for r in kept.rollouts
    ]
    for number, group in enumerate(kept.groups):
        assert_even([len(r.trajectory.rounds) for r in group], rounds[6 * number : 6 * number + 6])


def assert_even(chosen: list[int], there: list[int]) -> None:
    """A count has two more than another only where that one has no more to give."""
    counts = {count: chosen.count(count) for count in set(there)}
    for count, number in counts.items():
        more = any(other >= number + 2 for other in counts.values())
        assert not more or number == there.count(count)


def test_who_cannot_be_rewarded_takes_no_place_from_who_can():
    # Of 12 attempts each 9, 9, 11, 10, 10 and 6 can be rewarded: some tools fail, some verdicts
    # cannot be had, and all of them took a rare number of rounds.
    usable = (9, 9, 11, 10, 10, 6)
    attempts, mute = [], []
    for request, good in enumerate(usable):
        for place in range(12):
            number = 12 * request + place
            if place < good:
                attempts.append(rollout(number, 2, request=str(request)))
            elif place % 2:
                attempts.append(rollout(number, 1, request=str(request), ending="tool_failure"))
            else:
                attempts.append(rollout(number, 3, request=str(request)))
                mute.append(number)
    kept = keep_rewarded(attempts, Scorer(mute), GroupConfig(), seed=0, step=0)
    assert [len(group) for group in kept.groups] == [8, 8, 8, 8, 8, 6]
    assert all(r.breakdown is not None for r in kept.records)
    assert not {r.seed for r in kept.rollouts} & set(mute)
    assert sum(r.breakdown is None for r in kept.asked) == len(mute)
    assert [len(group.rewards) for group in kept.learnable()] == [8, 8, 8, 8, 8, 6]


@given(
    rounds=st.lists(st.integers(1, 3), min_size=8, max_size=8),
    mute=st.sets(st.integers(0, 7), max_size=7),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_absent_verdicts_are_replaced_while_there_is_another_attempt(rounds, mute, seed):
    attempts = [rollout(i, count) for i, count in enumerate(rounds)]
    scorer = Scorer(sorted(mute))
    kept = keep_rewarded(attempts, scorer, GroupConfig(samples=8, keep=4), seed=seed, step=0)
    assert len(kept.rollouts) == min(4, 8 - len(mute))
    assert not {r.seed for r in kept.rollouts} & mute
    assert len(set(scorer.asked)) == len(scorer.asked)  # nobody is asked about twice


def test_a_group_without_a_reward_is_not_learnt_from():
    attempts = [rollout(0), rollout(1), rollout(2, ending="tool_failure"), rollout(3)]
    kept = keep_rewarded(attempts, Scorer([0, 1]), GroupConfig(samples=2, keep=2), seed=0, step=0)
    assert [len(group) for group in kept.groups] == [0, 1]
    [group] = kept.learnable()
    assert (group.rewards, group.trajectories) == ((0.3,), (attempts[3].tokens,))


def test_no_verdict_at_all_ends_the_run():
    attempts = [rollout(number) for number in range(4)]
    config = GroupConfig(samples=2, keep=1)
    said = "none of the 4 attempts with pictures of step 7 could be judged; the last: "
    with pytest.raises(RuntimeError, match=f"^{said}the judge does not say why$"):
        keep_rewarded(attempts, Scorer(range(4)), config, seed=0, step=7)

    def blind(cases):
        return [record(None, "400: no pictures here") for _ in cases]

    with pytest.raises(RuntimeError, match=f"^{said}400: no pictures here$"):
        keep_rewarded(attempts, blind, config, seed=0, step=7)


def test_attempts_without_a_picture_do_not_hide_that_the_judge_is_dead():
    # What has no picture is paid by nobody's word.
    attempts = [rollout(0), rollout(1, 0), rollout(2), rollout(3, 0, ending="format_error")]
    config = GroupConfig(samples=2, keep=2)
    with pytest.raises(RuntimeError, match="none of the 2 attempts with pictures of step 7 could"):
        keep_rewarded(attempts, Scorer([0, 2]), config, seed=0, step=7)
    kept = keep_rewarded(attempts, Scorer([0]), config, seed=0, step=7)
    assert [r.seed for r in kept.rollouts] == [1, 2, 3]


def test_one_request_that_the_judge_is_silent_about_ends_nothing():
    attempts = [rollout(number) for number in range(3)]
    config = GroupConfig(samples=3, keep=2)
    kept = keep_rewarded(attempts, Scorer(range(3)), config, seed=0, step=7)
    assert kept.rollouts == [] and len(kept.asked) == 3
    # Others in the step had no picture to be judged.
    attempts += [rollout(number, 0) for number in (3, 4, 5)]
    kept = keep_rewarded(attempts, Scorer(range(3)), config, seed=0, step=7)
    assert len(kept.groups[1]) == 2


@given(
    kept=st.lists(st.integers(1, 3), max_size=6),
    others=st.lists(st.integers(1, 3), max_size=6),
    wanted=st.integers(0, 7),
    seed=st.integers(0, 9),
)
@settings(max_examples=200, deadline=None)
def test_filling_makes_round_counts_as_even_as_the_others_allow(kept, others, wanted, seed):
    chosen = fill_by_rounds(kept, others, wanted, random.Random(seed))
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(wanted, len(others))
    left = [others[i] for i in range(len(others)) if i not in chosen]
    after = Counter(kept) + Counter(others[i] for i in chosen)
    # No exchange of a chosen one for one that is left makes two counts more even.
    for index in chosen:
        assert all(after[others[index]] - 1 <= after[count] for count in left)


def test_cases_are_told_apart_by_the_rollouts_seed():
    kept = keep_rewarded(
        [rollout(7, 2), rollout(8)], Scorer(), GroupConfig(samples=2, keep=2), seed=0, step=0
    )
    first, second = kept.cases
    assert (first.id, second.id) == ("r/7", "r/8")
    assert first.pictures == (PICTURE, PICTURE)
    assert not first.format_error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 4}, "cannot keep 8 of 4 samples"),
        ({"max_rounds": 0}, "max_rounds is 0"),
        ({"requests_per_step": 0}, "requests_per_step is 0"),
        ({"keep": 0}, "keep is 0"),
    ],
)
def test_sizes_that_cannot_be_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GroupConfig(**options)


def test_readers_see_every_attempt_with_its_advantage_or_why_it_was_dropped():
    endings: tuple[Ending, ...] = ("answer", "tool_failure", "answer", "answer", "answer", "answer")
    attempts = [rollout(number, ending=ending) for number, ending in enumerate(endings)]
    mute = Scorer([0])
    config = GroupConfig(samples=6, keep=3)
    # With this seed the mute attempt 0 is chosen first, and another takes its place.
    kept = keep_rewarded(attempts, mute, config, seed=0, step=0)
    assert 0 in mute.asked
    [group] = kept.every
    numbers = [r.seed for r in kept.rollouts]
    assert [one.trajectory for one in group.attempts] == [r.trajectory for r in attempts]
    assert group.attempts[0].dropped == "absent_verdict"
    assert group.attempts[1].dropped == "tool_failure"
    for number, one in enumerate(group.attempts):
        assert one.is_kept == (number in numbers)
        assert (one.advantage is None) == (not one.is_kept)
        assert (one.reward is None) == (not one.is_kept)
    [spare] = {2, 3, 4, 5} - set(numbers)
    assert (group.attempts[spare].dropped, group.attempts[spare].record) == ("resampled", None)
    advantages = [group.attempts[number].advantage or 0.0 for number in numbers]
    assert sum(advantages) == pytest.approx(0)
    assert advantages == sorted(advantages)  # as the rewards are
    assert sum(a * a for a in advantages) == pytest.approx(3, rel=1e-4)


def test_readers_see_the_advantages_of_the_updates_own_scale():
    attempts = [rollout(number) for number in range(2)]
    config = GroupConfig(samples=2, keep=2)
    kept = keep_rewarded(attempts, Scorer(), config, seed=0, step=0, scale="none")
    [group] = kept.every
    assert [one.advantage for one in group.attempts] == pytest.approx([-0.05, 0.05])
