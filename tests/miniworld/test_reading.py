"""The verifier's eyes: a rendered scene is read back exactly, and what is no item stays unclear."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from genagent_miniworld import Item, random_scene, read, render, weights
from genagent_miniworld.scene import BACKGROUND, COLORS, PLACES, SHAPES, SIZES, _sprite

kinds = st.tuples(
    st.sampled_from(sorted(COLORS)), st.sampled_from(SHAPES), st.sampled_from(sorted(SIZES))
)
scenes = st.dictionaries(st.integers(0, 8), kinds, max_size=9).map(
    lambda cells: tuple(
        Item(place=place, color=color, shape=shape, size=size)
        for place, (color, shape, size) in sorted(cells.items())
    )
)


def blank() -> Image.Image:
    return Image.new("RGB", (48, 48), BACKGROUND)


@given(scene=scenes, seed=st.integers(0, 2**32))
def test_a_rendered_scene_is_read_back_exactly(scene, seed):
    reading = read(render(scene, seed=seed))
    assert reading.items == scene
    assert reading.unclear == ()


@given(scene=scenes, seed=st.integers(0, 2**32), noise=st.integers(0, 2**32))
def test_faint_noise_does_not_change_the_reading(scene, seed, noise):
    pixels = np.asarray(render(scene, seed=seed), np.int16)
    shift = np.random.default_rng(noise).integers(-8, 9, pixels.shape)
    noisy = Image.fromarray((pixels + shift).clip(0, 255).astype(np.uint8))
    assert read(noisy).items == scene


def off_the_grid(scene: tuple[Item, ...], rng: random.Random) -> Image.Image:
    """The scene with each item moved by a fraction of a pixel."""
    pixels = np.full((48, 48, 3), BACKGROUND, np.float32)
    for item in scene:
        dx, dy = rng.uniform(-1, 1), rng.uniform(-1, 1)
        cover = _sprite.__wrapped__(item.shape, SIZES[item.size], dx, dy)[..., None]
        cell = pixels[16 * item.row : 16 * item.row + 16, 16 * item.column : 16 * item.column + 16]
        cell += cover * (np.asarray(COLORS[item.color], np.float32) - cell)
    return Image.fromarray(pixels.round().astype(np.uint8))


@given(scene=scenes, seed=st.integers(0, 2**32))
def test_a_scene_off_the_pixel_grid_is_read_back_exactly(scene, seed):
    reading = read(off_the_grid(scene, random.Random(seed)))
    assert reading.items == scene
    assert reading.unclear == ()


def test_what_the_autoencoder_makes_of_a_scene_off_the_grid_is_read_back_exactly():
    # Tools draw between pixels, and their decoders soften edges; 9 % of small triangles of such
    # pictures were blobs to a verifier that took outlines in boxes of inked pixels.
    rng = random.Random(0)
    drawn = [random_scene(rng, 6) for _ in range(100)]
    pixels = np.stack([np.asarray(off_the_grid(scene, rng)) for scene in drawn])
    vae = AutoencoderKL.from_pretrained(weights("flux-mini") / "vae", low_cpu_mem_usage=False)
    with torch.no_grad():
        scaled = torch.from_numpy(pixels).movedim(3, 1) / 127.5 - 1
        latents: Any = vae.encode(scaled, return_dict=False)[0].mode()
        decoded = vae.decode(latents, return_dict=False)[0]
    out = ((decoded.movedim(1, 3).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    readings = [read(Image.fromarray(picture)) for picture in out]
    assert [reading.items for reading in readings] == drawn


@pytest.mark.parametrize("color", sorted(COLORS))
@pytest.mark.parametrize("blur", [0.3, 0.5])
def test_a_soft_edge_makes_no_square_of_a_circle_and_no_blob_of_a_triangle(color, blur):
    rng = random.Random(1)
    for _ in range(20):
        scene = tuple(
            Item(place=place, color=color, shape=rng.choice(SHAPES), size="small")
            for place in range(9)
        )
        soft = off_the_grid(scene, rng).filter(ImageFilter.GaussianBlur(blur))
        assert read(soft).items == scene


def test_an_item_of_two_colors_is_unclear():
    picture = blank()
    draw = ImageDraw.Draw(picture)
    draw.rectangle((18, 18, 23, 29), fill=COLORS["red"])
    draw.rectangle((24, 18, 29, 29), fill=COLORS["blue"])
    reading = read(picture)
    assert reading.items == ()
    assert [PLACES[place] for place in reading.unclear] == ["center"]


def test_a_second_thing_in_a_cell_is_unclear():
    picture = blank()
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 7, 7), fill=COLORS["red"])
    draw.rectangle((9, 9, 15, 15), fill=COLORS["red"])
    reading = read(picture)
    assert [item.place for item in reading.items] == [0]
    assert reading.unclear == (0,)


def test_a_cross_is_no_shape():
    picture = blank()
    draw = ImageDraw.Draw(picture)
    draw.rectangle((18, 22, 29, 25), fill=COLORS["green"])
    draw.rectangle((22, 18, 25, 29), fill=COLORS["green"])
    assert read(picture).items == ()
    assert read(picture).unclear == (4,)


def test_gray_is_no_color():
    picture = blank()
    ImageDraw.Draw(picture).rectangle((18, 18, 29, 29), fill=(120, 120, 120))
    assert read(picture).unclear == (4,)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="48x48"):
        read(Image.new("RGB", (64, 64)))


def test_two_items_in_one_place_are_refused():
    item = Item(place=1, color="red", shape="circle", size="small")
    with pytest.raises(ValueError, match="share a place"):
        render((item, item))
