"""Training the vision tower by itself: what is in each cell, before a word is said about it.

A vision-language model starts from a vision encoder that has seen far more pictures than its
conversations hold. Here each picture token covers one cell of the grid, and a linear head that is
thrown away afterwards reads the cell's item off it: a step of 128 pictures takes 0.14 s on two
cores where one of 32 lessons takes 0.4 s and more, and each of the nine cells has a gradient.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES, random_scene, render
from genagent_policy import Policy

TRAITS = {"color": tuple(COLORS), "shape": SHAPES, "size": tuple(SIZES)}
NOT_THERE = -100
"""Label of a trait where there is no item; the loss passes over it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionTraining:
    """How the vision tower is trained."""

    steps: int = 1000
    learning_rate: float = 3e-3
    batch: int = 128
    """Pictures a step, half rendered and half drawn."""
    pictures: int = 12000
    """Different pictures drawn by the tool."""


class CellHead(torch.nn.Module):
    """Reads a cell off its picture token: item or not, blob or not, and the item's traits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.there = torch.nn.Linear(width, 2)
        self.traits = torch.nn.ModuleDict(
            {name: torch.nn.Linear(width, len(values)) for name, values in TRAITS.items()}
        )

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


def train_vision(
    policy: Policy,
    drawn: Sequence[Image.Image],
    config: VisionTraining,
    report: Callable[[int, float], None],
    *,
    seed: int,
) -> CellHead:
    """Train the vision tower on rendered scenes and on pictures the tool has drawn, half each."""
    rng = random.Random(f"vision-{seed}")
    torch.manual_seed(seed)
    head = CellHead(policy.text_config.hidden_size)
    tower = policy.model.model.visual
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=max(config.steps, 2), pct_start=0.1
    )
    patches, grids = policy.chat.encode_pictures(drawn)
    readings = [read(picture) for picture in drawn]
    half = config.batch // 2
    for step in range(config.steps):
        chosen = rng.sample(range(len(drawn)), config.batch - half)
        scenes = [random_scene(rng, rng.randint(2, 9)) for _ in range(half)]
        rendered, rendered_grids = policy.chat.encode_pictures(
            [render(scene, seed=rng.getrandbits(32)) for scene in scenes]
        )
        tokens = policy.picture_features(
            torch.cat([patches[i] for i in chosen] + rendered),
            torch.cat([grids[chosen], rendered_grids]),
        )
        labels = cell_labels(
            [readings[i] for i in chosen] + [Reading(items=scene) for scene in scenes]
        )
        loss = head.loss(tokens, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    return head


def pictures_read(policy: Policy, head: CellHead, pictures: Sequence[Image.Image]) -> list[bool]:
    """Which pictures are read without any error."""
    patches, grids = policy.chat.encode_pictures(pictures)
    with torch.no_grad():
        tokens = policy.picture_features(torch.cat(patches), grids)
    right = head.right(tokens, cell_labels([read(picture) for picture in pictures]))
    return right.view(-1, len(PLACES)).all(dim=-1).tolist()
