"""The seam between a policy and the family of its model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from genagent_data import ToolSyntax

Projected = tuple[
    Float[Tensor, "tokens query_heads width"],
    Float[Tensor, "tokens key_heads width"],
    Float[Tensor, "tokens key_heads width"],
]
"""Queries, keys and values of a layer, before queries and keys are rotated."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedded:
    """What the language model takes in."""

    states: Float[Tensor, "tokens hidden"]
    """Token embeddings, with level 0 of the pictures in their places."""
    is_picture: Bool[Tensor, " tokens"]
    deeper: Float[Tensor, "levels pictures hidden"] | None = None
    """Further levels of the pictures, each added behind one of the first layers, in order; None
    where there are no pictures."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Family:
    """What one family does its own way; models, configurations and layers are transformers' own."""

    tool_syntax: ToolSyntax
    """In which it has learnt to call tools."""
    interleaved: bool
    """Whether neighbouring frequencies of the rotation belong to different axes."""
    classes: Callable[[], tuple[Any, Any]]
    """Those of the model and of the processor."""
    head_width: Callable[[Any], int]
    """Width of an attention head, from the language model's configuration."""
    levels: Callable[[Any], Float[Tensor, "tokens levels hidden"]]
    """What ``get_image_features`` returned as the language model takes it: level 0 at its input,
    level ``k`` behind its layer ``k - 1``."""
    text_inputs: Callable[[Embedded, Tensor | None], dict[str, Any]]
    """Arguments of the language model beside positions, for one row: the embeddings and a mask of
    attention, or None where the kernel is told otherwise what a token sees."""
    project: Callable[[Any, Float[Tensor, "tokens hidden"], int], Projected]
    """What a layer's attention makes of normalized states, with heads of that width."""
    legacy_rotation: Callable[[str], dict[str, str]]
    """How transformers 4 calls a kind of rotation, and under which key."""
