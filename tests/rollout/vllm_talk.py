"""Conversations with fake vLLM servers, and what they must come to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.rollout.fake_vllm import FakeVllm, spoken

from genagent_data import derive_seed
from genagent_policy import Policy, TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout import SamplingConfig
from genagent_rollout.publication import Publication
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import VllmEngine

Serve = Callable[..., FakeVllm]


def picture(seed: int) -> Image.Image:
    """Noise of 64x32 or of 48x48 pixels, so that observations differ in length."""
    height, width = (48, 48) if seed % 2 else (32, 64)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def serve(tiny_policy: Policy) -> Iterator[Serve]:
    """``serve(**what it is like)``: another server, until the test is over."""
    with ExitStack() as stack:
        yield lambda **kind: stack.enter_context(FakeVllm(tiny_policy.chat, **kind).running())


def engine_of(
    policy: Policy,
    *servers: FakeVllm,
    publication: Publication | None = None,
    turn_seconds: float = 30.0,
    publish_seconds: float = 30.0,
    **sampling: Any,
) -> VllmEngine:
    config = VllmConfig(
        urls=tuple(server.url for server in servers),
        turn_seconds=turn_seconds,
        publish_seconds=publish_seconds,
    )
    return VllmEngine(policy.chat, SamplingConfig(**sampling), config, publication)


async def talk(engine: VllmEngine, *, rounds: int = 2, seed: int = 3) -> TokenTrajectory:
    """Turns with a picture after each but the last."""
    conversation = engine.open("red", seed=seed)
    for number in range(rounds):
        await conversation.turn()
        if number + 1 < rounds:
            conversation.observe(Picture.of(picture(number)))
    return conversation.tokens()


def expected(policy: Policy, version: str, *, rounds: int = 2, seed: int = 3) -> list[int]:
    """The ids of ``talk`` where all of it is sampled by weights of that version."""
    chat = policy.chat
    ids = chat.prompt_ids("red")
    for number in range(rounds):
        ids = ids + spoken(version, ids, derive_seed(seed, "turn", number), chat.turn_end_id)
        if number + 1 < rounds:
            _, grids = chat.encode_pictures([picture(number)])
            ids = ids + chat.observation_ids(grids[0])
    return ids
