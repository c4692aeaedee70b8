"""Keys and values of all layers, in pages."""

import math
from collections.abc import Sequence as Listed

import numpy as np
import torch
from torch import Tensor

from genagent_policy import Policy


class PageStorage:
    """``keys`` and ``values`` of each layer, ``[pages, page_tokens, key_heads, width]``."""

    def __init__(self, policy: Policy, *, pages: int, page_tokens: int) -> None:
        text = policy.text_config
        heads = text.num_key_value_heads or text.num_attention_heads
        shape = (pages, page_tokens, heads, policy.head_width)
        # Zeros, not empty: a weight of 0 times an uninitialised NaN would be NaN.
        self.keys, self.values = (
            [_zeros(shape, policy.device, policy.dtype) for _ in range(text.num_hidden_layers)]
            for _ in range(2)
        )

    def copy(self, sources: Listed[int], targets: Listed[int], tokens: int) -> None:
        """Copy the first tokens of pages to other pages."""
        for stored in (*self.keys, *self.values):
            stored[list(targets), :tokens] = stored[list(sources), :tokens]


def _zeros(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    if device.type == "cuda":
        return torch.zeros(shape, device=device, dtype=dtype)
    # torch.zeros writes them, 0.4 s and all the memory for each GiB; NumPy's cost nothing until a
    # page is used.
    zeros = np.zeros(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(zeros).view(dtype).view(shape)


def bytes_of_a_token(policy: Policy) -> int:
    """Of its keys and values in all layers."""
    text = policy.text_config
    heads = text.num_key_value_heads or text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * policy.head_width * policy.dtype.itemsize
