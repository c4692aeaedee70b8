"""Many trajectories at once, from ordinary code."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genagent_data import PictureStore, Request
from genagent_rollout.act import Rollout, act
from genagent_rollout.activity import Activity
from genagent_rollout.conversation import Engine
from genagent_rollout.drawing import drawing_by
from genagent_tools import AsyncImageTool, ImageTool, ToolError


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutTimings:
    """Seconds, as the clock on the wall has them."""

    total: float
    """From the first request to the last rollout."""
    policy: float
    """In which a turn was waited for."""
    tool: float
    """In which a picture was waited for; with servers both go on at the same time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """All rollouts, in the order of the requests, and where the time went."""

    rollouts: tuple[Rollout, ...]
    timings: RolloutTimings


def require_pictures(rollouts: Sequence[Rollout]) -> None:
    """Nothing where the tool drew at least one of the pictures it was asked for, or was not asked.

    Raises:
        ToolError: it drew none; says how many were asked for, and what it answered last.
    """
    rounds = [round for rollout in rollouts for round in rollout.trajectory.rounds]
    if rounds and all(round.picture is None for round in rounds):
        failed = [r.trajectory for r in rollouts if r.trajectory.ending == "tool_failure"]
        raise ToolError(
            f"the tool drew none of {len(rounds)} pictures; the last: {failed[-1].error}"
        )


def run_agents(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    *,
    seeds: Sequence[int],
    max_rounds: int,
    store: PictureStore,
    batch: int | None = None,
    ended: Callable[[int, Rollout], None] | None = None,
) -> RolloutBatch:
    """Let the agent answer each request once.

    Args:
        requests: may hold the same one many times (a group); equal prompts are computed once.
        seeds: one for each request. Tokens and pictures of a rollout follow from its seed alone,
            up to float noise from batch composition.
        max_rounds: pictures allowed; the agent still judges the last one.
        batch: pictures that a tool in this process draws at once, see ``BatchedDrawing``.
        ended: told of each rollout as it ends, by its place among the requests, while others still
            run.

    Raises:
        ValueError: not one seed for each request, or a limit below 1.
        OSError: a picture cannot be stored.
    """
    if len(seeds) != len(requests):
        raise ValueError(f"{len(requests)} requests and {len(seeds)} seeds; wants one for each")
    if max_rounds < 1:
        raise ValueError(f"max_rounds is {max_rounds}; wants 1 or more")
    activity = Activity()

    async def one(place: int, request: Request, seed: int) -> Rollout:
        rollout = await act(
            engine, drawing, request, seed=seed, max_rounds=max_rounds, activity=activity
        )
        if ended is not None:
            ended(place, rollout)
        return rollout

    async def everyone() -> list[Rollout]:
        return await asyncio.gather(
            *(
                one(place, request, seed)
                for place, (request, seed) in enumerate(zip(requests, seeds, strict=True))
            )
        )

    drawing = drawing_by(tool, store, activity, batch=batch)
    started = time.perf_counter()
    with activity.watched():
        rollouts = asyncio.run(everyone())
    timings = RolloutTimings(
        total=time.perf_counter() - started,
        policy=activity.turns.seconds,
        tool=activity.pictures.seconds,
    )
    return RolloutBatch(rollouts=tuple(rollouts), timings=timings)
