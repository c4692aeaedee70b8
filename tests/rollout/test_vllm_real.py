"""A real vLLM, whose address is GENAGENT_VLLM_URL.

    uv run benchmarks/vllm_server.py packages/miniworld/src/genagent_miniworld/weights/sft

serves one for the miniature's policies in float32, and ``uv run pytest -n 0 -m vllm`` asks it.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image

from genagent_policy import Policy, TokenTrajectory, collate
from genagent_rewards import Picture
from genagent_rollout import SamplingConfig
from genagent_rollout.vllm_check import vllm_problems
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import EngineError, VllmEngine

URL = os.environ.get("GENAGENT_VLLM_URL", "")
WEIGHTS = Path(__file__).parents[2] / "packages/miniworld/src/genagent_miniworld/weights"
PROMPTS = ("as many squares as a triangle has sides", "a blue circle at the top left", "two rings")
ROUNDING = 3e-5
"""Of float32 on both sides; after a picture of noise the two are up to 2e-5 apart."""

pytestmark = [
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


@pytest.fixture(scope="module")
def sft() -> Policy:
    return Policy.load(WEIGHTS / "sft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sft: Policy) -> Iterator[Path]:
    """Where weights are published; afterwards the server has those of ``sft`` again."""
    folder = tmp_path_factory.mktemp("published")
    yield folder
    held(engine_of(sft, folder).publish(sft, 1000))


def engine_of(
    policy: Policy, folder: Path | None, *, temperature: float = 0.0, max_turn_tokens: int = 96
) -> VllmEngine:
    sampling = SamplingConfig(temperature=temperature, max_turn_tokens=max_turn_tokens)
    return VllmEngine(policy.chat, sampling, VllmConfig(urls=(URL,), weights=folder))


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
    chat = policy.chat
    batch = collate(
        [trajectory],
        [0],
        image_token_id=chat.image_token_id,
        merge_size=chat.merge_size,
        pad_id=chat.pad_id,
    )
    with torch.no_grad():
        states, chosen = policy.policy_states(batch)
        logits = states @ policy.head_weight.T / (trajectory.temperature or 1.0)
    logprobs = torch.log_softmax(logits, dim=-1).gather(1, chosen[:, None])[:, 0]
    return logits.argmax(dim=-1), chosen, logprobs


def test_greedy_turns_are_those_of_a_full_forward(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, folder)
    held(engine.publish(sft, 1))
    for trajectory in held(two_rounds(engine)):
        likeliest, chosen, logprobs = recomputed(sft, trajectory)
        assert chosen.tolist() == likeliest.tolist()
        assert len(trajectory.grids) == 1
        torch.testing.assert_close(
            trajectory.logprobs[trajectory.policy_mask], logprobs, atol=ROUNDING, rtol=0
        )


def test_log_probs_are_under_the_temperature(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, folder, temperature=1.7)
    held(engine.publish(sft, 2))
    for trajectory in held(two_rounds(engine, PROMPTS[:1] * 3)):
        _, _, logprobs = recomputed(sft, trajectory)
        torch.testing.assert_close(
            trajectory.logprobs[trajectory.policy_mask], logprobs, atol=ROUNDING, rtol=0
        )


def test_a_seed_repeats_its_tokens_and_another_gives_others(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, folder, temperature=1.0)
    held(engine.publish(sft, 3))

    async def turn(seed: int) -> tuple[int, ...]:
        return (await engine.open(PROMPTS[0], seed=seed).turn()).ids

    first, again, *others = held(_together([turn(5), turn(5), *(turn(n) for n in range(6, 12))]))
    assert first == again
    assert any(other != first for other in others)


def test_published_weights_sample_the_turns_that_follow(sft: Policy, folder: Path) -> None:
    base = Policy.load(WEIGHTS / "base")
    engine = engine_of(sft, folder)
    spoken: list[list[list[int]]] = []
    for version, policy in ((4, sft), (5, base), (6, sft)):
        held(engine.publish(policy, version))
        conversation = engine.open(PROMPTS[0], seed=0)
        held(conversation.turn())
        (span,) = conversation.weight_versions
        record = conversation.tokens()
        assert span.version == str(version)
        assert (span.start, span.end) == (len(record) - record.num_policy_tokens, len(record))
        trajectories = held(two_rounds(engine))
        for trajectory in trajectories:
            likeliest, chosen, _ = recomputed(policy, trajectory)
            assert chosen.tolist() == likeliest.tolist()
        spoken.append([trajectory.ids.tolist() for trajectory in trajectories])
    assert spoken[0] == spoken[2]
    assert spoken[0] != spoken[1]
    assert [path.name for path in folder.iterdir() if path.name in ("policy-4", "policy-5")] == []


def test_a_turn_ends_where_its_limit_is(sft: Policy) -> None:
    engine = engine_of(sft, None, max_turn_tokens=5)
    turn = held(engine.open(PROMPTS[0], seed=0).turn())
    assert len(turn.ids) == 5
    assert turn.cut_off


def test_other_pixel_limits_are_named(sft: Policy) -> None:
    smaller = Policy.load(WEIGHTS / "sft", max_pixels=32 * 32)
    with pytest.raises(EngineError, match=r"position \d+ .* pixel limits differ"):
        held(two_rounds(engine_of(smaller, None), PROMPTS[:1]))


def test_nothing_keeps_this_server_from_being_used(folder: Path) -> None:
    config = VllmConfig(urls=(URL,), weights=folder)
    assert vllm_problems(config, SamplingConfig(temperature=0.5)) == []


async def _together(turns: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    return list(await asyncio.gather(*turns))
