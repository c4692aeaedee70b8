"""Conversations as the engine holds them: their tokens, their log-probs, and what is refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.conversations import (
    PROMPTS,
    SAMPLED,
    conversation,
    first_turns,
    head,
    next_logits,
    picture,
    recomputed,
    talk,
    together,
    turns_of,
)

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory
from genagent_policy.adapter import LoRA
from genagent_rollout import EngineConfig, LocalEngine, SamplingConfig

Scripted = Callable[..., ScriptedEngine]


def test_logits_equal_a_full_forward(tiny_policy: Policy, scripted: Scripted):
    """Of every turn's first token, those behind a prompt among them."""
    lengths = [[3], [17, 4, 9, 2], [8, 8], [30, 2, 12, 2]]
    engine = scripted([turns_of(tiny_policy, turns) for turns in lengths])
    talks = together(
        *(
            talk(engine, prompt, seed, [picture(10 * k + seed) for k in range(len(turns) - 1)])
            for seed, (prompt, turns) in enumerate(zip(PROMPTS, lengths, strict=True))
        )
    )
    checked = 0
    for seed, (tokens, _) in enumerate(talks):
        mask = tokens.policy_mask
        begins = (mask[1:] & ~mask[:-1]).nonzero().flatten() + 1
        for pictures, place in enumerate(begins.tolist()):
            expected = next_logits(tiny_policy, head(tokens, place, pictures))
            assert expected.std() > 0.5
            found = engine.script.logits[seed, place]
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
            checked += 1
    assert checked == 11


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_stored_logprobs_equal_recomputed_ones(
    tiny_policy: Policy, scripted: Scripted, temperature: float
):
    lengths = [[3, 20, 1], [17, 4], [8, 8, 8], [40, 2, 12]]
    engine = scripted([turns_of(tiny_policy, row) for row in lengths], temperature=temperature)
    talks = together(
        *(
            talk(engine, prompt, row, [picture(row + 7 * k) for k in range(len(turns) - 1)])
            for row, (prompt, turns) in enumerate(zip(PROMPTS, lengths, strict=True))
        )
    )
    trajectories = [tokens for tokens, _ in talks]
    again = recomputed(tiny_policy, trajectories, temperature)
    for row, trajectory in enumerate(trajectories):
        stored = trajectory.logprobs
        assert trajectory.temperature == temperature
        assert trajectory.num_policy_tokens == sum(lengths[row]) + len(lengths[row])
        ratio = (again[row] - stored)[trajectory.policy_mask].exp()
        assert (ratio - 1).abs().max() <= 1e-4
        assert stored[~trajectory.policy_mask].abs().max() == 0
        assert stored[trajectory.policy_mask].min() < -1


@pytest.mark.parametrize("temperatures", [[0.5], [0.5, 1.0, 1.5]])
def test_the_update_sees_what_was_sampled_at_its_own_temperature(
    tiny_policy_path: Path, temperatures: list[float]
):
    policy = Policy.load(tiny_policy_path)
    trajectories = []
    for temperature in temperatures:
        config = SamplingConfig(temperature=temperature, max_turn_tokens=30)
        engine = LocalEngine(policy, config)
        talks = together(*(talk(engine, prompt, row) for row, prompt in enumerate(PROMPTS)))
        trajectories += [tokens for tokens, _ in talks]
    assert {trajectory.temperature for trajectory in trajectories} == set(temperatures)
    rewards = tuple(float(place) for place in range(len(trajectories)))
    group = GRPOGroup(trajectories=tuple(trajectories), rewards=rewards)
    statistics = GRPOUpdate(policy, GRPOConfig()).accumulate([group]).statistics
    assert statistics.tokens == sum(item.num_policy_tokens for item in trajectories)
    assert statistics.ratio_mean == pytest.approx(1, abs=1e-3)
    assert statistics.ratio_max == pytest.approx(1, abs=1e-3)


