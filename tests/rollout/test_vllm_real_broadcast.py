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
    URLS,
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
    if problems := vllm_problems(VllmConfig(urls=URLS, publish="broadcast"), SamplingConfig()):
        pytest.skip(problems[0])
    return Policy.load(WEIGHTS / "sft")


def test_weights_that_were_broadcast_sample_the_turns_that_follow(sft: Policy) -> None:
    base = Policy.load(WEIGHTS / "base")
    now = [sft]

    def parameters() -> Iterator[tuple[str, torch.Tensor]]:
        return now[0].model.named_parameters()

    collective = partial(collective_of, torch.device("cpu"), url=URL, seconds=60.0)
    publication = BroadcastPublication(parameters, collective)
    engine = engine_of(sft, publication, urls=(*URLS, NOBODY))
    for policy in (base, sft, base):
        now[0] = policy
        held(engine.publish(next(VERSIONS)))
        assert list(engine.left_out) == [NOBODY]
        for url in URLS:
            # Whatever older weights have computed there is gone: the salt is always the same.
            check_sampled(policy, held(two_rounds(engine_of(policy, urls=(url,)))))
    # A trainer that comes after it, in a group of its own.
    now[0] = sft
    again = engine_of(sft, BroadcastPublication(parameters, collective), urls=URLS)
    held(again.publish(next(VERSIONS)))
    check_sampled(sft, held(two_rounds(again)))
