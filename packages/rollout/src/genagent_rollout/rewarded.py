"""Attempts at requests, and what they earn: the first half of a step."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from genagent_data import PictureStore, Request, derive_seed
from genagent_policy import ALONE, Ranks, RewardScale
from genagent_rollout.agents import RolloutBatch
from genagent_rollout.anchors import draw_anchors
from genagent_rollout.config import GroupConfig
from genagent_rollout.conversation import Engine
from genagent_rollout.dynamic_sampling import DynamicSample, sample_dynamically
from genagent_rollout.groups import KeptAttempts, RewardedGroups, Score, sample_groups
from genagent_rollout.judging import judging_threads
from genagent_tools import AsyncImageTool, ImageTool
from genagent_worlds import World


def sample_step(
    engine: Engine,
    world: World,
    config: GroupConfig,
    score: Score,
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
    anchored: bool = False,
    scale: RewardScale = "group",
    ranks: Ranks = ALONE,
) -> DynamicSample:
    """What a step learns from: attempts at its requests with their rewards, some of them replaced
    where ``config.dynamic_sampling`` says so.

    Args:
        seed: of the run; requests, attempts and coins follow from it and ``step``.
        anchored: first pictures must beat the tool's own, see ``draw_anchors``.
        scale: of the advantages that readers are shown.

    Raises:
        ToolError: the tool drew nothing at all, for several requests.
        RuntimeError: no verdict at all could be had, about several requests.
        OSError: a picture cannot be stored.
    """

    def draw(number: int, again: int) -> tuple[RolloutBatch, KeptAttempts]:
        own = derive_seed(seed, "again", again) if again else seed
        return _sample_rewarded(
            engine,
            world.tool,
            world.train.sample(number, seed=own, step=step),
            config,
            score,
            seed=own,
            step=step,
            pictures=pictures,
            anchored=anchored,
            at_once=world.judges.at_once,
            scale=scale,
            ranks=ranks,
        )

    return sample_dynamically(draw, config)


def _sample_rewarded(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    config: GroupConfig,
    score: Score,
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
    anchored: bool = False,
    at_once: bool = False,
    scale: RewardScale = "group",
    ranks: Ranks = ALONE,
) -> tuple[RolloutBatch, KeptAttempts]:
    """G' attempts at each request, and the G of them that are kept, with their rewards."""
    anchors, drawing = None, None
    if anchored:
        started = time.perf_counter()
        anchors = ranks.first(
            lambda: draw_anchors(
                tool,
                requests,
                seed=seed,
                step=step,
                pictures=pictures,
                batch=config.draw_batch,
            )
        )
        drawing = time.perf_counter() - started
    with judging_threads() if at_once else nullcontext() as threads:
        attempts = RewardedGroups(
            score, config, seed=seed, step=step, threads=threads, scale=scale, anchors=anchors
        )
        batch = sample_groups(
            engine,
            tool,
            requests,
            config,
            seed=seed,
            step=step,
            pictures=pictures,
            ended=attempts.ended,
            ranks=ranks,
        )
        started = time.perf_counter()
        kept = attempts.kept(ranks, batch)
    spent = replace(batch.timings, reward=time.perf_counter() - started, anchors=drawing)
    return replace(batch, timings=spent), kept
