"""The agent itself: it thinks, calls the tool, looks, judges and decides when it is done."""

import time
from dataclasses import dataclass

from genagent_data import Request
from genagent_rollout.act import act
from genagent_rollout.conversation import Engine
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.strategy import Answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """As many pictures as it wants, up to ``max_rounds``."""

    engine: Engine
    policy: str
    """A name that covers the weights and how turns are sampled: the engine does not know it."""
    max_rounds: int

    def __post_init__(self) -> None:
        if self.max_rounds < 1:
            raise ValueError(f"max_rounds is {self.max_rounds}; wants 1 picture or more")

    @property
    def name(self) -> str:
        """See ``Strategy``."""
        return f"agent(rounds={self.max_rounds}, policy={self.policy})"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``. Raises ValueError where the engine has no room for it."""
        began = time.perf_counter()
        rollout = await act(self.engine, drawing, request, seed=seed, max_rounds=self.max_rounds)
        return Answered(
            trajectory=rollout.trajectory,
            turns=rollout.turns,
            seed=seed,
            seconds=time.perf_counter() - began,
        )
