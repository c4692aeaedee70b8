"""Windows of the vision tower: attended to by length, none seeing another."""

import json
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genagent_policy import Policy, window_attention
from genagent_policy.window_attention import attend_by_length


def attend(states: Tensor, lengths: list[int]) -> Tensor:
    """Of ``[3, 1, heads, tokens, width]``."""
    bounds = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    query, key, value = states
    seen, weights = attend_by_length(
        torch.nn.Identity(), query, key, value, cu_seq_lens_q=bounds, scaling=0.3, dropout=0.0
    )
    assert weights is None
    return seen


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=9).filter(sum),
    seed=st.integers(0, 2**31),
)
def test_each_window_sees_itself_alone(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(3, 1, 2, sum(lengths), 8, generator=generator, dtype=torch.float64)
    states.requires_grad_()
    windows = [part for part in states.split(lengths, dim=3) if part.shape[3]]
    expected = torch.cat(
        [scaled_dot_product_attention(q, k, v, scale=0.3) for q, k, v in windows], dim=2
    ).transpose(1, 2)
    seen = attend(states, lengths)
    torch.testing.assert_close(seen, expected)
    ours, theirs = (
        torch.autograd.grad((output * output.detach().cos()).sum(), states)[0]
        for output in (seen, expected)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_kernel_is_called_once_a_length(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []

    def counted(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        calls.append(len(query))
        return scaled_dot_product_attention(query, key, value, scale=scale)

    monkeypatch.setattr(window_attention, "scaled_dot_product_attention", counted)
    attend(torch.zeros(3, 1, 2, 4 * 64 + 3 * 32, 8), [64, 32, 64, 32, 64, 64, 32])
    assert calls == [3, 4]
    attend(torch.zeros(3, 1, 2, 100 * 64, 8), [64] * 100)
    assert calls == [3, 4, 100]


def test_a_checkpoint_does_not_name_the_kernel(each_path: Path, tmp_path: Path):
    policy = Policy.load(each_path)
    assert policy.model.model.visual.config._attn_implementation == window_attention.BY_LENGTH
    policy.save(tmp_path / "saved")
    assert "flash" not in json.dumps(json.loads((tmp_path / "saved" / "config.json").read_text()))
