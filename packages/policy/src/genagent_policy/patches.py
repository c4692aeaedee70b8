"""Pictures as patches of levels: what a trajectory keeps, and what the vision tower takes.

The image processor resizes a picture in uint8, gives each of a channel's 256 levels its normalized
value, and repeats the frame ``temporal_patch_size`` times. Only the levels of one frame are kept,
3.1 MiB of a picture of 1024x1024 instead of 24.6, and the processor's very float32 values are
looked up where a pass needs them.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64, UInt8
from PIL import Image
from torch import Tensor

from genagent_policy.tokens import no_pictures

if TYPE_CHECKING:
    from transformers import Qwen2VLImageProcessor

CHANNELS = 3
LEVELS = 256

THREADED_PIXELS = 4 * 1024**2
"""From here on pictures are processed in threads. Fewer take a tenth of a second in one call, and
256 pictures of the miniature have 0.6 million."""

MAX_THREADS = 16
"""A thread holds 20 MB of a picture of 1024x1024 while it works."""


class PatchFormat:
    """Patches as the checkpoint's image processor makes them."""

    def __init__(self, image_processor: "Qwen2VLImageProcessor") -> None:
        """
        Raises:
            ValueError: what the processor makes of a pixel does not follow from its level alone.
        """
        self._image_processor = image_processor
        self._frames: int = image_processor.temporal_patch_size
        self.merge_size: int = image_processor.merge_size
        self.dim: int = CHANNELS * image_processor.patch_size**2
        self._values = torch.zeros(CHANNELS * LEVELS)
        self._read_values()

    def encode(
        self, pictures: Sequence[Image.Image]
    ) -> tuple[list[UInt8[Tensor, "patches dim"]], Int64[Tensor, "pictures 3"]]:
        """Levels of each picture's patches, channel by channel, and all grids."""
        if not pictures:
            return [], no_pictures(self.dim)[1]
        if sum(picture.width * picture.height for picture in pictures) < THREADED_PIXELS:
            levels, grids = self._levels(pictures)
            return list(levels.split(grids.prod(dim=-1).tolist())), grids
        with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as threads:
            parts = list(threads.map(lambda picture: self._levels([picture]), pictures))
        return [levels for levels, _ in parts], torch.cat([grid for _, grid in parts])

    def expand(
        self, patches: UInt8[Tensor, "patches dim"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "patches values"]:
        """The processor's own ``pixel_values``, rounded to ``dtype``, on the patches' device."""
        values = self._values.to(patches.device, dtype)
        frame = values.index_select(0, self._places(patches)).view(len(patches), CHANNELS, 1, -1)
        return frame.expand(-1, -1, self._frames, -1).reshape(len(patches), -1)

    def _levels(
        self, pictures: Sequence[Image.Image]
    ) -> tuple[UInt8[Tensor, "patches dim"], Int64[Tensor, "pictures 3"]]:
        frames, grids = self._process(pictures, do_rescale=False, do_normalize=False)
        return frames[:, :, 0].reshape(len(frames), -1), grids

    def _process(
        self, pictures: Sequence[Image.Image], **settings: Any
    ) -> tuple[Tensor, Int64[Tensor, "pictures 3"]]:
        """Patches as ``[patches, channels, frames, pixels]``, and grids."""
        encoded = self._image_processor(
            images=[picture.convert("RGB") for picture in pictures], return_tensors="pt", **settings
        )
        frames = encoded["pixel_values"].unflatten(1, (CHANNELS, self._frames, -1))
        return frames, encoded["image_grid_thw"]

    def _read_values(self) -> None:
        """Values of all levels, channel by channel, off a picture that shows each of them."""
        cell = self._image_processor.patch_size * self.merge_size
        side = cell * -(-int(LEVELS**0.5) // cell)
        shades = (np.arange(side * side) % LEVELS).astype(np.uint8).reshape(side, side)
        picture = [Image.fromarray(shades)]
        levels, _ = self._process(picture, do_resize=False, do_rescale=False, do_normalize=False)
        if levels.dtype == torch.uint8:
            values = self._process(picture, do_resize=False)[0].float()
            patches = levels[:, :, 0].flatten(1)
            self._values[self._places(patches)] = values[:, :, 0].flatten()
            if torch.equal(self.expand(patches), values.flatten(1)):
                return
        raise ValueError(
            "the image processor does not give each level of a channel one value, the same in "
            "every frame; use that of a Qwen2.5-VL or Qwen3-VL checkpoint (Qwen2VLImageProcessor)"
        )

    def _places(self, patches: UInt8[Tensor, "patches dim"]) -> Int32[Tensor, " pixels"]:
        """Where the values of the patches' levels stand."""
        channels = torch.arange(CHANNELS, dtype=torch.int32, device=patches.device)
        return (patches.view(len(patches), CHANNELS, -1) + LEVELS * channels[:, None]).flatten()


def portions(grids: Int64[Tensor, "pictures 3"], *, max_patches: int) -> list[tuple[int, int]]:
    """How many pictures and patches to take at a time: whole pictures of up to ``max_patches``.

    Example: pictures of 50, 60, 30 and 200 patches at most 100 at a time are ``[(1, 50), (2, 90),
    (1, 200)]``; one that is larger goes alone.
    """
    taken: list[tuple[int, int]] = []
    for patches in grids.prod(dim=-1).tolist():
        pictures, before = taken[-1] if taken else (0, max_patches)
        if before + patches > max_patches:
            taken.append((1, patches))
        else:
            taken[-1] = (pictures + 1, before + patches)
    return taken


def limit_size(image_processor: "Qwen2VLImageProcessor", max_pixels: int) -> None:
    """Pictures of more than ``max_pixels`` are made smaller from now on.

    Raises:
        ValueError: a picture of one token is larger.
    """
    token = (image_processor.patch_size * image_processor.merge_size) ** 2
    if max_pixels < token:
        raise ValueError(
            f"max_pixels is {max_pixels}; a picture of one token has {token}, give that or more"
        )
    smallest = min(image_processor.size["shortest_edge"], max_pixels)
    image_processor.size = {"shortest_edge": smallest, "longest_edge": max_pixels}
