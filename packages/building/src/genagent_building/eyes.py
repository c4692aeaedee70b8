"""Training the vision tower by itself: what is in each cell, before a word is said about it.

A vision-language model starts from a vision encoder that has seen far more pictures than its
conversations hold. Here each picture token covers one cell of the grid, and a linear head that is
thrown away afterwards reads the cell's item off it: a step of 128 pictures takes 0.14 s on two
cores where one of 32 lessons takes 0.4 s and more, and each of the nine cells has a gradient.

The head can also learn the measures by which the verifier decides, which say how far from the line
between an item and a blob a thing is where a label says on which side.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from genagent_building.midway import Midway
from genagent_building.training import VisionTraining
from genagent_miniworld.reading import (
    COLOR_LIMIT,
    FIT,
    SMALL_LIMIT,
    Component,
    Reading,
    components,
    read,
    reading_of,
)
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES, random_scene, render
from genagent_policy import Policy

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


class VisionUpdate:
    """Owns the head, the optimizer and the pictures; each ``step`` takes some of them."""

    def __init__(
        self, policy: Policy, drawn: Sequence[Image.Image], config: VisionTraining, *, seed: int
    ) -> None:
        self._policy, self._drawn, self._config = policy, drawn, config
        self._rng = random.Random(f"vision-{seed}")
        torch.manual_seed(seed)
        self.head = CellHead(policy.text_config.hidden_size)
        self._parameters = [*policy.model.model.visual.parameters(), *self.head.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, config.learning_rate, weight_decay=0.01
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, config.learning_rate, total_steps=max(config.steps, 2), pct_start=0.1
        )
        weights = [
            config.close_calls if any(map(is_close_call, components(picture))) else 1.0
            for picture in drawn
        ]
        self._until = np.cumsum(weights).tolist()

    def step(self) -> float:
        """Learn from a batch; its loss, nats."""
        pictures = self._pictures()
        patches, grids = self._policy.chat.encode_pictures(pictures)
        tokens = self._policy.picture_features(torch.cat(patches), grids)[:, 0]
        seen = [components(picture) for picture in pictures]
        loss = self.head.loss(tokens, cell_labels([reading_of(things) for things in seen]))
        if self._config.measures:
            loss = loss + self._config.measures * self.head.measures_loss(
                tokens, cell_measures(seen)
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        return loss.item()

    def save(self, path: Path) -> None:
        """Write all that going on needs, the tower among it. Raises OSError where it cannot be."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        try:
            torch.save(state | {"chance": self._rng.getstate()}, path)
        except RuntimeError as error:  # torch's writer
            raise OSError(f"cannot write {path} ({error})") from error

    def restore(self, path: Path) -> None:
        """Put everything where it was when ``save`` wrote ``path``."""
        state = torch.load(path, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._rng.setstate(state["chance"])

    def _parts(self) -> dict[str, Any]:
        return {
            "tower": self._policy.model.model.visual,
            "head": self.head,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
        }

    def _pictures(self) -> list[Image.Image]:
        rng, config = self._rng, self._config
        rendered = round(config.rendered * config.batch)
        drawn = rng.choices(self._drawn, cum_weights=self._until, k=config.batch - rendered)
        scenes = [random_scene(rng, rng.randint(2, 9)) for _ in range(rendered)]
        return [
            *(vary_picture(p, rng) if rng.random() < config.varied else p for p in drawn),
            *(render(scene, seed=rng.getrandbits(32)) for scene in scenes),
        ]


def train_vision(
    policy: Policy,
    drawn: Sequence[Image.Image],
    config: VisionTraining,
    report: Callable[[int, float], None],
    *,
    seed: int,
    midway: Midway | None = None,
) -> CellHead:
    """Train the vision tower on rendered scenes and on pictures that tools have drawn.

    Args:
        midway: where it goes on; None: it begins, and is not kept before its end.
    """
    update = VisionUpdate(policy, drawn, config, seed=seed)
    taken, kept = midway.latest() if midway else (0, None)
    if kept is not None:
        update.restore(kept / "eyes.pt")
    for step in range(taken, config.steps):
        report(step, update.step())
        if midway:
            midway.keep(step + 1, lambda folder: update.save(folder / "eyes.pt"))
    return update.head


def pictures_read(policy: Policy, head: CellHead, pictures: Sequence[Image.Image]) -> list[bool]:
    """Which pictures are read without any error."""
    patches, grids = policy.chat.encode_pictures(pictures)
    with torch.no_grad():
        tokens = policy.picture_features(torch.cat(patches), grids)[:, 0]
    right = head.right(tokens, cell_labels([read(picture) for picture in pictures]))
    return right.view(-1, len(PLACES)).all(dim=-1).tolist()
