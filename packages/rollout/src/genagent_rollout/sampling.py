"""Choosing tokens, each conversation from its own stream of random numbers.

A conversation's draws depend on its seed and on how many tokens it has sampled, not on which others
are in the batch. Training wants the whole softmax, without top-p and without forbidden tokens: the
trainer's log-probs are over the whole vocabulary, and only then is the ratio unbiased. A picture
token that the policy samples is a format error, not something that cannot happen.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import Backend, sample_tokens
from genagent_rollout.config import SamplingConfig

if TYPE_CHECKING:
    from genagent_rollout.sequence import Sequence as EngineSequence

BLOCK = 256
"""Random numbers that a conversation draws at once, at most: a long turn may end early."""


class UniformStream:
    """Uniform numbers in [0, 1) of one conversation, Philox by its seed."""

    def __init__(self, seed: int, *, turn_tokens: int) -> None:
        """
        Args:
            turn_tokens: of a turn at most; each turn takes numbers for a whole block of tokens.
        """
        self._generator = np.random.Generator(np.random.Philox(seed))
        self._turn_tokens = turn_tokens
        self._block: list[float] = []

    def number(self, place: int) -> float:
        """For token ``place`` of a turn; places are asked for in order."""
        if place % BLOCK == 0:
            count = min(BLOCK, self._turn_tokens - place)
            self._block = self._generator.random(count).tolist()
        return self._block[place % BLOCK]


class TokenSampler(Protocol):
    """Chooses the next token of some conversations."""

    def choose(
        self, logits: Float[Tensor, "rows vocabulary"], sequences: "Sequence[EngineSequence]"
    ) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        """Tokens and their float32 log-probs under the distribution sampled from.

        Args:
            logits: float32.
            sequences: the conversation of each row.
        """
        ...


class SeededSampler:
    """By the conversations' own streams: inverse CDF on a CPU, an exponential race on a GPU."""

    def __init__(self, config: SamplingConfig, *, backend: Backend | None = None) -> None:
        """
        Args:
            backend: of the kernel that runs the race; where one is named, a CPU races too.
        """
        self._config = config
        self._backend: Backend | None = backend

    def choose(
        self, logits: Float[Tensor, "rows vocabulary"], sequences: "Sequence[EngineSequence]"
    ) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        config = self._config
        if config.temperature == 0:
            tokens = logits.argmax(dim=-1)
            return tokens, _of(torch.log_softmax(logits, dim=-1), tokens)
        if config.temperature != 1:
            logits = logits / config.temperature
        if config.top_k or config.top_p < 1:
            logits = likeliest(logits, top_k=config.top_k, top_p=config.top_p)
        if logits.is_cuda or self._backend is not None:
            places = [len(sequence.record.ids) for sequence in sequences]
            drawn = sample_tokens(
                logits,
                torch.tensor([sequence.seed for sequence in sequences], device=logits.device),
                draws=torch.tensor(places, device=logits.device),
                backend=self._backend,
            )
            return drawn.token, drawn.logprob
        logprobs = torch.log_softmax(logits, dim=-1)
        uniforms = torch.tensor(
            [sequence.stream.number(sequence.turn_tokens) for sequence in sequences],
            dtype=torch.float64,
        )
        tokens = inverse_cdf(logprobs, uniforms)
        return tokens, _of(logprobs, tokens)


def inverse_cdf(
    logprobs: Float[Tensor, "rows vocabulary"], uniforms: Float[Tensor, " rows"]
) -> Int64[Tensor, " rows"]:
    """The token at which the cumulated probability passes the uniform number in [0, 1)."""
    cumulated = logprobs.to(torch.float64).exp_().cumsum(dim=-1)
    # Scaled by the total, which rounding leaves a little off 1.
    targets = uniforms.to(torch.float64)[:, None] * cumulated[:, -1:]
    tokens = torch.searchsorted(cumulated, targets, right=True).squeeze(1)
    return tokens.clamp_max_(logprobs.shape[1] - 1)


def likeliest(
    logits: Float[Tensor, "rows vocabulary"], *, top_k: int, top_p: float
) -> Float[Tensor, "rows vocabulary"]:
    """Logits with all but the likeliest tokens at minus infinity.

    Args:
        top_k: so many tokens are left; 0 leaves all.
        top_p: of those, the fewest whose probabilities reach it.
    """
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    if top_k:
        ordered[:, top_k:] = -torch.inf
    before = ordered.softmax(dim=-1).cumsum(dim=-1).roll(1, dims=-1)
    before[:, 0] = 0
    ordered[before >= top_p] = -torch.inf
    return torch.empty_like(logits).scatter_(1, places, ordered)


def _of(
    logprobs: Float[Tensor, "rows vocabulary"], tokens: Int64[Tensor, " rows"]
) -> Float[Tensor, " rows"]:
    return logprobs.gather(1, tokens[:, None]).squeeze(1)
