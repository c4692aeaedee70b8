"""A request, answered once by the agent, and how long it took."""

import time
from dataclasses import dataclass, field

from genagent_data import Request, Round, Turn
from genagent_rollout import Engine, Watcher, act
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import Drawing
from genagent_serving.answered import Answered


async def answer(
    engine: Engine,
    drawing: Drawing,
    request: Request,
    *,
    seed: int,
    max_rounds: int,
    activity: Activity | None = None,
    watcher: Watcher | None = None,
) -> Answered:
    """Let the agent answer a request once; see ``act``, whose arguments and errors these are."""
    clock = _Clock(watcher=watcher)
    rollout = await act(
        engine,
        drawing,
        request,
        seed=seed,
        max_rounds=max_rounds,
        activity=activity,
        watcher=clock,
    )
    return Answered(
        trajectory=rollout.trajectory,
        turns=rollout.turns,
        turn_seconds=tuple(clock.turn_seconds),
        seed=seed,
        seconds=time.perf_counter() - clock.began,
    )


@dataclass(kw_only=True, slots=True)
class _Clock:
    """A ``Watcher`` that times turns and hands on what it hears."""

    watcher: Watcher | None
    began: float = field(default_factory=time.perf_counter)
    since: float = field(default_factory=time.perf_counter)
    turn_seconds: list[float] = field(default_factory=list)

    def spoke(self, turn: Turn) -> None:
        self.turn_seconds.append(time.perf_counter() - self.since)
        if self.watcher is not None:
            self.watcher.spoke(turn)

    def drew(self, round: Round) -> None:
        self.since = time.perf_counter()
        if self.watcher is not None:
            self.watcher.drew(round)
