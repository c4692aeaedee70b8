"""Which attention kernel the policy's layers run.

What is chosen here holds for training passes and for the vision tower; the engine attends over its
pages with the kernels of ``genagent_kernels``.
"""

from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.config import Attention, flash_is_installed
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
    """As transformers takes it: the vision tower attends over its windows by length where the
    kernel is SDPA, and as the language model does otherwise."""
    register_window_attention()
    return {
        "": kernel,
        "text_config": kernel,
        "vision_config": BY_LENGTH if kernel == "sdpa" else kernel,
    }


def mask_of_a_pass(
    model: "Model", embeddings: Float[Tensor, "rows tokens hidden"]
) -> Float[Tensor, "1 1 q k"] | None:
    """What the language model's layers take; None where the kernel is causal without a mask."""
    is_eager = model.model.language_model.config._attn_implementation == "eager"
    return _causal_mask(embeddings) if is_eager else None


def _causal_mask(embeddings: Float[Tensor, "rows tokens hidden"]) -> Float[Tensor, "1 1 q k"]:
    tokens = embeddings.shape[1]
    hidden = torch.full(
        (tokens, tokens), float("-inf"), dtype=embeddings.dtype, device=embeddings.device
    )
    return hidden.triu_(1)[None, None]
