"""Every token is computed once and as the model's own full pass computes it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import torch
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.conversations import (
    SAMPLED,
    cache_of,
    first_turns,
    picture,
    recomputed,
    talk,
    together,
    turns_of,
)

from genagent_data import Picture
from genagent_policy import Policy, TokenTrajectory
from genagent_rollout import LocalEngine, SamplingConfig

Scripted = Callable[..., ScriptedEngine]


def _generated(policy: Policy, prompt: str, pictures: list[Picture], tokens: list[int]):
    """Ids of a greedy conversation by ``generate``, which computes all of it anew each turn; turns
    end after so many tokens, each ended by the environment where a picture follows."""
    chat = policy.chat
    ids = chat.prompt_ids(prompt)
    by_policy = [False] * len(ids)
    pixels, grids = chat.encode_pictures([shown.image for shown in pictures])
    for turn, count in enumerate(tokens):
        seen = {}
        if turn:
            answer = chat.observation_ids(grids[turn - 1])
            if ids[-1] != chat.turn_end_id:
                answer = [chat.turn_end_id, *answer]
            ids, by_policy = ids + answer, by_policy + [False] * len(answer)
            seen = {
                "pixel_values": chat.expand_pictures(torch.cat(pixels[:turn])),
                "image_grid_thw": grids[:turn],
            }
        input_ids = torch.tensor([ids])
        is_picture = (input_ids == chat.image_token_id) & ~torch.tensor([by_policy])
        said = policy.model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            mm_token_type_ids=is_picture.int(),
            **seen,
            max_new_tokens=count,
            do_sample=False,
            eos_token_id=chat.turn_end_id,
            pad_token_id=policy.processor.tokenizer.pad_token_id,
        )[0, len(ids) :].tolist()
        ids, by_policy = ids + said, by_policy + [True] * len(said)
    return ids


def test_greedy_conversations_are_those_of_generate_though_pages_run_out(each_policy: Policy):
    """Sixteen at once, three turns, pictures of two sizes, in a cache that holds about four.

    A token that random weights choose stands for the end of a turn, so that turns end by
    themselves, most of them early.
    """
    stops = tuple(range(0, len(each_policy.chat._tokenizer), 24))
    sampling = SamplingConfig(
        temperature=0, max_turn_tokens=24, max_response_tokens=160, stop_tokens=stops
    )
    prompts = [f"picture number {k // 2}, {'very ' * (k % 5)}red" for k in range(16)]
    shown = [[picture(k), picture(k // 2 + 7)] for k in range(16)]
    engine = LocalEngine(each_policy, sampling, cache_of(each_policy, 16))

    async def one(k: int) -> TokenTrajectory:
        conversation = engine.open(prompts[k], seed=k)
        for place in range(3):
            turn = await conversation.turn()
            if turn.cut_off or place == 2:
                break
            conversation.observe(shown[k][place])
        conversation.close()
        return conversation.tokens()

    trajectories = together(*(one(k) for k in range(16)))
    assert engine.counts.put_aside > 0
    rounds = [len(trajectory.grids) for trajectory in trajectories]
    assert max(rounds) == 2 and rounds.count(2) > 2
    for k, trajectory in enumerate(trajectories):
        mask = torch.cat([trajectory.policy_mask, torch.tensor([False])])
        edges = (mask[1:] != mask[:-1]).nonzero().flatten().tolist()
        counts = [end - begin for begin, end in zip(edges[::2], edges[1::2], strict=True)]
        expected = _generated(each_policy, prompts[k], shown[k][: rounds[k]], counts)
        assert trajectory.ids.tolist() == expected
    # Greedy log-probs are those of the softmax itself.
    again = recomputed(each_policy, trajectories, 1.0)
    for trajectory, found in zip(trajectories, again, strict=True):
        torch.testing.assert_close(found, trajectory.logprobs, rtol=0, atol=1e-5)


def test_nothing_is_computed_twice(tiny_policy: Policy, scripted: Scripted):
    """Two groups of three, and a request of its own; four of the seven see one picture each."""
    chat = tiny_policy.chat
    lengths = [[4, 2], [6, 2], [5], [3, 3], [8], [2], [7, 1]]
    engine = scripted([turns_of(tiny_policy, row) for row in lengths])
    prompts = ["red"] * 3 + ["three blue circles"] * 3 + ["a cat"]
    together(
        *(
            talk(engine, prompt, row, [picture(1)] * (len(lengths[row]) - 1))
            for row, prompt in enumerate(prompts)
        )
    )
    prompt_tokens = [len(chat.prompt_ids(text)) for text in ("red", "three blue circles", "a cat")]
    observation = len(chat.observation_ids(chat.encode_pictures([picture(1).image])[1][0]))
    # A turn's last token is computed with the answer to it, if there is one.
    assert engine.counts.prefilled_tokens == sum(prompt_tokens) + 4 * (1 + observation)
    # Eleven turns, each with its end.
    assert engine.counts.decoded_tokens == (4 + 2 + 6 + 2 + 5 + 3 + 3 + 8 + 2 + 7 + 1) + 11
    assert engine.counts.encoded_pictures == 4
    assert engine.counts.put_aside == 0


def test_new_weights_leave_nothing_of_the_old_ones(each_path: Path, scripted: Scripted):
    """A conversation goes on after an update just as one that has never seen the old weights."""
    policy = Policy.load(each_path)
    end = policy.chat.turn_end_id
    first = [*range(30, 38), end]
    second = [*[SAMPLED] * 8, end]
    third = [*[SAMPLED] * 6, end]
    scripts = [[first, second, third]] * 2
    prompts = ["red", "red"]

    async def one(engine: LocalEngine, prompt: str, seed: int, updates: bool) -> TokenTrajectory:
        conversation = engine.open(prompt, seed=seed)
        await conversation.turn()
        conversation.observe(picture(seed))
        if updates and seed == 0:
            with torch.no_grad():
                for weight in policy.model.parameters():
                    weight.mul_(0.9)
            engine.publish()
        turn = await conversation.turn()
        assert not turn.cut_off
        conversation.observe(picture(seed + 5))
        await conversation.turn()
        conversation.close()
        return conversation.tokens()

    updated = scripted(scripts, policy=policy)
    old = [tokens.logprobs.tolist() for tokens in together(one(updated, "red", 1, False))]
    across = together(*(one(updated, prompt, seed, True) for seed, prompt in enumerate(prompts)))
    fresh = scripted(scripts, policy=policy)
    after = together(*(one(fresh, prompt, seed, False) for seed, prompt in enumerate(prompts)))
    for one_engine, other in zip(across, after, strict=True):
        assert one_engine.ids.tolist() == other.ids.tolist()
        later = one_engine.policy_mask.clone()
        later[: int(later.nonzero()[0]) + len(first)] = False
        torch.testing.assert_close(
            one_engine.logprobs[later], other.logprobs[later], rtol=0, atol=1e-5
        )
        # The first turn was sampled with the old weights, and stays so.
        spoken = one_engine.policy_mask & ~later
        assert (one_engine.logprobs[spoken] - other.logprobs[spoken]).abs().max() > 0.01
    assert old[0] != after[1].logprobs.tolist()


def test_weights_that_are_new_within_a_turn_count_from_its_next_token(
    tiny_policy_path: Path, scripted: Scripted
):
    policy = Policy.load(tiny_policy_path)
    script = [[*range(30, 50), policy.chat.turn_end_id]]
    engine = scripted([script], policy=policy)

    async def run() -> TokenTrajectory:
        conversation = engine.open("red", seed=0)
        turn = asyncio.ensure_future(conversation.turn())
        while len(conversation.tokens()) < len(policy.chat.prompt_ids("red")) + 7:
            await asyncio.sleep(0)
        with torch.no_grad():
            policy.model.lm_head.weight.mul_(0.5)
            for name, weight in policy.model.named_parameters():
                if name.endswith("mlp.down_proj.weight"):
                    weight.mul_(0.5)
        engine.publish()
        await turn
        return conversation.tokens()

    tokens = asyncio.run(run())
    new = recomputed(policy, [tokens], 1.0)[0]
    spoken = tokens.policy_mask.nonzero().flatten()
    off = (new - tokens.logprobs)[spoken].abs()
    assert off[:7].min() > 1e-3
    assert off[7:].max() < 1e-5


def test_tokens_follow_from_the_seed_whatever_the_batch(tiny_policy: Policy):
    engine = LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=24))
    prompts = ["red", "three blue circles", "red", "a very much longer request for a picture"]
    together_turns = first_turns(engine, prompts, [4, 5, 6, 7])
    for prompt, seed, turn in zip(prompts, [4, 5, 6, 7], together_turns, strict=True):
        assert first_turns(engine, [prompt], [seed])[0].ids == turn.ids
    assert together_turns[0].ids != together_turns[2].ids  # same prompt, another seed
