"""Which attention kernel the policy's layers run.

What is chosen here holds for training passes and for the vision tower; the engine attends over its
pages with the kernels of ``genagent_kernels``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.config import Attention, flash_is_installed
from genagent_policy.trajectory_attention import BY_TRAJECTORY, register_trajectory_attention
from genagent_policy.window_attention import BY_LENGTH, register_window_attention

if TYPE_CHECKING:
    from genagent_policy.model import Model

FLASH_DTYPES = (torch.bfloat16, torch.float16)


def choose_attention(
    asked: Attention, *, device: torch.device, dtype: torch.dtype
) -> Literal["sdpa", "flash_attention_2", "eager"]:
    """The kernel for weights of ``dtype`` on ``device``.

    Raises:
        ValueError: flash-attn is asked for and does not run there.
    """
    if asked in ("sdpa", "eager"):
        return asked
    runs = device.type == "cuda" and dtype in FLASH_DTYPES and flash_is_installed()
    if asked == "flash_attention_2" and not runs:
        raise ValueError(
            f"attention flash_attention_2 with {dtype} on {device}; wants the package flash_attn "
            "(uv sync --extra flash), bfloat16 or float16 weights and a CUDA device; or give sdpa"
        )
    return "flash_attention_2" if runs else "sdpa"


def kernels_of_parts(kernel: str) -> dict[str, str]:
    """As transformers takes it: where the kernel is SDPA, the language model attends trajectory by
    trajectory and the vision tower over its windows by length; else both run the kernel itself."""
    register_trajectory_attention()
    register_window_attention()
    is_sdpa = kernel == "sdpa"
    return {
        "": kernel,
        "text_config": BY_TRAJECTORY if is_sdpa else kernel,
        "vision_config": BY_LENGTH if is_sdpa else kernel,
    }


def bounds_for_kernel(
    model: "Model", states: Float[Tensor, "tokens hidden"], lengths: Sequence[int]
) -> tuple[Float[Tensor, "1 1 q k"] | None, dict[str, Any]]:
    """How the language model's kernel is told where each trajectory ends: by a mask, or None, and
    by arguments of the pass."""
    kernel = model.model.language_model.config._attn_implementation
    if kernel in ("eager", "sdpa"):  # the second where nobody has called kernels_of_parts
        return _block_diagonal(states, lengths), {}
    if kernel == BY_TRAJECTORY:
        return None, {"trajectory_lengths": tuple(lengths)}
    ends = torch.tensor([0, *lengths], device=states.device).cumsum(0).to(torch.int32)
    return None, {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def _block_diagonal(
    states: Float[Tensor, "tokens hidden"], lengths: Sequence[int]
) -> Float[Tensor, "1 1 q k"]:
    """Each token sees those of its trajectory up to itself: for kernels that are told no bounds,
    [tokens, tokens] of it."""
    sees = torch.block_diag(
        *(torch.ones(length, length, device=states.device).tril() for length in lengths)
    )
    return torch.where(sees > 0, 0.0, float("-inf")).to(states.dtype)[None, None]
