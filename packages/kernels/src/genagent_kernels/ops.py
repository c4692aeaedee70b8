"""The public kernels: arguments are checked here, and the backend is chosen, once.

``backend=None`` takes the best one there is for the device; "torch" is the chunked version in plain
PyTorch, which runs everywhere.
"""

from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor

from genagent_kernels import reference
from genagent_kernels.arguments import (
    check_clip,
    check_floating,
    check_head,
    check_loss,
    check_mask,
    check_rows,
    check_vocabulary,
)
from genagent_kernels.chunked_grpo import chunked_grpo_loss
from genagent_kernels.chunked_logprob import chunked_linear_logprob
from genagent_kernels.results import GRPOLoss, LogProbs, RatioStats

Backend = Literal["torch"]


def linear_logprob(
    hidden: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocabulary hidden"],
    target: Int[Tensor, " rows"],
    *,
    temperature: float = 1.0,
    with_entropy: bool = False,
    backend: Backend | None = None,
) -> LogProbs:
    """Log-probability of each target under ``softmax(hidden @ weight.T / temperature)``.

    Differentiable in ``hidden`` and ``weight``, through ``.logprob`` and ``.entropy``. Never holds
    the logits of more than a chunk of rows.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    _check_backend(backend)
    check_head(hidden, weight, target, temperature)
    check_vocabulary(target, weight)
    return chunked_linear_logprob(hidden, weight, target, temperature, with_entropy)


def grpo_loss(
    hidden: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocabulary hidden"],
    target: Int[Tensor, " rows"],
    *,
    old_logprob: Float[Tensor, " rows"],
    advantage: Float[Tensor, " rows"],
    mask: Bool[Tensor, " rows"],
    token_weight: Float[Tensor, " rows"],
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    temperature: float = 1.0,
    backend: Backend | None = None,
) -> GRPOLoss:
    """The clipped GRPO loss without a KL term, ``-sum(token_weight * surrogate)`` over the mask.

    Args:
        hidden: last hidden states; row n predicts ``target[n]``.
        weight: the language-model head.
        target: sampled tokens; outside the mask any value goes.
        old_logprob: log-probs under the policy that sampled, at the same temperature.
        advantage: of the trajectory the token belongs to.
        mask: the policy's own tokens; other rows reach neither loss nor gradient.
        token_weight: carries the normalisation, ``1 / (groups * G * |o_i|)`` for the mean over
            sequences or ``1 / (all policy tokens)`` for the mean over tokens. With these fixed,
            losses and gradients of micro-batches add up to those of the whole.

    Gradients for ``hidden`` and ``weight`` are formed in the forward pass unless grad mode is off.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    _check_backend(backend)
    check_head(hidden, weight, target, temperature)
    per_token = {"old_logprob": old_logprob, "advantage": advantage, "token_weight": token_weight}
    check_loss(hidden, mask, per_token, clip_low, clip_high)
    check_vocabulary(target[mask], weight)
    return chunked_grpo_loss(
        hidden,
        weight,
        target,
        old_logprob=old_logprob,
        advantage=advantage,
        mask=mask,
        token_weight=token_weight,
        clip_low=clip_low,
        clip_high=clip_high,
        temperature=temperature,
    )


def logprob_ratio(
    logprob: Float[Tensor, " rows"],
    old_logprob: Float[Tensor, " rows"],
    mask: Bool[Tensor, " rows"],
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> RatioStats:
    """Statistics of ``exp(logprob - old_logprob)`` over the mask.

    Raises:
        ValueError: a shape, dtype or value does not fit; the message names the argument.
    """
    if logprob.ndim != 1:
        raise ValueError(f"logprob wants [N], has {list(logprob.shape)}; flatten it")
    check_floating("logprob", logprob)
    check_rows("old_logprob", old_logprob, logprob)
    check_floating("old_logprob", old_logprob)
    check_rows("mask", mask, logprob)
    check_mask(mask)
    check_clip(clip_low, clip_high)
    return reference.logprob_ratio(
        logprob, old_logprob, mask, clip_low=clip_low, clip_high=clip_high
    )


def _check_backend(backend: str | None) -> None:
    if backend == "triton":
        raise ValueError('backend "triton" is not built yet; use None or "torch"')
    if backend not in (None, "torch"):
        raise ValueError(f'backend is {backend!r}; use None or "torch"')
