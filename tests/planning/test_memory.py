"""Memory as it is planned, and as a model with random weights takes it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.planning.allocated import Allocated, kept_for_backward

from genagent_planning import PlannedModel, Training, memory_of, planned_model
from genagent_planning.memory import MemoryModel
from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory
from genagent_policy.adapter import Adapter, LoRA
from genagent_policy.attention import kernels_of_parts
from genagent_policy.optimizer import Optimizer
from genagent_policy.weight_copy import WeightCopy

HALF_BILLION = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 80_000,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
}
SMALL = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2_000,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
}
SIDE = 96
TURNS = ["<think>" + "ab " * 12 + "</think>", "<judge>c</judge><answer>d</answer>"]


def make(tiny: Path, text: dict, *, dtype: torch.dtype = torch.float32) -> Policy:
    """A policy of that size; pictures and chat are the tiny one's."""
    small = Policy.load(tiny)
    config = small.model.config.to_dict()
    config["text_config"] |= text
    del config["text_config"]["layer_types"]  # of another number of layers
    config["vision_config"]["out_hidden_size"] = text["hidden_size"]
    torch.manual_seed(0)
    config["dtype"] = str(dtype).removeprefix("torch.")
    kind: Any = type(small.model)  # of either family
    model = kind(type(small.model.config).from_dict(config)).to(dtype)
    policy = Policy(model, small.processor)
    model.set_attn_implementation(kernels_of_parts("sdpa"))
    return policy


def trajectories(policy: Policy) -> list[TokenTrajectory]:
    picture = Image.effect_noise((SIDE, SIDE), 60).convert("RGB")
    return [policy.chat.render(TURNS, "draw me something", [picture]) for _ in range(2)]


def planned(policy: Policy, learnt: list[TokenTrajectory], **changes) -> Training:
    settings = {
        "dtype": policy.dtype,
        "tokens": sum(map(len, learnt)),
        "chosen": sum(one.num_policy_tokens for one in learnt),
        "pictures": len(learnt),
        "picture_side": SIDE,
        "device": "cpu",
    }
    return Training(**(settings | changes))


def model_of(policy: Policy) -> PlannedModel:
    return PlannedModel("random", policy.model.config.to_dict())


