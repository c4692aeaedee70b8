"""One picture of a trajectory, whoever asks for it."""

import time
from dataclasses import dataclass

from genagent_data import Round, derive_seed
from genagent_rollout.drawing import Drawing
from genagent_tools import ToolError


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnRound:
    """A round that may lack its picture, and why."""

    round: Round
    error: str | None = None
    """The tool's message, where it failed."""


async def draw_round(
    tool: Drawing, prompt: str, *, seed: int, place: int, thinking: str | None = None
) -> DrawnRound:
    """The picture of a prompt; a tool that fails is data.

    Args:
        seed: the trajectory's. That of its picture follows from it and ``place``, so that all
            who answer a request from one seed meet the same noise, picture by picture.
        place: rounds before this one.

    Raises:
        OSError: the picture cannot be stored.
    """
    own = derive_seed(seed, "tool", place)
    started = time.perf_counter()
    picture, failure = None, None
    try:
        picture = await tool.draw(prompt, seed=own)
    except ToolError as error:
        failure = str(error)
    round = Round(
        thinking=thinking,
        tool_prompt=prompt,
        picture=picture,
        seed=own,
        tool_seconds=time.perf_counter() - started,
    )
    return DrawnRound(round=round, error=failure)
