"""What a trajectory counts for, alone and among what other ranks hold."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.ranks_in_threads import Thread, as_ranks

from genagent_policy import GRPOConfig, GRPOGroup, TokenTrajectory
from genagent_policy.weighting import weigh

CONFIGS = {
    "sequence": GRPOConfig(),
    "token": GRPOConfig(normalization="token"),
    "token, masked": GRPOConfig(normalization="token", mask_truncated=True),
    "constant": GRPOConfig(normalization="constant", constant_length=5),
}


def attempt(tokens: int, *, truncated: bool = False) -> TokenTrajectory:
    """A prompt of one token, and so many that the policy chose."""
    return TokenTrajectory(
        ids=torch.arange(tokens + 1),
        policy_mask=torch.arange(tokens + 1) > 0,
        logprobs=torch.zeros(tokens + 1),
        pixel_values=torch.zeros(0, 4, dtype=torch.uint8),
        grids=torch.zeros(0, 3, dtype=torch.int64),
        truncated=truncated,
    )


def group(*attempts: TokenTrajectory) -> GRPOGroup:
    return GRPOGroup(
        trajectories=attempts, rewards=tuple(float(place) for place, _ in enumerate(attempts))
    )


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # Two groups, of two attempts and of three.
        ("sequence", [1 / 8, 1 / 12, 1 / 6, 1 / 24, 1 / 6]),
        ("token", [1 / 11] * 5),
        ("token, masked", [1 / 7] * 4),
        ("constant", [1 / 20, 1 / 20, 1 / 30, 1 / 30, 1 / 30]),
    ],
)
def test_weights_by_hand(name: str, weights: list[float]):
    groups = [
        group(attempt(2), attempt(3)),
        group(attempt(1), attempt(4, truncated=True), attempt(1)),
    ]
    found = [item.token_weight for item in weigh(groups, CONFIGS[name])]
    assert found == pytest.approx(weights)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # 2 groups x 2 attempts x 2 and 3 tokens, and 2 groups x 1 attempt x 1 token.
        ("sequence", [1 / 8, 1 / 12, 1 / 2]),
        ("token", [1 / 6] * 3),
        ("constant", [1 / 20, 1 / 20, 1 / 10]),
    ],
)
def test_a_group_that_teaches_nothing_is_one_of_the_groups(name: str, weights: list[float]):
    groups = [group(attempt(2), attempt(3)), group(attempt(1))]
    assert [one.teaches for one in groups] == [True, False]
    found = [item.token_weight for item in weigh(groups, CONFIGS[name])]
    assert found == pytest.approx(weights)


@pytest.mark.parametrize("name", CONFIGS)
@given(
    sizes=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=4), max_size=5
    ),
    size=st.integers(1, 3),
)
def test_weights_of_parts_are_those_of_the_whole(
    name: str, sizes: list[list[tuple[int, bool]]], size: int
):
    groups = [group(*(attempt(n, truncated=cut) for n, cut in some)) for some in sizes]

    def work(ranks: Thread) -> dict[int, tuple[float, float]]:
        held = [one for place, one in enumerate(groups) if place % ranks.size == ranks.rank]
        return {
            id(item.trajectory): (item.advantage, item.token_weight)
            for item in weigh(held, CONFIGS[name], ranks)
        }

    [whole] = as_ranks(1, work)
    assert {place: one for own in as_ranks(size, work) for place, one in own.items()} == whole
