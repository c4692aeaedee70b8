"""One conversation to learn from: what supervised fine-tuning is fed."""

from dataclasses import dataclass

from genagent_data.request import Request
from genagent_rewards import Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A request, the agent's turns, and the pictures between them.

    Example: ``Record(request=request, turns=("<think>…</tool_call>", "<judge>…</answer>"),
    pictures=(picture,))``
    """

    request: Request
    turns: tuple[str, ...]
    """The agent's words, turn by turn, in the protocol of ``parse_turn``."""
    pictures: tuple[Picture, ...]
    """What was drawn after each turn but the last, which answers, or calls once more in vain."""
    words: int | None = None
    """Words of a prompt that its tool reads, as the system message says; None: nothing is said."""

    def __post_init__(self) -> None:
        if len(self.turns) != len(self.pictures) + 1:
            raise ValueError(
                f"record {self.request.id!r} has {len(self.turns)} turns and {len(self.pictures)} "
                "pictures; give one turn more than pictures"
            )
