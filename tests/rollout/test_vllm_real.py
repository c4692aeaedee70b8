"""A real vLLM, whose address is GENAGENT_VLLM_URL.

    uv run benchmarks/vllm_server.py packages/miniworld/src/genagent_miniworld/weights/sft

serves one for the miniature's policies in float32, and ``uv run pytest -n 0 -m vllm`` asks it.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.rollout.vllm_real import (
    MARKS,
    PROMPTS,
    ROUNDING,
    URL,
    WEIGHTS,
    Result,
    check_sampled,
    engine_of,
    held,
    recomputed,
    two_rounds,
)

from genagent_policy import Policy
from genagent_rollout import SamplingConfig
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.vllm_check import vllm_problems
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import EngineError

pytestmark = MARKS


@pytest.fixture(scope="module")
def sft() -> Policy:
    return Policy.load(WEIGHTS / "sft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sft: Policy) -> Iterator[Path]:
    """Where weights are published; afterwards the server has those of ``sft`` again."""
    folder = tmp_path_factory.mktemp("published")
    yield folder
    held(engine_of(sft, FolderPublication(sft.save, folder)).publish(1000))


def test_greedy_turns_are_those_of_a_full_forward(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, FolderPublication(sft.save, folder))
    held(engine.publish(1))
    trajectories = held(two_rounds(engine))
    check_sampled(sft, trajectories)
    assert [len(trajectory.grids) for trajectory in trajectories] == [1] * len(PROMPTS)


def test_log_probs_are_under_the_temperature(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, FolderPublication(sft.save, folder), temperature=1.7)
    held(engine.publish(2))
    for trajectory in held(two_rounds(engine, PROMPTS[:1] * 3)):
        _, _, logprobs = recomputed(sft, trajectory)
        torch.testing.assert_close(
            trajectory.logprobs[trajectory.policy_mask], logprobs, atol=ROUNDING, rtol=0
        )


def test_a_seed_repeats_its_tokens_and_another_gives_others(sft: Policy, folder: Path) -> None:
    engine = engine_of(sft, FolderPublication(sft.save, folder), temperature=1.0)
    held(engine.publish(3))

    async def turn(seed: int) -> tuple[int, ...]:
        return (await engine.open(PROMPTS[0], seed=seed).turn()).ids

    first, again, *others = held(_together([turn(5), turn(5), *(turn(n) for n in range(6, 12))]))
    assert first == again
    assert any(other != first for other in others)


def test_published_weights_sample_the_turns_that_follow(sft: Policy, folder: Path) -> None:
    base = Policy.load(WEIGHTS / "base")
    now = [sft]
    engine = engine_of(sft, FolderPublication(lambda path: now[0].save(path), folder))
    spoken: list[list[list[int]]] = []
    for version, policy in ((4, sft), (5, base), (6, sft)):
        now[0] = policy
        held(engine.publish(version))
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
    engine = engine_of(sft, max_turn_tokens=5)
    turn = held(engine.open(PROMPTS[0], seed=0).turn())
    assert len(turn.ids) == 5
    assert turn.cut_off


def test_other_pixel_limits_are_named(sft: Policy) -> None:
    smaller = Policy.load(WEIGHTS / "sft", max_pixels=32 * 32)
    with pytest.raises(EngineError, match=r"position \d+ .* pixel limits differ"):
        held(two_rounds(engine_of(smaller), PROMPTS[:1]))


def test_nothing_keeps_this_server_from_being_used() -> None:
    config = VllmConfig(urls=(URL,), publish="folder")
    assert vllm_problems(config, SamplingConfig(temperature=0.5)) == []


async def _together(turns: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    return list(await asyncio.gather(*turns))
