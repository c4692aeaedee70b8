"""Training the vision tower by itself: what is in each cell, before a word is said about it.

A vision-language model starts from a vision encoder that has seen far more pictures than its
conversations hold. Here each picture token covers one cell of the grid, and a linear head that is
thrown away afterwards reads the cell's item off it: a step of 128 pictures takes 0.14 s on two
cores where one of 32 lessons takes 0.4 s and more, and each of the nine cells has a gradient.

The head can also learn the measures by which the verifier decides, which say how far from the line
between an item and a blob a thing is where a label says on which side.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from genagent_miniworld.reading import (
    COLOR_LIMIT,
    FIT,
    SMALL_LIMIT,
    Component,
    Reading,
)
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES

TRAITS = {"color": tuple(COLORS), "shape": SHAPES, "size": tuple(SIZES)}
NOT_THERE = -100
"""Label of a trait where there is no item; the loss passes over it."""
MEASURES = (*SHAPES, "color distance", "strays", "half width")
MEASURE_SCALE = 0.05
"""Error of a measure from which its loss is linear; right fits and wrong ones are .1 apart."""


class CellHead(torch.nn.Module):
    """Reads a cell off its picture token: item or not, blob or not, and the item's traits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.there = torch.nn.Linear(width, 2)
        self.traits = torch.nn.ModuleDict(
            {name: torch.nn.Linear(width, len(values)) for name, values in TRAITS.items()}
        )
        self.measures = torch.nn.Linear(width, len(MEASURES))

    def measures_loss(
        self, tokens: Float[Tensor, "cells width"], truth: Float[Tensor, "cells measures"]
    ) -> Tensor:
        """Mean error of the measures of cells that show something; the others are NaN."""
        there = ~truth.isnan().any(dim=-1)
        measured = self.measures(tokens[there])
        return smooth_l1_loss(measured, truth[there], beta=MEASURE_SCALE) / MEASURE_SCALE

    def loss(
        self, tokens: Float[Tensor, "cells width"], labels: dict[str, Int64[Tensor, " cells"]]
    ) -> Tensor:
        """Sum of the mean losses of presence and of each trait, nats."""
        there = torch.stack([labels["item"], labels["blob"]], dim=-1).to(tokens.dtype)
        loss = binary_cross_entropy_with_logits(self.there(tokens), there)
        for name, head in self.traits.items():
            loss = loss + cross_entropy(head(tokens), labels[name], ignore_index=NOT_THERE)
        return loss

    @torch.no_grad()
    def right(
        self, tokens: Float[Tensor, "cells width"], labels: dict[str, Int64[Tensor, " cells"]]
    ) -> Tensor:
        """Whether each cell is read without error, bool [cells]."""
        item, blob = (self.there(tokens) > 0).long().unbind(-1)
        right = (item == labels["item"]) & (blob == labels["blob"])
        for name, head in self.traits.items():
            label = labels[name]
            right &= (label == NOT_THERE) | (head(tokens).argmax(dim=-1) == label)
        return right


def cell_labels(readings: Sequence[Reading]) -> dict[str, Int64[Tensor, " cells"]]:
    """What the head is to read in each cell, picture by picture in reading order."""
    cells = len(readings) * len(PLACES)
    labels = {name: torch.full((cells,), NOT_THERE) for name in TRAITS}
    labels |= {name: torch.zeros(cells, dtype=torch.long) for name in ("item", "blob")}
    for number, reading in enumerate(readings):
        first = number * len(PLACES)
        for place in reading.unclear:
            labels["blob"][first + place] = 1
        for item in reading.items:
            labels["item"][first + item.place] = 1
            for name, values in TRAITS.items():
                labels[name][first + item.place] = values.index(getattr(item, name))
    return labels


def cell_measures(pictures: Sequence[Sequence[Component]]) -> Float[Tensor, "cells measures"]:
    """The largest thing's measures in each cell, NaN where there is nothing: its fit with each
    shape, its distance from a colour and its strays, its size over a large one's."""
    measures = torch.full((len(pictures) * len(PLACES), len(MEASURES)), torch.nan)
    for number, things in enumerate(pictures):
        for thing in sorted(things, key=lambda thing: thing.area):
            measures[number * len(PLACES) + thing.place] = torch.tensor(
                [
                    *(thing.fits[shape] for shape in SHAPES),
                    min(thing.color_distance / COLOR_LIMIT, 2.0),
                    thing.strays,
                    thing.half / SIZES["large"],
                ]
            )
    return measures


def is_close_call(thing: Component) -> bool:
    """Whether a few pixels more or less of it would be read as something else."""
    best, second = sorted(thing.fits.values(), reverse=True)[:2]
    return (
        best - second < 0.05
        or best - FIT < 0.05
        or abs(thing.color_distance - COLOR_LIMIT) < 15
        or abs(thing.half - SMALL_LIMIT) < 0.4
    )


def vary_picture(picture: Image.Image, rng: random.Random) -> Image.Image:
    """The picture mirrored, shifted, in another light and grainier.

    A tool's pictures are few and eyes learn them by heart; what the verifier reads in a varied one
    is true of it.
    """
    pixels = np.asarray(picture, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    shift = rng.randint(-1, 1), rng.randint(-1, 1)
    pixels = np.roll(pixels, shift, axis=(0, 1))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(0, 5), pixels.shape)
    pixels = (pixels - 128) * rng.uniform(0.93, 1.07) + 128 + rng.uniform(-6, 6) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
