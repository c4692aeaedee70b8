"""Attempts that share their first turn and picture: in both engines, and in what is learnt."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.rollout.conftest import SAMPLED, ScriptedEngine
from tests.rollout.conversations import picture, together
from tests.rollout.painting import AGAIN, DONE, FAILS, FIRST, Painter, requests
from tests.rollout.vllm_talk import Serve, engine_of, serve
from tests.rollout.vllm_talk import picture as vllm_picture

from genagent_data import PictureStore, Request, derive_seed
from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy
from genagent_rewards import Picture
from genagent_rollout import GroupConfig, Rollout, SampledTurn, run_agents
from genagent_rollout.activity import Activity
from genagent_rollout.conversation import Engine
from genagent_rollout.drawn_once import DrawnOnce
from genagent_rollout.shared_first import (
    first_seeds,
    is_shared,
    learnt_from,
    shared_first_metrics,
    without_first_turn,
)
from genagent_tools import ToolError

__all__ = ["serve"]

Scripted = Callable[..., ScriptedEngine]


async def two_turns(
    engine: Engine, seed: int, first_seed: int | None, shown: Picture
) -> list[SampledTurn]:
    conversation = engine.open("red", seed=seed, first_seed=first_seed)
    first = await conversation.turn()
    conversation.observe(shown)
    return [first, await conversation.turn()]


def test_conversations_share_a_first_turn_and_part_when_they_look(
    scripted: Scripted, tiny_policy: Policy
):
    turn = [*[SAMPLED] * 8, tiny_policy.chat.turn_end_id]
    engine = scripted([[turn, turn]] * 4)
    first_of = [7, 7, None, 8]
    talks = [two_turns(engine, seed, first, picture(1)) for seed, first in enumerate(first_of)]
    one, other, own, third = together(*talks)
    assert one[0] == other[0]
    assert len({turns[0].ids for turns in (one, own, third)}) == 3
    assert len({turns[1].ids for turns in (one, other, own, third)}) == 4
    # What is shared leaves later random numbers alone.
    (alone,) = together(two_turns(scripted([[turn, turn]] * 4), 2, None, picture(1)))
    assert [turn.ids for turn in alone] == [turn.ids for turn in own]


def test_so_they_do_with_servers(serve: Serve, tiny_policy: Policy):
    server = serve()
    engine = engine_of(tiny_policy, server)
    shown = Picture.of(vllm_picture(0))

    async def both() -> list[list[SampledTurn]]:
        # Opens as an ``Engine`` does, and is published to by another.
        opens = cast(Engine, engine)
        talks = ((3, 9), (4, 9), (5, None))
        return await asyncio.gather(
            *(two_turns(opens, seed, first, shown) for seed, first in talks)
        )

    one, other, own = asyncio.run(both())
    assert one[0] == other[0] != own[0]
    assert one[1] != other[1]
    seeds = sorted(body["sampling_params"]["seed"] for body in server.bodies)
    expected = [derive_seed(9, "turn", 0)] * 2 + [derive_seed(5, "turn", 0)]
    expected += [derive_seed(seed, "turn", 1) for seed in (3, 4, 5)]
    assert seeds == sorted(expected)


def attempts(
    scripted: Scripted,
    policy: Policy,
    tmp_path: Path,
    scripts: Sequence[Sequence[str]],
    first: Sequence[int | None],
    tool: Painter,
) -> tuple[Rollout, ...]:
    ids = [[policy.chat.turn_ids(turn) for turn in script] for script in scripts]
    return run_agents(
        scripted(ids),
        tool,
        requests(len(scripts)),
        seeds=range(len(scripts)),
        first_seeds=first,
        max_rounds=2,
        store=PictureStore(tmp_path),
    ).rollouts


def test_an_equal_picture_is_drawn_once_and_only_what_comes_after_it_is_learnt(
    scripted: Scripted, tiny_policy: Policy, tmp_path: Path
):
    tool = Painter()
    other = FIRST.replace("draw one", "draw three")
    scripts = [[FIRST, DONE], [FIRST, AGAIN, DONE], [FIRST, DONE], [other, DONE], ["broken"]]
    group = attempts(scripted, tiny_policy, tmp_path, scripts, [7, 7, None, 7, 7], tool)
    shared = derive_seed(7, "tool", 0)
    drawn = [asked for call in tool.calls for asked in call]
    assert sorted(drawn[:3]) == sorted(
        [
            ("draw one", shared),
            ("draw one", derive_seed(2, "tool", 0)),
            ("draw three", shared),
        ]
    )
    # The second picture of the second attempt is its own.
    assert drawn[3:] == [("draw two", derive_seed(1, "tool", 1))]
    assert group[0].trajectory.pictures[0] == group[1].trajectory.pictures[0]
    assert is_shared(group) == [True, True, False, False, False]
    assert shared_first_metrics(group) == {"rollout/shared_first": 0.4}
    assert shared_first_metrics(group[2:3]) == {}

    learnt = learnt_from(group)
    for place in (2, 3, 4):
        assert learnt[place] is group[place].tokens
    chat = tiny_policy.chat
    for place, turns in ((0, [DONE]), (1, [AGAIN, DONE])):
        whole, later = group[place].tokens, learnt[place]
        chosen = later.ids[later.policy_mask].tolist()
        assert chosen == [token for turn in turns for token in chat.turn_ids(turn)]
        assert torch.equal(later.ids, whole.ids)
        assert torch.equal(later.logprobs, whole.logprobs * later.policy_mask)
        assert later.turns.tolist() == (whole.turns[whole.turns > 0]).tolist()


def test_the_update_finds_the_log_probs_that_were_sampled(
    scripted: Scripted, tiny_policy: Policy, tmp_path: Path
):
    scripts = [[FIRST, DONE], [FIRST, AGAIN, DONE]]
    group = attempts(scripted, tiny_policy, tmp_path, scripts, [7, 7], Painter())
    learnt = learnt_from(group)
    for correction in (None, 2.0):
        config = GRPOConfig(truncate_at=correction)
        found = GRPOUpdate(tiny_policy, config).accumulate(
            [GRPOGroup(trajectories=learnt, rewards=(1.0, 0.0))]
        )
        assert found.statistics.ratio_max == pytest.approx(1, abs=1e-4)
        assert found.statistics.tokens == sum(one.num_policy_tokens for one in learnt)
    assert found.mismatch.tokens[0] == 0  # of first turns


def test_a_shared_picture_that_fails_ends_all_who_wait_for_it(
    scripted: Scripted, tiny_policy: Policy, tmp_path: Path
):
    tool = Painter()
    scripts = [[FAILS], [FAILS], [FIRST, DONE]]
    group = attempts(scripted, tiny_policy, tmp_path, scripts, [7, 7, None], tool)
    endings = [one.trajectory.ending for one in group]
    assert endings == ["tool_failure", "tool_failure", "answer"]
    assert is_shared(group) == [False, False, False]


def test_one_seed_at_two_requests_is_no_mistake(
    scripted: Scripted, tiny_policy: Policy, tmp_path: Path
):
    """Seeds have 31 bits: of 2,880 attempts two have the same in one step of 500."""
    script = [tiny_policy.chat.turn_ids(turn) for turn in (FIRST, DONE)]

    def drawn(asked: list[Request], first_seeds: list[int]) -> list[int]:
        batch = run_agents(
            scripted({5: script}),
            Painter(),
            asked,
            seeds=[5, 5],
            first_seeds=first_seeds,
            max_rounds=2,
            store=PictureStore(tmp_path),
        )
        return [one.trajectory.rounds[0].seed for one in batch.rollouts]

    one, other = drawn(requests(2), [7, 8])
    assert (one, other) == (derive_seed(7, "tool", 0), derive_seed(8, "tool", 0))
    same = requests(1) * 2
    assert drawn(same, [7, 7]) == [one, one]
    with pytest.raises(ValueError, match="one seed and different first turns"):
        drawn(same, [7, 8])


def test_a_picture_that_failed_is_asked_for_again_once_by_all_who_come_later():
    class Flaky:
        """Fails once."""

        def __init__(self) -> None:
            self.activity = Activity()
            self.asked: list[tuple[str, int]] = []

        async def draw(self, prompt: str, *, seed: int) -> Picture:
            self.asked.append((prompt, seed))
            await asyncio.sleep(0)
            if len(self.asked) == 1:
                raise ToolError("out of paint")
            return picture(len(self.asked))

    tool, drawn = Flaky(), {}

    async def insists() -> Picture:
        drawing = DrawnOnce(tool, drawn)
        with pytest.raises(ToolError, match="out of paint"):
            await drawing.draw("a", seed=7)
        return await drawing.draw("a", seed=7)

    async def all_of_them() -> list[Picture]:
        both = await asyncio.gather(insists(), insists())
        return [*both, await DrawnOnce(tool, drawn).draw("a", seed=7)]

    assert asyncio.run(all_of_them()) == [picture(2)] * 3
    assert tool.asked == [("a", 7)] * 2


def test_an_attempt_without_its_first_turn_keeps_its_count_of_turns(
    scripted: Scripted, tiny_policy: Policy, tmp_path: Path
):
    (one,) = attempts(scripted, tiny_policy, tmp_path, [[FIRST, AGAIN, DONE]], [7], Painter())
    twice = without_first_turn(without_first_turn(one.tokens))
    assert set(twice.turns.tolist()) == {2}
    assert replace(twice, given_turns=0).turns.tolist() == [0] * len(twice.turns)


@given(share=st.floats(0, 1), groups=st.integers(1, 40), seed=st.integers(0, 9))
def test_so_many_groups_share_as_were_asked_for(share, groups, seed):
    found = first_seeds(groups, share, seed=seed, step=3)
    sharing = [one for one in found if one is not None]
    assert len(found) == groups
    assert len(sharing) == len(set(sharing)) == round(share * groups)
    assert found == first_seeds(groups, share, seed=seed, step=3)
    if sharing:
        assert found != first_seeds(groups, share, seed=seed, step=4)


def test_a_share_that_cannot_be_is_named():
    with pytest.raises(ValueError, match=r"shared_first is 1\.5"):
        GroupConfig(shared_first=1.5)
