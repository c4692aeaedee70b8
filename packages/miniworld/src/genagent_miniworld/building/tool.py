"""Training flux-mini: first its autoencoder, then the flow on captions mostly explicit.

Like FLUX itself it comes to obey a caption that spells the scene out far better than a terse one,
because it has seen few of the latter.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (diffusers annotates its models' constructors and outputs too narrowly.)

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline

from genagent_miniworld.building.flux import build_pipeline, build_vae, flow_loss, pack
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import TASKS, sample_requests
from genagent_miniworld.scene import Scene, caption, random_scene, render_pixels
from genagent_miniworld.teacher import solve

Report = Callable[[int, float], None]
"""Called with the step and its loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolTraining:
    """How flux-mini is trained."""

    vae_steps: int = 2200
    vae_learning_rate: float = 4e-3
    vae_batch: int = 16
    flow_steps: int = 7000
    flow_learning_rate: float = 2e-3
    batch: int = 64
    scenes: int = 16000
    """Different pictures it sees."""
    terse: float = 0.12
    """Share of captions that are bare requests."""
    average: float = 0.999
    """Decay of the weight average that ships."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Example:
    scene: Scene
    prompt: str | None
    """The bare request it answers, if any."""


def _examples(count: int, rng: random.Random, seed: int) -> list[_Example]:
    """Half answers to train requests (no riddles: the tool knows no lore), half unrelated items."""
    tasks = tuple(task for task in TASKS if task not in ("riddle", "counterfactual"))
    examples = [
        _Example(solve(parse_hints(request.hints), rng), request.prompt)
        for request in sample_requests(count // 2, seed=seed, split="train", tasks=tasks)
    ]
    weights = (2, 3, 4, 4, 4, 2)
    counts = rng.choices(range(1, 7), weights, k=count - len(examples))
    return examples + [_Example(random_scene(rng, n), None) for n in counts]


def _pictures(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """[N, 3, 48, 48] in [-1, 1]."""
    pixels = np.stack([render_pixels(scene, rng) for scene in scenes])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(config: ToolTraining, report: Report) -> AutoencoderKL:
    """Autoencoder by L1 and L2 with a faint KL; its latents are scaled to unit variance."""
    torch.manual_seed(config.seed)
    rng = random.Random(config.seed)
    vae = build_vae()
    optimizer = torch.optim.AdamW(
        vae.parameters(), config.vae_learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    schedule = _schedule(optimizer, config.vae_steps)
    for step in range(config.vae_steps):
        # Crowded pictures: every item is a lesson on edges, the background is soon known.
        scenes = [random_scene(rng, rng.randint(3, 9)) for _ in range(config.vae_batch)]
        pictures = _pictures(scenes, rng)
        posterior = vae.encode(pictures).latent_dist
        error = vae.decode(posterior.sample()).sample - pictures
        loss = error.abs().mean() + error.square().mean() + 1e-6 * posterior.kl().mean()
        _descend(loss, optimizer, schedule, vae.parameters())
        report(step, loss.item())
    with torch.no_grad():
        scenes = [random_scene(rng, rng.randint(1, 7)) for _ in range(256)]
        latents = vae.encode(_pictures(scenes, rng)).latent_dist.mean
    vae.register_to_config(
        shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item()
    )
    return vae.eval().requires_grad_(False)


def train_flow(
    vae: AutoencoderKL, config: ToolTraining, report: Report, *, checkpoint: Path | None = None
) -> FluxPipeline:
    """Transformer and both text encoders together, with a running average of their weights."""
    torch.manual_seed(config.seed + 1)
    rng = random.Random(config.seed + 1)
    noise = torch.Generator().manual_seed(config.seed + 1)
    pipeline = build_pipeline(vae)
    modules = (pipeline.transformer, pipeline.text_encoder, pipeline.text_encoder_2)
    parameters = [p for module in modules for p in module.parameters()]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, config.flow_learning_rate, weight_decay=0.01)
    schedule = _schedule(optimizer, config.flow_steps)
    examples = _examples(config.scenes, rng, config.seed)
    latents = _latents(vae, _pictures([example.scene for example in examples], rng))
    for step in range(config.flow_steps):
        chosen = rng.sample(range(len(examples)), config.batch)
        captions = [_caption(examples[i], rng, config.terse) for i in chosen]
        loss = flow_loss(pipeline, latents[chosen], captions, noise)
        _descend(loss, optimizer, schedule, parameters)
        decay = min(config.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
        report(step, loss.item())
        if checkpoint and step % 1000 == 999:
            _swap(parameters, average)
            pipeline.save_pretrained(checkpoint)
            _swap(parameters, average)
    _swap(parameters, average)
    return pipeline


@torch.no_grad()
def _latents(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Packed latents as the transformer sees them, [N, 9, 64]."""
    means = torch.cat([vae.encode(part).latent_dist.mean for part in pictures.split(512)])
    return pack((means - vae.config.shift_factor) * vae.config.scaling_factor)


def _caption(example: _Example, rng: random.Random, terse: float) -> str:
    if rng.random() < terse:
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
