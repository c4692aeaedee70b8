"""Keys and values of many conversations, each row packed without holes.

Row ``b`` holds its own ``lengths[b]`` tokens in columns ``0 .. lengths[b] - 1``. New tokens are
written behind them, whatever the other rows' lengths, so that conversations of different lengths
run side by side and the attention never looks at more columns than the longest one has. Pads of a
chunk are written too: they lie behind the row's end, are never looked at, and the next token
overwrites them. The storage is allocated ahead; a row that ends is swapped out of the active
prefix instead of being copied away.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

GRANULE = 64
"""Columns are allocated in multiples of this."""


class SlotCache:
    """Pre-allocated cache of ``slots`` rows; serves as the model's cache object."""

    def __init__(
        self,
        *,
        layers: int,
        slots: int,
        heads: int,
        head_dim: int,
        columns: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        capacity = _round_up(columns)
        # Zeros, not empty: a weight of 0 times an uninitialised NaN would be NaN.
        self.keys, self.values = (
            [
                torch.zeros(slots, heads, capacity, head_dim, device=device, dtype=dtype)
                for _ in range(layers)
            ]
            for _ in range(2)
        )
        self.lengths: Int64[Tensor, " slots"] = torch.zeros(slots, dtype=torch.int64, device=device)
        self._slots = torch.arange(slots, device=device)
        self._columns = self.lengths[:0, None]
        self._limit = 0

    @property
    def capacity(self) -> int:
        return self.keys[0].shape[2]

    def longest(self, rows: int) -> int:
        """Length of the longest of the first ``rows`` rows."""
        return int(self.lengths[:rows].max())

    def reserve(self, columns: int) -> None:
        """Make room for that many columns."""
        if columns <= self.capacity:
            return
        for stored in (self.keys, self.values):
            for layer, old in enumerate(stored):
                slots, heads, used, head_dim = old.shape
                new = old.new_zeros(slots, heads, _round_up(columns), head_dim)
                new[:, :, :used] = old
                stored[layer] = new

    def prepare(
        self, rows: int, tokens: int, dtype: torch.dtype
    ) -> Float[Tensor, "rows 1 tokens keys"] | Bool[Tensor, "rows 1 tokens keys"]:
        """Aim the next pass at the first ``rows`` rows; returns what its queries may look at.

        The mask is additive: attention converts a boolean one in every layer.
        """
        limit = self.longest(rows) + tokens
        self.reserve(limit)
        self._limit = limit
        new = torch.arange(tokens, device=self.lengths.device)
        self._columns = self.lengths[:rows, None] + new
        keys = torch.arange(limit, device=self.lengths.device)
        hidden = keys[None, None, :] > self._columns[..., None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, float("-inf"))[:, None]

    def update(
        self,
        keys: Float[Tensor, "rows heads new dim"],
        values: Float[Tensor, "rows heads new dim"],
        layer: int,
    ) -> tuple[Float[Tensor, "rows heads all dim"], Float[Tensor, "rows heads all dim"]]:
        """Called by each attention layer: store the new tokens, return all."""
        rows = keys.shape[0]
        where = self._slots[:rows, None]
        self.keys[layer][where, :, self._columns] = keys.transpose(1, 2)
        self.values[layer][where, :, self._columns] = values.transpose(1, 2)
        return (
            self.keys[layer][:rows, :, : self._limit],
            self.values[layer][:rows, :, : self._limit],
        )

    def swap(self, first: Sequence[int], second: Sequence[int]) -> None:
        """Exchange rows pairwise."""
        ours = torch.tensor([*first, *second], device=self._slots.device)
        theirs = torch.tensor([*second, *first], device=self._slots.device)
        used = int(self.lengths[ours].max())
        for stored in (self.keys, self.values):
            for tensor in stored:
                tensor[ours, :, :used] = tensor[theirs, :, :used]
        self.lengths[ours] = self.lengths[theirs]

    def spread(self, sources: Sequence[int], *, columns: int) -> "SlotCache":
        """A new cache with room for ``columns``, whose row ``i`` copies row ``sources[i]``."""
        _, heads, _, head_dim = self.keys[0].shape
        index = torch.tensor(sources, device=self._slots.device)
        used = int(self.lengths.max())
        copy = SlotCache(
            layers=len(self.keys),
            slots=len(sources),
            heads=heads,
            head_dim=head_dim,
            columns=max(columns, used),
            device=self.keys[0].device,
            dtype=self.keys[0].dtype,
        )
        for layer in range(len(self.keys)):
            copy.keys[layer][:, :, :used] = self.keys[layer][index, :, :used]
            copy.values[layer][:, :, :used] = self.values[layer][index, :, :used]
        copy.lengths = self.lengths[index]
        return copy


def _round_up(columns: int) -> int:
    return -(-columns // GRANULE) * GRANULE
