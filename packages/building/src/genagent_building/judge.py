"""The miniature's MLLM judge: the policies' common start with better eyes, fine-tuned to give
verdicts in the words of ``genagent_rewards.prompts``.

It starts from ``reading``, which already holds pictures against conditions in the agent's
protocol; its vision tower is its own, is trained first on what all tools have drawn, and goes on
learning beside the words.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from tokenizers import AddedToken
from transformers import Qwen2_5_VLForConditionalGeneration

from genagent_building.eye_training import VisionUpdate, train_vision
from genagent_building.judge_cases import (
    Case,
    near_miss_case,
    near_miss_request,
    rendered_case,
    varied,
)
from genagent_building.judge_lessons import JudgeChat
from genagent_building.lessons import scene_to_judge, spoil
from genagent_building.midway import Midway
from genagent_building.policy import qwen_config
from genagent_building.training import JudgeTraining
from genagent_data import Request
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import sample_requests
from genagent_miniworld.reading import Reading
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


def build_judge(reading: Policy, *, seed: int) -> Policy:
    """``reading``'s language model with the judge's words added and fresh eyes of its own size."""
    processor = reading.processor
    processor.tokenizer.add_tokens([AddedToken(text, normalized=False) for text in FRAME])
    torch.manual_seed(seed)
    config = qwen_config(processor.tokenizer, vision_width=VISION_WIDTH, vision_depth=VISION_DEPTH)
    model = Qwen2_5_VLForConditionalGeneration(config)
    known = reading.model.state_dict()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if ".visual." not in name:
                weight[: len(known[name])].copy_(known[name])
    return Policy(model, processor)


def train_judge_vision(
    policy: Policy,
    drawn: Sequence[Case],
    config: JudgeTraining,
    report: Callable[[int, float], None],
    *,
    midway: Midway | None = None,
) -> None:
    """Train the eyes alone; ``midway`` is where that goes on."""
    pictures = _pictures(drawn)
    train_vision(policy, pictures, config.vision, report, seed=config.seed, midway=midway)


def _pictures(cases: Sequence[Case]) -> list[Image.Image]:
    return [picture for case in cases for picture in case.pictures]


def train_judge(
    policy: Policy,
    drawn: Sequence[Case],
    config: JudgeTraining,
    report: Callable[[int, SFTReport], None],
    *,
    midway: Midway | None = None,
) -> None:
    """Questions on drawn and rendered pictures, in both kinds and both orders, drills, and steps of
    the eyes by themselves; ``midway`` is where that goes on."""
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
    vision = replace(
        config.vision,
        steps=config.steps,
        learning_rate=config.eyes_rate,
        batch=config.vision.batch // 2,
    )
    eyes = VisionUpdate(policy, _pictures(drawn), vision, seed=config.seed)
    old = round(config.drawn * config.batch)
    weights = [config.blobs if any(r.unclear for r in case.readings) else 1.0 for case in drawn]
    taken, kept = midway.latest() if midway else (0, None)
    if kept is not None:
        policy.model.load_state_dict(Policy.load(kept / "policy").model.state_dict())
        rng.setstate(torch.load(kept / "chance.pt", weights_only=True))
        update.restore(kept)
        eyes.restore(kept / "eyes.pt")

    def write(folder: Path) -> None:
        update.save(folder)
        eyes.save(folder / "eyes.pt")
        torch.save(rng.getstate(), folder / "chance.pt")

    for step in range(taken, config.steps):
        # Near misses take requests that speak of places or sizes, about every other one.
        requests = iter(
            sample_requests(
                8 * (config.batch + config.drills),
                seed=1_000_003 * config.seed + step,
                split="train",
            )
        )
        cases = [
            varied(case, rng) if rng.random() < config.varied else case
            for case in rng.choices(drawn, weights, k=old)
        ]
        cases += [
            near_miss_case(requests, rng)
            if rng.random() < config.near_misses
            else rendered_case(next(requests), rng)
            for _ in range(config.batch - old)
        ]
        report(step, update.step([_question(chat, case, config.pairs, rng) for case in cases]))
        update.step([_drill(chat, requests, config.near_misses, rng) for _ in range(config.drills)])
        eyes.step()
        if midway:
            midway.keep(step + 1, write)


def _drill(
    chat: JudgeChat, requests: Iterator[Request], near_misses: float, rng: random.Random
) -> TokenTrajectory:
    if rng.random() < near_misses:
        request, scene = near_miss_request(requests, rng)
    else:
        request = next(requests)
        scene = scene_to_judge(parse_hints(request.hints), rng)
    scenes = [scene]
    if rng.random() < 0.5:
        scenes.append(spoil(scene, rng) if scene else scene)
    return chat.drill(request, [Reading(items=scene) for scene in scenes])


def _question(chat: JudgeChat, case: Case, pairs: float, rng: random.Random) -> TokenTrajectory:
    if rng.random() < pairs:
        return chat.pair(case, swapped=rng.random() < 0.5)
    return chat.point(case, rng.randrange(2))
