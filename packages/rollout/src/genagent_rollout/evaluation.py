"""How an agent does on requests it never learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from genagent_data import PictureStore, Request, derive_seed
from genagent_rollout.agents import run_agents
from genagent_rollout.engine import RolloutEngine
from genagent_worlds import Outcome, World, measure


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """What an evaluation is of."""

    held_out: int = 450
    """At most so many held-out requests."""
    evaluation_rounds: int = 2
    """Pictures the agent may draw for each."""

    def __post_init__(self) -> None:
        for name in ("held_out", "evaluation_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")


def evaluate(
    engine: RolloutEngine,
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
    return measure(world, (rollout.trajectory for rollout in batch.rollouts))
