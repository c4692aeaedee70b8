"""Choosing tokens, each row from its own stream of random numbers.

A row's draws depend on its seed and on how many tokens it has sampled, not on which other rows
are in the batch. Training wants the whole softmax, without top-p and without forbidden tokens: the
trainer's log-probs are over the whole vocabulary, and only then is the ratio unbiased. A picture
token that the policy samples is a format error, not something that cannot happen.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_rollout.config import SamplingConfig

BLOCK = 256
"""Random numbers that a row draws at once, at most: a long turn may end early."""


class TokenSampler(Protocol):
    """Chooses the next token of some rows."""

    def choose(
        self, logits: Float[Tensor, "rows vocabulary"], rows: np.ndarray, step: int
    ) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        """Tokens and their float32 log-probs under the distribution sampled from.

        Args:
            logits: float32.
            rows: which conversation each row of logits belongs to.
            step: how many tokens this turn has; 0 begins a new turn.
        """
        ...


class SeededSampler:
    """Inverse-CDF sampling with one Philox stream for each conversation."""

    def __init__(self, seeds: Sequence[int], config: SamplingConfig) -> None:
        self._config = config
        self._streams = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
        self._uniforms = np.zeros((len(seeds), min(config.max_turn_tokens, BLOCK)))

    def choose(
        self, logits: Float[Tensor, "rows vocabulary"], rows: np.ndarray, step: int
    ) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        temperature = self._config.temperature
        if temperature == 0:
            logprobs = torch.log_softmax(logits, dim=-1)
            tokens = logits.argmax(dim=-1)
        else:
            place = step % BLOCK
            if place == 0:
                count = min(BLOCK, self._config.max_turn_tokens - step)
                for row in rows:
                    self._streams[row].random(out=self._uniforms[row, :count])
            logprobs = torch.log_softmax(logits / temperature, dim=-1)
            uniforms = torch.from_numpy(self._uniforms[rows, place])
            tokens = inverse_cdf(logprobs, uniforms.to(logits.device))
        return tokens, logprobs.gather(1, tokens[:, None]).squeeze(1)


def inverse_cdf(
    logprobs: Float[Tensor, "rows vocabulary"], uniforms: Float[Tensor, " rows"]
) -> Int64[Tensor, " rows"]:
    """The token at which the cumulated probability passes the uniform number in [0, 1)."""
    cumulated = logprobs.to(torch.float64).exp_().cumsum(dim=-1)
    # Scaled by the total, which rounding leaves a little off 1.
    targets = uniforms.to(torch.float64)[:, None] * cumulated[:, -1:]
    tokens = torch.searchsorted(cumulated, targets, right=True).squeeze(1)
    return tokens.clamp_max_(logprobs.shape[1] - 1)
