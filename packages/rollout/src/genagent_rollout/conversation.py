"""The seam of an engine: conversations that sample turns and are shown pictures.

Everything about tokens lies behind it; what acts knows turns and pictures.
"""

from dataclasses import dataclass
from typing import Protocol

from genagent_data import ToolSyntax
from genagent_policy import TokenTrajectory
from genagent_rewards import Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledTurn:
    """One turn as it was sampled."""

    ids: tuple[int, ...]
    """Its end-of-turn token included, where it has one."""
    text: str
    """The same without the end-of-turn token."""
    cut_off: bool
    """The turn, or the whole response, ran out of length before it ended."""
    tool_syntax: ToolSyntax = "hermes"
    """In which it calls the tool, if it does."""


class Conversation(Protocol):
    """One conversation with the policy: turn, picture, turn, …"""

    async def turn(self) -> SampledTurn:
        """Sample the agent's next turn."""
        ...

    def observe(self, picture: Picture) -> None:
        """Show a picture, as the answer to the turn that has just ended.

        Raises:
            ValueError: no turn has ended.
        """
        ...

    def tokens(self) -> TokenTrajectory:
        """Everything said so far, exactly as it was sampled."""
        ...

    def close(self) -> None:
        """Give up what the engine holds for it; tokens stay readable. Idempotent."""
        ...


class Engine(Protocol):
    """What conversations are held with."""

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> Conversation:
        """A conversation; its tokens follow from prompt, pictures and seeds, up to float noise.

        Args:
            first_seed: of the first turn in the place of ``seed``, for conversations that share it.

        Raises:
            ValueError: it could grow longer than the engine has room for.
        """
        ...

    def publish(self) -> None:
        """The policy's weights have changed: from now on turns are sampled with the new ones."""
        ...
