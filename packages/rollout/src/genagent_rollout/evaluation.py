"""How an agent does on requests it never learns from."""

from collections.abc import Sequence

from genagent_data import PictureStore, Request, derive_seed
from genagent_rollout.agents import require_pictures, run_agents
from genagent_rollout.conversation import Engine
from genagent_worlds import Outcome, World, measure


def evaluate(
    engine: Engine,
    world: World,
    requests: Sequence[Request],
    *,
    seed: int,
    max_rounds: int,
    pictures: PictureStore,
) -> list[Outcome]:
    """Let the agent answer each request once, and see what became of it.

    The seeds of rollouts follow from ``seed`` and the request's id, so that two policies meet the
    same noise.
    """
    seeds = [derive_seed(seed, "evaluation", request.id) for request in requests]
    batch = run_agents(
        engine, world.tool, requests, seeds=seeds, max_rounds=max_rounds, store=pictures
    )
    require_pictures(batch.rollouts)
    return measure(world, (rollout.trajectory for rollout in batch.rollouts))
