"""M-RoPE: rotary positions with an axis each for time, height and width (Qwen2-VL, 2409.12191)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels.reference.loss import statistics_dtype


def rotate_multimodal(
    query: Float[Tensor, "tokens query_heads width"],
    key: Float[Tensor, "tokens key_heads width"],
    positions: Int[Tensor, "3 tokens"],
    inverse_frequencies: Float[Tensor, " half_width"],
    sections: tuple[int, int, int],
    *,
    interleaved: bool = False,
) -> tuple[Tensor, Tensor]:
    """Queries and keys rotated by their positions; angles and products in float32 or float64."""
    exact = inverse_frequencies.to(statistics_dtype(query))
    angles = multimodal_angles(positions, exact, sections, interleaved=interleaved)
    return rotate_by(query, key, angles)


def multimodal_angles(
    positions: Int[Tensor, "3 tokens"],
    inverse_frequencies: Float[Tensor, " half_width"],
    sections: tuple[int, int, int],
    *,
    interleaved: bool = False,
) -> tuple[Float[Tensor, "tokens 1 half_width"], Float[Tensor, "tokens 1 half_width"]]:
    """Cosine and sine of each token's angles, in the dtype of the frequencies.

    Frequency ``i`` of the ``width / 2`` takes the first axis for the first ``sections[0]`` of them,
    the second for the next ``sections[1]``, and the third for the rest. Interleaved, the three
    axes take turns, until the second and the third have had theirs and all that is left is the
    first's.
    """
    device = positions.device
    if interleaved:
        axis = torch.zeros(len(inverse_frequencies), dtype=torch.int64, device=device)
        for late in (1, 2):
            axis[late : 3 * sections[late] : 3] = late
    else:
        axis = torch.repeat_interleave(
            torch.arange(3, device=device), torch.tensor(sections, device=device)
        )
    angle = positions[axis].T.to(inverse_frequencies.dtype) * inverse_frequencies
    return angle.cos()[:, None], angle.sin()[:, None]


def rotate_by(
    query: Float[Tensor, "tokens query_heads width"],
    key: Float[Tensor, "tokens key_heads width"],
    angles: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """Queries and keys turned by ``multimodal_angles``; products in their dtype."""
    cos, sin = angles

    def rotate(states: Tensor) -> Tensor:
        first, second = states.to(cos.dtype).chunk(2, dim=-1)
        turned = [first * cos - second * sin, second * cos + first * sin]
        return torch.cat(turned, dim=-1).to(states.dtype)

    return rotate(query), rotate(key)
