"""Several pictures of the request's own words, by as many seeds."""

from dataclasses import dataclass

from genagent_data import Request
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.attempt import Attempt
from genagent_rollout.strategies.strategy import Answered


@dataclass(frozen=True, slots=True)
class BestOfN:
    """Which picture counts is for ``select`` to say; by the last one it is no better than
    ``Plain``. The first picture is ``Plain``'s of the same seed.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n}; wants 1 picture or more")

    @property
    def name(self) -> str:
        """See ``Strategy``."""
        return f"best-of({self.n})"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        await attempt.draw_several(request.prompt, self.n)
        return attempt.answered()
