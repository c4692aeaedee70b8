"""How an agent does on requests it never learns from."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from genagent_data import PictureStore, Request, derive_seed, light_trajectory
from genagent_policy import ALONE, Ranks
from genagent_rollout.act import Rollout
from genagent_rollout.agents import require_pictures
from genagent_rollout.conversation import Engine
from genagent_rollout.judging import judging_threads
from genagent_rollout.over_ranks import pool, run_over_ranks
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
    ranks: Ranks = ALONE,
) -> list[Outcome]:
    """Let the agent answer each request once, and see what became of it.

    The seeds of rollouts follow from ``seed`` and the request's id, so that two policies meet the
    same noise.

    Args:
        progress: told how many requests have been answered, and how many there are; of several
            ranks each tells of its own.
        ranks: who answers and judges together; each is given all outcomes.

    Raises:
        ToolError: as ``require_pictures``.
        RuntimeError: as ``require_verdicts``.
    """
    seeds = [derive_seed(seed, "evaluation", request.id) for request in requests]
    at_once = world.truth is None and world.judges.at_once
    with judging_threads() as threads:
        judging: dict[int, Future[list[Outcome]]] = {}
        answered: set[int] = set()

        def ended(place: int, rollout: Rollout) -> None:
            answered.add(place)
            if progress is not None:
                progress(len(answered), len(requests))
            if at_once:
                judging[place] = threads.submit(measure, world, [rollout.trajectory])

        batch = run_over_ranks(
            engine,
            world.tool,
            requests,
            seeds=seeds,
            max_rounds=max_rounds,
            store=pictures,
            ranks=ranks,
            ended=ended,
        )
        require_pictures(batch.trajectories)
        places = sorted(place for place, one in enumerate(batch.rollouts) if one.is_here)
        if at_once:
            found = [outcome for place in places for outcome in judging[place].result()]
        else:
            found = measure(world, [batch.rollouts[place].trajectory for place in places])
    own = dict(zip(places, found, strict=True))
    light = {
        place: replace(one, trajectory=light_trajectory(one.trajectory, pictures))
        for place, one in (own.items() if ranks.size > 1 else ())
    }
    if progress is not None and ranks.size > 1:
        progress(len(requests), len(requests))
    outcomes = pool(ranks, own, light)
    require_verdicts(outcomes)
    return outcomes


def require_verdicts(outcomes: Sequence[Outcome]) -> None:
    """Nothing where one of the pictures at least has a verdict, or all are of one request, of which
    the judge may have nothing to say. An evaluation is kept with its run: one that a dead judge
    left blind would stay blind.

    Raises:
        RuntimeError: none has; says how many there are, and why the last could not be judged.
    """
    drawn = [outcome for outcome in outcomes if outcome.passed]
    passed = [one for outcome in drawn for one in outcome.passed]
    if len(drawn) > 1 and all(one is None for one in passed):
        reasons = [outcome.why_absent for outcome in drawn if outcome.why_absent]
        reason = reasons[-1] if reasons else "the judge does not say why"
        raise RuntimeError(
            f"none of the {len(passed)} pictures of the evaluation could be judged; the last: "
            f"{reason}"
        )
