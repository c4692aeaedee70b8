"""How an agent does on requests it never learns from."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from genagent_data import PictureStore, Request, derive_seed
from genagent_rollout.act import Rollout
from genagent_rollout.agents import require_pictures, run_agents
from genagent_rollout.conversation import Engine
from genagent_rollout.groups import JUDGED_AT_ONCE
from genagent_worlds import Outcome, World, measure


def evaluate(
    engine: Engine,
    world: World,
    requests: Sequence[Request],
    *,
    seed: int,
    max_rounds: int,
    pictures: PictureStore,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Let the agent answer each request once, and see what became of it.

    The seeds of rollouts follow from ``seed`` and the request's id, so that two policies meet the
    same noise.

    Args:
        progress: told how many requests have been answered, and how many there are.
    """
    seeds = [derive_seed(seed, "evaluation", request.id) for request in requests]
    at_once = world.truth is None and world.judges.at_once
    with ThreadPoolExecutor(JUDGED_AT_ONCE) as threads:
        judging: dict[int, Future[list[Outcome]]] = {}
        answered: set[int] = set()

        def ended(place: int, rollout: Rollout) -> None:
            answered.add(place)
            if progress is not None:
                progress(len(answered), len(requests))
            if at_once:
                judging[place] = threads.submit(measure, world, [rollout.trajectory])

        batch = run_agents(
            engine,
            world.tool,
            requests,
            seeds=seeds,
            max_rounds=max_rounds,
            store=pictures,
            ended=ended,
        )
        require_pictures(batch.trajectories)
        if at_once:
            return [outcome for place in sorted(judging) for outcome in judging[place].result()]
    return measure(world, batch.trajectories)