def bytes_of(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def grouped(learnt: list[TokenTrajectory]) -> list[GRPOGroup]:
    return [GRPOGroup(trajectories=tuple(learnt), rewards=(0.0, 1.0))]


@pytest.mark.slow
def test_half_a_billion_weights_take_what_was_planned(tiny_policy_path: Path):
    policy = make(tiny_policy_path, HALF_BILLION)
    learnt = trajectories(policy)
    update = GRPOUpdate(policy, GRPOConfig())
    counted = Allocated()
    for parameter in policy.model.parameters():
        counted.add(parameter)
    with counted, kept_for_backward(policy.model) as kept:
        update.accumulate(grouped(learnt))
    model = model_of(policy)
    memory = memory_of(model, planned(policy, learnt))
    assert 0.49e9 < model.weights < 0.51e9
    assert memory.parts["weights"] == bytes_of(policy.model.parameters())
    assert memory.parts["gradients"] == bytes_of(p.grad for p in policy.trainable_parameters())
    assert memory.parts["activations"] == pytest.approx(kept[0], rel=0.15)
    # The moments are made by the first step, for which this machine need not have room.
    assert memory.total - memory.parts["AdamW"] == pytest.approx(counted.most, rel=0.15)


def test_weights_that_sample_a_step_ahead_are_those_that_learn(tiny_policy_path: Path):
    policy = make(tiny_policy_path, SMALL, dtype=torch.bfloat16)
    policy.freeze_vision()
    pairs = zip(
        WeightCopy(policy).policy.model.parameters(), policy.model.parameters(), strict=True
    )
    copied = bytes_of(own for own, other in pairs if own is not other)
    learnt, model = trajectories(policy), model_of(policy)
    without = MemoryModel(model, planned(policy, learnt))
    ahead = MemoryModel(model, planned(policy, learnt, one_step_off=True))
    memory = ahead.on(gpus=1)
    assert memory.parts["weights of one step off"] == copied
    assert memory.total - without.on(gpus=1).total == copied
    assert ahead.state - without.state == copied


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("again", [False, True])
def test_what_a_step_takes_is_what_was_planned(tiny_policy_path: Path, dtype, again):
    policy = make(tiny_policy_path, SMALL, dtype=dtype)
    policy.checkpoint_activations = again
    learnt = trajectories(policy)
    update = GRPOUpdate(policy, GRPOConfig())
    optimizer = update._optimizer
    assert isinstance(optimizer, Optimizer)
    with kept_for_backward(policy.model) as kept:
        update.accumulate(grouped(learnt))
    gradients = [parameter.grad for parameter in optimizer._stepped]
    assert all(gradient is not None for gradient in gradients)
    parts = memory_of(model_of(policy), planned(policy, learnt, checkpoint_activations=again)).parts
    assert parts["gradients"] == bytes_of(gradients)
    optimizer.step(1e-6)
    moments = [
        value
        for state in optimizer._adamw.state.values()
        for name, value in state.items()
        if name.startswith("exp_avg")
    ]
    assert parts["AdamW"] == bytes_of(moments)
    assert parts.get("master weights", 0) == bytes_of(optimizer._masters.values())
    if again:  # what is computed again is hidden from autograd's hooks
        other = memory_of(model_of(policy), planned(policy, learnt)).parts
        assert parts["activations"] < other["activations"] / 2
    else:
        assert parts["activations"] == pytest.approx(kept[0], rel=0.15)


def test_an_adapter_takes_what_was_planned(tiny_policy_path: Path):
    lora = LoRA(rank=4, alpha=8.0, part="language")
    policy = make(tiny_policy_path, SMALL, dtype=torch.bfloat16)
    model = PlannedModel("random", policy.model.config.to_dict(), lora=lora)
    policy.adapter = Adapter(policy.model, lora)
    learnt = trajectories(policy)
    update = GRPOUpdate(policy, GRPOConfig())
    with kept_for_backward(policy.model) as kept:
        update.accumulate(grouped(learnt))
    parts = memory_of(model, planned(policy, learnt)).parts
    own = policy.trainable_parameters()
    assert parts["adapter"] == parts["gradients"] == bytes_of(own) == bytes_of(p.grad for p in own)
    assert parts["AdamW"] == 2 * parts["adapter"] and "master weights" not in parts
    assert model.weights == model_of(Policy(policy.model, policy.processor)).weights
    assert parts["activations"] == pytest.approx(kept[0], rel=0.15)


def test_what_is_off_loaded_is_in_the_host_s_memory():
    model = planned_model("Qwen/Qwen2.5-VL-7B-Instruct", Path("nowhere"))
    training = Training(
        dtype=torch.bfloat16, tokens=8192, chosen=2000, pictures=4, picture_side=1024
    )
    away = replace(training, offload_optimizer=True)
    for gpus, zero, moved in (
        (1, 0, {"gradients", "master weights", "AdamW"}),
        (4, 1, {"master weights", "AdamW"}),
        (4, 2, {"master weights", "AdamW"}),
    ):
        ways = (replace(one, zero=zero) for one in (training, away))
        here, there = (memory_of(model, one, gpus=gpus) for one in ways)
        assert set(here.parts) - set(there.parts) == moved
        # Stage 2 adds narrow gradients up on the GPU, and has room for their sum in the host too.
        twice = here.parts["gradients"] if zero == 2 else 0
        assert there.total + there.host == here.total + twice
    wide = replace(training, dtype=torch.float32, zero=2)
    narrow_only = memory_of(model, replace(wide, offload_optimizer=True), gpus=4)
    assert "gradients" not in narrow_only.parts
    # Where there is no GPU, the host's memory is all that there is.
    on_cpu = replace(away, device="cpu")
    assert memory_of(model, on_cpu).parts == memory_of(model, replace(training, device="cpu")).parts


def test_each_of_eight_gpus_has_what_its_stage_leaves_it():
    """docs/distributed.md's table, of 7,615,616,512 weights that learn and 676,550,144 that see."""
    model = planned_model("Qwen/Qwen2.5-VL-7B-Instruct", Path("nowhere"))
    training = Training(
        dtype=torch.bfloat16,
        tokens=8192,
        chosen=2000,
        pictures=4,
        picture_side=1024,
        cache_bytes=2**30,
    )
    names = ("weights", "weights to sample with", "gradients", "master weights", "AdamW")

    def parts(zero: int, **changes) -> list[int]:
        memory = memory_of(model, replace(training, zero=zero, **changes), gpus=8)
        return [memory.parts.get(name, 0) for name in names]

    whole, learning, eighth = 16_584_333_312, 7_615_616_512, 951_952_064
    assert parts(0) == [whole, 0, 4 * learning, 4 * learning, 8 * learning]
    assert parts(1) == [whole, 0, 6 * learning, 4 * eighth, 8 * eighth]
    assert parts(2) == [whole, 0, 4 * eighth, 4 * eighth, 8 * eighth]
    assert parts(3) == [3_257_004_416, whole, 4 * eighth, 4 * eighth, 8 * eighth]
    # With turns from servers there is no copy; the optimizer in the host's memory is a part too.
    assert parts(3, cache_bytes=0) == [3_257_004_416, 0, 4 * eighth, 4 * eighth, 8 * eighth]
    away = memory_of(model, replace(training, zero=2, offload_optimizer=True), gpus=8)
    assert away.host == 16 * eighth and away.parts["gradients"] == 4 * eighth
    assert not away.parts.keys() & set(names[3:])
    # An adapter's 40,370,176 of rank 16 are in float32: no masters, and little to share out.
    adapted = planned_model(
        model.name, Path("nowhere"), lora=LoRA(rank=16, alpha=32.0, part="language")
    )
    memory = memory_of(adapted, replace(training, zero=2), gpus=8)
    assert memory.parts["weights"] == whole and memory.parts["adapter"] == 161_480_704
    assert (memory.parts["gradients"], memory.parts["AdamW"]) == (20_185_088, 40_370_176)


def test_a_7b_is_counted_from_its_published_sizes():
    model = planned_model("Qwen/Qwen2.5-VL-7B-Instruct", Path("nowhere"))
    assert (model.weights, model.vision_weights) == (8_292_166_656, 676_550_144)
    assert model.picture_tokens(1024) == 1369
    training = Training(
        dtype=torch.bfloat16, tokens=8192, chosen=2000, pictures=4, picture_side=1024
    )
    alone = memory_of(model, training)
    learning = model.weights - model.vision_weights
    assert alone.parts["weights"] == 2 * model.weights
    assert alone.parts["gradients"] == alone.parts["master weights"] == 4 * learning
    assert alone.parts["AdamW"] == 8 * learning
    with pytest.raises(ValueError, match=r"no policy 'Qwen/Qwen9'; give a checkpoint folder, or"):
        planned_model("Qwen/Qwen9", Path("nowhere"))
