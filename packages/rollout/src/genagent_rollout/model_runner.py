"""One pass of the policy over keys and values in pages.

The layers' own weights and modules are called, so this decodes with the very tensors that the
trainer updates; what differs from the trainer's pass is where keys and values lie. Tokens are
packed without pads: only the attention of chunks sees a rectangle.
"""

import math
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import (
    Backend,
    DecodePlan,
    decode_attention,
    plan_decode,
    plan_rotation,
    prefill_attention,
    rotate_multimodal,
    write_pages,
)
from genagent_policy import Policy

if TYPE_CHECKING:
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLDecoderLayer


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Tokens of one conversation to be computed."""

    ids: Listed[int]
    positions: Int64[Tensor, "3 tokens"]
    features: Float[Tensor, "features hidden"] | None = None
    """What stands in the places of ``is_picture``."""
    is_picture: Tensor | None = None
    start: int
    """Tokens before them."""
    pages: Listed[int]
    """Of the conversation, with room for these tokens."""


class ModelRunner:
    """The policy and the storage of its keys and values."""

    def __init__(
        self, policy: Policy, *, pages: int, page_tokens: int, backend: Backend | None = None
    ) -> None:
        text = policy.text_config
        self._policy = policy
        self._page_tokens = page_tokens
        self._backend: Backend | None = backend
        self._width = text.hidden_size // text.num_attention_heads
        heads = text.num_key_value_heads or text.num_attention_heads
        shape = (pages, page_tokens, heads, self._width)
        # Zeros, not empty: a weight of 0 times an uninitialised NaN would be NaN.
        self._keys, self._values = (
            [_zeros(shape, policy.device, policy.dtype) for _ in range(text.num_hidden_layers)]
            for _ in range(2)
        )
        time, height, width = cast("dict[str, Any]", text.rope_parameters)["mrope_section"]
        self._sections = (time, height, width)

    def copy(self, sources: Listed[int], targets: Listed[int], tokens: int) -> None:
        """Copy the first tokens of pages to other pages."""
        for stored in (*self._keys, *self._values):
            stored[list(targets), :tokens] = stored[list(sources), :tokens]

    def prefill(self, chunks: Listed[Chunk]) -> Float[Tensor, "chunks hidden"]:
        """Compute the chunks' tokens, keep their keys and values, and return the normalized hidden
        state behind each chunk's last token."""
        model, device = self._policy.model.model.language_model, self._policy.device
        counts = [len(chunk.ids) for chunk in chunks]
        hidden = model.embed_tokens(
            torch.tensor([token for chunk in chunks for token in chunk.ids], device=device)
        )
        if any(chunk.features is not None for chunk in chunks):
            hidden = self._with_pictures(hidden, chunks)
        size = self._page_tokens
        slots = [
            chunk.pages[place // size] * size + place % size
            for chunk in chunks
            for place in range(chunk.start, chunk.start + len(chunk.ids))
        ]
        ends = [chunk.start + len(chunk.ids) for chunk in chunks]
        rows = _Rows(
            table=self._table([chunk.pages for chunk in chunks], ends),
            starts=torch.tensor([chunk.start for chunk in chunks], device=device),
            slots=torch.tensor(slots, device=device),
            longest=max(counts),
            places=_places(counts, device),
        )
        positions = torch.cat([chunk.positions for chunk in chunks], dim=1).to(device)
        hidden = self._layers(hidden, positions, rows)
        last = torch.tensor(list(accumulate(counts)), device=device) - 1
        return model.norm(hidden[last])

    def decode(
        self,
        ids: Listed[int],
        positions: Listed[int],
        starts: Listed[int],
        pages: Listed[Listed[int]],
    ) -> Float[Tensor, "rows hidden"]:
        """Compute one token of each conversation; as ``prefill``, a row for each.

        Args:
            ids: the tokens.
            positions: of the tokens; text, so one number each.
            starts: tokens before them.
            pages: of the conversations.
        """
        model, device = self._policy.model.model.language_model, self._policy.device
        size = self._page_tokens
        slots = [
            held[start // size] * size + start % size
            for held, start in zip(pages, starts, strict=True)
        ]
        table = self._table(pages, [start + 1 for start in starts])
        begins = torch.tensor(starts, device=device)
        rows = _Rows(
            table=table,
            starts=begins,
            slots=torch.tensor(slots, device=device),
            plan=plan_decode(self._keys[0], table, begins + 1),
        )
        placed = torch.tensor(positions, device=device).expand(3, -1)
        hidden = model.embed_tokens(torch.tensor(ids, device=device))
        return model.norm(self._layers(hidden, placed, rows))

    def logits(self, states: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocabulary"]:
        """Float32 logits of the tokens that follow."""
        return torch.nn.functional.linear(states, self._policy.head_weight).float()

    def _layers(
        self, hidden: Float[Tensor, "tokens hidden"], positions: Tensor, rows: "_Rows"
    ) -> Float[Tensor, "tokens hidden"]:
        model = self._policy.model.model.language_model
        frequencies = cast(Tensor, model.rotary_emb.inv_freq)
        angles = plan_rotation(positions, frequencies, self._sections, hidden.dtype)
        for index, module in enumerate(model.layers):
            layer = cast("Qwen2_5_VLDecoderLayer", module)
            attention = layer.self_attn
            normal = layer.input_layernorm(hidden)
            query, key, value = (
                project(normal).view(len(normal), -1, self._width)
                for project in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = rotate_multimodal(
                query,
                key,
                positions,
                frequencies,
                self._sections,
                angles=angles,
                backend=self._backend,
            )
            keys, values = self._keys[index], self._values[index]
            write_pages(key, value, keys, values, rows.slots, backend=self._backend)
            seen = rows.attend(query, keys, values, self._backend)
            hidden = hidden + attention.o_proj(seen.flatten(1))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return hidden

    def _with_pictures(
        self, hidden: Float[Tensor, "tokens hidden"], chunks: Listed[Chunk]
    ) -> Float[Tensor, "tokens hidden"]:
        features = [chunk.features for chunk in chunks if chunk.features is not None]
        masks = [
            torch.zeros(len(chunk.ids), dtype=torch.bool)
            if chunk.is_picture is None
            else chunk.is_picture
            for chunk in chunks
        ]
        mask = torch.cat(masks).to(hidden.device)
        found = torch.cat(features).to(hidden.device, hidden.dtype)
        return hidden.masked_scatter(mask[:, None], found)

    def _table(
        self, pages: Listed[Listed[int]], tokens: Listed[int]
    ) -> Int64[Tensor, "rows columns"]:
        """Pages that hold the first tokens of each row."""
        columns = -(-max(tokens) // self._page_tokens)
        table = [[*held[:columns], *[0] * (columns - len(held))] for held in pages]
        return torch.tensor(table, device=self._policy.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Where the tokens of a pass belong."""

    table: Int64[Tensor, "rows columns"]
    starts: Int64[Tensor, " rows"]
    slots: Int64[Tensor, " tokens"]
    longest: int = 1
    places: Int64[Tensor, " tokens"] | None = None
    """Of each token in the rectangle ``rows x longest``; None where every row has one token."""
    plan: DecodePlan | None = None
    """Where every row has one token, on a CPU."""

    def attend(
        self,
        query: Float[Tensor, "tokens heads width"],
        keys: Tensor,
        values: Tensor,
        backend: Backend | None,
    ) -> Float[Tensor, "tokens heads width"]:
        if self.places is None:
            lengths = self.starts + 1
            return decode_attention(
                query, keys, values, self.table, lengths, plan=self.plan, backend=backend
            )
        rows = len(self.starts)
        padded = query.new_zeros(rows * self.longest, *query.shape[1:])
        padded[self.places] = query
        rectangle = padded.view(rows, self.longest, *query.shape[1:])
        seen = prefill_attention(rectangle, keys, values, self.table, self.starts)
        return seen.flatten(0, 1)[self.places]


def _zeros(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    if device.type == "cuda":
        return torch.zeros(shape, device=device, dtype=dtype)
    # torch.zeros writes them, 0.4 s and all the memory for each GiB; NumPy's cost nothing until a
    # page is used.
    zeros = np.zeros(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(zeros).view(dtype).view(shape)


def _places(counts: Listed[int], device: torch.device) -> Int64[Tensor, " tokens"]:
    longest = max(counts)
    return torch.cat([torch.arange(count) + row * longest for row, count in enumerate(counts)]).to(
        device
    )


def bytes_of_a_token(policy: Policy) -> int:
    """Of its keys and values in all layers."""
    text = policy.text_config
    heads = text.num_key_value_heads or text.num_attention_heads
    width = text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * width * policy.dtype.itemsize
