"""One rewrite without looking: the agent's own first prompt, or any rewriting model's."""

from dataclasses import dataclass

from genagent_data import Request, derive_seed
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.attempt import Attempt
from genagent_rollout.strategies.strategy import Answered
from genagent_worlds import Rewrites


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One prompt by a model (PromptEnhancer, 2509.04545, is of this kind), one picture of it."""

    by: Rewrites

    @property
    def name(self) -> str:
        """See ``Strategy``."""
        return f"rewrite({self.by.name})"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        words = self.by.rewrite(request, seed=derive_seed(seed, "rewrite"))
        call = await attempt.hear("rewriter", words)
        if call is not None:
            await attempt.draw(call.prompt, thinking=call.thinking or None)
        return attempt.answered()
