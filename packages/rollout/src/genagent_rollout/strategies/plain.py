"""The tool on the request's own words."""

from dataclasses import dataclass

from genagent_data import Request
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.attempt import Attempt
from genagent_rollout.strategies.strategy import Answered


@dataclass(frozen=True, slots=True)
class Plain:
    """One picture; any tool, a unified model behind an images endpoint included."""

    name = "plain"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        await attempt.draw(request.prompt)
        return attempt.answered()
