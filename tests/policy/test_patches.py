"""Levels of pictures: the image processor's own values, from an eighth of the memory."""

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_policy import ChatFormat, Policy, patches
from genagent_policy.model import PORTION
from genagent_policy.patches import PatchFormat, limit_size, portions

if TYPE_CHECKING:
    from transformers import Qwen2VLImageProcessor

STOCK = {"size": {"shortest_edge": 3136, "longest_edge": 12845056}}
"""As Qwen2.5-VL is published: 28x28 pixels a token, up to 16,384 tokens."""


def processor_of(settings: dict) -> "Qwen2VLImageProcessor":
    from transformers import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(**settings)


def noise(seed: int, width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def shades(side: int) -> Image.Image:
    """All levels of each channel, each beside others."""
    level = np.arange(side * side).reshape(side, side)
    return Image.fromarray(np.stack([level, level * 3 + 1, level * 7 + 2], -1).astype(np.uint8))


@pytest.mark.parametrize(
    "settings",
    [
        STOCK,
        {"patch_size": 8, "size": {"shortest_edge": 256, "longest_edge": 9216}},
        {"temporal_patch_size": 1},
        {"do_normalize": False},
        {"do_rescale": False, "do_normalize": False},
        {"image_mean": [0.1, 0.5, 0.9], "image_std": [0.7, 0.2, 0.3]},
    ],
    ids=["stock", "small", "one frame", "rescaled", "levels", "other means"],
)
def test_values_are_the_processors_to_the_bit(settings: dict):
    processor = processor_of(settings)
    format = PatchFormat(processor)
    pictures = [shades(56), noise(1, 84, 56), noise(2, 61, 97), shades(64).convert("L")]
    levels, grids = format.encode(pictures)
    expected = processor(images=[each.convert("RGB") for each in pictures], return_tensors="pt")
    whole = torch.cat(levels)
    assert whole.dtype == torch.uint8
    assert set(levels[0].view(-1, 3, format.dim // 3)[:, 0].unique().tolist()) == set(range(256))
    assert torch.equal(format.expand(whole), expected["pixel_values"].float())
    assert torch.equal(grids, expected["image_grid_thw"])
    half = format.expand(whole, torch.bfloat16)
    assert torch.equal(half, expected["pixel_values"].to(torch.bfloat16))


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(8, 120), st.integers(8, 120)), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_values_of_any_pictures(tiny_policy: Policy, sizes: list[tuple[int, int]], seed: int):
    pictures = [noise(seed + place, *size) for place, size in enumerate(sizes)]
    levels, _ = tiny_policy.chat.encode_pictures(pictures)
    found = tiny_policy.chat.expand_pictures(torch.cat(levels))
    expected = tiny_policy.processor.image_processor(images=pictures, return_tensors="pt")
    assert torch.equal(found, expected["pixel_values"])


def test_bytes_of_a_picture_of_1024x1024():
    format = PatchFormat(processor_of(STOCK))
    (levels,), grids = format.encode([noise(0, 1024, 1024)])
    assert grids.tolist() == [[1, 74, 74]]
    # The processor's values: 74 x 74 patches of 2 frames of 3 channels of 14 x 14, 4 bytes each.
    assert 8 * levels.untyped_storage().nbytes() == 74 * 74 * 2 * 3 * 14 * 14 * 4 == 25_759_104


def test_threads_make_the_same_of_many_large_pictures(monkeypatch: pytest.MonkeyPatch):
    pictures = [noise(seed, 200 + 60 * seed, 300) for seed in range(6)]
    format = PatchFormat(processor_of(STOCK))
    together, grids = format.encode(pictures)
    calls: list[int] = []
    single = format._levels
    monkeypatch.setattr(format, "_levels", lambda some: (calls.append(len(some)), single(some))[1])
    format.encode(pictures)
    monkeypatch.setattr(patches, "THREADED_PIXELS", 300 * 200)
    threaded, again = format.encode(pictures)
    assert calls == [6, 1, 1, 1, 1, 1, 1]
    assert torch.equal(again, grids)
    for one, other in zip(together, threaded, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("fault", ["rescale_and_normalize", "patchify"])
def test_another_kind_of_processor_is_refused(
    tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch, fault: str
):
    """Values that depend on their neighbours too, or pixels of more than 256 levels."""
    processor = processor_of(STOCK)
    right = getattr(processor, fault)

    def sharpened(images: torch.Tensor, *rest):
        values = right(images, *rest).float()
        return values + 0.1 * values.roll(1, dims=-1)

    def floats(images: torch.Tensor, **rest):
        return right(images.float(), **rest)

    monkeypatch.setattr(processor, fault, floats if fault == "patchify" else sharpened)
    tokenizer = tiny_policy.processor.tokenizer
    other = SimpleNamespace(tokenizer=tokenizer, image_processor=processor)
    with pytest.raises(ValueError, match="does not give each level of a channel one value"):
        ChatFormat(other)  # pyright: ignore[reportArgumentType]


@given(sizes=st.lists(st.integers(1, 60), max_size=30), most=st.integers(1, 100))
def test_portions_are_whole_pictures_in_order(sizes: list[int], most: int):
    grids = torch.tensor([[1, 2, size] for size in sizes], dtype=torch.int64).reshape(-1, 3)
    taken = portions(grids, max_patches=most)
    left = [2 * size for size in sizes]
    for pictures, count in taken:
        mine, left = left[:pictures], left[pictures:]
        assert sum(mine) == count
        assert count <= most or pictures == 1
        # The next one would not have fitted.
        assert not left or count + left[0] > most
    assert left == []


def test_portions_in_numbers():
    grids = torch.tensor([[1, 5, 10], [1, 6, 10], [1, 3, 10], [1, 20, 10]])
    assert portions(grids, max_patches=100) == [(1, 50), (2, 90), (1, 200)]


def test_the_miniatures_batches_are_one_portion():
    for pictures in (96, 256):
        grids = torch.tensor([[1, 6, 6]] * pictures)
        assert portions(grids, max_patches=PORTION) == [(pictures, 36 * pictures)]
    large = torch.tensor([[1, 74, 74]] * 4)
    assert portions(large, max_patches=PORTION) == [(3, 3 * 5476), (1, 5476)]


def test_a_limit_makes_large_pictures_smaller_and_leaves_the_others():
    processor = processor_of(STOCK)
    limit_size(processor, 512 * 512)
    format = PatchFormat(processor)
    _, grids = format.encode([noise(0, 1024, 1024), noise(1, 280, 140)])
    assert grids.tolist() == [[1, 36, 36], [1, 10, 20]]
    assert 36 * 14 * 36 * 14 <= 512 * 512


def test_a_limit_below_the_smallest_size_lowers_that_too():
    processor = processor_of(STOCK)
    limit_size(processor, 28 * 28)
    assert dict(processor.size) == {"shortest_edge": 784, "longest_edge": 784}
    assert PatchFormat(processor).encode([noise(0, 300, 300)])[1].tolist() == [[1, 2, 2]]
    with pytest.raises(ValueError, match="max_pixels is 783; a picture of one token has 784"):
        limit_size(processor, 783)
