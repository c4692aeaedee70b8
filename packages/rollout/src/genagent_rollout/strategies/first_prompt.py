"""The agent's first prompt: what it makes of a request before it has seen anything."""

from dataclasses import dataclass

from genagent_data import Request, parse_turn
from genagent_rollout.conversation import Engine
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.attempt import Attempt
from genagent_rollout.strategies.strategy import Answered


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstPrompt:
    """The agent's first turn and its picture; the agent is not asked what it thinks of it.

    Of one seed it is the first round of ``Agent``, so that what both reach differs by looking.
    """

    engine: Engine
    policy: str
    """See ``Agent``."""

    @property
    def name(self) -> str:
        """See ``Strategy``."""
        return f"first-prompt(policy={self.policy})"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``. Raises ValueError where the engine has no room for a turn."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        conversation = self.engine.open(request.prompt, seed=seed)
        try:
            with drawing.activity.turn():
                sampled = await conversation.turn()
        finally:
            conversation.close()
        attempt.turns.append(sampled.text)
        turn = parse_turn(
            sampled.text,
            images_so_far=0,
            max_rounds=1,
            cut_off=sampled.cut_off,
            syntax=sampled.tool_syntax,
        )
        if turn.tool_prompt is None:
            return attempt.answered("format_error", error=turn.error)
        await attempt.draw(turn.tool_prompt, thinking=turn.thinking)
        return attempt.answered()
