from types import SimpleNamespace
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_policy import ChatFormat
from genagent_rollout import SamplingConfig, SeededSampler
from genagent_rollout.record import TokenRecord
from genagent_rollout.sampling import likeliest
from genagent_rollout.sequence import Sequence


def _sequences(config: SamplingConfig, seeds: range) -> list[Sequence]:
    """Conversations about to sample, with a prompt of two tokens."""
    chat = cast(ChatFormat, SimpleNamespace(prompt_ids=lambda prompt: [1, 2]))
    return [
        Sequence(
            number=seed,
            seed=seed,
            prompt=(1, 2),
            record=TokenRecord("", chat, config),
        )
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"temperature": 2.0}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5}, [0.16 / 0.3, 0.09 / 0.3, 0.04 / 0.3, 0.01 / 0.3]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [4 / 7, 3 / 7, 0, 0]),
        ({"temperature": 0.5, "top_k": 2}, [0.64, 0.36, 0, 0]),
        # Without the temperature the likeliest alone would not reach it.
        ({"temperature": 0.5, "top_p": 0.5}, [1, 0, 0, 0]),
    ],
)
def test_tokens_come_as_often_as_their_logprobs_say(options, left):
    """Those of the distribution that is sampled from: what is left of 0.4, 0.3, 0.2 and 0.1."""
    config = SamplingConfig(max_turn_tokens=1, **options)
    base = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    logits = (base * 2 if config.temperature == 2 else base).expand(20_000, 4).clone()
    sampler = SeededSampler(config)
    tokens, logprobs = sampler.choose(logits, _sequences(config, range(20_000)))
    share = torch.bincount(tokens, minlength=4) / 20_000
    expected = torch.tensor(left, dtype=torch.float32)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.014)  # 4 sigma
    assert (share[expected == 0] == 0).all()
    torch.testing.assert_close(logprobs, expected.log()[tokens], rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(
    logits=st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12),
    top_k=st.integers(0, 12),
    top_p=st.floats(0.05, 1),
)
def test_the_likeliest_are_the_fewest_that_reach_top_p(logits, top_k, top_p):
    kept = likeliest(torch.tensor([logits]), top_k=top_k, top_p=top_p)[0]
    left = kept > -torch.inf
    scores = torch.tensor(logits)
    assert left.any() and torch.equal(kept[left], scores[left])
    assert int(left.sum()) <= (top_k or len(logits))
    # Nothing that is gone was likelier than anything that stays.
    gone = scores[~left]
    assert len(gone) == 0 or gone.max() <= scores[left].min()
    ordered = scores.sort(descending=True).values[: top_k or None].softmax(dim=0).double()
    # One less would not reach it.
    count = int(left.sum())
    assert count == 1 or ordered[: count - 1].sum() < top_p + 1e-5
    assert ordered[:count].sum() > top_p - 1e-5


def _drawn(config: SamplingConfig, turns: list[int], values: int) -> list[list[int]]:
    """Tokens of turns of so many tokens, by flat logits."""
    sampler, (sequence,) = SeededSampler(config), _sequences(config, range(5, 6))
    logits = torch.zeros(1, values)
    drawn: list[list[int]] = []
    for tokens in turns:
        sequence.record.begin_turn()
        drawn.append([])
        for _ in range(tokens):
            token = int(sampler.choose(logits, [sequence])[0])
            sequence.record.sampled(token, 0.0)
            drawn[-1].append(token)
    return drawn


def test_a_stream_runs_on_from_turn_to_turn():
    config = SamplingConfig(max_turn_tokens=4)
    first, second = _drawn(config, [4, 4], 100_000)
    assert len({*first, *second}) == 8
    assert _drawn(config, [4], 100_000) == [first]


def test_a_turn_may_be_allowed_more_than_the_response():
    config = SamplingConfig(max_turn_tokens=200, max_response_tokens=100)
    assert (config.max_turn_tokens, config.max_response_tokens) == (200, 100)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_turn_tokens": 0},
        {"max_response_tokens": 0},
        {"max_batch": 0},
    ],
)
def test_settings_that_make_no_sense(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        SamplingConfig(**changes)


def test_a_name_is_of_what_changes_words_and_of_no_portion():
    usual = SamplingConfig()
    assert SamplingConfig(max_batch=8).name == usual.name == repr(usual)
    others = [SamplingConfig(temperature=0.5), SamplingConfig(max_turn_tokens=9)]
    assert len({usual.name, *(one.name for one in others)}) == 3
