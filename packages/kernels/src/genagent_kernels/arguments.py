"""Checks of the kernels' arguments; each message names the argument, its value and the remedy."""

import math

import torch
from torch import Tensor


def check_head(hidden: Tensor, weight: Tensor, target: Tensor, temperature: float) -> None:
    """Raises ValueError unless ``hidden [N, H]``, ``weight [V, H]`` and ``target [N]`` fit."""
    if hidden.ndim != 2 or not hidden.is_floating_point():
        raise ValueError(f"hidden wants floating [N, H], has {form(hidden)}")
    if weight.ndim != 2 or weight.shape[1] != hidden.shape[1] or weight.shape[0] == 0:
        raise ValueError(f"weight wants [V, {hidden.shape[1]}] as hidden has, has {form(weight)}")
    if weight.dtype != hidden.dtype or weight.device != hidden.device:
        raise ValueError(f"weight wants the dtype and device of {form(hidden)}, is {form(weight)}")
    check_rows("target", target, hidden)
    if target.dtype != torch.int64:
        raise ValueError(f"target wants int64, has {target.dtype}; convert the token ids")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; wants a number above 0")


def check_vocabulary(target: Tensor, weight: Tensor) -> None:
    """Raises ValueError where a target is no row of ``weight``."""
    if target.numel() == 0:
        return
    low, high = torch.stack(torch.aminmax(target)).tolist()
    if low < 0 or high >= weight.shape[0]:
        raise ValueError(
            f"target reaches from {low} to {high}; wants 0 to {weight.shape[0] - 1}, "
            "the rows of weight (mask other rows out)"
        )


def check_loss(
    hidden: Tensor,
    mask: Tensor,
    per_token: dict[str, Tensor],
    clip_low: float,
    clip_high: float,
    dual_clip: float | None,
) -> None:
    """Raises ValueError unless mask and per-token tensors have a value for each row."""
    check_rows("mask", mask, hidden)
    check_mask(mask)
    for name, values in per_token.items():
        check_rows(name, values, hidden)
        check_floating(name, values)
    check_clip(clip_low, clip_high)
    if dual_clip is not None and not (math.isfinite(dual_clip) and dual_clip > 1):
        raise ValueError(f"dual_clip is {dual_clip}; wants a number above 1, or None")


def check_rows(name: str, values: Tensor, hidden: Tensor) -> None:
    if values.shape != hidden.shape[:1] or values.device != hidden.device:
        raise ValueError(
            f"{name} wants [{hidden.shape[0]}] on {hidden.device}, one value a row of hidden, "
            f"has {form(values)}"
        )


def check_mask(mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise ValueError(f"mask wants bool, has {mask.dtype}; compare it with 0 first")


def check_floating(name: str, values: Tensor) -> None:
    if not values.is_floating_point():
        raise ValueError(f"{name} wants floating point, has {values.dtype}")


def check_clip(clip_low: float, clip_high: float) -> None:
    if not 0 <= clip_low <= 1:
        raise ValueError(f"clip_low is {clip_low}; wants a number in [0, 1]")
    if not (math.isfinite(clip_high) and clip_high >= 0):
        raise ValueError(f"clip_high is {clip_high}; wants a number of at least 0")


def form(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)} on {tensor.device}"
