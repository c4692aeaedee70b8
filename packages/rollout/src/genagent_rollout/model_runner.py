"""One pass of the policy over keys and values in pages.

The layers' own weights and modules are called, so this decodes with the very tensors that the
trainer updates; what differs from the trainer's pass is where keys and values lie. Tokens are
packed without pads: only the attention of chunks sees a rectangle.
"""

from collections.abc import Sequence as Listed
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

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
from genagent_rollout.chunks import Chunk, Pictures, pictures_of
from genagent_rollout.decode_graphs import Capture, DecodeGraphs, DecodeRows, capture_here
from genagent_rollout.page_storage import PageStorage

if TYPE_CHECKING:
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLDecoderLayer
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextDecoderLayer


class ModelRunner:
    """The policy and the storage of its keys and values."""

    def __init__(
        self,
        policy: Policy,
        *,
        pages: int,
        page_tokens: int,
        backend: Backend | None = None,
        capture: Capture | None = None,
    ) -> None:
        """
        Args:
            capture: how decoding passes are captured; by default as CUDA graphs on a GPU, and not
                at all elsewhere.
        """
        text = policy.text_config
        self._policy = policy
        self._page_tokens = page_tokens
        self._backend: Backend | None = backend
        self._family, self._width = policy.family, policy.head_width
        self.stored = PageStorage(policy, pages=pages, page_tokens=page_tokens)
        time, height, width = cast("dict[str, Any]", text.rope_parameters)["mrope_section"]
        self._sections = (time, height, width)
        if capture is None and policy.device.type == "cuda":
            capture = capture_here()
        self._graphs = None if capture is None else DecodeGraphs(capture)

    def prefill(self, chunks: Listed[Chunk]) -> Float[Tensor, "chunks hidden"]:
        """Compute the chunks' tokens, keep their keys and values, and return the normalized hidden
        state behind each chunk's last token."""
        model, device = self._policy.model.model.language_model, self._policy.device
        counts = [len(chunk.ids) for chunk in chunks]
        hidden = model.embed_tokens(
            torch.tensor([token for chunk in chunks for token in chunk.ids], device=device)
        )
        pictures = pictures_of(chunks, hidden)
        if pictures is not None:
            hidden[pictures.places] = pictures.levels[0]
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
        hidden = self._layers(hidden, positions, rows, pictures)
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
        device, size = self._policy.device, self._page_tokens
        slots = [
            held[start // size] * size + start % size
            for held, start in zip(pages, starts, strict=True)
        ]
        lengths = [start + 1 for start in starts]
        rows = DecodeRows(
            ids=torch.tensor(ids, device=device),
            positions=torch.tensor(positions, device=device),
            lengths=torch.tensor(lengths, device=device),
            slots=torch.tensor(slots, device=device),
            table=self._table(pages, lengths),
        )
        return self._decoding(rows) if self._graphs is None else self._graphs(self._decoding, rows)

    def _decoding(self, given: DecodeRows) -> Float[Tensor, "rows hidden"]:
        model = self._policy.model.model.language_model
        rows = _Rows(
            table=given.table,
            starts=given.lengths - 1,
            slots=given.slots,
            lengths=given.lengths,
            plan=plan_decode(self.stored.keys[0], given.table, given.lengths),
        )
        hidden = model.embed_tokens(given.ids)
        return model.norm(self._layers(hidden, given.positions.expand(3, -1), rows))

    def logits(self, states: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocabulary"]:
        """Float32 logits of the tokens that follow; on CUDA not rounded on their way there, as the
        update's are not: a bfloat16 logit is off by up to 0.06 between 16 and 32."""
        weight = self._policy.head_weight
        if states.is_cuda and states.dtype != torch.float32:
            return torch.mm(states, weight.T, out_dtype=torch.float32)
        return torch.nn.functional.linear(states, weight).float()

    def _layers(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        positions: Tensor,
        rows: "_Rows",
        pictures: Pictures | None = None,
    ) -> Float[Tensor, "tokens hidden"]:
        model = self._policy.model.model.language_model
        frequencies = cast(Tensor, model.rotary_emb.inv_freq)
        interleaved = self._family.interleaved
        angles = plan_rotation(
            positions, frequencies, self._sections, hidden.dtype, interleaved=interleaved
        )
        deeper = () if pictures is None else pictures.levels[1:]
        for index, module in enumerate(model.layers):
            layer = cast("Qwen2_5_VLDecoderLayer | Qwen3VLTextDecoderLayer", module)
            attention = layer.self_attn
            normal = layer.input_layernorm(hidden)
            query, key, value = self._family.project(attention, normal, self._width)
            query, key = rotate_multimodal(
                query,
                key,
                positions,
                frequencies,
                self._sections,
                interleaved=interleaved,
                angles=angles,
                backend=self._backend,
            )
            keys, values = self.stored.keys[index], self.stored.values[index]
            write_pages(key, value, keys, values, rows.slots, backend=self._backend)
            seen = rows.attend(query, keys, values, self._backend)
            hidden = hidden + attention.o_proj(seen.flatten(1))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            if pictures is not None and index < len(deeper):
                hidden[pictures.places] += deeper[index]
        return hidden

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
    lengths: Int64[Tensor, " rows"] | None = None
    """Tokens of each row with its new one, where every row has one."""
    plan: DecodePlan | None = None
    """Of these, on a CPU."""

    def attend(
        self,
        query: Float[Tensor, "tokens heads width"],
        keys: Tensor,
        values: Tensor,
        backend: Backend | None,
    ) -> Float[Tensor, "tokens heads width"]:
        if self.places is None:
            assert self.lengths is not None
            return decode_attention(
                query, keys, values, self.table, self.lengths, plan=self.plan, backend=backend
            )
        rows = len(self.starts)
        padded = query.new_zeros(rows * self.longest, *query.shape[1:])
        padded[self.places] = query
        rectangle = padded.view(rows, self.longest, *query.shape[1:])
        seen = prefill_attention(rectangle, keys, values, self.table, self.starts)
        return seen.flatten(0, 1)[self.places]


def _places(counts: Listed[int], device: torch.device) -> Int64[Tensor, " tokens"]:
    longest = max(counts)
    return torch.cat([torch.arange(count) + row * longest for row, count in enumerate(counts)]).to(
        device
    )
