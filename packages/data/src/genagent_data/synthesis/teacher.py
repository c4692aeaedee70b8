"""The seam to whoever writes the trajectories that an agent begins to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from genagent_data.request import Request
from genagent_rewards import Picture

Why = Literal["prose", "refusal", "cut_off", "silent"]
"""Words without the form that was asked for; words of refusal; words that did not end; no words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A thought and the prompt it leads to. Example: ``Call(thinking="2 cats", prompt="two …")``"""

    thinking: str
    prompt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What is seen in a picture, and whether it satisfies the request.

    Example: ``Judgement(words="one cat, where two were asked for", right=False)``
    """

    words: str
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The teacher had nothing that could be used. Example: ``Failure(why="prose", detail="…")``"""

    why: Why
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialTrajectory:
    """Where a trajectory stands: as many calls as pictures, and a judgement on each but perhaps the
    last."""

    request: Request
    calls: tuple[Call, ...]
    pictures: tuple[Picture, ...]
    judgements: tuple[Judgement, ...] = ()
    reference: Picture | None = None
    """How it should look; only a reflection may be shown it, and may not say so."""


class Teacher(Protocol):
    """Writes what the agent should have said. Each answer depends on its question alone."""

    @property
    def name(self) -> str:
        """Models and versions of their prompts: all that the answers depend on but the question."""
        ...

    def open(self, requests: Sequence[Request]) -> list[Call | Failure]:
        """A first thought and prompt for each, in order."""
        ...

    def judge(self, attempts: Sequence[PartialTrajectory]) -> list[Judgement | Failure]:
        """A judgement on the last picture of each, in order."""
        ...

    def reflect(self, attempts: Sequence[PartialTrajectory]) -> list[Call | Failure]:
        """For each, whose last picture was judged wrong, a thought and a better prompt."""
        ...
