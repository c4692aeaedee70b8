"""A cache with room to grow holds what transformers' own holds."""

from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText
from transformers.cache_utils import DynamicLayer

from genagent_rewards.growing_cache import GrowingLayer, growing_cache


@settings(max_examples=40, deadline=None)
@given(
    news=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    batch=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_a_growing_layer_returns_all_that_was_given(news, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    growing, plain = GrowingLayer(), DynamicLayer()
    for new in news:
        keys, values = torch.randn(2, batch, 2, new, 4, generator=generator)
        found, expected = growing.update(keys, values), plain.update(keys, values)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
        assert growing.get_seq_length() == plain.get_seq_length()


def test_a_cache_that_is_reset_begins_anew():
    layer = GrowingLayer()
    first, second = torch.zeros(1, 1, 5, 2), torch.ones(2, 1, 3, 2)
    layer.update(first, first)
    layer.reset()
    keys, _ = layer.update(second, second)
    assert torch.equal(keys, second)


def test_tokens_are_copied_only_where_room_runs_out():
    layer = GrowingLayer()
    keys, _ = layer.update(torch.zeros(1, 1, 8, 2), torch.zeros(1, 1, 8, 2))
    places = {keys.data_ptr()}
    for _ in range(16):
        keys, _ = layer.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
        places.add(keys.data_ptr())
    # Room for 12, 19 and 30 tokens.
    assert len(places) == 3


def test_generate_writes_the_same_tokens(tiny_judge_path: Path):
    model: Any = AutoModelForImageTextToText.from_pretrained(tiny_judge_path).eval()
    ids = torch.tensor([[0, 0, 40, 41, 42], [50, 51, 52, 53, 54]])
    asked = {
        "input_ids": ids,
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]),
        "max_new_tokens": 30,
        "do_sample": False,
    }
    plain = model.generate(**asked)
    assert torch.equal(model.generate(**asked, past_key_values=growing_cache(model)), plain)
    assert plain.shape[1] > 20
