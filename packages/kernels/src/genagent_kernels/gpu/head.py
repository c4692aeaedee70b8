"""The head with Triton kernels: on CUDA, or on a CPU under Triton's interpreter."""

import torch
from torch import Tensor

from genagent_kernels.gpu.head_gradient import launch_grpo_rows, launch_logprob_rows
from genagent_kernels.gpu.head_logprob import head_logprob
from genagent_kernels.head import GRPOResults, GRPORows


class TritonHead:
    """``Head`` whose log-probs never see logits in memory, and whose rows are one kernel each."""

    def logprob(
        self, hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, with_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        return head_logprob(hidden, weight, target, temperature, with_entropy)

    def logprob_gradient(
        self,
        logits: Tensor,
        target: Tensor,
        normalizer: Tensor,
        slope: Tensor,
        entropy: Tensor | None,
        entropy_slope: Tensor | None,
        temperature: float,
        dtype: torch.dtype,
    ) -> Tensor:
        gradient = logits if logits.dtype == dtype else torch.empty_like(logits, dtype=dtype)
        launch_logprob_rows(
            logits,
            gradient,
            target=target,
            normalizer=normalizer,
            slope=slope,
            entropy=entropy,
            entropy_slope=entropy_slope,
            temperature=temperature,
        )
        return gradient

    def grpo(
        self,
        logits: Tensor,
        rows: GRPORows,
        results: GRPOResults,
        *,
        clip_low: float,
        clip_high: float,
        dual_clip: float | None,
        temperature: float,
        with_gradient: bool,
        dtype: torch.dtype,
    ) -> Tensor | None:
        # Half the bytes for both products; in float32 the logits' own memory will do.
        gradient = None
        if with_gradient:
            gradient = logits if logits.dtype == dtype else torch.empty_like(logits, dtype=dtype)
        launch_grpo_rows(
            logits,
            gradient,
            target=rows.target,
            old_logprob=rows.old_logprob,
            advantage=rows.advantage,
            token_weight=rows.token_weight,
            logprob=results.logprob,
            entropy=results.entropy,
            loss=results.loss,
            is_effective=results.is_effective,
            clip_low=clip_low,
            clip_high=clip_high,
            dual_clip=dual_clip,
            temperature=temperature,
        )
        return gradient
