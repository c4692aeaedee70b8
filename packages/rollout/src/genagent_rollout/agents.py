"""Many agents at once, from ordinary code."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genagent_data import Picture, PictureStore, Request, Trajectory
from genagent_rollout.act import Rollout, act
from genagent_rollout.conversation import Engine
from genagent_rollout.drawing import Drawing
from genagent_rollout.drawn_once import DrawnOnce
from genagent_rollout.side_by_side import Handed, RolloutTimings, side_by_side
from genagent_tools import AsyncImageTool, ImageTool, ToolError


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """All rollouts, in the order of the requests, and where the time went."""

    rollouts: tuple[Rollout, ...]
    timings: RolloutTimings

    @property
    def trajectories(self) -> list[Trajectory]:
        return [rollout.trajectory for rollout in self.rollouts]


def require_pictures(trajectories: Sequence[Trajectory]) -> None:
    """Nothing where the tool drew at least one of the pictures it was asked for, or was asked for
    those of one request at most: one alone may be such that no tool draws it, and would end a run
    at every resume.

    Raises:
        ToolError: it drew none; says how many were asked for, and what it answered last.
    """
    asked = [trajectory for trajectory in trajectories if trajectory.rounds]
    rounds = [round for trajectory in asked for round in trajectory.rounds]
    is_outage = all(round.picture is None for round in rounds)
    if is_outage and len({trajectory.request.id for trajectory in asked}) > 1:
        failed = [one for one in trajectories if one.ending == "tool_failure"]
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
    first_seeds: Sequence[int | None] | None = None,
    batch: int | None = None,
    ended: Callable[[int, Rollout], None] | None = None,
    handed: Handed | None = None,
) -> RolloutBatch:
    """Let the agent answer each request once.

    Args:
        requests: may hold the same one many times (a group); equal prompts are computed once.
        seeds: one for each request. Tokens and pictures of a rollout follow from its seed alone,
            up to float noise from batch composition.
        max_rounds: pictures allowed; the agent still judges the last one.
        first_seeds: of the first turns that requests share, one for each request; None of one
            that shares nothing. Equal pictures of those that share are drawn once.
        batch: pictures that a tool in this process draws at once, see ``BatchedDrawing``.
        ended: told of each rollout as it ends, by its place among the requests, while others still
            run.
        handed: which of the requests this process answers, see ``side_by_side``.

    Raises:
        ValueError: not one seed for each request, one seed of a request with two first turns, or a
            limit below 1.
        OSError: a picture cannot be stored.
    """
    if max_rounds < 1:
        raise ValueError(f"max_rounds is {max_rounds}; wants 1 or more")
    first_seeds = first_seeds or [None] * len(requests)
    if not len(requests) == len(seeds) == len(first_seeds):
        raise ValueError(
            f"{len(requests)} requests and {len(seeds)} seeds, {len(first_seeds)} of first turns; "
            "wants one for each"
        )
    # Of 2,880 attempts two have one seed of 31 bits in a step of 500; they are of two requests.
    own = [(request.id, seed) for request, seed in zip(requests, seeds, strict=True)]
    shared = dict(zip(own, first_seeds, strict=True))
    if any(shared[key] != first for key, first in zip(own, first_seeds, strict=True)):
        raise ValueError("two attempts at a request have one seed and different first turns")
    drawn: dict[tuple[str, int], asyncio.Task[Picture]] = {}

    async def one(request: Request, seed: int, drawing: Drawing) -> Rollout:
        first = shared[request.id, seed]
        if first is not None:
            drawing = DrawnOnce(drawing, drawn)
        return await act(
            engine, drawing, request, seed=seed, first_seed=first, max_rounds=max_rounds
        )

    done = side_by_side(
        one, tool, requests, seeds=seeds, store=store, batch=batch, ended=ended, handed=handed
    )
    return RolloutBatch(rollouts=done.results, timings=done.timings)
