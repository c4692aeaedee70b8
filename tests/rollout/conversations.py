"""Pieces of conversations for the engine's tests."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from genagent_data import Picture
from genagent_policy import Policy, TokenTrajectory
from genagent_rollout import EngineConfig, LocalEngine, SampledTurn

SAMPLED = -1
PROMPTS = ["red", "three blue circles", "red", "a very much longer request for a picture"]

T = TypeVar("T")


def picture(seed: int) -> Picture:
    """Two sizes, so that observations differ in length too."""
    height, width = (48, 48) if seed % 2 else (32, 64)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture.of(Image.fromarray(pixels))


def turns_of(policy: Policy, lengths: Sequence[int]) -> list[list[int]]:
    """Sampled turns that end after so many tokens."""
    return [[SAMPLED] * length + [policy.chat.turn_end_id] for length in lengths]


def cache_of(policy: Policy, pages: int, *, page_tokens: int = 16, **options) -> EngineConfig:
    """A cache of so many pages."""
    text = policy.text_config
    heads = text.num_key_value_heads or text.num_attention_heads
    token = 2 * text.num_hidden_layers * heads * policy.head_width * policy.dtype.itemsize
    gib = (pages + 0.5) * page_tokens * token / 2**30
    return EngineConfig(cache_gib=gib, page_tokens=page_tokens, **options)


def together(*talks: Coroutine[object, object, T]) -> list[T]:
    """All of them side by side; what each returns."""

    async def everyone() -> list[T]:
        return await asyncio.gather(*talks)

    return asyncio.run(everyone())


async def talk(
    engine: LocalEngine, prompt: str, seed: int, pictures: Sequence[Picture] = ()
) -> tuple[TokenTrajectory, list[SampledTurn]]:
    """One turn, and one more for each picture."""
    conversation = engine.open(prompt, seed=seed)
    turns = [await conversation.turn()]
    for shown in pictures:
        conversation.observe(shown)
        turns.append(await conversation.turn())
    conversation.close()
    return conversation.tokens(), turns


def first_turns(
    engine: LocalEngine, prompts: Sequence[str], seeds: Sequence[int]
) -> list[SampledTurn]:
    """The first turn of conversations side by side."""
    talks = [talk(engine, prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    return [turns[0] for _, turns in together(*talks)]


def conversation(engine: LocalEngine) -> list[TokenTrajectory]:
    """Two turns of three conversations, with a picture between them."""
    prompts = ["red", "three blue circles", "red"]
    talks = [talk(engine, prompt, seed, [picture(1)]) for seed, prompt in enumerate(prompts)]
    return [tokens for tokens, _ in together(*talks)]


def recomputed(
    policy: Policy, trajectories: list[TokenTrajectory], temperature: float
) -> list[torch.Tensor]:
    """Log-probs of each trajectory's tokens, by one full forward."""
    batch = policy.collate(trajectories)
    with torch.no_grad():
        return list(policy.logprobs(batch, temperature).cpu().split(batch.lengths))


def head(trajectory: TokenTrajectory, tokens: int, pictures: int | None = None) -> TokenTrajectory:
    """Its first tokens, with all of its pictures or the first ones."""
    grids = trajectory.grids[:pictures]
    return TokenTrajectory(
        ids=trajectory.ids[:tokens],
        policy_mask=trajectory.policy_mask[:tokens],
        logprobs=trajectory.logprobs[:tokens],
        pixel_values=trajectory.pixel_values[: int(grids.prod(dim=-1).sum())],
        grids=grids,
        temperature=trajectory.temperature,
    )


def next_logits(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
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
