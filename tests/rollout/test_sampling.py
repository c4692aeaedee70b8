import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_rollout import SamplingConfig, SeededSampler
from genagent_rollout.sampling import inverse_cdf


def _logprobs(probabilities: list[float]) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


@pytest.mark.parametrize(
    ("uniform", "token"), [(0.0, 1), (0.249, 1), (0.251, 3), (0.749, 3), (0.751, 4), (0.999999, 4)]
)
def test_inverse_cdf_by_hand(uniform: float, token: int):
    logprobs = _logprobs([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    assert inverse_cdf(logprobs, torch.tensor([uniform])).item() == token


@settings(deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30), min_size=1, max_size=50),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_inverse_cdf_never_takes_an_impossible_token(logits: list[float], uniform: float):
    logprobs = torch.log_softmax(torch.tensor([[*logits, float("-inf")]]), dim=-1)
    token = inverse_cdf(logprobs, torch.tensor([uniform], dtype=torch.float64)).item()
    assert 0 <= token < len(logits)


def test_tokens_come_as_often_as_the_softmax_says():
    config = SamplingConfig(temperature=2.0, max_turn_tokens=1)
    probabilities = torch.tensor([0.7, 0.2, 0.1])
    logits = (probabilities.log() * 2).expand(20_000, 3)
    sampler = SeededSampler(range(20_000), config)
    tokens, logprobs = sampler.choose(logits, np.arange(20_000), 0)
    share = torch.bincount(tokens, minlength=3) / 20_000
    torch.testing.assert_close(share, probabilities, rtol=0, atol=0.012)  # 3.5 sigma
    torch.testing.assert_close(logprobs, probabilities.log()[tokens], rtol=0, atol=1e-5)


def test_a_stream_runs_on_from_turn_to_turn():
    logits = torch.zeros(1, 100_000)
    rows = np.arange(1)
    sampler = SeededSampler([5], SamplingConfig(max_turn_tokens=4))
    drawn = [sampler.choose(logits, rows, step)[0].item() for _ in range(2) for step in range(4)]
    assert len(set(drawn)) == 8
    again = SeededSampler([5], SamplingConfig(max_turn_tokens=4))
    assert [again.choose(logits, rows, step)[0].item() for step in range(4)] == drawn[:4]


@pytest.mark.parametrize(
    ("max_turn_tokens", "turns"),
    [
        (96, [(3, 0), (96, 96), (1, 192)]),
        (256, [(1, 0), (2, 256)]),
        (600, [(3, 0), (257, 256), (600, 768), (1, 1368)]),
    ],
)
def test_turns_draw_from_the_stream_in_blocks(max_turn_tokens: int, turns: list[tuple[int, int]]):
    """(tokens of a turn, where in the row's stream it begins)"""
    values = 1000
    logits = torch.zeros(1, values)
    stream = np.random.Generator(np.random.Philox(5)).random(2000)
    sampler = SeededSampler([5], SamplingConfig(max_turn_tokens=max_turn_tokens))
    for tokens, begin in turns:
        drawn = [sampler.choose(logits, np.arange(1), step)[0].item() for step in range(tokens)]
        expected = stream[begin : begin + tokens] * values
        np.testing.assert_allclose(drawn, expected, rtol=0, atol=1.5)


def test_a_turn_may_be_allowed_more_than_the_response():
    config = SamplingConfig(max_turn_tokens=200, max_response_tokens=100)
    assert (config.max_turn_tokens, config.max_response_tokens) == (200, 100)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": -0.1},
        {"max_turn_tokens": 0},
        {"max_response_tokens": 0},
        {"max_batch": 0},
    ],
)
def test_settings_that_make_no_sense(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        SamplingConfig(**changes)
