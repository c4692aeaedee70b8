"""Trains the vision tower by itself, on rendered scenes and on pictures that tools have drawn."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genagent_building.eyes import (
    CellHead,
    cell_labels,
    cell_measures,
    is_close_call,
    vary_picture,
)
from genagent_building.midway import Midway
from genagent_building.training import VisionTraining
from genagent_miniworld.reading import components, read, reading_of
from genagent_miniworld.scene import PLACES, random_scene, render
from genagent_policy import Policy


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
