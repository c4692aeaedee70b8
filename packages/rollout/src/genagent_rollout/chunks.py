"""What is computed of conversations in one pass: their new tokens, and the pictures among them."""

from collections.abc import Sequence as Listed
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Tokens of one conversation to be computed."""

    ids: Listed[int]
    positions: Int64[Tensor, "3 tokens"]
    features: Float[Tensor, "features levels hidden"] | None = None
    """What stands in the places of ``is_picture``, and what is added there further up."""
    is_picture: Tensor | None = None
    start: int
    """Tokens before them."""
    pages: Listed[int]
    """Of the conversation, with room for these tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Pictures among the tokens of a pass."""

    places: Int64[Tensor, " features"]
    levels: Listed[Float[Tensor, "features hidden"]]
    """What stands in these places, and what is added to them behind each of the first layers."""


def pictures_of(chunks: Listed[Chunk], hidden: Float[Tensor, "tokens hidden"]) -> Pictures | None:
    """Those among the tokens of all chunks, in the dtype of ``hidden``; None: there are none."""
    features = [chunk.features for chunk in chunks if chunk.features is not None]
    if not features:
        return None
    masks = [
        torch.zeros(len(chunk.ids), dtype=torch.bool)
        if chunk.is_picture is None
        else chunk.is_picture
        for chunk in chunks
    ]
    places = torch.cat(masks).nonzero().flatten().to(hidden.device)
    levels = torch.cat(features).to(hidden.device, hidden.dtype).unbind(1)
    return Pictures(places=places, levels=levels)
