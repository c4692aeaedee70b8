"""Choosing tokens, each conversation from its own stream of random numbers.

A conversation's draws depend on its seed and on how many tokens it has, not on which others are in
the batch. Training wants the whole softmax, without top-p and without forbidden tokens: the
trainer's log-probs are over the whole vocabulary, and only then is the ratio unbiased. A picture
token that the policy samples is a format error, not something that cannot happen.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import Backend, sample_tokens
from genagent_rollout.config import SamplingConfig

if TYPE_CHECKING:
    from genagent_rollout.sequence import Sequence as EngineSequence


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
    """By the conversations' seeds and the numbers of tokens before, with the kernels' sampler."""

    def __init__(self, config: SamplingConfig, *, backend: Backend | None = None) -> None:
        """
        Args:
            backend: of the kernel that draws; by default the one for the logits' device.
        """
        self._config = config
        self._backend: Backend | None = backend

    def choose(
        self, logits: Float[Tensor, "rows vocabulary"], sequences: "Sequence[EngineSequence]"
    ) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        config = self._config
        if config.temperature == 0:
            tokens = logits.argmax(dim=-1)
            logprobs = torch.log_softmax(logits, dim=-1)
            return tokens, logprobs.gather(1, tokens[:, None]).squeeze(1)
        if config.top_k or config.top_p < 1:
            logits = likeliest(logits / config.temperature, top_k=config.top_k, top_p=config.top_p)
        drawn = sample_tokens(
            logits,
            torch.tensor([sequence.turn_seed for sequence in sequences], device=logits.device),
            draws=torch.tensor(
                [len(sequence.record.ids) for sequence in sequences], device=logits.device
            ),
            temperature=1.0 if config.top_k or config.top_p < 1 else config.temperature,
            backend=self._backend,
        )
        return drawn.token, drawn.logprob


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
