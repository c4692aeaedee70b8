"""Keys and values with room to grow, for ``generate``.

Transformers' own cache copies all that it holds for each new token, a sixth of the time in which
judge-mini answers on a CPU. Here room for more is taken at a time.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class GrowingLayer(DynamicLayer):
    """``DynamicLayer``, whose keys and values are the written part of something larger."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append ``[batch, heads, new, width]``; returns all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._stored = [states.new_empty(0) for states in (key_states, value_states)]
        held = self.get_seq_length()
        end = held + key_states.shape[2]
        if held == 0 or end > self._stored[0].shape[2]:
            self._stored = [
                _with_room(states, written, end)
                for states, written in zip(
                    (key_states, value_states), (self.keys, self.values), strict=True
                )
            ]
        for stored, states in zip(self._stored, (key_states, value_states), strict=True):
            stored[:, :, held:end] = states
        self.keys, self.values = (stored[:, :, :end] for stored in self._stored)
        return self.keys, self.values


def growing_cache(model: Any) -> DynamicCache:
    """A fresh cache for one ``generate``; layers of another kind, as those with a sliding window,
    are transformers' own."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def _with_room(states: Tensor, written: Tensor | None, end: int) -> Tensor:
    batch, heads, _, width = states.shape
    stored = torch.empty(
        batch, heads, end + end // 2, width, dtype=states.dtype, device=states.device
    )
    if written is not None and written.numel():
        stored[:, :, : written.shape[2]] = written
    return stored
