"""Weights that ZeRO 3 has shared out among the ranks: each rank has a part, and sees it empty.

What is whole stays as it is here, so that who reads weights need not ask which it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def is_shared_out(model: nn.Module) -> bool:
    """Whether any of its weights are."""
    return any(_is_part(parameter) for parameter in model.parameters())


def whole_shape(parameter: nn.Parameter) -> tuple[int, ...]:
    """Its shape where it is whole."""
    return tuple(parameter.ds_shape if _is_part(parameter) else parameter.shape)  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def gathered(parameter: nn.Parameter) -> Iterator[None]:
    """Inside, it is whole, on all ranks, which do this together."""
    if not _is_part(parameter):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter]):
        yield


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Let the weights of a model of the same shape, which are whole, be those of ``source``: one
    after another, so that no more than one of them is whole twice. All ranks do this together."""
    for own, other in zip(source.parameters(), target.parameters(), strict=True):
        with gathered(own):
            other.copy_(own)


def _is_part(parameter: Any) -> bool:
    return hasattr(parameter, "ds_id")
