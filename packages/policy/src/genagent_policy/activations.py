"""Activation checkpointing: layers keep their inputs only, and run again in the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from genagent_policy.model import Model


@contextmanager
def checkpointed_layers(model: "Model") -> Iterator[None]:
    """Inside, the layers of the language model and of the vision tower are checkpointed.

    A layer of transformers is only where it is in training mode, and then ignores its cache; it is
    put in that mode alone, without its dropout, and only for as long as no cache is used.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers: list[Any] = [
        layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)
    ]
    # Nothing in a layer is random: no generator's state needs to be kept for its second run.
    run = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    for layer in layers:
        layer.gradient_checkpointing, layer.training = True, True
        layer._gradient_checkpointing_func = run
    try:
        yield
    finally:
        for layer in layers:
            layer.gradient_checkpointing, layer.training = False, False
