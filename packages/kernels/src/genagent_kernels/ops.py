"""The public kernels of the loss: arguments are checked here, and the backend is chosen, once.

``backend=None`` takes Triton on CUDA and plain PyTorch, a chunk at a time, everywhere else.
"triton" on a CPU wants Triton's interpreter: set TRITON_INTERPRET=1 before the first call.
"""

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
from genagent_kernels.backends import Backend, choose_backend
from genagent_kernels.fused_grpo import fused_grpo_loss
from genagent_kernels.fused_logprob import fused_linear_logprob
from genagent_kernels.head import Head
from genagent_kernels.results import GRPOLoss, LogProbs, TokenRatios
from genagent_kernels.torch_head import TorchHead


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
    check_head(hidden, weight, target, temperature)
    head = _head(hidden, backend)
    check_vocabulary(target, weight)
    return fused_linear_logprob(head, hidden, weight, target, temperature, with_entropy)


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
    dual_clip: float | None = None,
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
        dual_clip: where the advantage is negative, a ratio above it counts as this and has no
            gradient (Ye et al. 2020, Eq. 5); more than 1. None: nothing bounds it.

    Gradients for ``hidden`` and ``weight`` are formed in the forward pass unless grad mode is off.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    check_head(hidden, weight, target, temperature)
    head = _head(hidden, backend)
    per_token = {"old_logprob": old_logprob, "advantage": advantage, "token_weight": token_weight}
    check_loss(hidden, mask, per_token, clip_low, clip_high, dual_clip)
    check_vocabulary(target[mask], weight)
    return fused_grpo_loss(
        head,
        hidden,
        weight,
        target,
        old_logprob=old_logprob,
        advantage=advantage,
        mask=mask,
        token_weight=token_weight,
        clip_low=clip_low,
        clip_high=clip_high,
        dual_clip=dual_clip,
        temperature=temperature,
    )


def logprob_ratio(
    logprob: Float[Tensor, " rows"],
    old_logprob: Float[Tensor, " rows"],
    mask: Bool[Tensor, " rows"],
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    truncate_at: float | None = None,
    backend: Backend | None = None,
) -> TokenRatios:
    """``exp(logprob - old_logprob)`` of each row, with its statistics over the mask.

    With ``truncate_at`` also the truncated importance weight ``min(ratio, truncate_at)``, which
    corrects for an engine whose log-probs differ from the trainer's. No gradient.

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
    if truncate_at is not None and not truncate_at > 0:
        raise ValueError(f"truncate_at is {truncate_at}; wants a number above 0, or None")
    if choose_backend(logprob, backend) == "torch":
        return reference.logprob_ratio(
            logprob,
            old_logprob,
            mask,
            clip_low=clip_low,
            clip_high=clip_high,
            truncate_at=truncate_at,
        )
    from genagent_kernels.gpu.ratio import launch_ratio

    return launch_ratio(logprob, old_logprob, mask, clip_low, clip_high, truncate_at)


def _head(hidden: Tensor, backend: Backend | None) -> Head:
    if choose_backend(hidden, backend) == "torch":
        return TorchHead()
    # Here, not above: a machine without Triton imports the package as well.
    from genagent_kernels.gpu.head import TritonHead

    return TritonHead()
