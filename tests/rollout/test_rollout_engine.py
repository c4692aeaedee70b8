from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.rollout.conversations import (
    PROMPTS,
    SAMPLED,
    conversation,
    picture,
    recomputed,
    turns_of,
)

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory, collate
from genagent_rollout import RolloutEngine, SamplingConfig


def _next_logits(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    """Logits of the token after a conversation, by the model's own forward on all of it."""
    has_pictures = len(trajectory.grids) > 0
    pictures = (trajectory.ids == policy.chat.image_token_id) & ~trajectory.policy_mask
    with torch.no_grad():
        return policy.model(
            input_ids=trajectory.ids[None],
            mm_token_type_ids=pictures[None].int(),
            pixel_values=policy.chat.expand_pictures(trajectory.pixel_values)
            if has_pictures
            else None,
            image_grid_thw=trajectory.grids if has_pictures else None,
        ).logits[0, -1]


def test_logits_equal_a_full_forward(tiny_policy: Policy, scripted: Callable[..., RolloutEngine]):
    lengths = [[3, 20, 1, 2], [17, 4, 9, 2], [8, 8, 8, 2], [30, 2, 12, 2]]
    engine = scripted([turns_of(tiny_policy, row) for row in lengths])
    talk = engine.start(PROMPTS, [0, 1, 2, 3])
    checked = 0
    for rows in ([0, 1, 2, 3], [0, 1, 3], [1, 3]):  # a row is dropped before each new picture
        turns = talk.sample()
        assert list(turns) == talk.rows
        talk.keep(rows)
        talk.observe({row: picture(10 * len(rows) + row) for row in rows})
        logits = talk.next_logits()
        assert talk.rows == rows
        for row, found in zip(rows, logits, strict=True):
            expected = _next_logits(tiny_policy, talk.tokens(row))
            assert expected.std() > 0.5
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
            checked += 1
    assert checked == 9
    assert len(talk.tokens(1).grids) == 3


def test_first_logits_equal_a_full_forward(tiny_policy: Policy):
    talk = RolloutEngine(tiny_policy).start(PROMPTS, [0, 1, 2, 3])
    for row, found in enumerate(talk.next_logits()):
        expected = _next_logits(tiny_policy, talk.tokens(row))
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_stored_logprobs_equal_recomputed_ones(
    tiny_policy: Policy, scripted: Callable[..., RolloutEngine], temperature: float
):
    lengths = [[3, 20, 1], [17, 4, 9], [8, 8, 8], [40, 2, 12]]
    scripts = [turns_of(tiny_policy, row) for row in lengths]
    engine = scripted(scripts, temperature=temperature)
    talk = engine.start(PROMPTS, [0, 1, 2, 3])
    talk.sample()
    talk.observe({row: picture(row) for row in range(4)})
    talk.sample()
    talk.keep([0, 2, 3])
    talk.observe({row: picture(row + 7) for row in (0, 2, 3)})
    talk.sample()
    trajectories = [talk.tokens(row) for row in range(4)]
    again = recomputed(tiny_policy, trajectories, temperature)
    for row, trajectory in enumerate(trajectories):
        stored = trajectory.logprobs
        assert trajectory.num_policy_tokens == sum(lengths[row][: 2 if row == 1 else 3]) + (
            2 if row == 1 else 3
        )
        ratio = (again[row, : len(trajectory)] - stored)[trajectory.policy_mask].exp()
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
        talk = RolloutEngine(policy, config).start(PROMPTS, [0, 1, 2, 3])
        talk.sample()
        trajectories += [talk.tokens(row) for row in talk.rows]
    assert {trajectory.temperature for trajectory in trajectories} == set(temperatures)
    rewards = tuple(float(place) for place in range(len(trajectories)))
    group = GRPOGroup(trajectories=tuple(trajectories), rewards=rewards)
    statistics = GRPOUpdate(policy, GRPOConfig()).accumulate([group]).statistics
    assert statistics.tokens == sum(item.num_policy_tokens for item in trajectories)
    assert statistics.ratio_mean == pytest.approx(1, abs=1e-3)
    assert statistics.ratio_max == pytest.approx(1, abs=1e-3)


def test_what_training_is_set_to_changes_nothing_here(
    tiny_policy: Policy, tiny_policy_path: Path, scripted: Callable[..., RolloutEngine]
):
    """Other attention, and layers that would ignore the cache while they learn."""
    other = Policy.load(tiny_policy_path, attention="eager", checkpoint_activations=True)
    scripts = [turns_of(tiny_policy, row) for row in [[3, 20], [12, 20], [5, 9]]]
    engine = scripted(scripts)
    expected = conversation(engine)
    engine.policy = other
    for one, same in zip(expected, conversation(engine), strict=True):
        assert one.ids.tolist() == same.ids.tolist()
        torch.testing.assert_close(same.logprobs, one.logprobs, rtol=0, atol=2e-5)


def test_history_is_never_tokenized_again(
    tiny_policy: Policy, scripted: Callable[..., RolloutEngine]
):
    chat = tiny_policy.chat
    text = "the picture satisfies the request"
    merged = chat.turn_ids(text)
    by_letter = [token for letter in text for token in chat.turn_ids(letter)[:-1]]
    by_letter.append(chat.turn_end_id)
    assert by_letter != merged
    talk = scripted([[by_letter, merged]]).start(["red"], [0])
    prompt = chat.prompt_ids("red")
    assert talk.sample()[0].text == text
    talk.observe({0: picture(1)})
    turn = talk.sample()[0]
    assert turn.ids == tuple(merged)
    assert not turn.cut_off
    trajectory = talk.tokens(0)
    observation = chat.observation_ids(trajectory.grids[0])
    assert trajectory.ids.tolist() == [*prompt, *by_letter, *observation, *merged]
    assert trajectory.policy_mask.tolist() == (
        [False] * len(prompt)
        + [True] * len(by_letter)
        + [False] * len(observation)
        + [True] * len(merged)
    )


def test_a_sampled_image_token_is_text(tiny_policy: Policy, scripted: Callable[..., RolloutEngine]):
    chat = tiny_policy.chat
    odd = [5, chat.image_token_id, chat.image_token_id, SAMPLED, chat.turn_end_id]
    talk = scripted([[odd, odd]]).start(["red"], [0])
    assert talk.sample()[0].text.count("<|image_pad|>") == 2
    talk.observe({0: picture(1)})
    expected = _next_logits_by_policy(tiny_policy, talk.tokens(0))
    torch.testing.assert_close(talk.next_logits()[0], expected, rtol=0, atol=2e-5)
    talk.sample()
    trajectory = talk.tokens(0)
    again = recomputed(tiny_policy, [trajectory], 1.0)[0]
    torch.testing.assert_close(again, trajectory.logprobs, rtol=0, atol=2e-5)


def _next_logits_by_policy(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    """As the trainer sees it: the model's own forward takes every image token for a picture."""
    batch = collate(
        [trajectory],
        [0],
        image_token_id=policy.chat.image_token_id,
        merge_size=policy.chat.merge_size,
        pad_id=policy.chat.pad_id,
    )
    with torch.no_grad():
        return policy.hidden_states(batch)[0, -1] @ policy.head_weight.T


def test_a_turn_is_cut_off(tiny_policy: Policy, scripted: Callable[..., RolloutEngine]):
    end = tiny_policy.chat.turn_end_id
    scripts = [[[7] * 20], [[7] * 7 + [end]], [[7] * 8 + [end]]]
    talk = scripted(scripts, max_turn_tokens=8).start(["red"] * 3, [0, 1, 2])
    turns = talk.sample()
    assert [len(turns[row].ids) for row in range(3)] == [8, 8, 8]
    assert [turns[row].cut_off for row in range(3)] == [True, False, True]
    with pytest.raises(ValueError, match=r"rows \[0, 2\] have not ended a turn"):
        talk.observe({row: picture(row) for row in range(3)})
    talk.keep([1])
    talk.observe({1: picture(1)})
    assert len(talk.tokens(0).grids) == 0
    assert len(talk.tokens(1).grids) == 1


def test_a_cache_that_grows_within_a_turn_changes_nothing(
    tiny_policy: Policy, scripted: Callable[..., RolloutEngine], monkeypatch: pytest.MonkeyPatch
):
    end = tiny_policy.chat.turn_end_id
    scripts = [[[*range(30, 30 + count), end]] for count in (90, 5, 40)]

    def talk() -> tuple[int, list[TokenTrajectory]]:
        talk = scripted(scripts, max_turn_tokens=192).start(PROMPTS[:3], [0, 1, 2])
        reserved = talk._cache.capacity
        talk.sample()
        return talk._cache.capacity - reserved, [talk.tokens(row) for row in range(3)]

    grown_by, at_once = talk()
    assert grown_by == 0
    monkeypatch.setattr("genagent_rollout.engine.AHEAD", 80)
    grown_by, in_steps = talk()
    assert grown_by == 64
    for one, other in zip(at_once, in_steps, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.logprobs.tolist() == other.logprobs.tolist()


def test_the_cache_is_not_reserved_for_a_whole_long_turn(
    tiny_policy: Policy, scripted: Callable[..., RolloutEngine]
):
    script = [[7, tiny_policy.chat.turn_end_id]]
    talk = scripted([script], max_turn_tokens=16_384).start(["red"], [0])
    prompt = len(tiny_policy.chat.prompt_ids("red"))
    assert prompt + 256 <= talk._cache.capacity < prompt + 256 + 64
    talk.sample()
    assert talk._cache.capacity < prompt + 256 + 64


def test_tokens_follow_from_the_seed_whatever_the_batch(tiny_policy: Policy):
    engine = RolloutEngine(tiny_policy, SamplingConfig(max_turn_tokens=24))
    together = engine.start(PROMPTS, [4, 5, 6, 7]).sample()
    for row, (prompt, seed) in enumerate(zip(PROMPTS, [4, 5, 6, 7], strict=True)):
        assert engine.start([prompt], [seed]).sample()[0].ids == together[row].ids
    assert together[0].ids != together[2].ids  # same prompt, another seed


def test_greedy_takes_the_likeliest_token(tiny_policy: Policy):
    engine = RolloutEngine(tiny_policy, SamplingConfig(temperature=0, max_turn_tokens=6))
    talk = engine.start(["red", "blue"], [1, 2])
    turns = talk.sample()
    for row in range(2):
        trajectory = talk.tokens(row)
        assert trajectory.temperature == 0
        for place in trajectory.policy_mask.nonzero().flatten().tolist():
            logits = _next_logits(tiny_policy, _head(trajectory, place))
            assert trajectory.ids[place] == logits.argmax()
            expected = torch.log_softmax(logits, dim=-1).max()
            torch.testing.assert_close(trajectory.logprobs[place], expected, rtol=0, atol=2e-5)
    assert engine.start(["red"], [99]).sample()[0].ids == turns[0].ids


def _head(trajectory: TokenTrajectory, tokens: int) -> TokenTrajectory:
    return TokenTrajectory(
        ids=trajectory.ids[:tokens],
        policy_mask=trajectory.policy_mask[:tokens],
        logprobs=trajectory.logprobs[:tokens],
        pixel_values=trajectory.pixel_values,
        grids=trajectory.grids,
        temperature=trajectory.temperature,
    )


def test_refuses_what_does_not_fit(tiny_policy: Policy):
    engine = RolloutEngine(tiny_policy, SamplingConfig(max_batch=2, max_turn_tokens=2))
    with pytest.raises(ValueError, match="3 prompts"):
        engine.start(["a"] * 3, [0, 1, 2])
    with pytest.raises(ValueError, match="0 prompts"):
        engine.start([], [])
    with pytest.raises(ValueError, match="2 prompts and 1 seeds"):
        engine.start(["a", "b"], [0])
    talk = engine.start(["a", "b"], [0, 1])
    with pytest.raises(ValueError, match=r"cannot keep rows \[2\]"):
        talk.keep([2])
    with pytest.raises(ValueError, match="cannot keep rows"):
        talk.keep([1, 1])
    with pytest.raises(ValueError, match=r"pictures for rows \[0\]; live are \[0, 1\]"):
        talk.observe({0: picture(0)})
    talk.keep([1])
    assert list(talk.sample()) == [1]
    talk.keep([])
    assert talk.sample() == {}
    talk.observe({})
