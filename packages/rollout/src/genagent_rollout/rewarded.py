"""Attempts at requests, and what they earn: the first half of a step."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from genagent_data import PictureStore, Request
from genagent_policy import ALONE, Ranks, RewardScale
from genagent_rollout.agents import RolloutBatch
from genagent_rollout.anchors import draw_anchors
from genagent_rollout.config import GroupConfig
from genagent_rollout.conversation import Engine
from genagent_rollout.groups import KeptAttempts, RewardedGroups, Score, sample_groups
from genagent_tools import AsyncImageTool, ImageTool


def sample_rewarded(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    config: GroupConfig,
    score: Score,
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
    timed: Callable[[str], AbstractContextManager[None]],
    anchored: bool = False,
    at_once: bool = False,
    scale: RewardScale = "group",
    ranks: Ranks = ALONE,
) -> tuple[RolloutBatch, KeptAttempts]:
    """G' attempts at each request, and the G of them that are kept, with their rewards.

    Args:
        timed: counts the seconds of ``anchors`` and of the wait for ``reward``.
        anchored: first pictures must beat the tool's own, see ``draw_anchors``.
        at_once: judges are asked while others still act, see ``RewardedGroups``.
        scale: of the advantages that readers are shown.

    Raises:
        ToolError: the tool drew nothing at all.
        RuntimeError: no verdict at all could be had.
        OSError: a picture cannot be stored.
    """
    anchors = None
    if anchored:
        with timed("anchors"):
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
    attempts = RewardedGroups(
        score, config, seed=seed, step=step, at_once=at_once, scale=scale, anchors=anchors
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
    with timed("reward"):
        return batch, attempts.kept(ranks, batch)
