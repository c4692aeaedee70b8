"""Which kernel runs where: chosen once."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention

from genagent_policy import Policy, config
from genagent_policy.attention import choose_attention
from genagent_policy.trajectory_attention import BY_TRAJECTORY
from genagent_policy.window_attention import BY_LENGTH

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name in names else None

    monkeypatch.setattr(config, "find_spec", find_spec)


@pytest.mark.parametrize(
    ("packages", "device", "dtype", "chosen"),
    [
        (["flash_attn"], CUDA, torch.bfloat16, "flash_attention_2"),
        (["flash_attn"], CUDA, torch.float16, "flash_attention_2"),
        (["flash_attn"], CUDA, torch.float32, "sdpa"),
        (["flash_attn"], CPU, torch.bfloat16, "sdpa"),
        (["flash"], CUDA, torch.bfloat16, "sdpa"),
    ],
)
def test_flash_attention_is_taken_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, packages, device, dtype, chosen
):
    installed(monkeypatch, *packages)
    assert choose_attention("auto", device=device, dtype=dtype) == chosen
    assert choose_attention("sdpa", device=device, dtype=dtype) == "sdpa"
    assert choose_attention("eager", device=device, dtype=dtype) == "eager"
    if chosen == "flash_attention_2":
        assert choose_attention(chosen, device=device, dtype=dtype) == chosen
    else:
        with pytest.raises(ValueError, match=f"flash_attention_2 with {dtype} on {device}"):
            choose_attention("flash_attention_2", device=device, dtype=dtype)


def test_a_policy_that_cannot_have_it_is_named_with_its_folder(tiny_policy_path: Path):
    with pytest.raises(ValueError, match=r"policy: attention flash_attention_2 with torch.float32"):
        Policy.load(tiny_policy_path, attention="flash_attention_2")


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernel of each layer that ran, those of the vision tower included."""
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

    calls: list[str] = []
    choose = modeling.ALL_ATTENTION_FUNCTIONS.get_interface

    def watched(name: str, default):
        calls.append(name)
        return choose(name, default)

    monkeypatch.setattr(modeling.ALL_ATTENTION_FUNCTIONS, "get_interface", watched)
    return calls


def lesson(policy: Policy):
    pictures = [Image.new("RGB", size, (200, 30, 90)) for size in ((48, 32), (64, 64))]
    render = policy.chat.render
    return policy.collate(
        [render(["draw", "done"], "a red circle", [picture]) for picture in pictures]
        + [render(["draw"], "a blue square", [])]
    )


def test_training_runs_the_chosen_kernel_and_is_causal(
    each_policy: Policy, each_path: Path, kernels: list[str]
):
    eager = Policy.load(each_path, attention="eager")
    batch = lesson(eager)
    with torch.no_grad():
        found = eager.hidden_states(batch)
        windows, layers = len(eager.model.model.visual.blocks), eager.text_config.num_hidden_layers
        assert kernels == ["eager"] * (windows + layers)
        kernels.clear()
        expected = each_policy.hidden_states(batch)
        assert kernels == [BY_LENGTH] * windows + [BY_TRAJECTORY] * layers
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_flash_attention_is_told_where_trajectories_end(
    each_policy: Policy, each_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By transformers' own way to flash_attn, with PyTorch in its place."""
    from transformers import modeling_flash_attention_utils as flash

    def varlen(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        cu_seqlens_q: torch.Tensor,
        cu_seqlens_k: torch.Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        softmax_scale: float,
        causal: bool,
    ) -> torch.Tensor:
        assert causal
        assert cu_seqlens_q.dtype == torch.int32 and torch.equal(cu_seqlens_q, cu_seqlens_k)
        lengths = cu_seqlens_q.diff().tolist()
        assert max_seqlen_q == max_seqlen_k == max(lengths)
        parts = zip(*(states.split(lengths) for states in (query, key, value)), strict=True)
        heads_first = ([each.transpose(0, 1) for each in part] for part in parts)
        seen = [
            scaled_dot_product_attention(
                *part, is_causal=True, scale=softmax_scale, enable_gqa=True
            )
            for part in heads_first
        ]
        return torch.cat([part.transpose(0, 1) for part in seen])

    monkeypatch.setattr(flash, "_loaded_implementation", None)
    monkeypatch.setattr(flash, "_lazy_imports", lambda *_, **__: (None, varlen, None, None, None))
    policy = Policy.load(each_path)
    policy.model.model.language_model.config._attn_implementation = "flash_attention_2"
    batch = lesson(policy)
    with torch.no_grad():
        states, expected = policy.hidden_states(batch), each_policy.hidden_states(batch)
    torch.testing.assert_close(states, expected, rtol=0, atol=2e-5)
