"""The miniature's MLLM judge: the policies' common start with better eyes, fine-tuned to give
verdicts in the words of ``genagent_rewards.prompts``.

It starts from ``reading``, which already holds pictures against conditions in the agent's
protocol; its vision tower is its own and is trained first, like the policies', on what all tools
have drawn.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken
from transformers import Qwen2_5_VLForConditionalGeneration

from genagent_data import Request
from genagent_miniworld.building.eyes import VisionTraining
from genagent_miniworld.building.judge_lessons import (
    Case,
    JudgeChat,
    near_miss_case,
    rendered_case,
    varied,
)
from genagent_miniworld.building.lessons import near_miss, scene_to_judge, spoil
from genagent_miniworld.building.policy import qwen_config
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import sample_requests
from genagent_miniworld.reading import Reading, read
from genagent_policy import Policy, SFTConfig, SFTReport, SFTUpdate, TokenTrajectory
from genagent_rewards import prompts

FRAME = (
    prompts.SYSTEM,
    prompts.POINT_QUESTION,
    prompts.PAIR_QUESTION,
    prompts.FIRST_PICTURE,
    prompts.SECOND_PICTURE,
    prompts.REQUEST,
    prompts.CHECKLIST,
    prompts.LINE,
    prompts.RULES,
    prompts.POINT_TASK,
    prompts.PAIR_TASK,
    *(f"<verdict>{choice}" for choice in (*prompts.POINT_CHOICES, *prompts.PAIR_CHOICES)),
    "</verdict>",
    "first:",
    " second:",
    " misses",
)
"""A token each: all of the questions' constant words, and what replies repeat."""
VISION_WIDTH, VISION_DEPTH = 128, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeTraining:
    """How the judge is trained."""

    cases: int = 6000
    """Requests with two pictures each, drawn by each tool."""
    vision: VisionTraining = field(default_factory=lambda: VisionTraining(steps=3000))
    steps: int = 2000
    learning_rate: float = 1.2e-3
    batch: int = 32
    """Questions a step."""
    drawn: float = 0.6
    """Share of questions about what the tools have drawn; the others are rendered."""
    varied: float = 0.6
    """Share of the drawn ones that are varied first."""
    blobs: float = 1.0
    """How much likelier a drawn case is taken that shows something unclear: whether it is an item
    is what eyes get wrong last."""
    near_misses: float = 0.6
    """Share of rendered questions and drills about conditions that are nearly met."""
    pairs: float = 0.5
    """Share of pairwise questions."""
    drills: int = 24
    """Replies in words alone in a step of their own, of which only conclusions are learnt."""
    seed: int = 0


def build_judge(reading: Policy, *, seed: int) -> Policy:
    """``reading``'s language model with the judge's words added and fresh eyes of its own size."""
    processor = reading.processor
    processor.tokenizer.add_tokens([AddedToken(text, normalized=False) for text in FRAME])
    torch.manual_seed(seed)
    config = qwen_config(processor, vision_width=VISION_WIDTH, vision_depth=VISION_DEPTH)
    model = Qwen2_5_VLForConditionalGeneration(config)
    known = reading.model.state_dict()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if ".visual." not in name:
                weight[: len(known[name])].copy_(known[name])
    return Policy(model, processor)


def save_cases(cases: Sequence[Case], path: Path) -> None:
    """Pictures of cases, [cases, 2, 48, 48, 3] bytes; their requests follow from the seed."""
    np.savez_compressed(
        path, pictures=np.stack([[np.asarray(p) for p in case.pictures] for case in cases])
    )


def load_cases(path: Path, *, seed: int) -> list[Case]:
    """What ``save_cases`` wrote of the train cases of ``seed``."""
    arrays = np.load(path)["pictures"]
    requests = sample_requests(len(arrays), seed=seed + 3000, split="train")
    cases = []
    for request, (first, second) in zip(requests, arrays, strict=True):
        pictures = Image.fromarray(first), Image.fromarray(second)
        readings = read(pictures[0]), read(pictures[1])
        cases.append(Case(request=request, pictures=pictures, readings=readings))
    return cases


def train_judge(
    policy: Policy,
    drawn: Sequence[Case],
    config: JudgeTraining,
    report: Callable[[int, SFTReport], None],
) -> None:
    """Questions on drawn and rendered pictures, in both kinds and both orders, and drills."""
    rng = random.Random(f"judge-{config.seed}")
    chat = JudgeChat(policy)
    update = SFTUpdate(
        policy,
        SFTConfig(
            learning_rate=config.learning_rate,
            batch_size=config.batch,
            final_fraction=0.02,
            weight_decay=0.01,
        ),
        total_steps=2 * config.steps,
    )
    old = round(config.drawn * config.batch)
    weights = [config.blobs if any(r.unclear for r in case.readings) else 1.0 for case in drawn]
    for step in range(config.steps):
        requests = iter(
            sample_requests(
                config.batch - old + config.drills,
                seed=1_000_003 * config.seed + step,
                split="train",
            )
        )
        cases = [
            varied(case, rng) if rng.random() < config.varied else case
            for case in rng.choices(drawn, weights, k=old)
        ]
        cases += [
            near_miss_case(rng)
            if rng.random() < config.near_misses
            else rendered_case(next(requests), rng)
            for _ in range(config.batch - old)
        ]
        report(step, update.step([_question(chat, case, config.pairs, rng) for case in cases]))
        update.step(
            [_drill(chat, next(requests), config.near_misses, rng) for _ in range(config.drills)]
        )


def _drill(
    chat: JudgeChat, request: Request, near_misses: float, rng: random.Random
) -> TokenTrajectory:
    spec = parse_hints(request.hints)
    if rng.random() < near_misses:
        spec, scene = near_miss(rng, sized=0.35, placed=0.5)
        request = Request(id="near-miss", prompt=spec.words(), hints=spec.hints())
    else:
        scene = scene_to_judge(spec, rng)
    scenes = [scene]
    if rng.random() < 0.5:
        scenes.append(spoil(scene, rng) if scene else scene)
    return chat.drill(request, [Reading(items=scene) for scene in scenes])


def _question(chat: JudgeChat, case: Case, pairs: float, rng: random.Random) -> TokenTrajectory:
    if rng.random() < pairs:
        return chat.pair(case, swapped=rng.random() < 0.5)
    return chat.point(case, rng.randrange(2))