def test_what_training_is_set_to_changes_nothing_here(
    tiny_policy: Policy, tiny_policy_path: Path, scripted: Scripted
):
    """Other attention, and layers that would ignore a cache while they learn."""
    other = Policy.load(tiny_policy_path, attention="eager", checkpoint_activations=True)
    other.model.train()
    scripts = [turns_of(tiny_policy, row) for row in [[3, 20], [12, 20], [5, 9]]]
    expected = conversation(scripted(scripts))
    for one, same in zip(expected, conversation(scripted(scripts, policy=other)), strict=True):
        assert one.ids.tolist() == same.ids.tolist()
        torch.testing.assert_close(same.logprobs, one.logprobs, rtol=0, atol=2e-5)


def test_history_is_never_tokenized_again(tiny_policy: Policy, scripted: Scripted):
    chat = tiny_policy.chat
    text = "the picture satisfies the request"
    merged = chat.turn_ids(text)
    by_letter = [token for letter in text for token in chat.turn_ids(letter)[:-1]]
    by_letter.append(chat.turn_end_id)
    assert by_letter != merged
    ((trajectory, turns),) = together(talk(scripted([[by_letter, merged]]), "red", 0, [picture(1)]))
    assert turns[0].text == text
    assert (turns[1].ids, turns[1].cut_off) == (tuple(merged), False)
    prompt = chat.prompt_ids("red")
    observation = chat.observation_ids(trajectory.grids[0])
    assert trajectory.ids.tolist() == [*prompt, *by_letter, *observation, *merged]
    assert trajectory.policy_mask.tolist() == (
        [False] * len(prompt)
        + [True] * len(by_letter)
        + [False] * len(observation)
        + [True] * len(merged)
    )


def test_a_sampled_image_token_is_text(tiny_policy: Policy, scripted: Scripted):
    chat = tiny_policy.chat
    odd = [5, chat.image_token_id, chat.image_token_id, SAMPLED, chat.turn_end_id]
    engine = scripted([[odd, odd]])
    ((trajectory, turns),) = together(talk(engine, "red", 0, [picture(1)]))
    assert turns[0].text.count("<|image_pad|>") == 2
    second = len(trajectory) - len(odd)
    expected = _next_logits_by_policy(tiny_policy, head(trajectory, second))
    torch.testing.assert_close(engine.script.logits[0, second], expected, rtol=0, atol=2e-5)
    again = recomputed(tiny_policy, [trajectory], 1.0)[0]
    torch.testing.assert_close(again, trajectory.logprobs, rtol=0, atol=2e-5)


def test_an_adapter_is_sampled_with(each_path: Path):
    policy = Policy.load(each_path, lora=LoRA(rank=4, alpha=16.0, part="language"))
    assert policy.adapter is not None
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in policy.trainable_parameters():
            weight.normal_(std=0.05)
    engine = LocalEngine(policy, SamplingConfig(max_turn_tokens=12), EngineConfig())
    ((trajectory, _),) = together(talk(engine, "red", 0))
    (again,) = recomputed(policy, [trajectory], 1.0)
    torch.testing.assert_close(again, trajectory.logprobs, rtol=0, atol=2e-5)
    with policy.adapter.disabled():
        (without,) = recomputed(policy, [trajectory], 1.0)
    assert (without - trajectory.logprobs).abs().max() > 0.1


