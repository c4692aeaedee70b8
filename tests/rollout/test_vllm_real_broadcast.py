"""Weights broadcast to a real vLLM that was started with ``--gloo``.

uv run benchmarks/vllm_server.py packages/miniworld/src/genagent_miniworld/weights/sft --gloo
"""

import itertools
import time
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from tests.rollout.vllm_real import (
    MARKS,
    URL,
    WEIGHTS,
    check_sampled,
    engine_of,
    held,
    two_rounds,
)

from genagent_policy import Policy
from genagent_rollout import SamplingConfig
from genagent_rollout.broadcast_publication import BroadcastPublication
from genagent_rollout.collective import collective_of
from genagent_rollout.vllm_check import vllm_problems
from genagent_rollout.vllm_config import VllmConfig

pytestmark = MARKS
VERSIONS = itertools.count(time.time_ns() // 1_000_000)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def sft() -> Policy:
    if problems := vllm_problems(VllmConfig(urls=(URL,), publish="broadcast"), SamplingConfig()):
        pytest.skip(problems[0])
    return Policy.load(WEIGHTS / "sft")


def test_weights_that_were_broadcast_sample_the_turns_that_follow(sft: Policy) -> None:
    base = Policy.load(WEIGHTS / "base")
    now = [sft]

    def parameters() -> Iterator[tuple[str, torch.Tensor]]:
        return now[0].model.named_parameters()

    collective = partial(collective_of, torch.device("cpu"), url=URL, seconds=60.0)
    publication = BroadcastPublication(parameters, collective)
    engine = engine_of(sft, publication, urls=(URL, NOBODY))
    spoken: list[list[list[int]]] = []
    for policy in (base, sft, base, sft):
        now[0] = policy
        started = time.monotonic()
        held(engine.publish(next(VERSIONS)))
        print(f"{time.monotonic() - started:.2f} s")
        assert list(engine.left_out) == [NOBODY]
        trajectories = held(two_rounds(engine))
        check_sampled(policy, trajectories)
        spoken.append([trajectory.ids.tolist() for trajectory in trajectories])
    assert spoken[:2] == spoken[2:]
    assert spoken[0] != spoken[1]
    # A trainer that comes after it, in a group of its own.
    again = engine_of(sft, BroadcastPublication(parameters, collective))
    held(again.publish(next(VERSIONS)))
    check_sampled(sft, held(two_rounds(again)))
