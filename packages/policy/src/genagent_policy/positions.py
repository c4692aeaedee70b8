"""Multimodal rotary positions (M-RoPE) of Qwen2.5-VL and Qwen3-VL, computed outside the model.

The model's own bookkeeping (``rope_deltas``) is state left over from its previous call and cannot
place a picture that is appended in mid-conversation. Here a sequence is placed piece by piece:
each piece starts where the previous one ended. Text advances all three axes by one; a picture of
``h x w`` merged cells spreads over the height and width axes and then advances by ``max(h, w)``.
"""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def picture_tokens(grid: Int64[Tensor, " 3"], *, merge_size: int) -> int:
    """Number of tokens a picture takes in the sequence."""
    return int(grid.prod()) // merge_size**2


def picture_mask(
    ids: Int64[Tensor, "*shape"], policy_mask: Bool[Tensor, "*shape"], *, image_token_id: int
) -> Bool[Tensor, "*shape"]:
    """Where the environment put a picture; an image token that the policy sampled is mere text."""
    return (ids == image_token_id) & ~policy_mask


def mrope_positions(
    is_picture: Bool[Tensor, " tokens"],
    grids: Int64[Tensor, "pictures 3"],
    *,
    merge_size: int,
    start: int = 0,
) -> tuple[Int64[Tensor, "3 tokens"], int]:
    """Positions of a sequence, or of a piece of one.

    Args:
        is_picture: where picture tokens are; each picture's are consecutive.
        grids: patches in time, height and width of the pictures in this piece, in order.
        merge_size: patches merged along each side into one token.
        start: position of the first token, the second result of the piece before.

    Returns:
        Positions along time, height and width, and the position of the token that follows.

    Raises:
        ValueError: the picture tokens are not those of the grids.
    """
    where = is_picture.nonzero().flatten().tolist()
    sizes = [picture_tokens(grid, merge_size=merge_size) for grid in grids]
    if len(where) != sum(sizes):
        raise ValueError(f"{len(where)} picture tokens for {len(sizes)} pictures of {sizes} tokens")
    pieces: list[Tensor] = []
    token, position, seen = 0, start, 0
    for grid, size in zip(grids.tolist(), sizes, strict=True):
        first = where[seen]
        if where[seen + size - 1] != first + size - 1:
            raise ValueError(f"the {size} tokens of the picture at {first} are not consecutive")
        pieces.append(_text(position, first - token))
        position += first - token
        frames, height, width = grid[0], grid[1] // merge_size, grid[2] // merge_size
        pieces.append(_picture(position, frames, height, width))
        position += max(height, width)
        token, seen = first + size, seen + size
    rest = is_picture.shape[0] - token
    pieces.append(_text(position, rest))
    return torch.cat(pieces, dim=1), position + rest


def _text(start: int, length: int) -> Tensor:
    return torch.arange(start, start + length).expand(3, length)


def _picture(start: int, frames: int, height: int, width: int) -> Tensor:
    axes = torch.meshgrid(
        torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return torch.stack(axes).reshape(3, -1) + start