def _next_logits_by_policy(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    """As the trainer sees it: the model's own forward takes every image token for a picture."""
    batch = policy.collate([trajectory])
    with torch.no_grad():
        return policy.hidden_states(batch)[-1] @ policy.head_weight.T


def test_a_turn_is_cut_off(tiny_policy: Policy, scripted: Scripted):
    end = tiny_policy.chat.turn_end_id
    engine = scripted([[[7] * 20], [[7] * 7 + [end]], [[7] * 8 + [end]]], max_turn_tokens=8)
    turns = first_turns(engine, ["red"] * 3, [0, 1, 2])
    assert [len(turn.ids) for turn in turns] == [8, 8, 8]
    assert [turn.cut_off for turn in turns] == [True, False, True]


def test_a_turn_that_a_stop_token_ended_is_answered_as_a_turn(
    tiny_policy: Policy, scripted: Scripted
):
    """The environment ends it, where the policy did not: those tokens are not the policy's."""
    chat = tiny_policy.chat
    stop = chat.turn_ids("!")[0]
    first, second = [SAMPLED, 7, stop], [7, chat.turn_end_id]
    engine = scripted([[first, second]], stop_tokens=(stop,))
    ((trajectory, turns),) = together(talk(engine, "red", 0, [picture(1)]))
    assert [turn.cut_off for turn in turns] == [False, False]
    assert (turns[0].ids[1:], turns[0].text) == ((7, stop), chat.decode(turns[0].ids[:2]))
    prompt, answer = chat.prompt_ids("red"), chat.observation_ids(trajectory.grids[0])
    said = [*turns[0].ids, chat.turn_end_id, *answer, *second]
    assert trajectory.ids.tolist() == [*prompt, *said]
    by_policy = [True] * 3 + [False] * (1 + len(answer)) + [True] * 2
    assert trajectory.policy_mask.tolist() == [False] * len(prompt) + by_policy
    again = recomputed(tiny_policy, [trajectory], 1.0)[0]
    torch.testing.assert_close(again, trajectory.logprobs, rtol=0, atol=1e-5)


def test_a_conversation_is_turn_and_picture_in_turn(tiny_policy: Policy, scripted: Scripted):
    end = tiny_policy.chat.turn_end_id
    engine = scripted([[[7, end]] * 3, [[7] * 20]], max_turn_tokens=8)
    not_ended = pytest.raises(ValueError, match="a picture answers a turn that has ended")
    no_turn = pytest.raises(ValueError, match="a turn follows the prompt or a picture")

    async def orderly() -> None:
        conversation = engine.open("red", seed=0)
        with not_ended:
            conversation.observe(picture(1))
        turn = asyncio.ensure_future(conversation.turn())
        await asyncio.sleep(0)
        with no_turn:
            await conversation.turn()
        await turn
        with no_turn:
            await conversation.turn()
        conversation.observe(picture(1))
        with not_ended:
            conversation.observe(picture(1))
        # Reading what was said is no move.
        assert len(conversation.tokens().grids) == 1
        with not_ended:
            conversation.observe(picture(1))
        await conversation.turn()
        conversation.close()
        conversation.close()
        with no_turn:
            await conversation.turn()
        assert len(conversation.tokens().grids) == 1
        cut = engine.open("red", seed=1)
        await cut.turn()
        with not_ended:
            cut.observe(picture(1))

    asyncio.run(orderly())


def test_closing_ends_the_wait_for_a_turn(scripted: Scripted):
    engine = scripted([[[7] * 64]])

    async def close_while_waiting(steps: int) -> None:
        conversation = engine.open("red", seed=0)
        turn = asyncio.ensure_future(conversation.turn())
        for _ in range(steps):
            await asyncio.sleep(0)
        conversation.close()
        with pytest.raises(asyncio.CancelledError):
            await turn

    for steps in (1, 5):
        asyncio.run(close_while_waiting(steps))


def test_greedy_takes_the_likeliest_token(tiny_policy: Policy):
    engine = LocalEngine(tiny_policy, SamplingConfig(temperature=0, max_turn_tokens=6))
    talks = together(talk(engine, "red", 1), talk(engine, "blue", 2))
    for trajectory, _ in talks:
        assert trajectory.temperature == 0
        for place in trajectory.policy_mask.nonzero().flatten().tolist():
            logits = next_logits(tiny_policy, head(trajectory, place))
            assert trajectory.ids[place] == logits.argmax()
            expected = torch.log_softmax(logits, dim=-1).max()
            torch.testing.assert_close(trajectory.logprobs[place], expected, rtol=0, atol=2e-5)
    assert first_turns(engine, ["red"], [99])[0].ids == talks[0][1][0].ids
