"""Which kernel runs where: chosen once."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from PIL import Image

from genagent_policy import Policy, collate, config
from genagent_policy.attention import choose_attention
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
    picture = Image.new("RGB", (48, 32), (200, 30, 90))
    trajectory = policy.chat.render(["draw", "done"], "a red circle", [picture])
    return collate(
        [trajectory],
        [0],
        image_token_id=policy.chat.image_token_id,
        merge_size=policy.chat.merge_size,
        pad_id=policy.chat.pad_id,
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
        assert kernels == [BY_LENGTH] * windows + ["sdpa"] * layers
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
