"""Training a tool: first its autoencoder, then the flow on captions mostly explicit.

What differs between kinds of pipeline is a ``Family``. Like FLUX itself a tool comes to obey a
caption that spells the scene out far better than a terse one, because it has seen few of the
latter.
"""

import math
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin

from genagent_building.training import ToolTraining
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import TASKS, sample_requests
from genagent_miniworld.scene import Scene, caption, random_scene, render_pixels
from genagent_miniworld.teacher import solve

Report = Callable[[int, float], None]
"""Called with the step and its loss."""
SHIFT = 3.0
"""How far times are moved towards noise, as in Sana's training and Qwen-Image-Lightning's."""
Vae = TypeVar("Vae", bound=ModelMixin)
Pipeline = TypeVar("Pipeline", bound=DiffusionPipeline)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family(Generic[Vae, Pipeline]):
    """A kind of pipeline: how to make its parts and what they learn from."""

    name: str
    vae_class: type[Vae]
    build_vae: Callable[[], Vae]
    reconstruct: Callable[[Vae, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    """Pictures [B, 3, 48, 48] decoded again, and a penalty on their latents."""
    scale: Callable[[Vae, torch.Tensor], None]
    """Note in the configuration how latents of these pictures come to unit variance."""
    latents: Callable[[Vae, torch.Tensor], torch.Tensor]
    """Pictures as the transformer sees them."""
    build_pipeline: Callable[[Vae], Pipeline]
    """The pipeline around an autoencoder, all else fresh."""
    learners: Callable[[Pipeline], tuple[torch.nn.Module, ...]]
    """The parts that the flow trains."""
    flow_loss: Callable[[Pipeline, torch.Tensor, list[str], torch.Generator], torch.Tensor]
    """Rectified-flow loss of latents and their captions; the generator drives times and noise."""
    stored: torch.dtype = torch.float32
    """What its finished weights are rounded to; they are computed with in float32 all the same."""


def late_times(count: int, noise: torch.Generator) -> torch.Tensor:
    """Times in (0, 1) for a flow, logit-normal (SD3, 2403.03206, section 3.1), then shifted.

    The caption matters only while the picture cannot be seen: unshifted, 8 % of times are above .8.
    """
    time = torch.sigmoid(torch.randn(count, generator=noise))
    return SHIFT * time / (1 + (SHIFT - 1) * time)


@dataclass(frozen=True, slots=True)
class _Example:
    scene: Scene
    prompt: str | None
    """The bare request it answers, if any."""


def _examples(config: ToolTraining, rng: random.Random) -> list[_Example]:
    """Answers to train requests (no riddles: the tool knows no lore), then unrelated items."""
    tasks = tuple(task for task in TASKS if task not in ("riddle", "counterfactual"))
    examples = [
        _Example(solve(parse_hints(request.hints), rng), request.prompt)
        for request in sample_requests(
            round(config.answers * config.scenes), seed=config.seed, split="train", tasks=tasks
        )
    ]
    weights = (2, 3, 4, 4, 4, 2)
    counts = rng.choices(range(1, 7), weights, k=config.scenes - len(examples))
    return examples + [_Example(random_scene(rng, n), None) for n in counts]


def _pictures(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """[N, 3, 48, 48] in [-1, 1]."""
    pixels = np.stack([render_pixels(scene, rng) for scene in scenes])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(family: Family[Vae, Pipeline], config: ToolTraining, report: Report) -> Vae:
    """Autoencoder by L1 and L2 and its penalty; its latents are scaled to unit variance."""
    torch.manual_seed(config.seed)
    rng = random.Random(config.seed)
    vae = family.build_vae()
    optimizer = torch.optim.AdamW(
        vae.parameters(), config.vae_learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    schedule = _schedule(optimizer, config.vae_steps)
    for step in range(config.vae_steps):
        # Crowded pictures: every item is a lesson on edges, the background is soon known.
        scenes = [random_scene(rng, rng.randint(3, 9)) for _ in range(config.vae_batch)]
        pictures = _pictures(scenes, rng)
        decoded, penalty = family.reconstruct(vae, pictures)
        error = decoded - pictures
        loss = error.abs().mean() + error.square().mean() + penalty
        _descend(loss, optimizer, schedule, vae.parameters())
        report(step, loss.item())
    with torch.no_grad():
        scenes = [random_scene(rng, rng.randint(1, 7)) for _ in range(256)]
        family.scale(vae, _pictures(scenes, rng))
    return vae.eval().requires_grad_(False)


def train_flow(
    family: Family[Vae, Pipeline],
    vae: Vae,
    config: ToolTraining,
    report: Report,
    *,
    checkpoint: Path | None = None,
) -> Pipeline:
    """Transformer and text encoders together, with a running average of their weights.

    Args:
        checkpoint: folder that holds a usable pipeline from the thousandth step on.
    """
    torch.manual_seed(config.seed + 1)
    rng = random.Random(config.seed + 1)
    noise = torch.Generator().manual_seed(config.seed + 1)
    pipeline = family.build_pipeline(vae)
    parameters = [p for module in family.learners(pipeline) for p in module.parameters()]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, config.flow_learning_rate, weight_decay=0.01)
    schedule = _schedule(optimizer, config.flow_steps)
    examples = _examples(config, rng)
    scenes = [example.scene for example in examples]
    with torch.no_grad():
        parts = (scenes[start : start + 512] for start in range(0, len(scenes), 512))
        latents = torch.cat([family.latents(vae, _pictures(part, rng)) for part in parts])
    for step in range(config.flow_steps):
        chosen = rng.sample(range(len(examples)), config.batch)
        captions = [_caption(examples[i], rng, config) for i in chosen]
        loss = family.flow_loss(pipeline, latents[chosen], captions, noise)
        _descend(loss, optimizer, schedule, parameters)
        decay = min(config.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
        report(step, loss.item())
        if checkpoint and step % 1000 == 999:
            _swap(parameters, average)
            _replace(checkpoint, pipeline)
            _swap(parameters, average)
    _swap(parameters, average)
    return pipeline


def _replace(folder: Path, pipeline: DiffusionPipeline) -> None:
    """Save so that a reader of the folder finds a whole pipeline, old or new."""
    fresh = folder.with_name(f"{folder.name}.partial")
    pipeline.save_pretrained(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _caption(example: _Example, rng: random.Random, config: ToolTraining) -> str:
    if config.dropped and rng.random() < config.dropped:
        return " "
    if rng.random() < config.terse:
        return example.prompt or ", ".join(f"a {item.color} {item.shape}" for item in example.scene)
    scene = list(example.scene)
    if rng.random() < 0.3:
        rng.shuffle(scene)
    return caption(scene, sizes=rng.random() < 0.5)


def _schedule(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Warm-up over 2 %, then cosine to 2 %."""
    warm = max(1, steps // 50)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.02 + 0.49 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _descend(loss, optimizer, schedule, parameters) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()


@torch.no_grad()
def _swap(parameters: list[torch.nn.Parameter], others: list[torch.Tensor]) -> None:
    for parameter, other in zip(parameters, others, strict=True):
        kept = parameter.clone()
        parameter.copy_(other)
        other.copy_(kept)
