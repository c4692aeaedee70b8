"""Conversations with the real vLLM at GENAGENT_VLLM_URL, and what they must come to.

With a comma between several, weights are broadcast to all of them; the other tests ask the first.
"""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image

from genagent_policy import Policy, TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout import SamplingConfig
from genagent_rollout.publication import Publication
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import VllmEngine

URLS = tuple(os.environ.get("GENAGENT_VLLM_URL", "").split(","))
URL = URLS[0]
WEIGHTS = Path(__file__).parents[2] / "packages/miniworld/src/genagent_miniworld/weights"
PROMPTS = ("as many squares as a triangle has sides", "a blue circle at the top left", "two rings")
ROUNDING = 3e-5
"""Of float32 on both sides; after a picture of noise the two are up to 2e-5 apart."""

MARKS = [
    pytest.mark.vllm,
    pytest.mark.skipif(not URL, reason="GENAGENT_VLLM_URL names no vLLM server"),
    pytest.mark.skipif(
        "PYTEST_XDIST_WORKER" in os.environ,
        reason="two processes would publish weights to one server; give -n 0",
    ),
]
Result = TypeVar("Result")


def noise(seed: int, size: tuple[int, int] = (48, 48)) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Picture.of(Image.fromarray(pixels))


def engine_of(
    policy: Policy,
    publication: Publication | None = None,
    *,
    urls: tuple[str, ...] = (URL,),
    temperature: float = 0.0,
    max_turn_tokens: int = 96,
) -> VllmEngine:
    sampling = SamplingConfig(temperature=temperature, max_turn_tokens=max_turn_tokens)
    return VllmEngine(policy.chat, sampling, VllmConfig(urls=urls), publication)


def held(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


async def two_rounds(engine: VllmEngine, prompts: Sequence[str] = PROMPTS) -> list[TokenTrajectory]:
    """A turn, a picture and a turn of all conversations at once."""

    async def one(number: int, prompt: str) -> TokenTrajectory:
        conversation = engine.open(prompt, seed=number)
        await conversation.turn()
        conversation.observe(noise(number))
        await conversation.turn()
        return conversation.tokens()

    return await asyncio.gather(*(one(number, prompt) for number, prompt in enumerate(prompts)))


def recomputed(
    policy: Policy, trajectory: TokenTrajectory
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """By one full forward: the likeliest tokens where the policy chose, those it chose, and their
    log-probs."""
    batch = policy.collate([trajectory])
    with torch.no_grad():
        states, chosen = policy.policy_states(batch)
        logits = states @ policy.head_weight.T / (trajectory.temperature or 1.0)
    logprobs = torch.log_softmax(logits, dim=-1).gather(1, chosen[:, None])[:, 0]
    return logits.argmax(dim=-1), chosen, logprobs


def check_sampled(policy: Policy, trajectories: Sequence[TokenTrajectory]) -> None:
    """Greedy turns are those of a full forward of the policy, log-probs within rounding."""
    for trajectory in trajectories:
        likeliest, chosen, logprobs = recomputed(policy, trajectory)
        assert chosen.tolist() == likeliest.tolist()
        torch.testing.assert_close(
            trajectory.logprobs[trajectory.policy_mask], logprobs, atol=ROUNDING, rtol=0
        )
