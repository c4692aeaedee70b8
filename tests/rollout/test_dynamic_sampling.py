"""Groups that teach nothing are replaced, up to a bound, and all that was paid for is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rollout.test_groups import keep_rewarded, record, rollout

from genagent_rollout import (
    GroupConfig,
    KeptAttempts,
    RolloutBatch,
    RolloutTimings,
    sample_dynamically,
)

PAIR = GroupConfig(requests_per_step=3, samples=2, keep=2)


class Source:
    """Groups of two whose rewards come from a list, in the order in which they are asked for."""

    def __init__(self, rewards: list[tuple[float | None, float | None]]) -> None:
        self.rewards = rewards
        self.asked: list[tuple[int, int]] = []
        self.given = 0

    def __call__(self, number: int, again: int) -> tuple[RolloutBatch, KeptAttempts]:
        self.asked.append((number, again))
        first, self.given = self.given, self.given + number
        attempts = [rollout(2 * g + a) for g in range(first, self.given) for a in (0, 1)]

        def score(cases):
            numbers = [int(case.id.split("/")[1]) for case in cases]
            return [record(self.rewards[number // 2][number % 2]) for number in numbers]

        kept = keep_rewarded(attempts, score, PAIR, seed=0, step=0)
        timings = RolloutTimings(total=3.0, policy=2.0, tool=1.0)
        return RolloutBatch(rollouts=tuple(attempts), timings=timings), kept


def seeds(groups) -> list[list[int]]:
    return [[int(one.ids[1]) for one in group.trajectories] for group in groups]


def config(bound: int) -> GroupConfig:
    return GroupConfig(requests_per_step=3, samples=2, keep=2, dynamic_sampling=bound)


def test_a_replacement_takes_the_place_of_the_group_that_taught_nothing():
    source = Source([(1, 0), (1, 1), (0, 0), (0, 1), (0.7, 0.7), (0.5, 0.7)])
    found = sample_dynamically(source, config(5))
    # Two taught nothing, then one of the two in their place, then none.
    assert source.asked == [(3, 0), (2, 1), (1, 2)]
    assert seeds(found.learnable) == [[0, 1], [6, 7], [10, 11]]
    assert [group.rewards for group in found.learnable] == [(1, 0), (0, 1), (0.5, 0.7)]
    assert found.metrics() == {"rollout/replaced_groups": 3.0, "rollout/equal_groups": 0.0}
    # All that was sampled, judged and waited for is there.
    assert len(found.batch.rollouts) == len(found.kept.rollouts) == len(found.kept.asked) == 12
    assert [len(group.attempts) for group in found.kept.every] == [2] * 6
    assert found.batch.timings == RolloutTimings(total=9.0, policy=6.0, tool=3.0)


def test_the_bound_leaves_groups_as_they_are():
    source = Source([(1, 1)] * 9)
    found = sample_dynamically(source, config(2))
    assert source.asked == [(3, 0), (3, 1), (3, 2)]
    assert [group.rewards for group in found.learnable] == [(1, 1)] * 3
    assert (found.replaced, found.equal) == (6, 3)


def test_without_it_one_sample_is_all():
    source = Source([(1, 1), (None, None), (0, 1)])
    found = sample_dynamically(source, config(0))
    assert source.asked == [(3, 0)]
    assert [group.rewards for group in found.learnable] == [(1, 1), (0, 1)]


def test_a_group_without_a_verdict_is_replaced_and_never_takes_a_place():
    source = Source([(0, 1), (None, None), (1, 1), (0.5, 0), (None, 0.5)])
    found = sample_dynamically(source, config(1))
    assert [group.rewards for group in found.learnable] == [(0, 1), (0.5, 0), (0.5,)]
    assert found.equal == 1


@settings(max_examples=60, deadline=None)
@given(
    rewards=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=15, max_size=15),
    bound=st.integers(0, 4),
)
def test_no_group_that_teaches_is_lost_and_none_is_sampled_for_nothing(rewards, bound):
    source = Source(rewards)
    found = sample_dynamically(source, config(bound))
    assert len(found.learnable) == 3
    sampled = rewards[: source.given]
    teaching = [r for r in sampled if r[0] != r[1]]
    learnt = [g.rewards for g in found.learnable if len(set(g.rewards)) > 1]
    assert sorted(learnt) == sorted(teaching)
    assert found.replaced == source.given - 3
    assert found.equal == 3 - len(teaching)
    assert found.equal == 0 or len(source.asked) == bound + 1


def test_a_bound_below_none_is_refused():
    with pytest.raises(ValueError, match="dynamic_sampling is -1; wants 0 or more"):
        GroupConfig(dynamic_sampling=-1)
