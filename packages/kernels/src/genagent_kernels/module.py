"""The head as a module, for models whose parameters are gathered when a module is called."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from genagent_kernels.backends import Backend
from genagent_kernels.ops import grpo_loss, linear_logprob
from genagent_kernels.results import GRPOLoss, LogProbs


class GRPOHead(nn.Module):
    """A language-model head that owns its weight and returns losses instead of logits.

    ZeRO-3 gathers a module's parameters around its ``forward``. A loss function that reads
    ``lm_head.weight`` from outside finds an empty shard there; this module is called, so it finds
    the weight, and its gradient is formed before the weight is given back.

    Example: ``model.lm_head = GRPOHead(model.lm_head.weight)``
    """

    def __init__(
        self,
        weight: Float[nn.Parameter, "vocabulary hidden"],
        *,
        temperature: float = 1.0,
        backend: Backend | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature
        self.backend: Backend | None = backend

    def forward(
        self,
        hidden: Float[Tensor, "rows hidden"],
        target: Int[Tensor, " rows"],
        *,
        old_logprob: Float[Tensor, " rows"],
        advantage: Float[Tensor, " rows"],
        mask: Bool[Tensor, " rows"],
        token_weight: Float[Tensor, " rows"],
        clip_low: float = 0.2,
        clip_high: float = 0.2,
        dual_clip: float | None = None,
    ) -> tuple[Float[Tensor, ""], GRPOLoss]:
        """The loss, and all of ``grpo_loss`` with this head's weight and temperature.

        A tuple with the loss by itself, because ZeRO-3 looks for tensors that lead back to a
        module in tuples, lists and dicts only.
        """
        result = grpo_loss(
            hidden,
            self.weight,
            target,
            old_logprob=old_logprob,
            advantage=advantage,
            mask=mask,
            token_weight=token_weight,
            clip_low=clip_low,
            clip_high=clip_high,
            dual_clip=dual_clip,
            temperature=self.temperature,
            backend=self.backend,
        )
        return result.loss, result

    @torch.no_grad()
    def logprob(
        self,
        hidden: Float[Tensor, "rows hidden"],
        target: Int[Tensor, " rows"],
        *,
        with_entropy: bool = False,
    ) -> LogProbs:
        """``linear_logprob`` with this head's weight and temperature, without a gradient."""
        return linear_logprob(
            hidden,
            self.weight,
            target,
            temperature=self.temperature,
            with_entropy=with_entropy,
            backend=self.backend,
        )
