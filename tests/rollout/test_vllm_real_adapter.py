"""Adapters in a real vLLM that was started with ``--lora-rank``.

    uv run benchmarks/vllm_server.py packages/miniworld/src/genagent_miniworld/weights/sft \
        --lora-rank 16
"""

import copy
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
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
from genagent_rollout.adapter_publication import AdapterPublication
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.vllm_check import vllm_problems
from genagent_rollout.vllm_config import VllmConfig

pytestmark = MARKS
VERSIONS = itertools.count(time.time_ns() // 1_000_000)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def sft() -> Iterator[Policy]:
    """The base; afterwards the server has its weights again."""
    config = VllmConfig(urls=(URL,), publish="lora")
    if problems := vllm_problems(config, SamplingConfig()):
        pytest.skip(problems[0])
    yield Policy.load(WEIGHTS / "sft")


def adapter_of(sft: Policy, seed: int) -> PeftModel:
    """Of all of the language model's layers, with weights that change what is said."""
    torch.manual_seed(seed)
    layers = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"
    config = LoraConfig(
        r=8,
        lora_alpha=16,
        target_modules=rf".*language_model.*\.({layers})",
        init_lora_weights=False,
    )
    model = get_peft_model(copy.deepcopy(sft.model), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(0.3)
    return model


def merged(sft: Policy, adapter: PeftModel) -> Policy:
    return Policy(copy.deepcopy(adapter).merge_and_unload(), sft.processor)


def test_an_adapter_samples_as_the_merged_weights_do_and_so_does_a_former_one(
    sft: Policy, tmp_path: Path
) -> None:
    one, two = adapter_of(sft, 1), adapter_of(sft, 2)
    now = [one]
    publication = AdapterPublication(lambda path: now[0].save_pretrained(str(path)), tmp_path)
    engine = engine_of(sft, publication, urls=(URL, NOBODY))
    spoken: list[list[list[int]]] = []
    for adapter in (one, two, one):
        now[0] = adapter
        held(engine.publish(next(VERSIONS)))
        assert list(engine.left_out) == [NOBODY]
        trajectories = held(two_rounds(engine))
        check_sampled(merged(sft, adapter), trajectories)
        spoken.append([trajectory.ids.tolist() for trajectory in trajectories])
    assert spoken[0] == spoken[2] != spoken[1]
    base = [trajectory.ids.tolist() for trajectory in held(two_rounds(engine_of(sft)))]
    assert base not in spoken
    [folder] = tmp_path.iterdir()
    assert folder.name == f"adapter-{engine.version}"


def test_the_merged_weights_from_a_folder_say_the_same(sft: Policy, tmp_path: Path) -> None:
    adapter = adapter_of(sft, 1)
    policy = merged(sft, adapter)
    save = adapter.save_pretrained
    publication = AdapterPublication(lambda path: save(str(path)), tmp_path / "adapters")
    by_adapter = engine_of(sft, publication)
    held(by_adapter.publish(next(VERSIONS)))
    first = held(two_rounds(by_adapter))
    by_folder = engine_of(sft, FolderPublication(policy.save, tmp_path / "policies"))
    try:
        held(by_folder.publish(next(VERSIONS)))
        second = held(two_rounds(by_folder))
    finally:
        again = engine_of(sft, FolderPublication(sft.save, tmp_path / "base"))
        held(again.publish(next(VERSIONS)))
    assert [each.ids.tolist() for each in first] == [each.ids.tolist() for each in second]
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=6e-5, rtol=0)
    check_sampled(sft, held(two_rounds(again)))
