"""Attempts by all ranks of a job: each takes the next ones when it has room for them.

What an attempt is follows from its seed, up to float noise, and not from who makes it. Afterwards
every rank knows all attempts, but the pixels only of its own: the others' pictures are read from
the run's folder, which all ranks see.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from genagent_data import PictureStore, Request, light_trajectory
from genagent_policy import Ranks, TokenTrajectory, no_pictures
from genagent_rollout.act import Rollout
from genagent_rollout.agents import RolloutBatch, run_agents
from genagent_rollout.conversation import Engine
from genagent_rollout.side_by_side import Handed, RolloutTimings
from genagent_tools import AsyncImageTool, ImageTool

Value = TypeVar("Value")


def run_over_ranks(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    *,
    seeds: Sequence[int],
    max_rounds: int,
    store: PictureStore,
    ranks: Ranks,
    first_seeds: Sequence[int | None] | None = None,
    batch: int | None = None,
    block: int = 1,
    ended: Callable[[int, Rollout], None] | None = None,
) -> RolloutBatch:
    """As ``run_agents``, by all ranks together: the same rollouts, in the same order, on each.

    Args:
        store: in a folder that all ranks see.
        block: attempts that one rank makes together, those at one request for instance.
        ended: told of this rank's own attempts.
    """
    act = {"max_rounds": max_rounds, "store": store, "first_seeds": first_seeds, "batch": batch}
    if ranks.size == 1:
        return run_agents(engine, tool, requests, seeds=seeds, ended=ended, **act)
    own: dict[int, Rollout] = {}

    def note(place: int, rollout: Rollout) -> None:
        own[place] = rollout
        if ended is not None:
            ended(place, rollout)

    blocks = -(-len(requests) // block)
    handed = Handed(
        blocks=_places(ranks.hand_out(blocks), block, len(requests)),
        # Three quarters of its share at the start; the rest goes to whoever is quick.
        at_once=max(1, -(-3 * blocks // (4 * ranks.size))),
    )
    done = run_agents(engine, tool, requests, seeds=seeds, ended=note, handed=handed, **act)
    rollouts = pool(ranks, own, {place: _light(one, store) for place, one in own.items()})
    spent = ranks.gather(done.timings)
    return RolloutBatch(
        rollouts=tuple(rollouts),
        timings=RolloutTimings(
            total=max(one.total for one in spent),
            policy=max(one.policy for one in spent),
            tool=max(one.tool for one in spent),
        ),
    )


def pool(ranks: Ranks, own: dict[int, Value], light: dict[int, Value]) -> list[Value]:
    """What all ranks have, by place: this one's own, and of the others what they send.

    Args:
        light: what this rank sends of its own.
    """
    every = {place: one for sent in ranks.gather(light) for place, one in sent.items()} | own
    return [every[place] for place in sorted(every)]


def total_counts(counts: Mapping[str, float], ranks: Ranks) -> dict[str, float]:
    """Sums over all ranks, on each of them, of what each has counted of its own."""
    every = ranks.gather(dict(counts))
    names = dict.fromkeys(name for one in every for name in one)
    return {name: sum(one.get(name, 0.0) for one in every) for name in names}


def _light(rollout: Rollout, store: PictureStore) -> Rollout:
    return replace(
        rollout,
        trajectory=light_trajectory(rollout.trajectory, store),
        tokens=_without_pixels(rollout.tokens),
        is_here=False,
    )


def _without_pixels(tokens: TokenTrajectory) -> TokenTrajectory:
    pixels, grids = no_pictures(tokens.pixel_values.shape[1])
    return replace(tokens, pixel_values=pixels, grids=grids)


def _places(numbers: Iterator[int], block: int, count: int) -> Iterator[Sequence[int]]:
    for number in numbers:
        yield range(number * block, min((number + 1) * block, count))
